/* Giving up what builds keep, by the user's rule or by the configured size. */
#ifndef BUILDER_PRUNE_H
#define BUILDER_PRUNE_H

#include "builder/cache.h"

struct bld_pruned {
	unsigned steps, mounts;
	uint64_t bytes;
};
/*
 * dir: ROOT/build. With rule->all caches of mounts that nobody uses go as well, and fetched files. What the
 * steps' layers and blobs were is left to the next prune of images.
 */
int bld_prune(
    int dir, const struct bld_prune_rule *, bool dry_run, struct bld_pruned *, struct err *) MUST_CHECK;

#endif
