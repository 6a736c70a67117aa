/*
 * Signatures of images: a statement (digest, name, tag, time) signed with a
 * signify key, kept in the registry as an artifact that refers to the image
 * (image-spec "subject"), found by the referrers API or, where a registry has
 * none, by the tag that the distribution-spec sets for it.
 */
#ifndef IMAGE_SIGN_H
#define IMAGE_SIGN_H

#include "image/referrers.h"
#include "image/remote.h"
#include "image/signify.h"
#include "image/store.h"

struct sign_statement {
	char digest[REF_DIGEST_MAX + 1];
	char name[REF_NAME_MAX + 1]; /* without the registry: a mirror's signatures stay good */
	char tag[REF_TAG_MAX + 1];
	int64_t time_ns;
};

int sign_statement_print(const struct sign_statement *, struct buf *, struct err *) MUST_CHECK;
int sign_statement_parse(const char *, size_t, struct sign_statement *, struct err *) MUST_CHECK;

struct sign_found {
	struct sign_statement statement;
	struct sign_signature signature;
	const char *message; /* what was signed; borrowed */
	size_t len;
};
/* Non-zero ends the walk and is returned. Nothing is verified yet. */
typedef int sign_found_fn(void *arg, const struct sign_found *, struct err *);
/* All statements about this digest that can be read; what is damaged is passed over. */
int sign_each(struct remote *, const struct digest *, sign_found_fn *, void *arg, struct err *) MUST_CHECK;

int sign_push(struct remote *, struct img_store *, const struct sign_secret *,
    const struct referrer_subject *, const char *tag, struct err *) MUST_CHECK;

#endif
