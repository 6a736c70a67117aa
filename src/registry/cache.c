/*
 * A table of fixed size: each key has a set of four places, of which the one
 * not used for longest gives way.  That bounds memory and open files.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "registry/cache.h"

#define SETS 64
#define WAYS 4

struct entry {
	char *key; /* repo, NUL, ref */
	size_t repo_len, key_len;
	char etag[DIGEST_TEXT_LEN + 2];
	struct http_object *object;
	_Atomic uint64_t used;
};

struct cache {
	pthread_rwlock_t lock;
	_Atomic uint64_t clock;
	uint64_t version; /* under the lock */
	struct entry v[SETS][WAYS];
};

int
cache_new(struct cache **out, struct err *e)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_nomem(e);
	pthread_rwlock_init(&c->lock, NULL);
	*out = c;
	return 0;
}

static void
drop(struct entry *e)
{
	http_object_put(e->object);
	free(e->key);
	e->object = NULL;
	e->key = NULL;
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	cache_forget(c, NULL);
	pthread_rwlock_destroy(&c->lock);
	free(c);
}

static struct entry *
set_of(struct cache *c, const char *repo, size_t repo_len, const char *ref, size_t ref_len)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < repo_len; i++)
		h = (h ^ (unsigned char)repo[i]) * UINT64_C(1099511628211);
	h = (h ^ 0xff) * UINT64_C(1099511628211);
	for (size_t i = 0; i < ref_len; i++)
		h = (h ^ (unsigned char)ref[i]) * UINT64_C(1099511628211);
	return c->v[(h >> 32) % SETS];
}

static struct entry *
find(struct cache *c, const char *repo, const char *ref)
{
	size_t repo_len = strlen(repo), ref_len = strlen(ref);
	struct entry *set = set_of(c, repo, repo_len, ref, ref_len);

	for (int i = 0; i < WAYS; i++) {
		if (set[i].key != NULL && set[i].repo_len == repo_len &&
		    set[i].key_len == repo_len + 1 + ref_len && memcmp(set[i].key, repo, repo_len) == 0 &&
		    memcmp(set[i].key + repo_len + 1, ref, ref_len) == 0)
			return &set[i];
	}
	return NULL;
}

struct http_object *
cache_find(struct cache *c, const char *repo, const char *ref, char etag[static DIGEST_TEXT_LEN + 2])
{
	struct http_object *o = NULL;
	struct entry *e;

	pthread_rwlock_rdlock(&c->lock);
	e = find(c, repo, ref);
	if (e != NULL) {
		o = http_object_get(e->object);
		memcpy(etag, e->etag, sizeof(e->etag));
		atomic_store_explicit(&e->used, atomic_fetch_add_explicit(&c->clock, 1, memory_order_relaxed),
		    memory_order_relaxed);
	}
	pthread_rwlock_unlock(&c->lock);
	return o;
}

uint64_t
cache_version(struct cache *c)
{
	uint64_t v;

	pthread_rwlock_rdlock(&c->lock);
	v = c->version;
	pthread_rwlock_unlock(&c->lock);
	return v;
}

void
cache_put(struct cache *c, uint64_t version, const char *repo, const char *ref, const char *etag,
    struct http_object *o)
{
	size_t repo_len = strlen(repo), ref_len = strlen(ref);
	char *key = malloc(repo_len + 1 + ref_len);
	struct entry *set, *at;

	if (key == NULL || o == NULL) {
		free(key);
		return;
	}
	memcpy(key, repo, repo_len);
	key[repo_len] = '\0';
	memcpy(key + repo_len + 1, ref, ref_len);
	pthread_rwlock_wrlock(&c->lock);
	if (version != c->version || find(c, repo, ref) != NULL) {
		pthread_rwlock_unlock(&c->lock);
		free(key);
		return;
	}
	at = set = set_of(c, repo, repo_len, ref, ref_len);
	for (int i = 0; i < WAYS && at->key != NULL; i++) {
		if (set[i].key == NULL || atomic_load(&set[i].used) < atomic_load(&at->used))
			at = &set[i];
	}
	drop(at);
	at->key = key;
	at->repo_len = repo_len;
	at->key_len = repo_len + 1 + ref_len;
	snprintf(at->etag, sizeof(at->etag), "%s", etag);
	at->object = http_object_get(o);
	atomic_store(&at->used, atomic_fetch_add(&c->clock, 1));
	pthread_rwlock_unlock(&c->lock);
}

void
cache_forget(struct cache *c, const char *repo)
{
	size_t repo_len = repo == NULL ? 0 : strlen(repo);

	pthread_rwlock_wrlock(&c->lock);
	c->version++;
	for (size_t i = 0; i < SETS; i++) {
		for (int k = 0; k < WAYS; k++) {
			struct entry *e = &c->v[i][k];

			if (e->key != NULL &&
			    (repo == NULL ||
				(e->repo_len == repo_len && memcmp(e->key, repo, repo_len) == 0)))
				drop(e);
		}
	}
	pthread_rwlock_unlock(&c->lock);
}
