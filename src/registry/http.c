/*
 * Requests over libmicrohttpd: from its callbacks to the calls of struct
 * http_ops.  What a reply is made of is in http_object.c, starting and
 * stopping in http_server.c, deadlines in http_reaper.c.
 *
 * A request is owned by libmicrohttpd's connection from on_target to
 * on_completed; between http_suspend and http_resume by the job.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"
#include "registry/http_impl.h"
#include "registry/http_request.h"

/* A refused body up to this size is read to its end, so that the client sees the reply. */
#define DRAIN_MAX (8 * 1024 * 1024)

enum phase { PH_HEAD, PH_BODY, PH_DRAIN, PH_REPLY };

struct req_private {
	struct MHD_Connection *mhd;
	struct conn *conn;
	enum phase phase;
	bool suspended; /* between http_suspend and the call of resumed */
	bool close, began, queued;
	size_t target_len;
	uint64_t drained;
	struct http_object *object;
};

static const char *const method_names[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OTHER" };

const char *
http_method_name(enum http_method m)
{
	return method_names[m];
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct conn *
conn_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

const char *
http_header(const struct req *r, const char *name)
{
	return MHD_lookup_connection_value(r->priv->mhd, MHD_HEADER_KIND, name);
}

/* The request line is read: the earliest moment. NULL makes the request fail at its head. */
void *
on_target(void *arg, const char *target, struct MHD_Connection *mhd)
{
	struct http_server *s = arg;
	struct req *r = calloc(1, sizeof(*r) + sizeof(struct req_private));
	struct err e = ERR_INIT;
	struct conn *c = conn_of(mhd);
	int rc;

	if (r == NULL)
		return NULL;
	r->priv = (struct req_private *)(r + 1);
	r->priv->mhd = mhd;
	r->priv->conn = c;
	r->server = s;
	r->app = s->params.app;
	r->started = now_ns();
	if (c != NULL)
		memcpy(r->addr, c->addr, sizeof(r->addr));
	r->priv->target_len = strlen(target);
	rc = path_parse(target, &r->path, &r->query, &e);
	if (rc < 0) {
		r->path_error = e.code;
		snprintf(r->path_message, sizeof(r->path_message), "%.120s", e.msg);
	}
	atomic_fetch_add(&s->requests, 1);
	return r;
}

/* What is looked for in the head by more than name. */
struct head {
	unsigned lengths, codings, hosts;
	bool broken;
};

static enum MHD_Result
look_at_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct head *h = arg;

	/* RFC 9110 tokens: a blank before the colon, for one, is read differently by different servers. */
	for (const char *c = name; *c != '\0'; c++) {
		if (*c <= ' ' || *c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *c) != NULL)
			h->broken = true;
	}
	for (const char *c = value == NULL ? "" : value; *c != '\0'; c++) {
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			h->broken = true;
	}
	h->lengths += strcasecmp(name, "Content-Length") == 0;
	h->hosts += strcasecmp(name, "Host") == 0;
	if (strcasecmp(name, "Transfer-Encoding") == 0) {
		h->codings++;
		h->broken |= value == NULL || strcasecmp(value, "chunked") != 0;
	}
	return MHD_YES;
}

/* How long is the body? False when the head leaves doubt. */
static bool
read_head(struct req *r, const char *version)
{
	struct head h = { 0, 0, 0, false };
	const char *length = http_header(r, "Content-Length");

	MHD_get_connection_values(r->priv->mhd, MHD_HEADER_KIND, look_at_header, &h);
	if (h.hosts == 0 && strcmp(version, "HTTP/1.0") != 0)
		return false;
	if (h.broken || h.lengths > 1 || h.codings > 1 || h.hosts > 1 || (h.lengths > 0 && h.codings > 0))
		return false;
	if (h.codings > 0) {
		r->body_length = HTTP_LENGTH_UNKNOWN;
		return true;
	}
	if (length == NULL)
		return true;
	return text_uint(length, 0, INT64_MAX, &r->body_length, "Content-Length", NULL) == 0;
}

static enum http_method
method_of(const char *name)
{
	for (int m = 0; m < HTTP_OTHER; m++) {
		if (strcmp(name, method_names[m]) == 0)
			return (enum http_method)m;
	}
	return HTTP_OTHER;
}

static enum MHD_Result
send_reply(struct req *r)
{
	struct req_private *p = r->priv;
	enum MHD_Result rc;

	if (p->object == NULL)
		return MHD_NO;
	p->phase = PH_REPLY;
	p->queued = true;
	if (p->conn != NULL)
		conn_sending(r->server, p->conn, p->object->size);
	if (p->object->file) {
		struct MHD_Response *response = http_object_response(p->object);

		rc = response == NULL ? MHD_NO : MHD_queue_response(p->mhd, r->status, response);
		if (response != NULL)
			MHD_destroy_response(response);
	} else {
		rc = MHD_queue_response(p->mhd, r->status, p->object->response);
	}
	http_object_put(take_ptr(p->object));
	return rc;
}

