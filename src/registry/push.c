/*
 * Pushing blobs: sessions, chunks, their end, and mounting what another
 * repository has.  A body goes straight to the session's file and through the
 * hash; nothing of it stays in memory.  At the end a worker syncs the file,
 * then the committer gives it its name.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "registry/range.h"
#include "registry/registry.h"

/* What a request that writes a blob carries from its head to its end. */
struct push {
	struct req_change change; /* first */
	struct job job;
	struct req *req;
	struct upload *upload;
	struct digest expected;
	bool closing; /* ends with the digest */
	int rc;       /* of the worker's part */
	struct err err;
};

static void
push_free(void *p)
{
	struct push *push = p;
	struct registry *g = push->req->app;

	/* The connection died, or the request failed: what has come stays for a while. */
	if (push->upload != NULL)
		upload_give(g->uploads, push->upload);
	free(push);
}

static struct push *
push_new(struct req *r)
{
	struct push *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->req = r;
		r->state = p;
		r->state_free = push_free;
	}
	return p;
}

static enum http_next
out_of_memory(struct req *r)
{
	return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
}

static void
location_of_upload(const struct req *r, struct http_object *o, const char *id, uint64_t size)
{
	http_object_header(o, "Location", "/v2/%s/blobs/uploads/%s", r->path.repo, id);
	http_object_header(o, "Docker-Upload-UUID", "%s", id);
	/* A range cannot say "nothing": 0-0 is what everybody sends for it. */
	http_object_header(o, "Range", "0-%" PRIu64, size == 0 ? 0 : size - 1);
}

static enum http_next
reply_upload(struct req *r, unsigned status, const char *id, uint64_t size)
{
	struct http_object *o = reply_empty();

	location_of_upload(r, o, id, size);
	return reply_object(r, status, o);
}

static enum http_next
reply_stored(struct req *r, const struct digest *d)
{
	struct http_object *o = reply_empty();
	char text[DIGEST_TEXT_LEN];

	http_object_header(o, "Location", "/v2/%s/blobs/%s", r->path.repo, digest_print(d, text));
	http_object_header(o, "Docker-Content-Digest", "%s", text);
	return reply_object(r, 201, o);
}

static enum http_next
upload_failed(struct req *r, const struct err *e)
{
	if (e->code == E_BUSY)
		return reply_error(r, 409, "BLOB_UPLOAD_INVALID", "%s", e->msg);
	if (e->code == E_LIMIT)
		return reply_error(r, 429, "TOOMANYREQUESTS", "%s", e->msg);
	return reply_err(r, "BLOB_UPLOAD_UNKNOWN", e);
}

/* Committer: the file gets its name, the catalogue its rows. */
static int
apply_publish(struct change *ch, struct db *db, struct err *e)
{
	struct push *p = (struct push *)ch;
	int64_t now = registry_now(), repo, blob;
	struct registry *g = p->change.registry;
	int rc;

	if ((rc = db_repo_make(db, p->change.repo, now, &repo, e)) < 0 ||
	    (rc = db_blob_put(db, &p->expected, p->upload->size, now, &blob, e)) < 0 ||
	    (rc = db_link_put(db, repo, blob, now, e)) < 0)
		return rc;
	return store_publish(&g->store, p->upload->id, &p->expected, e);
}

static void
publish_done(struct change *ch)
{
	struct push *p = (struct push *)ch;

	p->rc = ch->rc;
	p->err = ch->err;
	req_change_done(ch);
}

/* Worker: the digest of all, and the file on disk. */
static void
run_finish(struct job *job)
{
	struct push *p = (struct push *)((char *)job - offsetof(struct push, job));
	struct registry *g = p->req->app;
	struct digest d;

	p->rc = upload_finish(p->upload, &d, &p->err);
	if (p->rc == 0 && !digest_equal(&d, &p->expected))
		p->rc = err_set(&p->err, E_INVAL, "the digest of what came is another one");
	if (p->rc < 0) {
		http_resume(p->req);
		return;
	}
	p->change.change.apply = apply_publish;
	p->change.change.done = publish_done;
	commit_submit(g->committer, &p->change.change);
}

