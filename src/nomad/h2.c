/*
 * HTTP/2 by libnghttp2. Flow control towards us: the connection's window opens
 * again at once, so that one command which does not read its input holds up
 * no other call; a stream's window opens when its call has dealt with the
 * bytes. Flow control towards the agent: data waits in the stream's queue, and
 * whoever fills it looks at h2_queued.
 */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "nomad/h2.h"

/* Two calls are open for each task that runs, all the time. */
#define MAX_STREAMS 16384
#define CONNECTION_WINDOW (1 << 20)
#define HEADER_BYTES_MAX 16384
/* The agent gives up as many calls at once as tasks end; the library's own limit (33 a second) is for browsers. */
#define RESETS_BURST 65536
#define RESETS_PER_SECOND 8192

struct h2 {
	nghttp2_session *session;
	const struct h2_ops *ops;
	void *arg;
	struct h2_stream *streams;
};

struct h2_stream {
	struct h2 *h2;
	struct h2_stream *next, **link; /* link: where the pointer to it stands */
	int32_t id;
	void *call; /* NULL: nobody is interested (any more) */
	/* Until open. What is longer is not one of ours. */
	struct {
		char method[8], path[120], content_type[32], timeout[12], encoding[16];
		size_t bytes;
	} in;
	/* To be sent. */
	struct h2_piece *first, **last;
	size_t queued;
	bool responded, deferred, finishing, remote_closed;
	char *trailers; /* name NUL value NUL …, until they are submitted */
	size_t ntrailers;
};

struct h2_piece *
h2_piece_new(size_t len)
{
	struct h2_piece *p = malloc(sizeof(*p) + len);

	if (p != NULL)
		*p = (struct h2_piece){ NULL, len, 0 };
	return p;
}

/* ---- streams ---------------------------------------------------------------- */

static struct h2_stream *
stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->h2 = h;
	s->id = id;
	s->last = &s->first;
	s->next = h->streams;
	s->link = &h->streams;
	if (s->next != NULL)
		s->next->link = &s->next;
	h->streams = s;
	return s;
}

static void
stream_free(struct h2_stream *s)
{
	struct h2_piece *p;

	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	while ((p = s->first) != NULL) {
		s->first = p->next;
		free(p);
	}
	free(s->trailers);
	free(s);
}

static void
stream_closed(struct h2_stream *s)
{
	void *call = take_ptr(s->call);

	if (call != NULL)
		s->h2->ops->closed(call);
	stream_free(s);
}

static struct h2_stream *
stream_of(struct h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

/* ---- what comes in ---------------------------------------------------------- */

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = stream_new(arg, frame->hd.stream_id);
	if (s == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, s->id, s);
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct h2_stream *s = stream_of(arg, frame->hd.stream_id);
	const struct {
		const char *name;
		char *at;
		size_t size;
	} fields[] = {
		{ ":method", s == NULL ? NULL : s->in.method, sizeof(s->in.method) },
		{ ":path", s == NULL ? NULL : s->in.path, sizeof(s->in.path) },
		{ "content-type", s == NULL ? NULL : s->in.content_type, sizeof(s->in.content_type) },
		{ "grpc-timeout", s == NULL ? NULL : s->in.timeout, sizeof(s->in.timeout) },
		{ "grpc-encoding", s == NULL ? NULL : s->in.encoding, sizeof(s->in.encoding) },
	};

	if (s == NULL || s->call != NULL) /* trailers of a request */
		return 0;
	s->in.bytes += name_len + value_len + 32; /* as RFC 9113, section 6.5.2 counts */
	if (s->in.bytes > HEADER_BYTES_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strlen(fields[i].name) != name_len || memcmp(fields[i].name, name, name_len) != 0)
			continue;
		/* What does not fit becomes "?": known to nobody. */
		if (value_len < fields[i].size && memchr(value, '\0', value_len) == NULL) {
			memcpy(fields[i].at, value, value_len);
			fields[i].at[value_len] = '\0';
		} else {
			memcpy(fields[i].at, "?", 2);
		}
	}
	return 0;
}

