/*
 * Manifests: sent from the cache or their file, taken whole into memory (four
 * megabytes at most, of all requests together BUFFERED_MAX), parsed, stored
 * and tagged in one change.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/file.h"
#include "image/manifest.h"
#include "image/mediatype.h"
#include "registry/range.h"
#include "registry/registry.h"
#include "registry/socket.h"

#define BUFFERED_MAX ((int64_t)24 * 1024 * 1024)
#define TAGS_MAX QUERY_MAX
/* Parsing one multiplies its size. */
#define LARGE ((size_t)128 * 1024)
/* A config that the search reads. */
#define CONFIG_MAX ((size_t)128 * 1024)
#define WORD_LEN 32

struct put {
	struct req_change change; /* first */
	struct job job;
	struct req *req;
	struct buf text;
	int64_t reserved; /* of the registry's `buffered` */
	char type[256];   /* what Content-Type promised, "" nothing */
	bool by_digest;
	struct digest digest; /* of the path, then of the text */
	const char *tags[TAGS_MAX];
	size_t n_tags;
	struct img_manifest *parsed;
	char os[WORD_LEN], arch[WORD_LEN]; /* "" not known */
	struct upload *upload;
	enum { STAGE_READ, STAGE_PARSE, STAGE_STORE } stage;
	int rc;
	struct err err;
};

static struct http_object *
manifest_object(struct registry *g, const struct db_manifest *m, const char *etag, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	struct http_object *o;
	uint64_t size;
	AUTO(fd) int fd = store_blob_open(&g->store, &m->digest, &size, e);

	if (fd < 0)
		return NULL;
	if (size <= CACHE_MANIFEST_MAX) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(CACHE_MANIFEST_MAX);

		if (fd_read_all(fd, &b, e) < 0)
			return NULL;
		o = http_object_bytes(buf_cstr(&b), b.len, m->media_type);
	} else {
		o = http_object_file(take_fd(fd), 0, size, m->media_type);
	}
	if (o == NULL) {
		err_nomem(e);
		return NULL;
	}
	http_object_header(o, "Docker-Content-Digest", "%s", digest_print(&m->digest, text));
	http_object_header(o, "ETag", "%s", etag);
	return o;
}

static enum http_next
send_manifest(struct req *r, struct http_object *o, const char *etag)
{
	struct http_object *empty;

	if (!etag_matches(http_header(r, "If-None-Match"), etag))
		return reply_object(r, 200, o);
	http_object_put(o);
	empty = reply_empty();
	http_object_header(empty, "ETag", "%s", etag);
	http_object_header(empty, "Docker-Content-Digest", "%.*s", (int)strlen(etag) - 2, etag + 1);
	return reply_object(r, 304, empty);
}

enum http_next
manifest_get(struct req *r)
{
	struct registry *g = r->app;
	char etag[DIGEST_TEXT_LEN + 2], text[DIGEST_TEXT_LEN];
	struct http_object *o = cache_find(g->cache, r->path.repo, r->path.rest, etag);
	struct err e = ERR_INIT;
	struct db_manifest m;
	uint64_t version;
	struct db *db;

	if (o != NULL)
		return send_manifest(r, o, etag);
	version = cache_version(g->cache);
	db = registry_db(g, &e);
	if (db == NULL || db_manifest_get(db, r->path.repo, r->path.rest, &m, &e) < 0)
		return reply_err(r, "MANIFEST_UNKNOWN", &e);
	snprintf(etag, sizeof(etag), "\"%s\"", digest_print(&m.digest, text));
	o = manifest_object(g, &m, etag, &e);
	if (o == NULL)
		return reply_err(r, "MANIFEST_UNKNOWN", &e);
	if (m.size <= CACHE_MANIFEST_MAX)
		cache_put(g->cache, version, r->path.repo, r->path.rest, etag, o);
	return send_manifest(r, o, etag);
}

static void
put_free(void *arg)
{
	struct put *p = arg;
	struct registry *g = p->req->app;

	atomic_fetch_sub(&g->buffered, p->reserved);
	if (p->upload != NULL)
		upload_end(g->uploads, p->upload);
	img_manifest_free(p->parsed);
	if (p->text.len > LARGE) {
		buf_fini(&p->text);
		memory_return();
	}
	buf_fini(&p->text);
	free(p);
}

/* Committer. */
static int
apply_put(struct change *ch, struct db *db, struct err *e)
{
	struct put *p = (struct put *)ch;
	struct registry *g = p->change.registry;
	struct db_manifest_new n = { .parsed = p->parsed,
		.digest = &p->digest,
		.size = p->text.len,
		.now = registry_now(),
		.os = p->os[0] != '\0' ? p->os : NULL,
		.arch = p->arch[0] != '\0' ? p->arch : NULL };
	int64_t id;
	int rc;

	if ((rc = db_repo_make(db, p->change.repo, n.now, &n.repo, e)) < 0 ||
	    (rc = db_blob_put(db, &p->digest, p->text.len, n.now, &n.blob, e)) < 0 ||
	    (rc = db_manifest_put(db, &n, g->options->sparse, &id, e)) < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < p->n_tags; i++)
		rc = db_tag_put(db, n.repo, p->tags[i], id, n.now, e);
	return rc < 0 ? rc : store_publish(&g->store, p->upload->id, &p->digest, e);
}

