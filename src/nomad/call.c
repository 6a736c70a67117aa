/*
 * gRPC over streams of HTTP/2: messages with their five bytes of prefix,
 * deadlines, statuses. A call is freed when whoever has it ends it; what is
 * queued then goes its way in h2.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "nomad/call.h"

#define PREFIX 5                           /* a flag, and the length as a big-endian number */
#define MESSAGE_MAX_OPEN ((size_t)1 << 20) /* of a stream of messages: the agent's have a few KiB */
#define ARENA_SPARE ((size_t)1 << 20)
#define STATUS_TEXT_MAX 4096

/* ---- life -------------------------------------------------------------------- */

static struct call *
call_new(struct nomad *n, struct h2_stream *stream, const struct method *method)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->nomad = n;
	c->stream = stream;
	c->method = method;
	buf_init(&c->in, (method->is_open ? MESSAGE_MAX_OPEN : MESSAGE_MAX) + PREFIX);
	arena_init(&c->arena, ARENA_SPARE);
	c->next = n->calls;
	c->link = &n->calls;
	if (c->next != NULL)
		c->next->link = &c->next;
	n->calls = c;
	return c;
}

static void
drop_input(struct call *c)
{
	c->nomad->buffered -= c->in.len;
	buf_fini(&c->in);
}

static void
call_free(struct call *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	if (c->nomad->current == c)
		c->nomad->current = NULL;
	if (c->stream != NULL)
		h2_detach(c->stream);
	loop_timer_free(c->deadline);
	drop_input(c);
	exec_free(c->exec);
	value_free(c->config);
	arena_fini(&c->arena);
	free(c);
}

void
call_give_up(struct call *c)
{
	void (*fn)(struct call *, void *) = take_ptr(c->on_cancel);

	if (c->stream != NULL)
		h2_detach(c->stream);
	c->stream = NULL;
	loop_timer_free(take_ptr(c->deadline));
	if (c->state == CALL_READING) {
		call_free(c);
		return;
	}
	if (c->is_cancelled)
		return;
	c->is_cancelled = true;
	if (fn != NULL)
		fn(c, c->cancel_arg);
}

void
call_closed(void *call)
{
	struct call *c = call;

	c->stream = NULL; /* it is not there to be detached */
	call_give_up(c);
}

void
call_drained(void *call)
{
	struct call *c = call;

	if (c->drained != NULL)
		c->drained(c);
}

/* ---- statuses ------------------------------------------------------------------ */

/* Of the trailer grpc-message: everything but printable ASCII as %XX. */
static void
percent_encode(const char *text, struct buf *b)
{
	AUTO_FINI(buf) struct buf plain = BUF_INIT(STATUS_TEXT_MAX);

	text_escape(text, strlen(text), &plain);
	for (const char *s = buf_cstr(&plain); *s != '\0'; s++) {
		if (*s >= 0x20 && *s <= 0x7e && *s != '%')
			buf_add(b, s, 1);
		else
			buf_fmt(b, "%%%02X", (unsigned char)*s);
	}
}

/* grpc-status-details-bin: the one thing that tells the agent to try again. */
static void
add_details(int status, const char *message, struct buf *b)
{
	AUTO_FINI(buf) struct buf plain = BUF_INIT(STATUS_TEXT_MAX);
	Pb__RecoverableError recoverable = PB__RECOVERABLE_ERROR__INIT;
	Pb__Any any = PB__ANY__INIT, *details[1] = { &any };
	Pb__Status s = PB__STATUS__INIT;
	uint8_t value[8], packed[STATUS_TEXT_MAX + 256];

	text_escape(message, strlen(message), &plain);
	recoverable.recoverable = true;
	any.type_url =
	    (char[]){ "type.googleapis.com/hashicorp.nomad.plugins.shared.structs.RecoverableError" };
	any.value.len = pb__recoverable_error__pack(&recoverable, value);
	any.value.data = value;
	s.code = status;
	s.message = (char *)(uintptr_t)buf_cstr(&plain);
	s.details = details;
	s.n_details = 1;
	if (pb__status__get_packed_size(&s) <= sizeof(packed))
		base64_encode(packed, pb__status__pack(&s, packed), b);
	/* gRPC would have it without the padding. */
	while (b->len > 0 && b->data[b->len - 1] == '=')
		b->data[--b->len] = '\0';
}

static void
finish(struct h2_stream *stream, int status, const char *message, bool recoverable)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(3 * STATUS_TEXT_MAX);
	AUTO_FINI(buf) struct buf details = BUF_INIT(3 * STATUS_TEXT_MAX);
	struct h2_field fields[H2_TRAILERS_MAX];
	char number[16];
	size_t n = 0;

	snprintf(number, sizeof(number), "%d", status);
	fields[n++] = (struct h2_field){ "grpc-status", number };
	percent_encode(message, &text);
	if (message[0] != '\0' && !text.failed)
		fields[n++] = (struct h2_field){ "grpc-message", buf_cstr(&text) };
	if (recoverable)
		add_details(status, message, &details);
	if (recoverable && !details.failed)
		fields[n++] = (struct h2_field){ "grpc-status-details-bin", buf_cstr(&details) };
	h2_finish(stream, fields, n);
}

