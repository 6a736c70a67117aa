/*
 * From a request to its handler: the table of paths, and what every request
 * passes on its way: rate, sanity of path and names, rights.  And its end: the
 * log and the counters.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "registry/registry.h"

struct method_row {
	enum http_next (*handle)(struct req *);
	unsigned right; /* 0: for everybody */
};

struct route {
	struct method_row get, post, put, patch, delete;
	const char *allow;
};

/* HEAD is GET whose content is not sent. */
static const struct route routes[PATH_KINDS] = {
	[PATH_BASE] = { .get = { base_get, 0 }, .allow = "GET, HEAD" },
	[PATH_CATALOG] = { .get = { catalog_get, 0 }, .allow = "GET, HEAD" },
	[PATH_BLOB] = { .get = { blob_get, RIGHT_PULL },
	    .delete = { blob_delete, RIGHT_DELETE },
	    .allow = "GET, HEAD, DELETE" },
	[PATH_UPLOADS] = { .post = { upload_post, RIGHT_PUSH }, .allow = "POST" },
	[PATH_UPLOAD] = { .get = { upload_get, RIGHT_PUSH },
	    .patch = { upload_patch, RIGHT_PUSH },
	    .put = { upload_put, RIGHT_PUSH },
	    .delete = { upload_delete, RIGHT_PUSH },
	    .allow = "GET, HEAD, PATCH, PUT, DELETE" },
	[PATH_MANIFEST] = { .get = { manifest_get, RIGHT_PULL },
	    .put = { manifest_put, RIGHT_PUSH },
	    .delete = { manifest_delete, RIGHT_DELETE },
	    .allow = "GET, HEAD, PUT, DELETE" },
	[PATH_TAGS] = { .get = { tags_get, RIGHT_PULL }, .allow = "GET, HEAD" },
	[PATH_REFERRERS] = { .get = { referrers_get, RIGHT_PULL }, .allow = "GET, HEAD" },
	[PATH_TOKEN] = { .get = { token_handle, 0 }, .post = { token_post, 0 }, .allow = "GET, HEAD, POST" },
	[PATH_SEARCH] = { .get = { search_get, 0 }, .allow = "GET, HEAD" },
	[PATH_CLASSIC] = { .get = { classic_get, 0 }, .allow = "GET, HEAD" },
	[PATH_HEALTH] = { .get = { health_get, 0 }, .allow = "GET, HEAD" },
	[PATH_METRICS] = { .get = { metrics_get, 0 }, .allow = "GET, HEAD" },
};

static const struct method_row *
row_of(const struct route *route, enum http_method m)
{
	switch (m) {
	case HTTP_GET:
	case HTTP_HEAD:
		return &route->get;
	case HTTP_POST:
		return &route->post;
	case HTTP_PUT:
		return &route->put;
	case HTTP_PATCH:
		return &route->patch;
	case HTTP_DELETE:
		return &route->delete;
	case HTTP_OTHER:
		break;
	}
	return NULL;
}

static enum http_next
method_not_allowed(struct req *r, const struct route *route, const char *why)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
	struct http_object *o;

	buf_str(&b, "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":");
	json_quote(&b, why);
	buf_str(&b, "}]}\n");
	o = http_object_bytes(buf_cstr(&b), b.len, "application/json");
	http_object_header(o, "Allow", "%s", route->allow);
	return reply_object(r, 405, o);
}

/* What digests and tags must look like is checked before anybody's rights: it depends on nothing. */
static enum http_next
dispatch(struct req *r, const struct method_row *row)
{
	struct digest d;

	if (r->path.kind >= PATH_BLOB && r->path.kind <= PATH_REFERRERS && !r->path.repo_valid)
		return reply_error(
		    r, 400, "NAME_INVALID", "'%.80s' is not a valid repository name", r->path.repo);
	if ((r->path.kind == PATH_BLOB || r->path.kind == PATH_REFERRERS) &&
	    digest_parse(r->path.rest, &d, NULL) < 0)
		return reply_error(r, 400, "DIGEST_INVALID", "'%.160s' is not a valid digest", r->path.rest);
	if (r->path.kind == PATH_MANIFEST && digest_parse(r->path.rest, &d, NULL) < 0 &&
	    !tag_is_valid(r->path.rest))
		return reply_error(r, 400,
		    strchr(r->path.rest, ':') != NULL ? "DIGEST_INVALID" : "MANIFEST_INVALID",
		    "'%.160s' is neither a tag nor a digest", r->path.rest);
	return access_check(r, row->right, row->handle);
}

