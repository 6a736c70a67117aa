/*
 * Manifests of a registry that refer to another one (image-spec "subject"):
 * found by the referrers API or, where a registry has none, by the tag that
 * the distribution-spec sets for it; sent so that either way finds them.
 */
#ifndef IMAGE_REFERRERS_H
#define IMAGE_REFERRERS_H

#include "image/remote.h"

/* A manifest that says itself that it is of the type asked for and refers to the subject. Non-zero ends the walk and is returned. */
typedef int referrer_fn(void *arg, const struct remote_manifest *, struct err *);
/*
 * All of them that can be read, in the registry's order; what is damaged or something else is passed over. what names
 * them in messages: "signatures".
 */
int referrers_each(struct remote *, const struct digest *subject, const char *artifact_type, const char *what,
    referrer_fn *, void *arg, struct err *) MUST_CHECK;

/* What a manifest refers to, as a descriptor says it. */
struct referrer_subject {
	struct digest digest;
	uint64_t size;
	const char *media_type;
};
/* Sends a manifest, whose text names the subject and the type; its blobs are there already. */
int referrers_push(struct remote *, const char *scope, const struct referrer_subject *,
    const char *artifact_type, const struct digest *, const struct buf *text, struct err *) MUST_CHECK;

#endif
