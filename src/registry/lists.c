/* Lists: tags, repositories, referrers, search. Each in pages that memory bounds. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "image/mediatype.h"
#include "registry/registry.h"

#define PAGE_MAX 10000
#define SEARCH_PAGE 100
#define SEARCH_TAGS 20
#define TEXT_MAX ((size_t)8 * 1024 * 1024)
/* A page of referrers is an index, and those have four megabytes at most. */
#define REFERRERS_MAX ((size_t)4 * 1024 * 1024 - 1024)

struct page {
	struct req *req;
	struct buf text;
	uint64_t want, got;
	bool more;
	char last[REPO_NAME_MAX + 1]; /* the last name taken */
	int64_t last_row;
	struct db *db;
	struct err *e;
};

/* ?n=: false, and replied, when it is no number. */
static bool
read_n(struct req *r, uint64_t most, uint64_t *n)
{
	const char *text = query_get(&r->query, "n");
	struct err e = ERR_INIT;

	*n = most;
	if (text == NULL)
		return true;
	if (text_uint(text, 0, UINT64_MAX, n, "n", &e) < 0) {
		reply_error(r, 400, "UNSUPPORTED", "%s", e.msg);
		return false;
	}
	if (*n > most)
		*n = most;
	return true;
}

/* What may stand in a query as it is; everything else as %XX. */
static void
query_escape(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		    (*text >= '0' && *text <= '9') || strchr("-._~/", *text) != NULL)
			buf_add(b, text, 1);
		else
			buf_fmt(b, "%%%02X", (unsigned char)*text);
	}
}

/* One more than wanted is asked for: it tells whether there is a next page. */
static bool
page_takes(struct page *p, const char *name)
{
	if (p->got == p->want) {
		p->more = true;
		return false;
	}
	p->got++;
	snprintf(p->last, sizeof(p->last), "%s", name);
	return true;
}

static int
add_name(void *arg, const char *name)
{
	struct page *p = arg;

	if (!page_takes(p, name))
		return 1;
	if (p->got > 1)
		buf_str(&p->text, ",");
	json_quote(&p->text, name);
	return 0;
}

static enum http_next
reply_page(struct page *p, const char *path)
{
	struct req *r = p->req;
	AUTO_FINI(buf) struct buf link = BUF_INIT(2048);
	struct http_object *o;

	if (p->text.failed)
		return reply_error(r, 500, "UNSUPPORTED", "the answer is too large");
	o = http_object_bytes(buf_cstr(&p->text), p->text.len, "application/json");
	if (p->more && p->want > 0) {
		query_escape(&link, p->last);
		http_object_header(
		    o, "Link", "<%s?n=%" PRIu64 "&last=%s>; rel=\"next\"", path, p->want, buf_cstr(&link));
	}
	return reply_object(r, 200, o);
}

enum http_next
tags_get(struct req *r)
{
	struct registry *g = r->app;
	const char *last = query_get(&r->query, "last");
	struct page p = { .req = r, .text = BUF_INIT(TEXT_MAX) };
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	char path[REPO_NAME_MAX + 20];
	enum http_next next;
	int64_t repo;

	if (db == NULL || db_repo_get(db, r->path.repo, &repo, &e) < 0)
		return reply_err(r, "NAME_UNKNOWN", &e);
	if (!read_n(r, PAGE_MAX, &p.want))
		return NEXT_REPLY;
	buf_fmt(&p.text, "{\"name\":\"%s\",\"tags\":[", r->path.repo);
	if (db_tags(db, repo, last == NULL ? "" : last, p.want + 1, add_name, &p, &e) < 0) {
		buf_fini(&p.text);
		return reply_err(r, "NAME_UNKNOWN", &e);
	}
	buf_str(&p.text, "]}\n");
	snprintf(path, sizeof(path), "/v2/%s/tags/list", r->path.repo);
	next = reply_page(&p, path);
	buf_fini(&p.text);
	return next;
}

static int
add_repo(void *arg, const char *name)
{
	struct page *p = arg;

	return access_allows(p->req, name, RIGHT_PULL) ? add_name(arg, name) : 0;
}

enum http_next
catalog_get(struct req *r)
{
	struct registry *g = r->app;
	const char *last = query_get(&r->query, "last");
	struct page p = { .req = r, .text = BUF_INIT(TEXT_MAX) };
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	enum http_next next;

	if (!read_n(r, PAGE_MAX, &p.want))
		return NEXT_REPLY;
	buf_str(&p.text, "{\"repositories\":[");
	if (db == NULL || db_repos(db, last == NULL ? "" : last, add_repo, &p, &e) < 0) {
		buf_fini(&p.text);
		return reply_err(r, "NAME_UNKNOWN", &e);
	}
	buf_str(&p.text, "]}\n");
	next = reply_page(&p, "/v2/_catalog");
	buf_fini(&p.text);
	return next;
}

static int
add_referrer(void *arg, int64_t row, const char *type, const char *descriptor)
{
	struct page *p = arg;

	if (p->got > 0 && p->text.len + strlen(descriptor) > REFERRERS_MAX) {
		p->more = true;
		return 1;
	}
	buf_str(&p->text, p->got++ > 0 ? "," : "");
	buf_str(&p->text, descriptor);
	p->last_row = row;
	return 0;
}

