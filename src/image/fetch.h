/*
 * Blobs from a registry into the store, several at a time. A blob that the
 * node has is not fetched; one that another process fetches is waited for; one
 * that was begun is gone on with by Range. What a failure or an interrupt
 * leaves is kept for the next time.
 */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "image/remote.h"
#include "image/store.h"

enum fetch_state {
	FETCH_NEW,
	FETCH_ELSEWHERE, /* another process has it */
	FETCH_RUNNING,
	FETCH_DONE,
	FETCH_FAILED
};

struct fetch_set;

struct fetch {
	/* Set by the caller. */
	struct digest digest;
	uint64_t size;
	char what[48]; /* "layer 0123456789ab" */

	enum fetch_state state;
	bool was_there; /* nothing was fetched */
	uint64_t have;  /* bytes that are on the disk and may be read */

	struct fetch_set *set;
	struct img_blob *blob;
	struct exchange x;
	bool resumed;      /* what was there before counts */
	bool fresh_tried;  /* once more from the beginning */
	unsigned restarts; /* what was read of it until then may have been wrong */
};

struct fetch_set {
	struct remote *remote;
	struct img_store *store;
	struct fetch *v;
	size_t n;
	struct err err; /* of the first that failed */
	int rc;
};

/* Takes up all that are not there. v is borrowed until fetch_set_fini. */
int fetch_set_begin(struct fetch_set *, struct remote *, struct img_store *, struct fetch *v, size_t n,
    struct err *) MUST_CHECK;
/* After each turn of the engine: looks at those that other processes had. */
int fetch_set_turn(struct fetch_set *, struct err *) MUST_CHECK;
/* Waits for one that another process has; only when nothing of ours is under way. */
int fetch_set_wait(struct fetch_set *, struct err *) MUST_CHECK;
bool fetch_set_is_running(const struct fetch_set *);
bool fetch_set_is_done(const struct fetch_set *);
/* Keeps what came. */
void fetch_set_fini(struct fetch_set *);
DEFINE_AUTO_FINI(fetch_set, struct fetch_set)

#endif