static enum http_next
begin(struct req *r)
{
	struct registry *g = r->app;
	const struct route *route = &routes[r->path.kind];
	const struct method_row *row;
	unsigned wait = 1;

	if (!limiter_take(g->limiter, r->addr, &wait)) {
		static const char text[] = "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\"}]}\n";
		struct http_object *o = http_object_bytes(text, sizeof(text) - 1, "application/json");

		atomic_fetch_add(&g->metrics.limited, 1);
		http_object_header(o, "Retry-After", "%u", wait);
		return reply_object(r, 429, o);
	}
	if (r->path_error != 0)
		return reply_error(
		    r, r->path_error == E_LIMIT ? 414 : 400, "NAME_INVALID", "%s", r->path_message);
	if (r->path.kind == PATH_NONE)
		return reply_error(r, 404, "NAME_UNKNOWN", "there is nothing at this path");
	row = row_of(route, r->method);
	if (row == NULL || row->handle == NULL)
		return method_not_allowed(r, route, "this method is not for this path");
	if (g->options->read_only && r->method != HTTP_GET && r->method != HTTP_HEAD &&
	    r->path.kind != PATH_TOKEN)
		return method_not_allowed(r, route, "this registry is read-only");
	return dispatch(r, row);
}

/* time address user method path status received sent milliseconds */
static void
write_log(struct registry *g, const struct req *r, bool complete, int64_t ns)
{
	char when[TEXT_TIME_LEN], line[1024], path[640];
	const char *tail = r->path.kind == PATH_UPLOAD ? "upload" : r->path.rest;

	text_time_print(text_now_ns(), true, when);
	if (r->path.repo[0] != '\0')
		snprintf(path, sizeof(path), "%s %s", r->path.repo, tail[0] == '\0' ? "-" : tail);
	else
		snprintf(path, sizeof(path), "- %s", tail[0] == '\0' ? "-" : tail);
	text_escape_into(line, sizeof(line), path, strlen(path));
	snprintf(path, sizeof(path), "%.600s", line);
	snprintf(line, sizeof(line), "%s %s %s %s %s %u %" PRIu64 " %" PRIu64 " %.3f%s", when, r->addr,
	    r->user[0] == '\0' ? "-" : r->user, http_method_name(r->method), path, r->status,
	    r->body_received, r->method == HTTP_HEAD ? 0 : r->reply_length, (double)ns / 1e6,
	    complete ? "" : " aborted");
	log_access(g->log, line);
}

static void
done(struct req *r, bool complete)
{
	struct registry *g = r->app;
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - r->started;
	metrics_request(&g->metrics, r->method, r->status, complete, r->body_received,
	    complete && r->method != HTTP_HEAD ? r->reply_length : 0, ns);
	if (g->options->access_log[0] != '\0')
		write_log(g, r, complete, ns);
}

static void
library_log(void *app, const char *line)
{
	struct registry *g = app;
	unsigned wait;

	if (limiter_take(g->chatter, "", &wait))
		log_message(g->log, "libmicrohttpd: %s", line);
}

const struct http_ops registry_ops = { begin, done, library_log };

enum http_next
base_get(struct req *r)
{
	struct http_object *o = http_object_bytes("{}\n", 3, "application/json");

	http_object_header(o, "Docker-Distribution-Api-Version", "registry/2.0");
	return reply_object(r, 200, o);
}

enum http_next
health_get(struct req *r)
{
	struct registry *g = r->app;
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	struct db_totals t;

	if (db == NULL || db_totals(db, &t, &e) < 0)
		return reply_error(r, 503, "UNSUPPORTED", "the catalogue cannot be read");
	return reply_object(r, 200, http_object_bytes("ok\n", 3, "text/plain"));
}

enum http_next
metrics_get(struct req *r)
{
	struct registry *g = r->app;
	AUTO_FINI(buf) struct buf b = BUF_INIT(256 * 1024);
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	struct db_totals t;

	metrics_print(&g->metrics, &b);
	metrics_gauge(&b, "connections", "Connections.", http_connections(g->http));
	metrics_gauge(&b, "uploads", "Unfinished uploads.", uploads_count(g->uploads));
	if (db != NULL && db_totals(db, &t, &e) == 0) {
		metrics_gauge(&b, "repositories", "Repositories.", t.repos);
		metrics_gauge(&b, "tags", "Tags.", t.tags);
		metrics_gauge(&b, "manifests", "Manifests, counted in each repository.", t.manifests);
		metrics_gauge(&b, "blobs", "Blobs, manifests among them, counted once.", t.blobs);
		metrics_gauge(&b, "blob_bytes", "Bytes of these.", t.bytes);
	}
	return reply_object(r, 200, http_object_bytes(buf_cstr(&b), b.len, "text/plain; version=0.0.4"));
}
