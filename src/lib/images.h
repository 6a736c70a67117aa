/* Inside of lib/: what the functions of images share. */
#ifndef LIB_IMAGES_H
#define LIB_IMAGES_H

#include <pot/image.h>

#include "image/image.h"
#include "image/store.h"
#include "lib/ctx.h"

/* The store of an installation; root only: images may hold what not everybody may read. */
int lib_store(struct pot_ctx *, struct img_store **, struct err *) MUST_CHECK;
/* A name as typed, with its tag. */
int lib_ref(const char *name, struct reference *, struct err *) MUST_CHECK;
/* What it means here; the image is opened where image is not NULL. */
int lib_find(struct img_store *, const char *name, struct reference *, struct img_ref_record *,
    struct img_image **image, struct err *) MUST_CHECK;
/* Gives an image a name, now. digest: what the name names, NULL: the image itself. */
int lib_name(struct img_store *, const struct reference *, const struct img_image *,
    const struct digest *digest, struct err *) MUST_CHECK;

/* build.c: what the cache of steps needs, for prune. */
int lib_build_used(struct eng *, int (*add)(void *, const char *fs, const char *manifest), void *arg,
    struct err *) MUST_CHECK;

#endif
