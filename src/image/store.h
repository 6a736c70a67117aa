/*
 * The images of a node, below ROOT/images:
 *
 *   oci-layout, blobs/ALG/HEX   blobs, as in an OCI image layout; whole, checked, read-only
 *   partial/ALG-HEX             a blob on its way in; locked while somebody fills it
 *   partial/.new-…              one whose digest is not known yet
 *   refs/[HOST/]NAME/:TAG       what a name means (model/imgrecord.h); also /@DIGEST
 *   ready/ALG-HEX               what pots of an unpacked manifest are made from (model/imgrecord.h)
 *   layers/HEX                  an unpacked layer: a file system of the storage (image/unpack.h)
 *   subjects/ALG-HEX/ALG-HEX    manifests that refer to the first one: its signatures
 *   bases/NAME                  the manifest of a base that images were made of (IMG_BASES)
 *   pins/…                      what the processes at work need; locked by them
 *
 * Nothing is visible before it is whole: blobs, references and records appear
 * by rename.  What a killed process leaves is taken up again (a partial blob)
 * or removed by the next prune.  Any number of processes work on one store.
 * A store may be used by several threads, one struct img_blob by one.
 */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "image/digest.h"
#include "model/imgrecord.h"
#include "model/reference.h"

/*
 * bases/NAME: "manifest=DIGEST" of an image of one layer, the base itself, so
 * that all images of pots made from that base have the same lowest layer.
 */
#define IMG_BASES "bases"

struct img_store;

/* rootfd: the installation's directory, borrowed for the call. Makes ROOT/images when it is missing. */
int img_store_open(struct img_store **, int rootfd, struct err *) MUST_CHECK;
void img_store_close(struct img_store *);   /* its pins end; NULL is allowed */
int img_store_fd(const struct img_store *); /* ROOT/images; borrowed */

/* ---- blobs ------------------------------------------------------------------ */

/*
 * Looking at a blob, and committing one, pins it: until img_store_close (or
 * the end of the process) no prune takes it away.
 */
/* 1: it is there; 0: not. *size (may be NULL) gets its length. */
int img_blob_has(struct img_store *, const struct digest *, uint64_t *size, struct err *) MUST_CHECK;
/* One that this process is filling, for reading what is there of it. */
int img_blob_open_partial(struct img_store *, const struct digest *, struct err *) MUST_CHECK;
/* For reading; E_NOENT. */
int img_blob_open(struct img_store *, const struct digest *, uint64_t *size, struct err *) MUST_CHECK;
/* The whole of a small one, its digest checked again: E_CORRUPT; E_LIMIT over b->max. */
int img_blob_read(struct img_store *, const struct digest *, struct buf *, struct err *) MUST_CHECK;
/* A small blob that is at hand whole: its digest (sha256) is told. There already is fine. */
int img_blob_put(struct img_store *, const void *, size_t, struct digest *out, struct err *) MUST_CHECK;

/* One blob on its way in. */
struct img_blob;

#define IMG_SIZE_UNKNOWN UINT64_MAX

/*
 * Takes up the blob of this digest, or begins it: one flight per blob and
 * node. 1: it is there whole (*out is NULL; pinned); 0: *out is the caller's
 * to fill, from img_blob_have() on. While another process fills it, this call
 * waits until that one is done (1) or gave up (0: what it got is kept).
 * E_INTR when *cancel (may be NULL) becomes true by a signal.
 */
int img_blob_begin(struct img_store *, const struct digest *, uint64_t size, const volatile bool *cancel,
    struct img_blob **out, struct err *) MUST_CHECK;
/* As begin, but E_BUSY instead of waiting. */
int img_blob_try(
    struct img_store *, const struct digest *, uint64_t size, struct img_blob **out, struct err *) MUST_CHECK;
/* One whose digest is not known before it is whole; leaves nothing when its process dies. */
int img_blob_new(struct img_store *, struct img_blob **, struct err *) MUST_CHECK;

/* How many bytes are there: where to go on ("Range: bytes=N-"). */
uint64_t img_blob_have(const struct img_blob *);
/*
 * Reads what is there already and hands it out in order: for who unpacks while
 * it comes in. fn may be NULL. Must be called once before the first write when
 * img_blob_have() is not 0: the digest goes on from it.
 */
typedef int img_bytes_fn(void *arg, const void *, size_t, struct err *);
int img_blob_replay(struct img_blob *, img_bytes_fn *, void *arg, struct err *) MUST_CHECK;
/* Forgets what is there: the other side cannot go on in the middle, or what came was wrong. */
int img_blob_restart(struct img_blob *, struct err *) MUST_CHECK;
/* Appends. E_LIMIT over the size announced; E_NOSPC keeps what is there. */
int img_blob_write(struct img_blob *, const void *, size_t, struct err *) MUST_CHECK;
/*
 * Checks size and digest and makes the blob visible, durably; pinned. On
 * E_CORRUPT what came is removed. *b is released in every case. digest and
 * size (may be NULL) tell those of img_blob_new.
 */
int img_blob_commit(
    struct img_store *, struct img_blob **b, struct digest *, uint64_t *size, struct err *) MUST_CHECK;
/* Gives up; keep: what came stays, to be gone on with. NULL is allowed. */
void img_blob_abort(struct img_blob *, bool keep);

/* ---- references --------------------------------------------------------------- */

/*
 * What a reference (its digest is not looked at where it has a tag) means:
 * the record of model/imgrecord.h. Setting one makes the image visible:
 * everything that it needs must be there. Replaces what the name meant before.
 */
int img_ref_set(
    struct img_store *, const struct reference *, const struct img_ref_record *, struct err *) MUST_CHECK;
/* E_NOENT "there is no image X on this node". Pins manifest and digest. */
int img_ref_get(
    struct img_store *, const struct reference *, struct img_ref_record *, struct err *) MUST_CHECK;
/* E_NOENT. Removes the name only; blobs and layers are prune's. */
int img_ref_remove(struct img_store *, const struct reference *, struct err *) MUST_CHECK;
/* In order of names. Non-zero from fn stops and is returned. */
typedef int img_ref_fn(void *arg, const struct reference *, const struct img_ref_record *, struct err *);
int img_ref_list(struct img_store *, img_ref_fn *, void *arg, struct err *) MUST_CHECK;

/*
 * Manifests that refer to another (signatures): kept as long as that one is.
 * Both are blobs of the store already.
 */
int img_subject_add(
    struct img_store *, const struct digest *subject, const struct digest *manifest, struct err *) MUST_CHECK;
typedef int img_subject_fn(void *arg, const struct digest *manifest, struct err *);
int img_subject_list(
    struct img_store *, const struct digest *subject, img_subject_fn *, void *arg, struct err *) MUST_CHECK;

/* ---- pins and prune ------------------------------------------------------------ */

/* Keeps a blob (there or still to come) until the store is closed. */
int img_pin(struct img_store *, const struct digest *, struct err *) MUST_CHECK;
/* Keeps an unpacked layer so; chain as in image/unpack.h. */
int img_pin_chain(struct img_store *, const struct digest *chain, struct err *) MUST_CHECK;

DEFINE_AUTO(img_store, struct img_store *, NULL, img_store_close)

#endif
