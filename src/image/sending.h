/*
 * Inside of image/: what a storage writes, read while it does. A thread runs
 * the storage's side of a pipe.
 */
#ifndef IMAGE_SENDING_H
#define IMAGE_SENDING_H

#include <pthread.h>

#include "base/err.h"

/* Writes all of it to fd, which stays the caller's. */
typedef int sending_fn(void *arg, int fd, struct err *);

struct sending {
	sending_fn *fn;
	void *arg;
	int fd, from; /* the pipe */
	int rc;
	struct err err;
	pthread_t thread;
};

/* The end to read from, which stays ours, or < 0. SIGPIPE must be ignored. */
int sending_begin(struct sending *, sending_fn *, void *arg, struct err *) MUST_CHECK;
/*
 * rc: of the reader, with e where it failed. What the sender failed with counts where the reader did not, or could
 * not understand half of it (E_CORRUPT); a sender whose reader had failed before only says that nobody reads.
 */
int sending_end(struct sending *, int rc, struct err *) MUST_CHECK;

#endif
