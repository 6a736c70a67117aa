/*
 * What a request asks for, from the bytes of its request line: pure parsing,
 * nothing looked up.  A path is percent-decoded once; whatever would mean
 * something to a file system or to a second decoder is refused.
 */
#ifndef REGISTRY_PATH_H
#define REGISTRY_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "image/digest.h"

#define REPO_NAME_MAX 255
#define TAG_MAX 128
#define PATH_REST_MAX 300
#define QUERY_MAX 32 /* parameters; what comes after is not looked at */

enum path_kind {
	PATH_NONE,      /* nothing of ours */
	PATH_BASE,      /* /v2/ */
	PATH_CATALOG,   /* /v2/_catalog */
	PATH_BLOB,      /* /v2/NAME/blobs/DIGEST */
	PATH_UPLOADS,   /* /v2/NAME/blobs/uploads/ */
	PATH_UPLOAD,    /* /v2/NAME/blobs/uploads/ID */
	PATH_MANIFEST,  /* /v2/NAME/manifests/TAG-OR-DIGEST */
	PATH_TAGS,      /* /v2/NAME/tags/list */
	PATH_REFERRERS, /* /v2/NAME/referrers/DIGEST */
	PATH_TOKEN,     /* /token */
	PATH_SEARCH,    /* /api/v1/images */
	PATH_CLASSIC,   /* /classic/… */
	PATH_HEALTH,    /* /healthz */
	PATH_METRICS,   /* /metrics */
	PATH_KINDS
};

struct query {
	struct query_param {
		char *key, *value; /* decoded; they point into text */
	} v[QUERY_MAX];
	size_t n;
	char *text;
};

struct path {
	enum path_kind kind;
	bool repo_valid;              /* repo obeys the grammar of names */
	char repo[REPO_NAME_MAX + 1]; /* NAME, as far as it fits */
	char rest[PATH_REST_MAX + 1]; /* DIGEST, TAG-OR-DIGEST, ID, or what follows /classic/ */
};

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*, at most REPO_NAME_MAX bytes. */
bool repo_name_is_valid(const char *);
/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool tag_is_valid(const char *);

/*
 * Splits a request target ("/v2/a/b/tags/list?n=3").  E_INVAL for broken or
 * hostile encoding, E_LIMIT for what is too long, E_NOMEM.  The query's values
 * may hold any byte but NUL.
 */
int path_parse(const char *target, struct path *, struct query *, struct err *) MUST_CHECK;
/* "a=b&c=d" as in a query or a form; appends to q, which owns a copy. Only into an empty q. */
int query_parse(struct query *, const char *text, size_t len, struct err *) MUST_CHECK;
void query_fini(struct query *);
const char *query_get(const struct query *, const char *key); /* first, or NULL */
/* Iterates over a repeated key: *pos starts at 0. */
const char *query_next(const struct query *, const char *key, size_t *pos);

DEFINE_AUTO_FINI(query, struct query)

#endif