static void
request_ended(struct h2_stream *s)
{
	s->remote_closed = true;
	if (s->call != NULL)
		s->h2->ops->end(s->call);
}

static int
on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	s = stream_of(h, frame->hd.stream_id);
	if (s == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		struct h2_request request = { s->in.method, s->in.path, s->in.content_type, s->in.timeout,
			s->in.encoding };

		s->call = h->ops->open(h->arg, s, &request);
		if (s->call == NULL && !s->finishing)
			nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_REFUSED_STREAM);
	}
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
		request_ended(s);
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
	struct h2_stream *s = stream_of(arg, id);

	if (nghttp2_session_consume_connection(session, n) == NGHTTP2_ERR_NOMEM)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (s == NULL)
		return 0;
	if (s->call != NULL)
		s->h2->ops->data(s->call, data, n);
	else
		h2_consumed(s, n);
	return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_stream *s = stream_of(arg, id);

	if (s == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	stream_closed(s);
	return 0;
}

/* We have said all, the agent has not: it is told that nobody listens (RFC 9113, section 8.1). */
static int
on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_stream *s;

	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = stream_of(arg, frame->hd.stream_id);
	if (s != NULL && !s->remote_closed)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
	return 0;
}

bool
h2_feed(struct h2 *h, const void *bytes, size_t n)
{
	return nghttp2_session_mem_recv(h->session, bytes, n) == (ssize_t)n;
}

/* ---- what goes out ------------------------------------------------------------ */

