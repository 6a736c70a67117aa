/*
 * Layers out as streams and in again. The lock of a layer is held while one is
 * made; what a killed process left of it has no record and is made anew or
 * pruned, as with tars (unpack.c). What a stream holds is the storage's to
 * judge, and then the packer's: nothing of it is believed here.
 */
#include "image/layerstream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fault.h"
#include "image/image.h"
#include "image/layers.h"
#include "image/mediatype.h"
#include "image/pack.h"
#include "image/sending.h"
#include "image/unpack.h"

const char *
img_stream_media(const struct stor *stor)
{
	if ((stor->caps & STOR_CAP_SEND) == 0)
		return NULL;
	if (strcmp(stor->ops->name, "zfs") == 0)
		return MEDIA_ZFS_SEND_ZSTD;
	return strcmp(stor->ops->name, "btrfs") == 0 ? MEDIA_BTRFS_SEND_ZSTD : NULL;
}

const char *
img_packer(char out[static IMG_PACKER_LEN])
{
	snprintf(out, IMG_PACKER_LEN, "pot1+zstd%u", ZSTD_versionNumber());
	return out;
}

static uint64_t
max_size(const struct img_stream_args *a)
{
	return a->max_size != 0 ? a->max_size : IMG_UNPACK_MAX;
}

static int
chain_of(const struct img_stream_layer *l, struct digest *chain, struct err *e)
{
	return img_chain_id(l->parent, l->diff, chain, e);
}

int
img_stream_id(
    const struct img_stream_args *a, const struct digest *chain, char id[static STOR_ID_LEN], struct err *e)
{
	char hex[DIGEST_HEX_LEN];

	return stor_stream_id(
	    a->stor, (struct stor_fs){ STOR_IMAGE, digest_hex(chain, hex) }, IMG_LAYER_TAG, id, e);
}

/* What a stream of this layer is the difference to, as things are here: "" for the lowest layer. */
static int
parent_id(const struct img_stream_args *a, const struct img_stream_layer *l, char id[static STOR_ID_LEN],
    struct err *e)
{
	id[0] = '\0';
	return l->parent == NULL ? 0 : img_stream_id(a, l->parent, id, e);
}

/* ---- the proof ------------------------------------------------------------------------- */

/* Packs what the file system has beyond its parent; the layer's blob must come out. *bytes: of its files. */
static int
prove_roots(const struct img_stream_args *a, const struct img_stream_layer *l, int root, int parent,
    uint64_t *bytes, struct err *e)
{
	const struct img_pack_expect expect = { *l->blob, *l->diff, l->size, max_size(a) };
	const struct img_difference d = { .root = root,
		.parent = parent,
		.epoch = -1,
		.cancel = a->cancel,
		.events = a->events,
		.exact = true,
		.expect = &expect };
	struct img_layer made;
	int r = img_pack_difference(a->store, &d, &made, bytes, e);

	return r == 0 ? err_set(e, E_CORRUPT, "it changes nothing") : r < 0 ? r : 0;
}

static int
prove(const struct img_stream_args *a, const struct img_stream_layer *l, const char *hex, uint64_t *bytes,
    struct err *e)
{
	struct stor_look own = STOR_LOOK_INIT, below = STOR_LOOK_INIT;
	char under[DIGEST_HEX_LEN] = "";
	const struct stor_fs fs = { STOR_IMAGE, hex }, parent = { STOR_IMAGE, under };
	int r;

	if (l->parent != NULL)
		(void)digest_hex(l->parent, under);
	if ((r = stor_look_begin(a->stor, fs, &own, e)) < 0)
		return r;
	if (l->parent == NULL || (r = stor_look_begin(a->stor, parent, &below, e)) == 0)
		r = prove_roots(a, l, own.root, below.root, bytes, e);
	if (below.lock >= 0)
		stor_look_end(a->stor, parent, &below);
	stor_look_end(a->stor, fs, &own);
	return r;
}

/* ---- out ------------------------------------------------------------------------------- */

int
img_stream_known(
    const struct img_stream_args *a, const struct img_stream_layer *l, struct img_stream *out, struct err *e)
{
	char hex[DIGEST_HEX_LEN], id[STOR_ID_LEN], from[STOR_ID_LEN], packer[IMG_PACKER_LEN];
	struct layer_record rec;
	struct digest chain;
	int r;

	if ((r = chain_of(l, &chain, e)) < 0 || (r = img_pin_chain(a->store, &chain, e)) < 0 ||
	    (r = layer_record_read(a->store, digest_hex(&chain, hex), &rec, e)) < 0)
		return r;
	if (!rec.has_stream || strcmp(rec.made.packer, img_packer(packer)) != 0)
		return 0;
	if ((r = img_stream_id(a, &chain, id, e)) < 0 || (r = parent_id(a, l, from, e)) < 0)
		return r;
	*out = rec.made.stream;
	return strcmp(id, out->id) == 0 && strcmp(from, out->from) == 0;
}

