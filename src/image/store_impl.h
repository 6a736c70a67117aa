/* Inside of the store of images, shared by its files. */
#ifndef IMAGE_STORE_IMPL_H
#define IMAGE_STORE_IMPL_H

#include <pthread.h>

#include "image/store.h"

#define STORE_LOCK_MS 120000 /* longer than any prune holds the lock */
#define STORE_PARTIAL_NEW ".new-"
/* Files of a classic image, a directory with a lock beside it; what is in it stays for the next fetch. */
#define STORE_CLASSIC "classic-"
#define STORE_CLASSIC_LOCK ".lock"

struct img_store {
	int dir; /* ROOT/images */
	int blobs[DIGEST_ALGS], partial, refs, ready, layers, subjects, pins;
	pthread_mutex_t mutex; /* of what follows */
	int pin_fd;            /* our file in pins/, locked; -1 none yet */
	char pin_name[40];
	struct strv pinned; /* its lines */
};

/* Shared: something is made from what is there, or pinned. Exclusive: prune. The fd is the lock. */
int store_lock(struct img_store *, bool exclusive, struct err *) MUST_CHECK;
/* "sha256-HEX": the name of files that belong to a blob. */
#define STORE_FILE_LEN DIGEST_TEXT_LEN
void store_file_name(const struct digest *, char out[static STORE_FILE_LEN]);
/* The reverse; false for any other name. */
bool store_file_parse(const char *name, struct digest *);
/* Names in a directory, in order; those that begin with a dot only where hidden. */
int store_names(int dirfd, bool hidden, struct strv *, struct err *) MUST_CHECK;

/* pins.c: one line of ours. */
int store_pin(struct img_store *, const char *kind, const struct digest *, struct err *) MUST_CHECK;
/* Calls fn for each line of every living process; removes what the dead left. Under the exclusive lock. */
int store_pins_each(struct img_store *, int (*fn)(void *arg, const char *kind, const struct digest *),
    void *arg, struct err *) MUST_CHECK;
void store_pins_end(struct img_store *);
#define PIN_BLOB "blob"
#define PIN_LAYER "layer"

#endif