static void
end_with(struct call *c, int status, const char *message, bool recoverable)
{
	if (c->stream != NULL)
		finish(c->stream, status, message, recoverable);
	call_free(c);
}

void
call_end(struct call *c, int status, const char *message)
{
	end_with(c, status, message, false);
}

/* Somebody who has it is told as if the agent had given it up. */
void
call_abort(struct call *c, int status, const char *message)
{
	if (c->state == CALL_READING) {
		call_end(c, status, message);
		return;
	}
	if (c->stream != NULL)
		finish(c->stream, status, message, false);
	call_give_up(c);
}

void
call_fail(struct call *c, const struct err *e, bool recoverable)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(STATUS_TEXT_MAX);
	int status = err_grpc_status((enum err_code)e->code);

	/* To the agent these two mean that the plugin itself is going away. */
	if (status == GRPC_CANCELLED || status == GRPC_UNAVAILABLE)
		status = GRPC_ABORTED;
	if (recoverable)
		status = GRPC_FAILED_PRECONDITION;
	buf_str(&text, e->msg);
	if (e->hint[0] != '\0')
		buf_fmt(&text, " (%s)", e->hint);
	end_with(c, status, buf_cstr(&text), recoverable);
}

/* ---- what goes out --------------------------------------------------------------- */

static struct h2_piece *
new_message(size_t n)
{
	struct h2_piece *p = h2_piece_new(PREFIX + n);

	if (p == NULL)
		return NULL;
	p->data[0] = 0; /* not compressed */
	for (int i = 0; i < 4; i++)
		p->data[1 + i] = (uint8_t)(n >> (24 - 8 * i));
	return p;
}

/* Whoever has the call is in the middle of it and not told: what it sends from now on goes nowhere. */
static void
break_off(struct call *c)
{
	finish(c->stream, GRPC_RESOURCE_EXHAUSTED, "the answer is larger than memory allows", false);
	h2_detach(take_ptr(c->stream));
}

void
call_push(struct call *c, const ProtobufCMessage *m)
{
	struct h2_piece *p = NULL;
	size_t n;

	if (c->stream == NULL)
		return;
	n = c->arena.failed ? 0 : protobuf_c_message_get_packed_size(m);
	if (!c->arena.failed && n <= 2 * MESSAGE_MAX)
		p = new_message(n);
	if (p == NULL) {
		break_off(c);
		return;
	}
	protobuf_c_message_pack(m, p->data + PREFIX);
	h2_send(c->stream, p);
}

void
call_push_packed(struct call *c, const void *bytes, size_t n)
{
	struct h2_piece *p;

	if (c->stream == NULL)
		return;
	p = new_message(n);
	if (p == NULL) {
		break_off(c);
		return;
	}
	if (n > 0)
		memcpy(p->data + PREFIX, bytes, n);
	h2_send(c->stream, p);
}

void
call_reply(struct call *c, const ProtobufCMessage *m)
{
	call_push(c, m);
	call_end(c, GRPC_OK, "");
}

size_t
call_queued(const struct call *c)
{
	return c->stream == NULL ? 0 : h2_queued(c->stream);
}

/* ---- what comes in ----------------------------------------------------------------- */

void
call_pause(struct call *c, bool pause)
{
	c->is_paused = pause;
	if (!pause && c->stream != NULL)
		h2_consumed(c->stream, take(c->unconsumed, 0));
}

/* 1: a message is there, *n bytes behind the prefix; 0: not yet; -1: the call has failed and is gone, or its owner told. */
static int
whole_message(struct call *c, size_t *n)
{
	const uint8_t *p = (const uint8_t *)c->in.data;
	size_t max = c->in.max - PREFIX;

	if (c->in.len < PREFIX)
		return 0;
	*n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] != 0) {
		call_abort(c, GRPC_UNIMPLEMENTED, "messages are to come without compression");
		return -1;
	}
	if (*n > max) {
		call_abort(c, GRPC_RESOURCE_EXHAUSTED, "the message is larger than this plugin takes");
		return -1;
	}
	return c->in.len >= PREFIX + *n;
}

/* NULL: the call has failed. The arena may grow to what an honest message of this size needs. */
static const void *
decode(struct call *c, size_t n)
{
	ProtobufCMessage *m;

	c->arena.max = c->arena.used + 4 * n + ARENA_SPARE;
	m = protobuf_c_message_unpack(
	    c->method->request, &c->arena.pb, n, (const uint8_t *)c->in.data + PREFIX);
	if (m != NULL)
		return m;
	if (c->arena.failed)
		call_abort(c, GRPC_RESOURCE_EXHAUSTED, "the message asks for too much memory");
	else
		call_abort(c, GRPC_INTERNAL, "the message cannot be decoded");
	return NULL;
}

