/*
 * Taking a classic image in: the package in its .xz, uncompressed on the way
 * and taken apart (storage.h), becomes one file system; the settings of the pot
 * that it was are read out of the other one in it, which goes again. Sum and
 * signature were checked before (classic.c); all the same nothing of the
 * package is believed but the content of files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lzma.h>

#include "base/fault.h"
#include "base/inroot.h"
#include "base/kv.h"
#include "image/classic.h"
#include "model/imgrecord.h"

#define CHUNK (256u * 1024)
#define MEMORY_MAX (UINT64_C(1) << 30) /* xz -9 wants 65 MiB to uncompress */
#define SIZE_MAX_PLAIN (UINT64_C(256) << 30)
#define CONF_MAX (1024u * 1024)
#define ENV_MAX 4096

struct xz_source {
	lzma_stream z;
	uint8_t *chunk;
	int fd;
	uint64_t out;
	const volatile bool *cancel;
	bool ended;
};

static int
xz_error(lzma_ret ret, struct err *e)
{
	if (ret == LZMA_MEM_ERROR)
		return err_nomem(e);
	if (ret == LZMA_MEMLIMIT_ERROR)
		return err_set(e, E_LIMIT, "classic image: it needs more than 1 GiB to be uncompressed");
	return err_set(e, E_CORRUPT, "classic image: it is no xz file or damaged");
}

static int
xz_refill(struct xz_source *x, lzma_action *action, struct err *e)
{
	ssize_t n = 0;

	*action = LZMA_RUN;
	if (x->z.avail_in > 0)
		return 0;
	while ((n = read(x->fd, x->chunk, CHUNK)) < 0 && errno == EINTR)
		continue;
	if (n < 0)
		return err_sys(e, "classic image: reading it");
	x->z.next_in = x->chunk;
	x->z.avail_in = (size_t)n;
	if (n == 0)
		*action = LZMA_FINISH;
	return 0;
}

static ssize_t
xz_read(void *arg, void *to, size_t n, struct err *e)
{
	struct xz_source *x = arg;

	x->z.next_out = to;
	x->z.avail_out = n;
	while (!x->ended && x->z.avail_out == n && n > 0) {
		lzma_action action;
		lzma_ret ret;
		int rc = xz_refill(x, &action, e);

		if (rc == 0 && x->cancel != NULL && *x->cancel)
			rc = err_set(e, E_INTR, "interrupted");
		if (rc < 0)
			return rc;
		ret = lzma_code(&x->z, action);
		x->ended = ret == LZMA_STREAM_END;
		if (ret != LZMA_OK && ret != LZMA_STREAM_END)
			return xz_error(ret, e);
	}
	n -= x->z.avail_out;
	x->out += n;
	if (x->out > SIZE_MAX_PLAIN)
		return err_set(e, E_LIMIT, "classic image: more than 256 GiB come out of it");
	return (ssize_t)n;
}

/* ---- settings -------------------------------------------------------------------------- */

/* Without one pair of quotes around it, as the shell framework writes some values. */
static char *
unquoted(const char *value)
{
	size_t n = strlen(value);

	if (n >= 2 && value[0] == '"' && value[n - 1] == '"')
		return buf_dup(value + 1, n - 2);
	return buf_dup(value, n);
}

static int
add_setting(struct kv *to, const char *key, const char *value, struct err *e)
{
	AUTO_FREE char *plain = unquoted(value);

	return plain == NULL ? err_nomem(e) : kv_add(to, key, plain, e);
}

static int
add_attr(struct kv *to, const char *name, const char *value, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(4096);
	int rc;

	buf_fmt(&text, "%s=%s", name, value);
	rc = buf_check(&text, "classic image: an attribute", e);
	return rc < 0 ? rc : kv_add(to, IMG_SET_ATTR, text.data, e);
}

int
classic_settings(const char *text, size_t len, struct kv *to, struct err *e)
{
	static const char *const attrs[] = { "persistent", "no-rc-script", "no-tmpfs", "no-etc-hosts" };
	AUTO_FINI(kv) struct kv conf = KV_INIT;
	const char *value;
	size_t pos = 0, n = 0;
	int rc = kv_parse(&conf, text, len, "the image's pot.conf", e);

	/* As one word list: the shell framework splits at blanks and knows no quotes in it. */
	if (rc == 0 && (value = kv_get(&conf, "pot.cmd")) != NULL) {
		AUTO_FREE char *plain = unquoted(value);
		char *rest = plain, *word;

		if (plain == NULL)
			return err_nomem(e);
		while (rc == 0 && (word = strsep(&rest, " \t")) != NULL)
			if (*word != '\0')
				rc = kv_add(to, IMG_SET_CMD, word, e);
	}
	while (rc == 0 && n++ < ENV_MAX && (value = kv_next(&conf, "pot.env", &pos)) != NULL)
		rc = add_setting(to, IMG_SET_ENV, value, e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(attrs); i++) {
		char key[64];

		snprintf(key, sizeof(key), "pot.attr.%s", attrs[i]);
		value = kv_get(&conf, key);
		if (value != NULL)
			rc = add_attr(to, attrs[i], value, e);
	}
	return rc;
}

