/*
 * Records of unpacked layers, layers/HEX, and the locks of those being
 * unpacked or removed, layers/.lock-HEX. The record is what makes a file
 * system of the storage a layer: written last, removed first.
 */
#include "image/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/kv.h"
#include "base/text.h"
#include "image/store_impl.h"
#include "image/unpack.h"

#define RECORD_MAX 4096
#define RECORD_VERSION "1"
#define LOOK_MS 200

int
layer_record_exists(struct img_store *s, const char *hex, struct err *e)
{
	if (faccessat(s->layers, hex, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "layer %s", hex);
}

int
img_layer_exists(struct img_store *s, const struct digest *chain, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	int r = img_pin_chain(s, chain, e);

	return r < 0 ? r : layer_record_exists(s, digest_hex(chain, hex), e);
}

static int
get_digest(const struct kv *kv, const char *key, struct digest *d, struct err *e)
{
	const char *text = kv_get(kv, key);

	if (text == NULL || digest_parse(text, d, NULL) < 0)
		return err_set(e, E_CORRUPT, "its %s is no digest", key);
	return 0;
}

static bool
get_id(const struct kv *kv, const char *key, char id[static STOR_ID_LEN])
{
	const char *text = kv_get(kv, key);

	if (text == NULL || strlen(text) >= STOR_ID_LEN)
		return false;
	memcpy(id, text, strlen(text) + 1);
	return true;
}

/* What is not as it should be is as if nothing were known. */
static void
parse_stream(const struct kv *kv, struct layer_record *rec)
{
	const char *size = kv_get(kv, "stream_size"), *packer = kv_get(kv, "stream_packer");
	struct layer_stream *m = &rec->made;

	rec->has_stream = size != NULL && packer != NULL && strlen(packer) < sizeof(m->packer) &&
	    get_digest(kv, "stream", &m->stream.blob, NULL) == 0 &&
	    text_uint(size, 0, INT64_MAX, &m->stream.size, "size", NULL) == 0 &&
	    get_id(kv, "stream_id", m->stream.id) && get_id(kv, "stream_from", m->stream.from);
	if (strcmp(m->stream.from, "-") == 0)
		m->stream.from[0] = '\0';
	if (rec->has_stream)
		memcpy(m->packer, packer, strlen(packer) + 1);
}

static int
parse_record(const struct buf *b, struct layer_record *rec, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *version, *size;
	int r = kv_parse(&kv, buf_cstr(b), b->len, "record", e);

	if (r < 0)
		return r;
	version = kv_get(&kv, "version");
	if (version == NULL || strcmp(version, RECORD_VERSION) != 0)
		return err_set(e, E_NOTSUP, "its record is of another version of pot");
	if ((r = get_digest(&kv, "diff", &rec->diff, e)) < 0)
		return r;
	rec->has_parent = kv_get(&kv, "parent") != NULL;
	if (rec->has_parent && (r = get_digest(&kv, "parent", &rec->parent, e)) < 0)
		return r;
	parse_stream(&kv, rec);
	size = kv_get(&kv, "size");
	return size == NULL ? 0 : text_uint(size, 0, UINT64_MAX, &rec->size, "size", e);
}

int
layer_record_read(struct img_store *s, const char *hex, struct layer_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	int r;

	memset(rec, 0, sizeof(*rec));
	if ((r = file_read(s->layers, hex, &b, e)) < 0 || (r = parse_record(&b, rec, e)) < 0)
		return err_wrap(e, "layer %.12s", hex);
	return 0;
}

int
layer_record_write(struct img_store *s, const char *hex, const struct layer_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char text[DIGEST_TEXT_LEN];
	int r;

	buf_fmt(&b, "version=%s\ndiff=%s\n", RECORD_VERSION, digest_print(&rec->diff, text));
	if (rec->has_parent)
		buf_fmt(&b, "parent=%s\n", digest_print(&rec->parent, text));
	buf_fmt(&b, "size=%llu\n", (unsigned long long)rec->size);
	if (rec->has_stream) {
		const struct img_stream *st = &rec->made.stream;

		buf_fmt(&b, "stream=%s\nstream_size=%llu\nstream_id=%s\nstream_from=%s\nstream_packer=%s\n",
		    digest_print(&st->blob, text), (unsigned long long)st->size, st->id,
		    st->from[0] != '\0' ? st->from : "-", rec->made.packer);
	}
	if ((r = buf_check(&b, "the record of a layer", e)) < 0)
		return r;
	return file_write_atomic(s->layers, hex, 0644, b.data, b.len, e);
}

/* ---- locks ----------------------------------------------------------------------- */

#define LOCK_LEN (STOR_NAME_MAX + sizeof(IMG_LAYER_LOCK))

static void
lock_name(const char *name, char out[static LOCK_LEN])
{
	snprintf(out, LOCK_LEN, IMG_LAYER_LOCK "%.*s", STOR_NAME_MAX, name);
}

static int
lock_once(struct img_store *s, const char *fs, int wait_ms, struct layer_lock *l, struct err *e)
{
	char name[LOCK_LEN];

	lock_name(fs, name);
	int fd = lock_named(s->layers, name, true, wait_ms, e);
	if (fd < 0)
		return fd;
	l->store = s;
	l->fd = fd;
	snprintf(l->hex, sizeof(l->hex), "%.*s", STOR_NAME_MAX, fs);
	return 0;
}

int
layer_lock_try(struct img_store *s, const char *hex, struct layer_lock *l, struct err *e)
{
	return lock_once(s, hex, 0, l, e);
}

int
layer_lock_name(
    struct img_store *s, const char *name, const volatile bool *cancel, struct layer_lock *l, struct err *e)
{
	int r;

	while ((r = lock_once(s, name, LOOK_MS, l, e)) == -E_BUSY)
		if (cancel != NULL && *cancel)
			return err_set(e, E_INTR, "interrupted while another command is at %s", name);
	return r;
}

int
layer_lock_missing(struct img_store *s, const struct digest *chain, const volatile bool *cancel, bool no_wait,
    struct layer_lock *l, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	int r;

	(void)digest_hex(chain, hex);
	if ((r = img_layer_exists(s, chain, e)) != 0)
		return r;
	while ((r = lock_once(s, hex, no_wait ? 0 : LOOK_MS, l, e)) == -E_BUSY && !no_wait)
		if (cancel != NULL && *cancel)
			return err_set(e, E_INTR, "interrupted while another command unpacks a layer");
	if (r < 0)
		return r;
	if ((r = layer_record_exists(s, hex, e)) != 0)
		layer_unlock(l);
	return r;
}

void
layer_unlock(struct layer_lock *l)
{
	char name[LOCK_LEN];

	if (l->fd < 0)
		return;
	lock_name(l->hex, name);
	unlinkat(l->store->layers, name, 0);
	fd_close(take_fd(l->fd));
}
