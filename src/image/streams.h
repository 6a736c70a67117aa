/*
 * The second form of an image's layers in a registry: an artifact (MEDIA_STREAMS) whose subject is the image's
 * manifest and whose layers are streams of one storage, lowest first, each the difference to the one before. On
 * each stands which tar it is for and which snapshots it leads from and to (mediatype.h).
 */
#ifndef IMAGE_STREAMS_H
#define IMAGE_STREAMS_H

#include "image/image.h"
#include "image/layerstream.h"
#include "image/referrers.h"
#include "image/signify.h"
#include "image/trust.h"

#define STREAMS_MAX 127 /* as many as layers of an image */

/* What an artifact offers. */
struct streams {
	struct streams_one {
		struct img_stream stream;
		struct digest of; /* the tar's blob */
	} v[STREAMS_MAX];
	size_t n;
	char storage[16], packer[IMG_PACKER_LEN];
};

/* Same content, same bytes. */
int streams_print(
    const struct streams *, const struct referrer_subject *, struct buf *, struct err *) MUST_CHECK;
/* E_INVAL for what is no such artifact. Streams of a kind that is not known end the list. */
int streams_parse(const struct img_manifest *, struct streams *, struct err *) MUST_CHECK;

struct streams_push_args {
	struct img_stream_args local;
	const struct img_image *image;
	const struct sign_secret *key; /* sign them, too, or NULL */
	const char *tag;               /* that signatures are for */
};
struct streams_push_result {
	unsigned offered, sent;
	uint64_t bytes;
};
/* Makes what is not known and sends what the registry lacks. Layers that cannot be proved end the list, with a warning. */
int streams_push(
    struct remote *, const struct streams_push_args *, struct streams_push_result *, struct err *) MUST_CHECK;

enum streams_mode {
	STREAMS_NEVER,
	STREAMS_AUTO,  /* those that were signed as the policy wants the image to be */
	STREAMS_ALWAYS /* also where no policy asks for signatures */
};
struct streams_pull_args {
	struct img_stream_args local;
	enum streams_mode mode;
	const struct reference *ref;
	const struct trust_args *trust;
	const struct trust_verdict *verdict; /* about the image */
	const struct digest *image;          /* its manifest */
	const struct img_manifest *manifest;
	const struct img_config *config;
};
struct streams_pull_result {
	unsigned taken;
	uint64_t bytes;
};
/*
 * Makes the layers that it can of streams; the others are left to their tars. Fails only when it was interrupted:
 * whatever else goes wrong is told.
 */
int streams_pull(
    struct remote *, const struct streams_pull_args *, struct streams_pull_result *, struct err *) MUST_CHECK;

#endif