void
http_reply(struct req *r, unsigned status, struct http_object *o)
{
	http_object_put(r->priv->object);
	r->priv->object = o;
	r->status = status;
	r->reply_length = o == NULL ? 0 : o->size;
}

void
http_close_after(struct req *r)
{
	r->priv->close = true;
}

void
http_suspend(struct req *r)
{
	r->priv->suspended = true;
	if (r->priv->conn != NULL)
		conn_working(r->priv->conn);
	MHD_suspend_connection(r->priv->mhd);
}

void
http_resume(struct req *r)
{
	MHD_resume_connection(r->priv->mhd);
}

/*
 * A reply before the body was read: read a small body first, or close the
 * connection.  libmicrohttpd takes a reply in its first call for the end of
 * the connection, so that without a body the second one is waited for too.
 */
static enum MHD_Result
reply_early(struct req *r)
{
	struct req_private *p = r->priv;

	bool can_drain = r->body_length == HTTP_LENGTH_UNKNOWN || r->body_length <= DRAIN_MAX;

	if (r->body_length == 0 || (can_drain && !p->close && http_header(r, "Expect") == NULL)) {
		p->phase = PH_DRAIN;
		return MHD_YES;
	}
	return send_reply(r);
}

static enum MHD_Result
go_on(struct req *r, enum http_next next)
{
	struct req_private *p = r->priv;

	switch (next) {
	case NEXT_WAIT:
		return MHD_YES;
	case NEXT_BODY:
		p->phase = PH_BODY;
		if (p->conn != NULL)
			conn_receiving(r->server, p->conn, r);
		return MHD_YES;
	case NEXT_REPLY:
		break;
	}
	return p->phase == PH_HEAD ? reply_early(r) : send_reply(r);
}

static enum MHD_Result
take_body(struct req *r, const char *data, size_t n)
{
	struct req_private *p = r->priv;

	r->body_received += n;
	if (p->conn != NULL)
		conn_receiving(r->server, p->conn, r);
	if (p->phase == PH_BODY && r->sink(r, data, n) < 0) {
		if (p->object == NULL)
			return MHD_NO;
		p->phase = PH_DRAIN;
		if (r->body_length != HTTP_LENGTH_UNKNOWN && r->body_length - r->body_received > DRAIN_MAX)
			return MHD_NO;
	} else if (p->phase == PH_DRAIN) {
		/* What comes may be endless. */
		p->drained += n;
		if (p->drained > DRAIN_MAX)
			return MHD_NO;
	}
	return MHD_YES;
}

/*
 * A NUL in the request line ends the target for us, and would hide the rest of
 * it. Both strings stand in the buffer that the line was read into: between
 * the target's end and the version is one byte.
 */
static bool
target_is_whole(const struct req *r, const char *url, const char *version)
{
	return version < url || (size_t)(version - url) <= r->priv->target_len + 1;
}

static enum MHD_Result
begin(struct req *r, const char *url, const char *method, const char *version)
{
	r->method = method_of(method);
	if (!target_is_whole(r, url, version) || !read_head(r, version)) {
		struct http_object *o = http_object_bytes(NULL, 0, NULL);

		http_object_header(o, "Connection", "close");
		http_reply(r, 400, o);
		return send_reply(r);
	}
	r->priv->began = true;
	return go_on(r, r->server->params.ops->begin(r));
}

enum MHD_Result
on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
    const char *data, size_t *size, void **ctx)
{
	struct req *r = *ctx;
	struct req_private *p;

	if (r == NULL)
		return MHD_NO;
	p = r->priv;
	if (p->suspended) {
		p->suspended = false;
		return go_on(r, r->resumed(r));
	}
	if (p->phase == PH_HEAD)
		return begin(r, url, method, version);
	if (*size > 0) {
		size_t n = *size;

		*size = 0;
		return take_body(r, data, n);
	}
	if (p->phase == PH_BODY)
		return go_on(r, r->finish(r));
	if (p->phase == PH_DRAIN)
		return send_reply(r);
	return MHD_YES;
}

void
on_completed(void *arg, struct MHD_Connection *mhd, void **ctx, enum MHD_RequestTerminationCode how)
{
	struct http_server *s = arg;
	struct req *r = *ctx;
	struct req_private *p;

	if (r == NULL)
		return;
	*ctx = NULL;
	p = r->priv;
	if (p->conn != NULL)
		conn_idle(s, p->conn);
	if (p->began || p->queued)
		s->params.ops->done(r, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (r->state_free != NULL)
		r->state_free(r->state);
	if (r->access_free != NULL)
		r->access_free(r->access);
	http_object_put(p->object);
	query_fini(&r->query);
	free(r);
	atomic_fetch_sub(&s->requests, 1);
}
