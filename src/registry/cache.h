/*
 * Ready replies of what is asked for often: small manifests with their bytes,
 * blobs with an open file.  Kept by repository and tag or digest; a change of
 * a repository drops what is kept of it before the change is acknowledged.
 */
#ifndef REGISTRY_CACHE_H
#define REGISTRY_CACHE_H

#include <stdint.h>

#include "registry/http.h"

#define CACHE_MANIFEST_MAX (64u * 1024) /* larger ones are sent from their file */

struct cache;

int cache_new(struct cache **, struct err *) MUST_CHECK;
void cache_free(struct cache *);
/* One ownership of the reply, or NULL. etag (with quotes) is copied out. */
struct http_object *cache_find(
    struct cache *, const char *repo, const char *ref, char etag[static DIGEST_TEXT_LEN + 2]);
/* What a look-up that begins now may be stored under: a change in between makes it void. */
uint64_t cache_version(struct cache *);
/* Takes one more ownership of the object. */
void cache_put(struct cache *, uint64_t version, const char *repo, const char *ref, const char *etag,
    struct http_object *);
/* NULL: of all repositories. */
void cache_forget(struct cache *, const char *repo);

#endif