static void
remove_message(struct call *c, size_t n)
{
	size_t left = c->in.len - PREFIX - n;

	memmove(c->in.data, c->in.data + PREFIX + n, left);
	c->in.len = left;
	c->nomad->buffered -= PREFIX + n;
}

/* Each message of the agent's stream; the call may be gone afterwards. */
static void
run_messages(struct call *c)
{
	struct nomad *nomad = c->nomad;
	size_t n;

	while (whole_message(c, &n) > 0) {
		const void *request;

		arena_fini(&c->arena);
		request = decode(c, n);
		if (request == NULL)
			return;
		remove_message(c, n);
		c->state = CALL_RUNNING;
		nomad->current = c;
		c->method->run(c, request);
		if (nomad->current != c) /* gone */
			return;
	}
}

void
call_data(void *call, const uint8_t *bytes, size_t n)
{
	struct call *c = call;

	if (c->is_paused)
		c->unconsumed += n;
	else
		h2_consumed(c->stream, n);
	if (c->state == CALL_RUNNING && !c->method->is_open) {
		call_abort(c, GRPC_UNIMPLEMENTED, "one message is to come, not more");
		return;
	}
	if (n > MESSAGES_MAX - c->nomad->buffered) {
		call_abort(c, GRPC_RESOURCE_EXHAUSTED, "too many long messages at once");
		return;
	}
	buf_add(&c->in, bytes, n);
	if (c->in.failed) {
		call_abort(c, GRPC_RESOURCE_EXHAUSTED, "the message is larger than this plugin takes");
		return;
	}
	c->nomad->buffered += n;
	if (c->method->is_open)
		run_messages(c);
	else
		(void)(whole_message(c, &n) < 0);
}

void
call_half_closed(void *call)
{
	struct call *c = call;
	const void *request;
	size_t n = 0;
	int have;

	if (c->method->is_open) {
		if (c->in.len > 0)
			call_abort(c, GRPC_INTERNAL, "the last message is cut off");
		else if (c->method->half_closed != NULL)
			c->method->half_closed(c);
		return;
	}
	if (c->state == CALL_RUNNING)
		return;
	have = whole_message(c, &n);
	if (have < 0)
		return;
	if (have == 0 || c->in.len != PREFIX + n) {
		call_abort(c, GRPC_UNIMPLEMENTED, "one whole message is to come");
		return;
	}
	request = decode(c, n);
	if (request == NULL)
		return;
	drop_input(c);
	c->state = CALL_RUNNING;
	c->method->run(c, request);
}

/* "100m": so many milliseconds, from the table in gRPC's HTTP/2 mapping; -1: none or not one. */
static int64_t
parse_timeout(const char *text)
{
	static const struct {
		char unit;
		int64_t ns;
	} units[] = { { 'H', 3600000000000 }, { 'M', 60000000000 }, { 'S', 1000000000 }, { 'm', 1000000 },
		{ 'u', 1000 }, { 'n', 1 } };
	int64_t n = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 8; i++)
		n = n * 10 + (text[i] - '0');
	for (size_t k = 0; i > 0 && k < ARRAY_LEN(units); k++) {
		if (text[i] == units[k].unit && text[i + 1] == '\0')
			return n > INT64_MAX / units[k].ns ? -1 : n * units[k].ns / 1000000 + 1;
	}
	return -1;
}

static void
too_late(void *arg)
{
	call_abort(arg, GRPC_DEADLINE_EXCEEDED, "the agent's deadline is over");
}

static bool
is_grpc(const char *content_type)
{
	static const char name[] = "application/grpc";
	size_t n = sizeof(name) - 1;

	return strncmp(content_type, name, n) == 0 &&
	    (content_type[n] == '\0' || content_type[n] == '+' || content_type[n] == ';');
}

void *
call_open(struct nomad *n, struct h2_stream *stream, const struct h2_request *r)
{
	const struct method *method = method_find(r->path);
	int64_t timeout = parse_timeout(r->timeout);
	struct call *c = NULL;

	if (strcmp(r->method, "POST") != 0) {
		h2_refuse(stream, "405");
	} else if (!is_grpc(r->content_type)) {
		h2_refuse(stream, "415");
	} else if (method == NULL) {
		finish(stream, GRPC_UNIMPLEMENTED, "this plugin has no such method", false);
	} else if (n->is_leaving) {
		finish(stream, GRPC_UNAVAILABLE, "the plugin is going away", false);
	} else {
		c = call_new(n, stream, method);
		if (c != NULL && timeout >= 0)
			c->deadline = loop_timer_new(n->loop, timeout, too_late, c);
	}
	return c;
}

/* ---- the driver's half of it ------------------------------------------------------- */

void
call_set_arg(struct call *c, void *arg)
{
	c->arg = arg;
}

void *
call_arg(const struct call *c)
{
	return c->arg;
}

void
call_on_cancel(struct call *c, void (*fn)(struct call *, void *arg), void *arg)
{
	c->on_cancel = fn;
	c->cancel_arg = arg;
}

bool
call_is_cancelled(const struct call *c)
{
	return c->is_cancelled;
}
