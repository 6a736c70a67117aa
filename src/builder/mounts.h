/* Mounts of a command, from the builder's words to the engine's; caches are made and locked on the way. */
#ifndef BUILDER_MOUNTS_H
#define BUILDER_MOUNTS_H

#include "builder/half.h"

#define BLD_MOUNTS_MAX 128

struct bld_mounts {
	struct eng_mount v[BLD_MOUNTS_MAX];
	size_t n;
	int fds[2 * BLD_MOUNTS_MAX]; /* of caches: directories and locks; of copies */
	size_t nfds;
	struct bld_half *copies; /* clones of trees, thrown away at the end */
	size_t ncopies;
};

/* The locks of caches, in an order that all use; waits. Before a token is taken. */
int bld_mounts_lock(struct bld *, const struct bld_run *, struct bld_mounts *, struct err *) MUST_CHECK;
int bld_mounts_make(struct bld *, const struct bld_run *, struct bld_mounts *, struct err *) MUST_CHECK;
void bld_mounts_fini(struct bld_mounts *);
DEFINE_AUTO_FINI(bld_mounts, struct bld_mounts)

/* For prune: removes the caches that nobody uses; counts and adds what they had. dir: ROOT/build. */
int bld_caches_prune(
    int dir, int64_t before_ns, bool dry_run, unsigned *n, uint64_t *bytes, struct err *) MUST_CHECK;

#endif
