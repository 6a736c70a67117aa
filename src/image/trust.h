/*
 * Whether an image may be used here: what policy.conf says about its name, and
 * whether those signed it whom it names. An image that was signed before the
 * one that this name last meant here is refused: somebody may be handing out
 * an old one with known holes.
 */
#ifndef IMAGE_TRUST_H
#define IMAGE_TRUST_H

#include "image/remote.h"

struct trust_args {
	const char *policy; /* path of policy.conf; there need not be one */
	bool verify;        /* a rule that requires signatures must fit */
	bool older;         /* going back in time is fine */
};
struct trust_verdict {
	char rule[512];      /* "policy.conf:3: registry.example.org/prod", or "" */
	char signed_by[256]; /* the keys that counted */
	unsigned good, need;
	int64_t time_ns; /* so many as needed had signed by then; 0: nothing was asked for */
};

/* E_PERM saying which rule was not met. r is open for this image. */
int trust_check(struct remote *r, const struct reference *, const struct digest *, const struct trust_args *,
    struct trust_verdict *, struct err *) MUST_CHECK;
/* The same for a rule that names these files of keys, all of which must have signed; time does not count. */
int trust_check_keys(struct remote *r, const struct reference *, const struct digest *,
    const struct strv *keys, struct trust_verdict *, struct err *) MUST_CHECK;
/* After the image became visible: nothing older than this is taken again. */
int trust_note(int rootfd, const struct reference *, const struct digest *, const struct trust_verdict *,
    struct err *) MUST_CHECK;

#endif