static nghttp2_nv
pair(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
		strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* The trailers behind the last byte. */
static int
submit_trailers(struct h2_stream *s)
{
	nghttp2_nv fields[H2_TRAILERS_MAX];
	const char *at = s->trailers;
	int rc;

	if (at == NULL) /* no memory for them: the stream breaks, which is an error, as it should be */
		return -1;
	for (size_t i = 0; i < s->ntrailers; i++) {
		const char *value = at + strlen(at) + 1;

		fields[i] = pair(at, value);
		at = value + strlen(value) + 1;
	}
	rc = nghttp2_submit_trailer(s->h2->session, s->id, fields, s->ntrailers);
	free(take_ptr(s->trailers));
	return rc;
}

static size_t
copy_queue(struct h2_stream *s, uint8_t *out, size_t room)
{
	size_t n = 0;

	while (n < room && s->first != NULL) {
		struct h2_piece *p = s->first;
		size_t part = p->len - p->sent < room - n ? p->len - p->sent : room - n;

		memcpy(out + n, p->data + p->sent, part);
		n += part;
		p->sent += part;
		if (p->sent < p->len)
			break;
		s->first = p->next;
		if (s->first == NULL)
			s->last = &s->first;
		free(p);
	}
	s->queued -= n;
	return n;
}

static ssize_t
read_queue(nghttp2_session *session, int32_t id, uint8_t *out, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	size_t n = copy_queue(s, out, room);

	/* Whoever fills the queue may do so at once, or finish. */
	if (n > 0 && s->first == NULL && !s->finishing && s->call != NULL) {
		s->h2->ops->drained(s->call);
		n += copy_queue(s, out + n, room - n);
	}
	if (s->first == NULL && s->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (submit_trailers(s) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	} else if (n == 0) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)n;
}

/* The header, and from then on what the queue gives. */
static void
respond(struct h2_stream *s)
{
	const nghttp2_nv fields[] = {
		pair(":status", "200"),
		pair("content-type", "application/grpc"),
	};
	nghttp2_data_provider provider = { { .ptr = s }, read_queue };

	s->responded = true;
	if (nghttp2_submit_response(s->h2->session, s->id, fields, ARRAY_LEN(fields), &provider) != 0)
		nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
}

static void
resume(struct h2_stream *s)
{
	if (!s->responded)
		respond(s);
	else if (s->deferred)
		nghttp2_session_resume_data(s->h2->session, s->id);
	s->deferred = false;
	s->h2->ops->wake(s->h2->arg);
}

void
h2_send(struct h2_stream *s, struct h2_piece *p)
{
	*s->last = p;
	s->last = &p->next;
	s->queued += p->len;
	resume(s);
}

size_t
h2_queued(const struct h2_stream *s)
{
	return s->queued;
}

void
h2_consumed(struct h2_stream *s, size_t n)
{
	if (n > 0 && nghttp2_session_consume_stream(s->h2->session, s->id, n) == 0)
		s->h2->ops->wake(s->h2->arg);
}

/* With nothing before them: one header that is the trailers too. */
static void
finish_bare(struct h2_stream *s, const struct h2_field *f, size_t n)
{
	nghttp2_nv fields[2 + H2_TRAILERS_MAX] = {
		pair(":status", "200"),
		pair("content-type", "application/grpc"),
	};

	for (size_t i = 0; i < n; i++)
		fields[2 + i] = pair(f[i].name, f[i].value);
	s->responded = true;
	if (nghttp2_submit_response(s->h2->session, s->id, fields, 2 + n, NULL) != 0)
		nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
	s->h2->ops->wake(s->h2->arg);
}

static char *
put_string(char *at, const char *text)
{
	size_t n = strlen(text) + 1;

	memcpy(at, text, n);
	return at + n;
}

void
h2_finish(struct h2_stream *s, const struct h2_field *f, size_t n)
{
	size_t size = 0;
	char *at;

	s->finishing = true;
	if (!s->responded) {
		finish_bare(s, f, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		size += strlen(f[i].name) + strlen(f[i].value) + 2;
	at = s->trailers = malloc(size);
	s->ntrailers = at == NULL ? 0 : n;
	for (size_t i = 0; i < s->ntrailers; i++) {
		at = put_string(at, f[i].name);
		at = put_string(at, f[i].value);
	}
	resume(s);
}

void
h2_refuse(struct h2_stream *s, const char *status)
{
	const nghttp2_nv field = pair(":status", status);

	s->finishing = s->responded = true;
	nghttp2_submit_response(s->h2->session, s->id, &field, 1, NULL);
	s->h2->ops->wake(s->h2->arg);
}

void
h2_detach(struct h2_stream *s)
{
	s->call = NULL;
}

ssize_t
h2_pull(struct h2 *h, const uint8_t **out)
{
	ssize_t n = nghttp2_session_mem_send(h->session, out);

	return n < 0 ? -1 : n;
}

bool
h2_is_over(const struct h2 *h)
{
	return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

void
h2_goodbye(struct h2 *h)
{
	nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL, 0);
	h->ops->wake(h->arg);
}

/* ---- the connection ------------------------------------------------------------ */

static nghttp2_session_callbacks *
make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
	return c;
}

static nghttp2_option *
make_options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) != 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_stream_reset_rate_limit(o, RESETS_BURST, RESETS_PER_SECOND);
	return o;
}

static int
greet(nghttp2_session *session)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX },
	};
	int rc;

	rc = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
	if (rc != 0)
		return rc;
	return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

struct h2 *
h2_new(const struct h2_ops *ops, void *arg)
{
	struct h2 *h = calloc(1, sizeof(*h));
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *options = make_options();

	if (h != NULL && callbacks != NULL && options != NULL) {
		*h = (struct h2){ NULL, ops, arg, NULL };
		if (nghttp2_session_server_new2(&h->session, callbacks, h, options) == 0 &&
		    greet(h->session) != 0)
			nghttp2_session_del(take_ptr(h->session));
	}
	nghttp2_option_del(options);
	nghttp2_session_callbacks_del(callbacks);
	if (h != NULL && h->session == NULL)
		free(take_ptr(h));
	return h;
}

void
h2_free(struct h2 *h)
{
	while (h->streams != NULL)
		stream_closed(h->streams);
	nghttp2_session_del(h->session);
	free(h);
}
