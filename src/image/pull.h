/*
 * An image from a registry onto this node, in one pass: its layers are
 * fetched several at a time, checked, and unpacked while they come in. The
 * name means the image when everything is there, not before; what an
 * interrupted pull got is gone on with by the next.
 */
#ifndef IMAGE_PULL_H
#define IMAGE_PULL_H

#include "image/remote.h"
#include "image/store.h"
#include "image/streams.h"
#include "image/trust.h"
#include "storage/storage.h"

struct img_pull_args {
	struct img_store *store;
	struct stor *stor;
	const struct img_net *net;
	const struct reference *ref; /* names a registry; a tag or a digest */
	const struct reference *as;  /* name on this node; NULL: the same */
	uint64_t max_size;           /* of a layer's files; 0: the unpacker's limit */
	struct trust_args trust;
	enum streams_mode streams;
};

struct img_pull_result {
	char digest[REF_DIGEST_MAX + 1];   /* what the name means: a manifest or an index */
	char manifest[REF_DIGEST_MAX + 1]; /* of our platform */
	uint64_t fetched;                  /* bytes of blobs */
	unsigned layers, layers_fetched;
	unsigned streams; /* layers made of streams of the storage, among those fetched */
	bool changed;     /* the name meant something else before */
	struct trust_verdict trust;
};

int img_pull(const struct img_pull_args *, struct img_pull_result *, struct err *) MUST_CHECK;

#endif