static enum http_next
reply_referrers(struct page *p, const char *type)
{
	struct req *r = p->req;
	AUTO_FINI(buf) struct buf link = BUF_INIT(2048);
	struct http_object *o;

	if (p->text.failed)
		return reply_error(r, 500, "UNSUPPORTED", "the answer is too large");
	o = http_object_bytes(buf_cstr(&p->text), p->text.len, MEDIA_OCI_INDEX);
	if (type != NULL) {
		http_object_header(o, "OCI-Filters-Applied", "artifactType");
		buf_str(&link, "&artifactType=");
		query_escape(&link, type);
	}
	if (p->more)
		http_object_header(o, "Link", "</v2/%s/referrers/%s?after=%" PRId64 "%s>; rel=\"next\"",
		    r->path.repo, r->path.rest, p->last_row, buf_cstr(&link));
	return reply_object(r, 200, o);
}

enum http_next
referrers_get(struct req *r)
{
	struct registry *g = r->app;
	const char *type = query_get(&r->query, "artifactType"), *after = query_get(&r->query, "after");
	struct page p = { .req = r, .text = BUF_INIT(TEXT_MAX) };
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	char plus[256];
	enum http_next next;
	uint64_t row = 0;

	if (type != NULL && type[0] == '\0')
		type = NULL;
	if (type != NULL) {
		/* A "+" that was not escaped came as a blank, and no media type has one. */
		snprintf(plus, sizeof(plus), "%.255s", type);
		for (char *c = plus; *c != '\0'; c++) {
			if (*c == ' ')
				*c = '+';
		}
		type = plus;
	}
	if (after != NULL && text_uint(after, 0, INT64_MAX, &row, "after", &e) < 0)
		return reply_error(r, 400, "UNSUPPORTED", "%s", e.msg);
	buf_fmt(&p.text, "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[", MEDIA_OCI_INDEX);
	if (db == NULL ||
	    db_referrers(db, r->path.repo, r->path.rest, type, (int64_t)row, add_referrer, &p, &e) < 0) {
		buf_fini(&p.text);
		return reply_err(r, "NAME_UNKNOWN", &e);
	}
	buf_str(&p.text, "]}\n");
	next = reply_referrers(&p, type);
	buf_fini(&p.text);
	return next;
}

struct tag_list {
	struct buf *text;
	bool any;
};

static void
add_word(struct buf *text, const char *key, const char *value)
{
	buf_fmt(text, ",\"%s\":", key);
	if (value != NULL && value[0] != '\0')
		json_quote(text, value);
	else
		buf_str(text, "null");
}

static int
add_tag(void *arg, const struct db_tag *t)
{
	struct tag_list *l = arg;
	char when[TEXT_TIME_LEN];

	text_time_print(t->updated * 1000000000, false, when);
	buf_str(l->text, l->any ? ",{\"tag\":" : "{\"tag\":");
	json_quote(l->text, t->name);
	buf_fmt(l->text, ",\"digest\":\"%s\",\"mediaType\":\"%s\",\"size\":%" PRIu64 ",\"updated\":\"%s\"",
	    t->digest, t->media_type, t->size, when);
	add_word(l->text, "os", t->os);
	add_word(l->text, "architecture", t->arch);
	buf_str(l->text, "}");
	l->any = true;
	return 0;
}

static int
add_image(void *arg, const struct db_image *i, int64_t repo)
{
	struct page *p = arg;
	struct tag_list tags = { &p->text, false };
	char when[TEXT_TIME_LEN];
	int rc;

	if (!access_allows(p->req, i->repo, RIGHT_PULL))
		return 0;
	if (!page_takes(p, i->repo))
		return 1;
	text_time_print(i->updated * 1000000000, false, when);
	buf_str(&p->text, p->got > 1 ? ",\n{\"name\":" : "{\"name\":");
	json_quote(&p->text, i->repo);
	buf_str(&p->text, ",\"title\":");
	json_quote(&p->text, i->title);
	buf_str(&p->text, ",\"description\":");
	json_quote(&p->text, i->description);
	buf_fmt(&p->text, ",\"updated\":\"%s\",\"tags\":[", when);
	rc = db_tag_details(p->db, repo, SEARCH_TAGS, add_tag, &tags, p->e);
	buf_str(&p->text, "]}");
	return rc;
}

/* /api/v1/images?q=TEXT&n=N&last=NAME: repositories with their newest tags. */
enum http_next
search_get(struct req *r)
{
	struct registry *g = r->app;
	const char *last = query_get(&r->query, "last"), *q = query_get(&r->query, "q");
	struct page p = { .req = r, .text = BUF_INIT(TEXT_MAX) };
	struct err e = ERR_INIT;
	enum http_next next;

	p.db = registry_db(g, &e);
	p.e = &e;
	if (!read_n(r, SEARCH_PAGE, &p.want))
		return NEXT_REPLY;
	if (q != NULL && strlen(q) > 256)
		return reply_error(r, 400, "UNSUPPORTED", "the search text is too long");
	buf_str(&p.text, "{\"images\":[");
	if (p.db == NULL || db_search(p.db, q, last == NULL ? "" : last, add_image, &p, &e) < 0) {
		buf_fini(&p.text);
		return reply_err(r, "NAME_UNKNOWN", &e);
	}
	buf_str(&p.text, "],\"next\":");
	if (p.more && p.want > 0)
		json_quote(&p.text, p.last);
	else
		buf_str(&p.text, "null");
	buf_str(&p.text, "}\n");
	p.more = false; /* said in the text: "next" */
	next = reply_page(&p, "/api/v1/images");
	buf_fini(&p.text);
	return next;
}
