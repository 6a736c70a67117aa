/* An image of this node to a registry: its blobs, then its manifests, at last the tag. */
#ifndef IMAGE_PUSH_H
#define IMAGE_PUSH_H

#include "image/remote.h"
#include "image/signify.h"
#include "image/store.h"

struct img_push_args {
	struct img_store *store;
	const struct img_net *net;
	const struct reference *image; /* on this node */
	const struct reference *dest;  /* names a registry */
	const struct sign_secret *key; /* sign it there, or NULL */
	struct stor *stor;             /* offer the layers as streams of this storage, too; or NULL */
};

struct img_push_result {
	char digest[REF_DIGEST_MAX + 1]; /* of what the tag now means there */
	uint64_t sent;                   /* bytes of blobs */
	unsigned blobs, blobs_sent, blobs_mounted;
	unsigned streams; /* layers that are offered as streams, too */
};

int img_push(const struct img_push_args *, struct img_push_result *, struct err *) MUST_CHECK;
/*
 * A manifest under a tag or its own digest. *tracked (may be NULL): the
 * registry keeps track of what it refers to.
 */
int push_manifest(struct remote *, const char *scope, const char *which, const char *media_type,
    const void *text, size_t len, bool *tracked, struct err *) MUST_CHECK;

#endif
