/*
 * Layers as streams of the storage, a second form of what their tars hold. A
 * stream makes a layer only together with a proof: what it made is packed
 * again, and the blob that comes out must be the layer's own, byte by byte.
 * So a layer is what its chain id says, whatever it was made from, and its tar
 * is in the store as if it had been fetched. What no tar can say (devices,
 * other attributes) makes a stream worthless.
 */
#ifndef IMAGE_LAYERSTREAM_H
#define IMAGE_LAYERSTREAM_H

#include "base/event.h"
#include "image/digest.h"
#include "image/store.h"
#include "storage/storage.h"

struct img_stream {
	struct digest blob; /* compressed by zstd */
	uint64_t size;
	char id[STOR_ID_LEN];   /* of the snapshot that it makes (stor_stream_id) */
	char from[STOR_ID_LEN]; /* of the one that it is the difference to; "": whole */
};

/* Which layer it is about; borrowed. */
struct img_stream_layer {
	const struct digest *parent; /* chain id of what is below; NULL: the lowest layer */
	const struct digest *diff, *blob;
	uint64_t size; /* of the blob */
};

struct img_stream_args {
	struct img_store *store;
	struct stor *stor;
	uint64_t max_size; /* bytes of a stream, and of the tar; 0: IMG_UNPACK_MAX */
	const volatile bool *cancel;
	const struct pot_events *events;
};

/* Media type of this storage's streams, NULL where it has none. */
const char *img_stream_media(const struct stor *);
/*
 * What the proof depends on besides the files: the same content gives the same tar everywhere, and the same blob
 * where the same version compresses it.
 */
#define IMG_PACKER_LEN 32
const char *img_packer(char out[static IMG_PACKER_LEN]);

/* The id that a stream on top of this layer is the difference to. */
int img_stream_id(const struct img_stream_args *, const struct digest *chain, char id[static STOR_ID_LEN],
    struct err *) MUST_CHECK;
/* 1: this unpacked layer is known to have this stream, whose blob need not be here; 0: nothing is known. */
int img_stream_known(const struct img_stream_args *, const struct img_stream_layer *, struct img_stream *,
    struct err *) MUST_CHECK;
/*
 * Makes it, a blob of the store. E_CORRUPT, E_NOTSUP: this layer cannot be proved (another tool has packed it), so
 * that nobody would take the stream.
 */
int img_stream_make(const struct img_stream_args *, const struct img_stream_layer *, struct img_stream *,
    struct err *) MUST_CHECK;
/*
 * Makes the layer from a stream that is in the store, proves it, and puts its tar into the store. A layer that is
 * there is fine. On failure nothing of it is left: E_CORRUPT when it is not what it should be, E_NOTSUP, E_LIMIT.
 */
int img_stream_take(const struct img_stream_args *, const struct img_stream_layer *,
    const struct img_stream *, struct err *) MUST_CHECK;

#endif