/* ---- the package ------------------------------------------------------------------------ */

void
classic_take_fs(const char *pot, char out[static STOR_NAME_MAX + 1])
{
	snprintf(out, STOR_NAME_MAX + 1, "import-%.*s", STOR_NAME_MAX - 8, pot);
}

/* Reads conf/pot.conf of the pot's own file system, which is received for that and destroyed. */
static int
take_settings(const struct classic_take *t, const struct stor_source *src, struct kv *to, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(CONF_MAX);
	char name[STOR_NAME_MAX + 1];
	struct stor_fs fs = { STOR_IMAGE, name };
	struct err second = ERR_INIT;
	int rc, end;

	classic_take_fs(t->dst.name, name);
	rc = stor_destroy(t->stor, fs, e);
	if (rc == 0)
		rc = stor_receive(t->stor, fs, "import", NULL, src, e);
	fault_point("image.import.head");
	if (rc < 0)
		return rc;
	int root = stor_mount(t->stor, fs, true, e);
	rc = root < 0 ? root : inroot_read(root, "conf/pot.conf", &text, e);
	fd_close(root);
	if (rc == 0)
		rc = classic_settings(buf_cstr(&text), text.len, to, e);
	fault_point("image.import.settings");
	end = root < 0 ? 0 : stor_unmount(t->stor, fs, &second);
	if (end == 0)
		end = stor_destroy(t->stor, fs, &second);
	fault_point("image.import.removed");
	if (rc == 0 && end < 0) {
		*e = second;
		rc = end;
	}
	return rc;
}

/* Splits "…/NAME@TAG" or "…/NAME/m@TAG" where it is what is expected here. */
static int
check_name(char *snapshot, char **tag, struct err *e)
{
	char *at = strchr(snapshot, '@');

	if (at == NULL || strchr(at + 1, '@') != NULL || at[1] == '\0')
		return err_set(e, E_CORRUPT, "classic image: a stream in it has no snapshot");
	*at = '\0';
	*tag = at + 1;
	return 0;
}

static int
next_part(struct stor_package *p, struct stor_package_part *part, char **tag, struct err *e)
{
	int rc = stor_package_next(p, part, e);

	if (rc == 0)
		return err_set(e, E_CORRUPT, "classic image: the package holds no pot");
	return rc < 0 ? rc : check_name(part->snapshot, tag, e);
}

static int
take_parts(const struct classic_take *t, struct stor_package *p, struct kv *settings,
    char snapshot[static CLASSIC_TAG_MAX + 1], struct err *e)
{
	struct stor_source src = stor_package_source(p);
	struct stor_package_part pot, root, more;
	char *pot_tag, *tag;
	size_t len;
	int rc = next_part(p, &pot, &pot_tag, e);

	if (rc == 0)
		rc = take_settings(t, &src, settings, e);
	if (rc == 0)
		rc = next_part(p, &root, &tag, e);
	if (rc < 0)
		return rc;
	len = strlen(pot.snapshot);
	if (strncmp(root.snapshot, pot.snapshot, len) != 0 || strcmp(root.snapshot + len, "/m") != 0) {
		err_set(e, E_NOTSUP, "classic image: it is not of one pot with one snapshot");
		return err_hint(e, "export it with its last snapshot only");
	}
	snprintf(snapshot, CLASSIC_TAG_MAX + 1, "%s", tag);
	rc = stor_receive(t->stor, t->dst, tag, t->origin, &src, e);
	if (rc < 0)
		return rc;
	fault_point("image.import.received");
	rc = stor_package_next(p, &more, e);
	if (rc > 0)
		rc = err_set(e, E_NOTSUP, "classic image: it holds more than a pot with one snapshot");
	if (rc < 0)
		(void)!stor_destroy(t->stor, t->dst, NULL);
	return rc;
}

int
classic_take(const struct classic_take *t, int xz, struct kv *settings,
    char snapshot[static CLASSIC_TAG_MAX + 1], struct err *e)
{
	struct xz_source x = { .z = LZMA_STREAM_INIT, .fd = xz, .cancel = t->cancel };
	struct stor_source src = { xz_read, &x };
	AUTO_FREE uint8_t *chunk = x.chunk = malloc(CHUNK);
	AUTO(stor_package) struct stor_package *p = NULL;
	lzma_ret ret;
	int rc;

	if (chunk == NULL)
		return err_nomem(e);
	ret = lzma_stream_decoder(&x.z, MEMORY_MAX, LZMA_CONCATENATED);
	if (ret != LZMA_OK)
		return xz_error(ret, e);
	rc = stor_package_open(&p, &src, e);
	if (rc == 0)
		rc = take_parts(t, p, settings, snapshot, e);
	lzma_end(&x.z);
	return rc;
}