static enum http_next
stored(struct req *r)
{
	struct push *p = r->state;
	struct registry *g = r->app;
	struct err e = p->err;

	/* Published or wrong: in both cases there is nothing to go on with. A full disk may have room later. */
	if (p->rc == 0 || e.code == E_INVAL)
		upload_end(g->uploads, take_ptr(p->upload));
	if (p->rc < 0 && e.code == E_INVAL)
		return reply_error(r, 400, "DIGEST_INVALID", "%s", e.msg);
	if (p->rc < 0)
		return reply_err(r, "BLOB_UPLOAD_UNKNOWN", &e);
	return reply_stored(r, &p->expected);
}

static enum http_next
finish_upload(struct req *r)
{
	struct registry *g = r->app;
	struct push *p = r->state;

	if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_received != r->body_length)
		return reply_error(r, 400, "SIZE_INVALID", "the body was shorter than its Content-Length");
	if (!p->closing) {
		uint64_t size = p->upload->size;
		char id[UPLOAD_ID_LEN];

		memcpy(id, p->upload->id, sizeof(id));
		upload_give(g->uploads, take_ptr(p->upload));
		return reply_upload(r, 202, id, size);
	}
	p->change.req = r;
	p->change.registry = g;
	snprintf(p->change.repo, sizeof(p->change.repo), "%s", r->path.repo);
	p->job.run = run_finish;
	r->resumed = stored;
	http_suspend(r);
	work_submit(g->workers, &p->job);
	return NEXT_WAIT;
}

static int
sink(struct req *r, const char *data, size_t n)
{
	struct registry *g = r->app;
	struct push *p = r->state;
	struct err e = ERR_INIT;

	if (p->upload->size + n > g->options->max_blob) {
		reply_error(r, 413, "SIZE_INVALID", "the blob is larger than this registry takes");
		upload_end(g->uploads, take_ptr(p->upload));
		return -1;
	}
	if (upload_add(p->upload, data, n, &e) < 0) {
		reply_err(r, "BLOB_UPLOAD_UNKNOWN", &e);
		upload_give(g->uploads, take_ptr(p->upload));
		return -1;
	}
	return 0;
}

/* Takes the body into the session: Content-Range must go on where it stands. */
static enum http_next
take_chunk(struct req *r)
{
	struct registry *g = r->app;
	struct push *p = r->state;
	const char *range = http_header(r, "Content-Range");
	uint64_t size = p->upload->size, first, last;
	char id[UPLOAD_ID_LEN];

	memcpy(id, p->upload->id, sizeof(id));
	if (range != NULL) {
		if (!chunk_range_parse(range, &first, &last)) {
			return reply_error(r, 400, "BLOB_UPLOAD_INVALID", "Content-Range is not FIRST-LAST");
		}
		if (first != size) {
			upload_give(g->uploads, take_ptr(p->upload));
			return reply_upload(r, 416, id, size);
		}
		if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_length != last - first + 1)
			return reply_error(
			    r, 400, "SIZE_INVALID", "Content-Range and Content-Length do not agree");
	}
	if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_length > g->options->max_blob - size) {
		upload_end(g->uploads, take_ptr(p->upload));
		return reply_error(r, 413, "SIZE_INVALID", "the blob is larger than this registry takes");
	}
	r->sink = sink;
	r->finish = finish_upload;
	return NEXT_BODY;
}

/* Of the query's digest, or digest-algorithm. False: replied. */
static bool
read_digest(struct req *r, struct push *p, enum digest_alg *alg)
{
	const char *digest = query_get(&r->query, "digest"), *name = query_get(&r->query, "digest-algorithm");
	struct err e = ERR_INIT;

	*alg = DIGEST_SHA256;
	if (digest != NULL) {
		if (digest_parse(digest, &p->expected, &e) < 0) {
			reply_error(r, 400, "DIGEST_INVALID", "%s", e.msg);
			return false;
		}
		p->closing = true;
		*alg = p->expected.alg;
	} else if (name != NULL && digest_alg_parse(name, alg, &e) < 0) {
		reply_error(r, 400, "DIGEST_INVALID", "%s", e.msg);
		return false;
	}
	return true;
}

static enum http_next
begin_session(struct req *r)
{
	struct registry *g = r->app;
	struct push *p = push_new(r);
	struct err e = ERR_INIT;
	enum digest_alg alg;

	if (p == NULL)
		return out_of_memory(r);
	if (!read_digest(r, p, &alg))
		return NEXT_REPLY;
	if (upload_new(g->uploads, r->path.repo, alg, &p->upload, &e) < 0)
		return upload_failed(r, &e);
	if (p->closing || r->body_length != 0)
		return take_chunk(r);
	{
		char id[UPLOAD_ID_LEN];

		memcpy(id, p->upload->id, sizeof(id));
		upload_give(g->uploads, take_ptr(p->upload));
		return reply_upload(r, 202, id, 0);
	}
}

