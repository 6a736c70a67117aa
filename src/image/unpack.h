/*
 * Layers as file systems of the storage. A layer is unpacked on top of those
 * below it: the file system STOR_IMAGE named by the 64 hexadecimal digits of
 * its chain id (image-spec, config.md) is a clone of its parent's, gets the
 * layer's changes and the snapshot IMG_LAYER_TAG; pots are clones of that.
 * ROOT/images/layers/HEX is its record, written last: a file system without
 * one is what a killed process left, and the next who wants it makes it again.
 * A lock per layer sees to it that each is unpacked once, however many want it.
 *
 * The bytes are parsed by pot-unpack, in its sandbox; nothing of them here.
 */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "image/digest.h"
#include "image/manifest.h"
#include "image/store.h"
#include "storage/storage.h"

/* chain = diff for the lowest layer (parent NULL), else sha256("PARENT DIFF"). */
int img_chain_id(
    const struct digest *parent, const struct digest *diff, struct digest *chain, struct err *) MUST_CHECK;

/* What is to be unpacked. Borrowed until img_unpack_begin returns. */
struct img_unpack_args {
	const struct digest *parent; /* chain id of what is below, unpacked; NULL: this is the lowest layer */
	const struct digest *diff;   /* of the uncompressed tar: rootfs.diff_ids of the config */
	uint64_t max_size;           /* bytes unpacked at most; 0: IMG_UNPACK_MAX */
	const volatile bool *cancel; /* ends waiting for another process with E_INTR; may be NULL */
	bool no_wait;                /* E_BUSY instead of waiting for another process */
	bool apart;                  /* beside what is below, see img_unpack_stack; where STOR_CAP_STACK */
};
#define IMG_UNPACK_MAX (UINT64_C(64) << 30)

struct img_unpack;

/*
 * 1: this layer is unpacked already (*out NULL). 0: the compressed bytes (gzip,
 * zstd, xz, bzip2 or none: told by their beginning) are to be written to
 * img_unpack_fd() in order, as they come in, and then img_unpack_end called.
 * Waits while another process unpacks it (then 1, or 0 when that one failed).
 * E_NOENT: the parent is not unpacked. The layer is pinned in both cases.
 */
int img_unpack_begin(struct img_store *, struct stor *, const struct img_unpack_args *,
    struct img_unpack **out, struct digest *chain, struct err *) MUST_CHECK;
/*
 * A pipe (blocking; the caller may set O_NONBLOCK on it; SIGPIPE must be
 * ignored). EPIPE when the unpacker has given up: img_unpack_end tells why.
 */
int img_unpack_fd(const struct img_unpack *);
/*
 * Closes the pipe and waits for the unpacker. ok: all bytes were written and
 * the blob's digest was right; then the tar's digest is checked and the layer
 * becomes visible, else everything is removed. ok false gives 0 after a clean
 * removal, and the unpacker's own reason where it had one: prefer that to
 * EPIPE. E_CORRUPT: a damaged or hostile layer, naming the entry; E_NOSPC.
 * *u is released in every case.
 */
int img_unpack_end(struct img_unpack **u, bool ok, struct err *) MUST_CHECK;

/*
 * Layers that are unpacked beside each other. Of one begun with .apart the parent need not be there yet. When all
 * bytes are written, img_unpack_close closes the pipe and gives a fd that becomes readable when the unpacker is about
 * to end. img_unpack_check then checks digest and all, as img_unpack_end does, and makes nothing visible. After one
 * stor_sync for all of them img_unpack_stack does, parents first. 1 from either: this layer can only be unpacked on
 * top of the others; it is as if it had not been begun, *u is released. On failure img_unpack_end(u, false).
 */
int img_unpack_close(struct img_unpack *);
int img_unpack_check(struct img_unpack **u, struct err *) MUST_CHECK;
int img_unpack_stack(struct img_unpack **u, struct err *) MUST_CHECK;

/*
 * The same for a layer whose blob is in the store. progress gets the number of
 * compressed bytes read; may be NULL.
 */
typedef void img_progress_fn(void *arg, uint64_t done);
int img_unpack_blob(struct img_store *, struct stor *, const struct img_unpack_args *,
    const struct digest *blob, img_progress_fn *, void *arg, struct digest *chain, struct err *) MUST_CHECK;

/*
 * Makes the lowest layer of a tree that is in the storage already: what was
 * packed from src is unpacked by cloning src@tag. Nothing to do is fine.
 */
int img_layer_adopt(struct img_store *, struct stor *, const struct digest *diff, struct stor_fs src,
    const char *tag, const volatile bool *cancel, struct err *) MUST_CHECK;

/*
 * Makes a layer of the file system STOR_IMAGE `name`, which was made for it on the layer parent (NULL: none) and
 * holds what was packed as diff: it gets the layer's name, or is left to the caller where that layer exists
 * (the same bytes came about elsewhere). Not mounted; the caller holds its lock. size: of its files.
 */
int img_layer_take(struct img_store *, struct stor *, const struct digest *parent, const struct digest *diff,
    const char *name, const volatile bool *cancel, struct digest *chain, struct err *) MUST_CHECK;

/* 1: unpacked (and pinned), 0: not. */
int img_layer_exists(struct img_store *, const struct digest *chain, struct err *) MUST_CHECK;

#endif