static void
put_done(struct change *ch)
{
	struct put *p = (struct put *)ch;

	p->rc = ch->rc;
	p->err = ch->err;
	req_change_done(ch);
}

static int
check_digest(struct put *p)
{
	struct digest d;
	int rc = digest_of(p->digest.alg, buf_cstr(&p->text), p->text.len, &d, &p->err);

	if (rc < 0)
		return rc;
	if (p->by_digest && !digest_equal(&d, &p->digest))
		return err_set(&p->err, E_INVAL, "the digest of what came is another one");
	p->digest = d;
	return 0;
}

static int
parse(struct registry *g, struct put *p)
{
	const char *type = p->type[0] == '\0' ? NULL : p->type;
	int rc;

	if (p->text.len <= LARGE)
		return img_manifest_parse(buf_cstr(&p->text), p->text.len, type, &p->parsed, &p->err);
	pthread_mutex_lock(&g->parsing);
	rc = img_manifest_parse(buf_cstr(&p->text), p->text.len, type, &p->parsed, &p->err);
	pthread_mutex_unlock(&g->parsing);
	return rc;
}

static int
write_file(struct registry *g, struct put *p)
{
	struct digest d;
	int rc = upload_new(g->uploads, p->change.repo, p->digest.alg, &p->upload, &p->err);

	if (rc == 0)
		rc = upload_add(p->upload, buf_cstr(&p->text), p->text.len, &p->err);
	return rc < 0 ? rc : upload_finish(p->upload, &d, &p->err);
}

static void
take_word(const json_t *config, const char *key, char out[static WORD_LEN])
{
	const char *text = json_string_value(json_object_get(config, key));

	if (text != NULL && strlen(text) < WORD_LEN)
		snprintf(out, WORD_LEN, "%s", text);
}

/* What the search tells of an image. A config that is not there or not one leaves it untold. */
static void
read_platform(const struct registry *g, struct put *p)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(CONFIG_MAX);
	const struct img_desc *c = &p->parsed->config;
	struct err ignored = ERR_INIT;
	uint64_t size;
	json_t *config;

	if (p->parsed->is_index || media_role(c->media_type) != MEDIA_CONFIG || c->size > CONFIG_MAX)
		return;
	AUTO(fd) int fd = store_blob_open(&g->store, &c->digest, &size, &ignored);
	if (fd < 0 || size > CONFIG_MAX || fd_read_all(fd, &text, &ignored) < 0)
		return;
	config = json_loadb(buf_cstr(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
	take_word(config, "os", p->os);
	take_word(config, "architecture", p->arch);
	json_decref(config);
}

/* Worker. */
static void
run_put(struct job *job)
{
	struct put *p = (struct put *)((char *)job - offsetof(struct put, job));
	struct registry *g = p->req->app;

	p->stage = STAGE_READ;
	p->rc = check_digest(p);
	if (p->rc == 0) {
		p->stage = STAGE_PARSE;
		p->rc = parse(g, p);
	}
	if (p->rc == 0) {
		p->stage = STAGE_STORE;
		read_platform(g, p);
		p->rc = write_file(g, p);
	}
	if (p->rc < 0) {
		http_resume(p->req);
		return;
	}
	p->change.change.apply = apply_put;
	p->change.change.done = put_done;
	p->change.change.layout = p->n_tags > 0;
	commit_submit(g->committer, &p->change.change);
}

static enum http_next
put_failed(struct req *r, const struct put *p)
{
	if (p->err.code == E_INVAL && p->stage == STAGE_READ)
		return reply_error(r, 400, "DIGEST_INVALID", "%s", p->err.msg);
	if ((p->err.code == E_INVAL || p->err.code == E_LIMIT) && p->stage == STAGE_PARSE)
		return reply_error(r, 400, "MANIFEST_INVALID", "%s", p->err.msg);
	if (p->err.code == E_NOENT)
		return reply_error(r, 404, "MANIFEST_BLOB_UNKNOWN", "%s", p->err.msg);
	return reply_err(r, "MANIFEST_UNKNOWN", &p->err);
}

static enum http_next
put_stored(struct req *r)
{
	const struct put *p = r->state;
	char text[DIGEST_TEXT_LEN];
	struct http_object *o;

	if (p->rc < 0)
		return put_failed(r, p);
	o = reply_empty();
	http_object_header(
	    o, "Location", "/v2/%s/manifests/%s", r->path.repo, digest_print(&p->digest, text));
	http_object_header(o, "Docker-Content-Digest", "%s", text);
	if (p->parsed->subject != NULL)
		http_object_header(o, "OCI-Subject", "%s", digest_print(&p->parsed->subject->digest, text));
	for (size_t i = 0; p->by_digest && i < p->n_tags; i++)
		http_object_header(o, "OCI-Tag", "%s", p->tags[i]);
	return reply_object(r, 201, o);
}

static enum http_next
put_finish(struct req *r)
{
	struct registry *g = r->app;
	struct put *p = r->state;

	if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_received != r->body_length)
		return reply_error(r, 400, "SIZE_INVALID", "the body was shorter than its Content-Length");
	p->change.req = r;
	p->change.registry = g;
	snprintf(p->change.repo, sizeof(p->change.repo), "%s", r->path.repo);
	p->job.run = run_put;
	r->resumed = put_stored;
	http_suspend(r);
	work_submit(g->workers, &p->job);
	return NEXT_WAIT;
}

