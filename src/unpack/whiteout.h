/*
 * Layers (image-spec, layer.md): entries that take away what a lower layer
 * has, and the memory of what this layer itself has put there, which they
 * leave alone.
 */
#ifndef UNPACK_WHITEOUT_H
#define UNPACK_WHITEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unpack/entry.h"

/* The paths of this layer, as hashes under a key that nobody outside knows. */
struct own_paths {
	uint64_t *v; /* 0: free */
	size_t n, cap;
	uint64_t key[2];
	bool full; /* more than can be remembered: what needs the memory is refused from then on */
};

int own_paths_init(struct own_paths *, struct err *) MUST_CHECK;
void own_paths_fini(struct own_paths *);
/* path is normalized. Also of every directory above it. */
void own_paths_add(struct own_paths *, const char *path);
bool own_paths_has(const struct own_paths *, const char *path);

enum whiteout {
	WHITEOUT_NONE,   /* an entry like others */
	WHITEOUT_NAME,   /* *name is taken away */
	WHITEOUT_OPAQUE, /* everything in the directory is */
	WHITEOUT_SKIP,   /* a name reserved by aufs that means nothing here */
};
/* What a normalized path says. name is borrowed from it. E_CORRUPT: a name that no layer may have. */
int whiteout_parse(const char *path, enum whiteout *, const char **name, struct err *) MUST_CHECK;

/*
 * Takes away dirfd/name, whose path is given, or (name NULL) all in dirfd that
 * is not this layer's own. A directory goes with everything in it but that.
 */
int whiteout_remove(
    const struct own_paths *, int dirfd, const char *path, const char *name, struct err *) MUST_CHECK;

#endif
