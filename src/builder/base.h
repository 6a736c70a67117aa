/*
 * Bases as images of one layer: made once, and then the same for all that is
 * built or committed on that base (IMG_BASES in image/store.h).
 */
#ifndef BUILDER_BASE_H
#define BUILDER_BASE_H

#include "engine/engine.h"
#include "image/image.h"

/* Its layer is unpacked, as the base itself. epoch: SOURCE_DATE_EPOCH, -1 none. The storage is open. */
int bld_base_image(struct eng *, struct img_store *, const char *base, int64_t epoch, struct img_image **,
    struct err *) MUST_CHECK;
/* The same where it was made before: 1; 0: it was not. */
int bld_base_known(
    struct eng *, struct img_store *, const char *base, struct img_image **, struct err *) MUST_CHECK;

#endif
