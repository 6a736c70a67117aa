/*
 * The registry: what its parts share, and the calls between them.  One struct
 * registry per program; it owns everything below.
 */
#ifndef REGISTRY_REGISTRY_H
#define REGISTRY_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "registry/auth.h"
#include "registry/cache.h"
#include "registry/commit.h"
#include "registry/db.h"
#include "registry/http.h"
#include "registry/limit.h"
#include "registry/log.h"
#include "registry/metrics.h"
#include "registry/options.h"
#include "registry/store.h"
#include "registry/token.h"
#include "registry/upload.h"
#include "registry/work.h"

struct registry {
	const struct options *options;
	struct store store;
	struct committer *committer;
	struct workers *workers;
	struct workers *slow; /* one thread, for what takes minutes */
	struct cache *cache;
	struct uploads *uploads;
	struct limiter *limiter;
	struct limiter *chatter; /* of libmicrohttpd in our log: anybody can cause it */
	struct logins *logins;
	struct metrics metrics;
	struct log *log;
	struct http_server *http;
	uint8_t token_key[TOKEN_KEY_LEN];
	/* The auth file; NULL: anybody may do anything. Replaced as a whole, under the lock. */
	pthread_rwlock_t auth_lock;
	struct auth *auth;
	pthread_key_t reader;     /* each thread's own connection to the catalogue */
	pthread_mutex_t parsing;  /* large manifests are parsed one at a time */
	_Atomic int64_t buffered; /* bytes of bodies in memory */
	_Atomic int64_t mapped;   /* bytes of blobs that may still be mapped */
};

/* The calling thread's connection; NULL with e set. */
struct db *registry_db(struct registry *, struct err *);
int64_t registry_now(void); /* seconds since the epoch */

/* reply.c: replies. code: of the distribution-spec. All return NEXT_REPLY. */
enum http_next reply_error(struct req *, unsigned status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);
/* From an error: not found gives status 404 and `unknown`, the rest what fits. */
enum http_next reply_err(struct req *, const char *unknown, const struct err *);
enum http_next reply_json(struct req *, unsigned status, const struct buf *);
enum http_next reply_object(struct req *, unsigned status, struct http_object *);
/* No content, with no header yet. */
struct http_object *reply_empty(void);
/* Adds text as a JSON string, with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct buf *, const char *);

/* access.c: who asks, and may they? */
struct access; /* of a request that was let in */
/* Decides what route needs; next() goes on when it is granted. */
enum http_next access_check(struct req *, unsigned right, enum http_next (*next)(struct req *));
/* Has the user this right there, but not the token? Then a challenge gets the client another one. */
bool access_lacks_scope(const struct req *, const char *repo, unsigned right);
/* 401 or 403 for the repository of the path. */
enum http_next access_refuse(struct req *, unsigned right);
/* May who asks also do this with another repository? */
bool access_allows(const struct req *, const char *repo, unsigned right);
enum http_next token_handle(struct req *);
enum http_next token_post(struct req *);
int registry_load_auth(struct registry *, struct err *) MUST_CHECK;

/* routes.c */
extern const struct http_ops registry_ops;

/* Handlers, called when access is granted; one per path and method. */
enum http_next base_get(struct req *);
enum http_next blob_get(struct req *);
enum http_next blob_delete(struct req *);
enum http_next upload_post(struct req *);
enum http_next upload_get(struct req *);
enum http_next upload_patch(struct req *);
enum http_next upload_put(struct req *);
enum http_next upload_delete(struct req *);
enum http_next manifest_get(struct req *);
enum http_next manifest_put(struct req *);
enum http_next manifest_delete(struct req *);
enum http_next tags_get(struct req *);
enum http_next referrers_get(struct req *);
enum http_next catalog_get(struct req *);
enum http_next search_get(struct req *);
enum http_next classic_get(struct req *);
enum http_next health_get(struct req *);
enum http_next metrics_get(struct req *);

/* A change on behalf of a request: submitted with the request suspended; `resumed` is called after the commit. */
struct req_change {
	struct change change; /* first; apply is set by the caller */
	struct req *req;
	struct registry *registry;
	char repo[REPO_NAME_MAX + 1];
	struct digest digest;
};
/* The usual done: drops what the cache has of the repository, resumes. */
void req_change_done(struct change *);
/* From the thread that has the request. */
void req_change_submit(struct req *, struct req_change *);

/* Sends the file (taken) or the part of it that Range asks for. digest: for a header, or NULL. */
enum http_next reply_range(
    struct req *, int fd, uint64_t size, const char *type, const char *etag, const char *digest);

#endif
