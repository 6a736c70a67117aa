/*
 * Unpacks the layers of an image in their order while they come in: reads from
 * what fetch.h has on the disk and writes to the unpacker's pipe, never waiting
 * for either side.
 */
#ifndef IMAGE_PUMP_H
#define IMAGE_PUMP_H

#include "image/fetch.h"
#include "image/unpack.h"

#define PUMP_CHUNK (128 * 1024)

struct pump {
	struct img_store *store;
	struct stor *stor;
	struct fetch *layers; /* in order, lowest first */
	const struct digest *diffs;
	size_t n;
	uint64_t max_size;
	const volatile bool *cancel;

	size_t at;                  /* the layer that is next, or under way */
	struct digest below, chain; /* of the one below, of this one */
	struct img_unpack *u;
	unsigned restarts; /* of the fetch when it began */
	int fd;            /* of the blob */
	uint64_t offset;   /* bytes of it read */
	size_t len, off;   /* what stands in buf and is not written yet */
	char *buf;
};

/* Borrows what is given. */
int pump_init(struct pump *, struct img_store *, struct stor *, struct fetch *layers,
    const struct digest *diffs, size_t n, struct err *) MUST_CHECK;
/* The pipe to wait for, POLLOUT, when there is something to write; -1 otherwise. */
int pump_wants(const struct pump *);
/* Goes on as far as it can without waiting. idle: nothing is fetched now, so that it may wait for others. */
int pump_turn(struct pump *, bool idle, struct err *) MUST_CHECK;
bool pump_is_done(const struct pump *);
/* Removes a layer that is half unpacked. */
void pump_fini(struct pump *);
DEFINE_AUTO_FINI(pump, struct pump)

#endif
