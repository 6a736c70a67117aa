/*
 * Unpacks the layers of an image, also while they come in: reads from what the
 * store has on the disk and writes to the unpackers' pipes, never waiting for
 * either side. Where the storage can put layers on each other afterwards, as
 * many are unpacked at the same time as there are processors, one sync makes
 * them durable, and then they become visible from the lowest up; elsewhere
 * each begins when the one below it stands.
 */
#ifndef IMAGE_PUMP_H
#define IMAGE_PUMP_H

#include <poll.h>

#include "image/unpack.h"

/* What the caller knows of a layer's blob; it may change with every turn. */
struct pump_blob {
	struct digest digest;
	uint64_t size;
	uint64_t have; /* bytes that are in the store and may be read */
	enum {
		PUMP_ABSENT, /* nothing is there, or another process has it */
		PUMP_COMING, /* this process is filling it */
		PUMP_WHOLE
	} state;
	bool was_there;    /* nothing of it had to be brought */
	unsigned restarts; /* what was read of it until then may have been wrong */
	char what[48];     /* "layer 0123456789ab" */
};

struct pump_lane;

struct pump {
	struct img_store *store;
	struct stor *stor;
	struct pump_blob *blobs; /* in order, lowest first */
	size_t n;
	uint64_t max_size;
	const volatile bool *cancel;

	struct pump_lane *lanes;
	size_t most; /* lanes open at a time */
	bool apart;
};

#define PUMP_FDS_MAX 8

/* Borrows what is given. diffs: of the layers in their order. */
int pump_init(struct pump *, struct img_store *, struct stor *, struct pump_blob *,
    const struct digest *diffs, size_t n, struct err *) MUST_CHECK;
/* What to wait for before the next turn. Returns how many; 0: for the blobs. */
unsigned pump_wants(const struct pump *, struct pollfd v[static PUMP_FDS_MAX]);
/* Goes on as far as it can without waiting. idle: nothing is fetched now, so that it may wait for others. */
int pump_turn(struct pump *, bool idle, struct err *) MUST_CHECK;
bool pump_is_done(const struct pump *);
/* Bytes that the unpackers got so far. */
uint64_t pump_done(const struct pump *);
/* Chain id of the uppermost layer. */
const struct digest *pump_chain(const struct pump *);
/* Removes what is half unpacked. */
void pump_fini(struct pump *);
DEFINE_AUTO_FINI(pump, struct pump)

/* Unpacks blobs that are all there. progress may be NULL; *chain gets the uppermost layer's. */
int pump_run(
    struct pump *, img_progress_fn *progress, void *arg, struct digest *chain, struct err *) MUST_CHECK;

#endif
