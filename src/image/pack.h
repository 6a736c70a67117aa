/*
 * A layer in the making: the bytes of a tar go in, a zstd blob of the store
 * comes out. The same bytes give the same blob, however many threads work.
 */
#ifndef IMAGE_PACK_H
#define IMAGE_PACK_H

#include "base/event.h"
#include "image/store.h"

struct img_pack;

/*
 * What has to come out. Where the store has that blob already, or another process is bringing it, it is only
 * compared. E_CORRUPT: something else came out; nothing of it is left.
 */
struct img_pack_expect {
	struct digest blob, diff;
	uint64_t size;
	uint64_t max; /* of the tar: E_LIMIT */
};

/* expect may be NULL. */
int img_pack_begin(
    struct img_store *, const struct img_pack_expect *expect, struct img_pack **, struct err *) MUST_CHECK;
/* A tarout_fn (image/tarout.h). */
int img_pack_write(void *pack, const void *, size_t, struct err *) MUST_CHECK;
/* Makes the blob visible. diff: of the tar. *p is released in every case. */
int img_pack_end(
    struct img_pack **p, struct digest *diff, struct digest *blob, uint64_t *size, struct err *) MUST_CHECK;
void img_pack_abort(struct img_pack *); /* NULL is allowed */

/* The difference of a tree to its parent as a layer of the store. */
struct img_difference {
	int root, parent; /* parent -1: everything */
	int64_t epoch;    /* SOURCE_DATE_EPOCH, -1 none */
	const volatile bool *cancel;
	const struct pot_events *events;
	bool exact;                           /* as in image/diff.h; mount points of pots count, too */
	const struct img_pack_expect *expect; /* or NULL */
};
struct img_layer;
/*
 * Begins to find it, beside what the caller does next: what d borrows must last until it is freed, which waits
 * for the end of finding.
 */
struct img_found;
int img_difference_find(const struct img_difference *d, struct img_found **, struct err *) MUST_CHECK;
void img_found_free(struct img_found *);
DEFINE_AUTO(img_found, struct img_found *, NULL, img_found_free)
/* 1: *layer is it, and *bytes (may be NULL) what its files have; 0: there is none. */
int img_found_pack(
    struct img_store *, struct img_found *, struct img_layer *, uint64_t *bytes, struct err *) MUST_CHECK;
/* Both, one after the other. */
int img_pack_difference(struct img_store *, const struct img_difference *, struct img_layer *,
    uint64_t *bytes, struct err *) MUST_CHECK;

#endif
