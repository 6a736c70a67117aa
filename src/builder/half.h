/*
 * A tree in the making: the file system STOR_IMAGE "build-NNN", a clone of its
 * parent, locked by us; it becomes a layer, or goes. Killed at any point we
 * leave what bld_recover takes away: its lock file names it.
 */
#ifndef BUILDER_HALF_H
#define BUILDER_HALF_H

#include "builder/cache.h"
#include "image/layers.h"

struct bld_half {
	struct bld *b; /* NULL: there is none */
	struct layer_lock lock;
	char name[32];
	struct bld_tree parent;
	bool mounted;
};
#define BLD_HALF_INIT                                       \
	{                                                   \
		NULL, LAYER_LOCK_INIT, "", { false }, false \
	}

/* The name and its lock; the file system is the caller's to make, by bld_half_clone. */
int bld_half_begin(struct bld *, const struct bld_tree *parent, struct bld_half *, struct err *) MUST_CHECK;
int bld_half_clone(struct bld_half *, struct err *) MUST_CHECK;
struct stor_fs bld_half_fs(const struct bld_half *);
/* Its root, writable; not more than one at a time. The caller closes it before bld_half_unmount. */
int bld_half_mount(struct bld_half *, struct err *) MUST_CHECK;
int bld_half_unmount(struct bld_half *, struct err *) MUST_CHECK;
/*
 * What differs from `below` (NULL: the parent) becomes the layer upon that one; nothing is
 * mounted. r gets tree, did and bytes. Then it is what bld_half_end releases.
 */
int bld_half_keep(
    struct bld_half *, const struct bld_tree *below, struct bld_record *, struct err *) MUST_CHECK;
/* Removes what is left under its name, and unlocks. */
void bld_half_end(struct bld_half *);
/* What killed builders left: pots, half-made trees, private directories. */
int bld_recover(struct bld *, struct err *) MUST_CHECK;

/*
 * Takes away what starting the command made for its mounts: paths (absolute) that the parent does not have
 * and that are empty, and the times of the directories they were in.
 */
int bld_stubs_remove(int root, int parent, const char *const *paths, size_t n, struct err *) MUST_CHECK;

static inline void
bld_half_fini(struct bld_half *h)
{
	bld_half_end(h);
}
DEFINE_AUTO_FINI(bld_half, struct bld_half)

#endif
