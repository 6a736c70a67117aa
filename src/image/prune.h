/* Taking away what nobody needs: blobs, unpacked layers, what killed processes left. */
#ifndef IMAGE_PRUNE_H
#define IMAGE_PRUNE_H

#include "image/store.h"
#include "storage/storage.h"

struct img_prune_report {
	uint64_t blobs, layers, bytes; /* removed, or with dry_run: that would be; bytes of blobs */
};

struct img_prune_args {
	/* Calls add for each layer that a pot stands on (64 digits) and each manifest it names; under the store's lock. */
	int (*used)(
	    void *arg, int (*add)(void *, const char *fs, const char *manifest), void *add_arg, struct err *);
	void *arg;
	bool partial; /* also blobs that came in only in part and nobody fills now */
	bool dry_run;
};

/*
 * Keeps what references name, what is pinned, what pots stand on, and what
 * those need. May be run at any time beside anything, and again after a kill.
 */
int img_prune(struct img_store *, struct stor *, const struct img_prune_args *, struct img_prune_report *,
    struct err *) MUST_CHECK;

#endif
