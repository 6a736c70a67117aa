/* The records and locks of unpacked layers. */
#ifndef IMAGE_LAYERS_H
#define IMAGE_LAYERS_H

#include "image/layerstream.h"
#include "image/store.h"
#include "storage/storage.h"

/* The stream of the storage that this layer was made from, or was sent as. */
struct layer_stream {
	struct img_stream stream;
	char packer[IMG_PACKER_LEN]; /* what made the tar of it anew */
};

struct layer_record {
	bool has_parent;
	struct digest parent; /* chain id */
	struct digest diff;
	uint64_t size; /* of its files */
	bool has_stream;
	struct layer_stream made;
};

/* hex: the digits of the chain id. E_NOENT. */
int layer_record_read(struct img_store *, const char *hex, struct layer_record *, struct err *) MUST_CHECK;
int layer_record_write(
    struct img_store *, const char *hex, const struct layer_record *, struct err *) MUST_CHECK;
/* 1 there, 0 not. */
int layer_record_exists(struct img_store *, const char *hex, struct err *) MUST_CHECK;

struct layer_lock {
	struct img_store *store;
	int fd;
	char hex[STOR_NAME_MAX + 1]; /* or another name */
};
#define LAYER_LOCK_INIT      \
	{                    \
		NULL, -1, "" \
	}

/*
 * Pins the layer and locks it when it is not unpacked: 0; 1 when it is, then
 * nothing is locked. Waits for whoever has it locked, or (no_wait) E_BUSY.
 */
int layer_lock_missing(struct img_store *, const struct digest *chain, const volatile bool *cancel,
    bool no_wait, struct layer_lock *, struct err *) MUST_CHECK;
/* Without pin and without waiting: E_BUSY. */
int layer_lock_try(struct img_store *, const char *hex, struct layer_lock *, struct err *) MUST_CHECK;
/*
 * Locks the name of a file system of images that is no layer but made for the moment, which prune leaves alone
 * then. Waits for whoever has it, until cancelled.
 */
int layer_lock_name(struct img_store *, const char *name, const volatile bool *cancel, struct layer_lock *,
    struct err *) MUST_CHECK;
void layer_unlock(struct layer_lock *);
static inline void
layer_lock_fini(struct layer_lock *l)
{
	layer_unlock(l);
}
DEFINE_AUTO_FINI(layer_lock, struct layer_lock)

#endif
