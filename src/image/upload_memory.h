/*
 * Inside of image/: where an upload stood when its push ended before it, ROOT/images/uploads/HEX, so that a later push
 * of the same blob to the same repository goes on with it. Only an economy: what is lost or wrong costs the bytes again.
 */
#ifndef IMAGE_UPLOAD_MEMORY_H
#define IMAGE_UPLOAD_MEMORY_H

#include "image/store.h"

struct upload_memory {
	int dir, fd; /* fd: locked; -1: nothing is remembered, or another push goes on with it */
	char name[DIGEST_HEX_LEN];
};
#define UPLOAD_MEMORY_INIT \
	{                  \
		-1, -1, "" \
	}

void upload_memory_open(struct upload_memory *, struct img_store *, const char *host, const char *repository,
    const struct digest *);
/* The location that was kept; false: none. */
bool upload_memory_get(const struct upload_memory *, struct buf *location);
void upload_memory_put(const struct upload_memory *, const struct buf *location);
/* It is over: nothing to go on with. */
void upload_memory_drop(struct upload_memory *);
/* Keeps what was put. */
void upload_memory_close(struct upload_memory *);
/* Removes those that no push is at work on. */
int upload_memory_prune(struct img_store *, struct err *) MUST_CHECK;

#endif