/* Committer: the blob is there and stays while this runs. */
static int
apply_mount(struct change *ch, struct db *db, struct err *e)
{
	struct req_change *c = (struct req_change *)ch;
	int64_t now = registry_now(), repo;
	struct db_blob blob;
	int rc;

	if ((rc = db_blob_get(db, &c->digest, &blob, e)) < 0 ||
	    (rc = db_repo_make(db, c->repo, now, &repo, e)) < 0)
		return rc;
	return db_link_put(db, repo, blob.id, now, e);
}

static enum http_next
mounted(struct req *r)
{
	struct req_change *c = r->state;

	if (c->change.rc == 0)
		return reply_stored(r, &c->digest);
	/* It went away in between: an upload, as if it had never been there. */
	free(c);
	r->state = NULL;
	return begin_session(r);
}

static int
may_pull(void *arg, const char *repo)
{
	return access_allows(arg, repo, RIGHT_PULL) ? 1 : 0;
}

/* Is there a repository that has the blob and that who asks may pull from? */
static bool
can_mount(struct req *r, const struct digest *d, const char *from)
{
	struct registry *g = r->app;
	struct db_blob blob;
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);

	if (db == NULL)
		return false;
	if (from != NULL && from[0] != '\0')
		return repo_name_is_valid(from) && access_allows(r, from, RIGHT_PULL) &&
		    db_link_get(db, from, d, &blob, &e) == 0;
	return db_blob_repos(db, d, may_pull, r, &e) == 1;
}

enum http_next
upload_post(struct req *r)
{
	const char *mount = query_get(&r->query, "mount"), *from = query_get(&r->query, "from");
	struct req_change *c;
	struct digest d;

	if (mount == NULL)
		return begin_session(r);
	if (digest_parse(mount, &d, NULL) < 0)
		return reply_error(r, 400, "DIGEST_INVALID", "'%.160s' is not a valid digest", mount);
	if (from != NULL && repo_name_is_valid(from) && access_lacks_scope(r, from, RIGHT_PULL))
		return access_refuse(r, RIGHT_PUSH);
	if (!can_mount(r, &d, from))
		return begin_session(r);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return out_of_memory(r);
	r->state = c;
	r->state_free = free;
	r->resumed = mounted;
	c->digest = d;
	c->change.apply = apply_mount;
	req_change_submit(r, c);
	return NEXT_WAIT;
}

enum http_next
upload_get(struct req *r)
{
	struct registry *g = r->app;
	struct err e = ERR_INIT;
	uint64_t size;

	if (upload_size(g->uploads, r->path.repo, r->path.rest, &size, &e) < 0)
		return upload_failed(r, &e);
	return reply_upload(r, 204, r->path.rest, size);
}

enum http_next
upload_patch(struct req *r)
{
	struct registry *g = r->app;
	struct push *p = push_new(r);
	struct err e = ERR_INIT;

	if (p == NULL)
		return out_of_memory(r);
	if (upload_take(g->uploads, r->path.repo, r->path.rest, &p->upload, &e) < 0)
		return upload_failed(r, &e);
	return take_chunk(r);
}

enum http_next
upload_put(struct req *r)
{
	struct registry *g = r->app;
	struct push *p = push_new(r);
	struct err e = ERR_INIT;
	enum digest_alg alg;

	if (p == NULL)
		return out_of_memory(r);
	if (query_get(&r->query, "digest") == NULL)
		return reply_error(r, 400, "DIGEST_INVALID", "the digest is missing: PUT …?digest=DIGEST");
	if (!read_digest(r, p, &alg))
		return NEXT_REPLY;
	if (upload_take(g->uploads, r->path.repo, r->path.rest, &p->upload, &e) < 0)
		return upload_failed(r, &e);
	upload_use(p->upload, alg);
	return take_chunk(r);
}

enum http_next
upload_delete(struct req *r)
{
	struct registry *g = r->app;
	struct upload *u;
	struct err e = ERR_INIT;

	if (upload_take(g->uploads, r->path.repo, r->path.rest, &u, &e) < 0)
		return upload_failed(r, &e);
	upload_end(g->uploads, u);
	return reply_object(r, 204, reply_empty());
}
