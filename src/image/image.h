/*
 * An image of this node as a whole: manifest, config, layers; making one,
 * unpacking one.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/event.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/store.h"
#include "image/unpack.h"
#include "storage/storage.h"

struct img_image {
	struct digest digest; /* of the manifest */
	uint64_t size;        /* of the manifest */
	struct img_manifest *manifest;
	struct img_config *config;
};

/*
 * Reads and checks manifest and config: that they fit each other (as many
 * layers as diff_ids, types known), not whether the layers are there. All
 * blobs of the image are pinned. E_NOTSUP for an index or an artifact.
 */
int img_image_open(
    struct img_store *, const struct digest *manifest, struct img_image **, struct err *) MUST_CHECK;
void img_image_free(struct img_image *);
/* E_NOENT naming the first blob that is missing. */
int img_image_check(struct img_store *, const struct img_image *, struct err *) MUST_CHECK;

/*
 * Makes the image usable for pots: unpacks what is not yet, then writes its
 * record (model/imgrecord.h). E_NOTSUP: not for this platform.
 */
struct img_ready_args {
	const struct pot_events *events;
	const volatile bool *cancel;
	uint64_t max_size; /* of a layer, unpacked; 0: IMG_UNPACK_MAX */
};
int img_image_ready(struct img_store *, struct stor *, const struct img_image *,
    const struct img_ready_args *, struct err *) MUST_CHECK;
/* Its record; E_NOENT: not ready. */
int img_ready_read(
    struct img_store *, const struct digest *manifest, struct img_ready_record *, struct err *) MUST_CHECK;
/* Chain id of the uppermost layer; *chain is zeroed for an image without layers (false). */
int img_image_chain(const struct img_image *, struct digest *chain, struct err *) MUST_CHECK;

/* A layer that is in the store. */
struct img_layer {
	struct digest blob, diff;
	uint64_t size;
	const char *media_type; /* static */
};
struct img_new {
	const struct img_image *below;       /* or NULL */
	const struct img_platform *platform; /* NULL with below: its own */
	const struct img_layer *layers;      /* on top of below's */
	size_t nlayers;
	const struct kv *settings; /* as img_config_new */
	bool builder;
	const struct img_history *history;
	size_t nhistory;
	int64_t created_ns;
	/* Annotations of the manifest: pairs of key and value, NULL at the end; or NULL. */
	const char *const *annotations;
};
/* Writes config and manifest: *manifest is the image's digest. Names nothing. */
int img_image_make(
    struct img_store *, const struct img_new *, struct digest *manifest, struct err *) MUST_CHECK;

/* SOURCE_DATE_EPOCH of the environment in seconds, -1 when there is none; E_INVAL when it is no number. */
int img_source_date(int64_t *epoch, struct err *) MUST_CHECK;

DEFINE_AUTO(img_image, struct img_image *, NULL, img_image_free)

#endif
