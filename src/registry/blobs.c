/* Blobs: sending them, whole or in part, and taking them out of a repository. */
#include <stdlib.h>
#include <string.h>

#include "registry/range.h"
#include "registry/registry.h"

#define OCTETS "application/octet-stream"

struct touch {
	struct change change;
	struct registry *registry;
	char repo[REPO_NAME_MAX + 1];
	struct digest digest;
};

static int
apply_touch(struct change *ch, struct db *db, struct err *e)
{
	struct touch *t = (struct touch *)ch;

	return db_link_touch(db, t->repo, &t->digest, registry_now(), e);
}

static void
touch_done(struct change *ch)
{
	free(ch);
}

/*
 * Who asks whether a blob is there may be about to refer to it without
 * sending it: it stays for another grace.
 */
static void
keep_for_now(struct registry *g, const char *repo, const struct digest *d, const struct db_blob *b)
{
	struct touch *t;

	if (registry_now() - b->seen < g->options->gc_grace / 2000 || g->options->read_only)
		return;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return;
	t->change.apply = apply_touch;
	t->change.done = touch_done;
	t->registry = g;
	t->digest = *d;
	snprintf(t->repo, sizeof(t->repo), "%s", repo);
	commit_submit(g->committer, &t->change);
}

static enum http_next
not_modified(struct req *r, const char *etag)
{
	struct http_object *o = reply_empty();

	http_object_header(o, "ETag", "%s", etag);
	return reply_object(r, 304, o);
}

static enum http_next
send_whole(struct req *r, const char *key, int fd, uint64_t size, uint64_t version, const char *etag)
{
	struct registry *g = r->app;
	struct http_object *o = http_is_tls(r->server) ? http_object_file(fd, 0, size, OCTETS)
						       : http_object_mapped(fd, size, OCTETS, &g->mapped);

	http_object_header(o, "Accept-Ranges", "bytes");
	http_object_header(o, "ETag", "%s", etag);
	http_object_header(o, "Docker-Content-Digest", "%s", r->path.rest);
	cache_put(g->cache, version, r->path.repo, key, etag, o);
	return reply_object(r, 200, o);
}

/* The usual case, without a look at anything: a whole blob that was sent before. */
static enum http_next
send_cached(struct req *r, const char *key, const char *etag)
{
	struct registry *g = r->app;
	char kept[DIGEST_TEXT_LEN + 2];
	struct http_object *o;

	if (r->method != HTTP_GET || http_header(r, "Range") != NULL)
		return NEXT_BODY;
	o = cache_find(g->cache, r->path.repo, key, kept);
	if (o == NULL)
		return NEXT_BODY;
	if (!etag_matches(http_header(r, "If-None-Match"), etag))
		return reply_object(r, 200, o);
	http_object_put(o);
	return not_modified(r, etag);
}

enum http_next
blob_get(struct req *r)
{
	struct registry *g = r->app;
	char etag[DIGEST_TEXT_LEN + 2], key[DIGEST_TEXT_LEN + 1];
	struct db_blob blob;
	struct digest d;
	struct db *db;
	struct err e = ERR_INIT;
	uint64_t version, size;
	int fd, rc;

	/* A manifest may have the same digest: "@" keeps the two apart in the cache. */
	snprintf(key, sizeof(key), "@%.*s", DIGEST_TEXT_LEN - 1, r->path.rest);
	snprintf(etag, sizeof(etag), "\"%.*s\"", DIGEST_TEXT_LEN - 1, r->path.rest);
	if (send_cached(r, key, etag) == NEXT_REPLY)
		return NEXT_REPLY;
	version = cache_version(g->cache);
	db = registry_db(g, &e);
	rc = db == NULL ? -e.code : digest_parse(r->path.rest, &d, &e);
	if (rc == 0)
		rc = db_link_get(db, r->path.repo, &d, &blob, &e);
	if (rc < 0)
		return reply_err(r, "BLOB_UNKNOWN", &e);
	if (r->method == HTTP_HEAD)
		keep_for_now(g, r->path.repo, &d, &blob);
	if (etag_matches(http_header(r, "If-None-Match"), etag))
		return not_modified(r, etag);
	fd = store_blob_open(&g->store, &d, &size, &e);
	if (fd < 0)
		return reply_err(r, "BLOB_UNKNOWN", &e);
	if (size != blob.size) {
		fd_close(fd);
		err_set(&e, E_CORRUPT, "blob %s has another size than it had", r->path.rest);
		return reply_err(r, "BLOB_UNKNOWN", &e);
	}
	if (http_header(r, "Range") != NULL)
		return reply_range(r, fd, size, OCTETS, etag, r->path.rest);
	return send_whole(r, key, fd, size, version, etag);
}

static int
apply_delete(struct change *ch, struct db *db, struct err *e)
{
	struct req_change *c = (struct req_change *)ch;

	return db_link_delete(db, c->repo, &c->digest, registry_now(), e);
}

static enum http_next
deleted(struct req *r)
{
	const struct req_change *c = r->state;

	if (c->change.rc < 0)
		return reply_err(r, "BLOB_UNKNOWN", &c->change.err);
	return reply_object(r, 202, reply_empty());
}

enum http_next
blob_delete(struct req *r)
{
	struct req_change *c = calloc(1, sizeof(*c));

	if (c == NULL || digest_parse(r->path.rest, &c->digest, NULL) < 0) {
		free(c);
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	}
	r->state = c;
	r->state_free = free;
	r->resumed = deleted;
	c->change.apply = apply_delete;
	req_change_submit(r, c);
	return NEXT_WAIT;
}