static bool
reserve(struct registry *g, struct put *p, size_t n)
{
	if (atomic_fetch_add(&g->buffered, (int64_t)n) + (int64_t)n > BUFFERED_MAX) {
		atomic_fetch_sub(&g->buffered, (int64_t)n);
		return false;
	}
	p->reserved += (int64_t)n;
	return true;
}

static int
put_sink(struct req *r, const char *data, size_t n)
{
	struct registry *g = r->app;
	struct put *p = r->state;

	if (p->text.len + n > IMG_MANIFEST_MAX) {
		reply_error(r, 413, "SIZE_INVALID", "a manifest has at most %u bytes", IMG_MANIFEST_MAX);
		return -1;
	}
	/* Growing doubles: the old and the new are there for a moment. */
	if (!reserve(g, p, n)) {
		atomic_fetch_add(&g->metrics.limited, 1);
		reply_error(r, 429, "TOOMANYREQUESTS", "too many manifests at a time");
		return -1;
	}
	buf_add(&p->text, data, n);
	if (p->text.failed) {
		reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
		return -1;
	}
	return 0;
}

/* The media type without parameters; what says nothing counts as absent. */
static void
read_type(const struct req *r, struct put *p)
{
	const char *type = http_header(r, "Content-Type");
	size_t n = type == NULL ? 0 : strcspn(type, "; \t");

	if (n >= sizeof(p->type))
		n = sizeof(p->type) - 1;
	if (n > 0)
		memcpy(p->type, type, n);
	p->type[n] = '\0';
	if (strcmp(p->type, "application/json") == 0 || strcmp(p->type, "application/octet-stream") == 0 ||
	    strcmp(p->type, "application/x-www-form-urlencoded") == 0)
		p->type[0] = '\0';
}

/* The tag of the path, or those of ?tag= beside a digest. False: replied. */
static bool
read_tags(struct req *r, struct put *p)
{
	const char *tag;
	size_t pos = 0;

	if (!p->by_digest) {
		p->tags[p->n_tags++] = r->path.rest;
		return true;
	}
	while ((tag = query_next(&r->query, "tag", &pos)) != NULL) {
		if (!tag_is_valid(tag)) {
			reply_error(r, 400, "MANIFEST_INVALID", "'%.160s' is not a valid tag", tag);
			return false;
		}
		p->tags[p->n_tags++] = tag;
	}
	return true;
}

enum http_next
manifest_put(struct req *r)
{
	struct put *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	p->req = r;
	buf_init(&p->text, IMG_MANIFEST_MAX);
	r->state = p;
	r->state_free = put_free;
	p->digest.alg = DIGEST_SHA256;
	p->by_digest = digest_parse(r->path.rest, &p->digest, NULL) == 0;
	if (!p->by_digest)
		p->digest.alg = DIGEST_SHA256;
	read_type(r, p);
	if (!read_tags(r, p))
		return NEXT_REPLY;
	if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_length > IMG_MANIFEST_MAX)
		return reply_error(
		    r, 413, "SIZE_INVALID", "a manifest has at most %u bytes", IMG_MANIFEST_MAX);
	r->sink = put_sink;
	r->finish = put_finish;
	return NEXT_BODY;
}

static int
apply_delete(struct change *ch, struct db *db, struct err *e)
{
	struct req_change *c = (struct req_change *)ch;
	const char *ref = c->req->path.rest;

	if (strchr(ref, ':') != NULL)
		return db_manifest_delete(db, c->repo, &c->digest, registry_now(), e);
	return db_tag_delete(db, c->repo, ref, e);
}

static enum http_next
deleted(struct req *r)
{
	const struct req_change *c = r->state;

	if (c->change.rc < 0)
		return reply_err(r, "MANIFEST_UNKNOWN", &c->change.err);
	return reply_object(r, 202, reply_empty());
}

enum http_next
manifest_delete(struct req *r)
{
	struct req_change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	(void)!digest_parse(r->path.rest, &c->digest, NULL);
	r->state = c;
	r->state_free = free;
	r->resumed = deleted;
	c->change.apply = apply_delete;
	c->change.layout = true;
	req_change_submit(r, c);
	return NEXT_WAIT;
}