static int
note(const struct img_stream_args *a, const struct digest *chain, const struct img_stream *s, struct err *e)
{
	struct layer_record rec;
	char hex[DIGEST_HEX_LEN];
	int r = layer_record_read(a->store, digest_hex(chain, hex), &rec, e);

	if (r < 0)
		return r;
	rec.has_stream = true;
	rec.made.stream = *s;
	(void)img_packer(rec.made.packer);
	return layer_record_write(a->store, hex, &rec, e);
}

struct sender {
	struct stor *stor;
	struct stor_fs fs;
	const struct stor_point *from;
};

static int
send_layer(void *arg, int fd, struct err *e)
{
	const struct sender *s = arg;

	return stor_send(s->stor, s->fs, IMG_LAYER_TAG, s->from, fd, e);
}

/* A stream compresses as a tar does, and needs no more than what packs that. */
static int
pack_from(const struct img_stream_args *a, int fd, struct img_pack *pack, struct err *e)
{
	char chunk[64 * 1024];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (a->cancel != NULL && *a->cancel)
			return err_set(e, E_INTR, "interrupted");
		if (n > 0)
			r = img_pack_write(pack, chunk, (size_t)n, e);
		else if (errno != EINTR)
			r = err_sys(e, "reading what the storage sends");
	}
	return r;
}

static int
send_packed(const struct img_stream_args *a, const struct img_stream_layer *l, const char *hex,
    struct img_stream *out, struct err *e)
{
	char under[DIGEST_HEX_LEN];
	const struct stor_point below = { { STOR_IMAGE, under }, IMG_LAYER_TAG };
	struct sender s = { a->stor, { STOR_IMAGE, hex }, l->parent != NULL ? &below : NULL };
	struct img_pack *pack = NULL;
	struct sending sending;
	struct digest plain;
	int fd, r;

	if (l->parent != NULL)
		(void)digest_hex(l->parent, under);
	if ((r = img_pack_begin(a->store, NULL, &pack, e)) < 0)
		return r;
	fd = sending_begin(&sending, send_layer, &s, e);
	r = fd < 0 ? fd : sending_end(&sending, pack_from(a, fd, pack, e), e);
	fault_point("image.stream.packed");
	if (r == 0)
		return img_pack_end(&pack, &plain, &out->blob, &out->size, e);
	img_pack_abort(pack);
	return r;
}

int
img_stream_make(
    const struct img_stream_args *a, const struct img_stream_layer *l, struct img_stream *out, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct digest chain;
	uint64_t bytes = 0;
	int r;

	if ((r = chain_of(l, &chain, e)) < 0 || (r = prove(a, l, digest_hex(&chain, hex), &bytes, e)) < 0 ||
	    (r = send_packed(a, l, hex, out, e)) < 0 || (r = img_stream_id(a, &chain, out->id, e)) < 0 ||
	    (r = parent_id(a, l, out->from, e)) < 0)
		return r;
	return note(a, &chain, out, e);
}

/* ---- in -------------------------------------------------------------------------------- */

/* A stream uncompressed while it is read. */
struct unpacked {
	const struct img_stream_args *a;
	int fd;
	ZSTD_DCtx *z;
	ZSTD_inBuffer in;
	char *chunk;
	size_t size;
	uint64_t left;
	bool whole; /* at the end of a frame */
};

static int
refill(struct unpacked *u, struct err *e)
{
	ssize_t n;

	while ((n = read(u->fd, u->chunk, u->size)) < 0 && errno == EINTR)
		continue;
	if (n < 0)
		return err_sys(e, "reading the stream");
	u->in = (ZSTD_inBuffer){ u->chunk, (size_t)n, 0 };
	return n > 0;
}

