/*
 * Files of ADD from URLs, kept below ROOT/build/fetched: the content under its
 * sha256 digest, and for each URL what its server said of it, so that the next
 * build asks whether it has changed and need not fetch it again. Content
 * appears by rename, whole and durable.
 */
#ifndef BUILDER_FETCH_H
#define BUILDER_FETCH_H

#include "builder/builder.h"

#define BLD_FETCH_MAX (UINT64_C(16) << 30) /* bytes of one file */

struct bld_fetched {
	struct digest digest; /* sha256 of the content */
	uint64_t size;
	int64_t mtime;  /* seconds, of Last-Modified; 0: not told */
	char name[256]; /* what the URL calls it, "" when it does not */
	bool fetched;   /* false: it was here, and has not changed */
};

bool bld_is_url(const char *source); /* http:// or https:// */
/* What a URL's path ends in, its escapes decoded; "" for none, or for what is no name of a file. */
void bld_url_name(const char *url, char out[static 256]);

/*
 * checksum (or NULL) is what the content must have: a file that is here then needs no network. E_CORRUPT
 * when it differs; E_NOENT 404; E_LIMIT more than BLD_FETCH_MAX; E_INVAL a bad URL.
 */
int bld_fetch(
    struct bld *, const char *url, const char *checksum, struct bld_fetched *, struct err *) MUST_CHECK;
/* Opens the content for reading. E_NOENT: pruned meanwhile. */
int bld_fetch_open(struct bld *, const struct digest *, struct err *) MUST_CHECK;

/* For build prune: removes what was not asked for since then; adds what that gave back. dir: ROOT/build. */
int bld_fetch_prune(int dir, int64_t before_ns, uint64_t *bytes, struct err *) MUST_CHECK;

#endif