static ssize_t
read_unpacked(void *arg, void *to, size_t n, struct err *e)
{
	struct unpacked *u = arg;
	ZSTD_outBuffer out = { to, n, 0 };

	if (u->a->cancel != NULL && *u->a->cancel)
		return err_set(e, E_INTR, "interrupted");
	while (out.pos == 0 && n > 0) {
		int r = u->in.pos == u->in.size ? refill(u, e) : 1;
		size_t left;

		if (r < 0)
			return r;
		/* What has come may still stand inside. */
		left = r == 0 && u->whole ? 0 : ZSTD_decompressStream(u->z, &out, &u->in);
		if (ZSTD_isError(left))
			return err_set(e, E_CORRUPT, "the stream: %s", ZSTD_getErrorName(left));
		u->whole = left == 0;
		if (r == 0 && out.pos == 0)
			return u->whole ? 0 : err_set(e, E_CORRUPT, "the stream ends too early");
	}
	if (out.pos > u->left)
		return err_set(
		    e, E_LIMIT, "the stream has more than %llu bytes", (unsigned long long)max_size(u->a));
	u->left -= out.pos;
	return (ssize_t)out.pos;
}

static int
receive(const struct img_stream_args *a, const struct img_stream_layer *l, const struct img_stream *s,
    struct stor_fs fs, struct err *e)
{
	char under[DIGEST_HEX_LEN];
	const struct stor_point below = { { STOR_IMAGE, under }, IMG_LAYER_TAG };
	struct unpacked u = { .a = a, .size = ZSTD_DStreamInSize(), .left = max_size(a), .whole = true };
	const struct stor_source source = { read_unpacked, &u };
	int r;

	if (l->parent != NULL)
		(void)digest_hex(l->parent, under);
	AUTO(fd) int fd = u.fd = img_blob_open(a->store, &s->blob, NULL, e);
	if (fd < 0)
		return fd;
	AUTO_FREE char *chunk = u.chunk = malloc(u.size);
	u.z = ZSTD_createDCtx();
	r = chunk == NULL || u.z == NULL
	    ? err_nomem(e)
	    : stor_receive(a->stor, fs, IMG_LAYER_TAG, l->parent != NULL ? &below : NULL, &source, e);
	ZSTD_freeDCtx(u.z);
	return r;
}

static int
clear(const struct img_stream_args *a, struct stor_fs fs, struct err *e)
{
	int r;

	if ((r = stor_recover(a->stor, fs, e)) < 0 || (r = stor_unmount(a->stor, fs, e)) < 0)
		return r;
	return stor_destroy(a->stor, fs, e);
}

static int
check_id(
    const struct img_stream_args *a, const struct digest *chain, const struct img_stream *s, struct err *e)
{
	char id[STOR_ID_LEN];
	int r = img_stream_id(a, chain, id, e);

	if (r < 0 || strcmp(id, s->id) == 0)
		return r;
	return err_set(e, E_CORRUPT, "the stream made %s and not %s", id, s->id);
}

/* With the layer's lock. */
static int
make(const struct img_stream_args *a, const struct img_stream_layer *l, const struct img_stream *s,
    const struct digest *chain, const char *hex, struct err *e)
{
	const struct stor_fs fs = { STOR_IMAGE, hex };
	struct layer_record rec = {
		.has_parent = l->parent != NULL, .diff = *l->diff, .has_stream = true, .made.stream = *s
	};
	int r;

	if (l->parent != NULL)
		rec.parent = *l->parent;
	(void)img_packer(rec.made.packer);
	if ((r = clear(a, fs, e)) < 0)
		return r;
	fault_point("image.stream.cleared");
	r = receive(a, l, s, fs, e);
	fault_point("image.stream.received");
	if (r == 0 && (r = check_id(a, chain, s, e)) == 0)
		r = prove(a, l, hex, &rec.size, e);
	fault_point("image.stream.proved");
	if (r == 0)
		r = layer_record_write(a->store, hex, &rec, e);
	/* What cannot be removed now is made anew or pruned later. */
	if (r < 0)
		(void)!clear(a, fs, NULL);
	return r;
}

int
img_stream_take(const struct img_stream_args *a, const struct img_stream_layer *l, const struct img_stream *s,
    struct err *e)
{
	AUTO_FINI(layer_lock) struct layer_lock lock = LAYER_LOCK_INIT;
	char hex[DIGEST_HEX_LEN], from[STOR_ID_LEN];
	struct digest chain;
	int r;

	if (l->parent != NULL && (r = img_layer_exists(a->store, l->parent, e)) != 1)
		return r < 0 ? r : err_set(e, E_NOENT, "the layers below this one are not unpacked");
	if ((r = chain_of(l, &chain, e)) < 0 || (r = parent_id(a, l, from, e)) < 0)
		return r;
	if (strcmp(from, s->from) != 0)
		return err_set(e, E_STATE, "the stream is the difference to something else");
	r = layer_lock_missing(a->store, &chain, a->cancel, false, &lock, e);
	return r != 0 ? (r < 0 ? r : 0) : make(a, l, s, &chain, digest_hex(&chain, hex), e);
}
