/*
 * One pipe with the pot's output: cut into lines for the log, passed on in
 * whole reads to the client.
 */
#include "shim/shim.h"

/* Writes the lines of the buffer and keeps what has no newline yet (< SHIM_LOG_LINE bytes). */
static void
stream_lines(struct stream *s, struct log *l)
{
	int64_t when = now_ns();
	size_t at = 0;

	while (at < s->len) {
		size_t left = s->len - at;
		size_t span = left < SHIM_LOG_LINE ? left : SHIM_LOG_LINE;
		const char *nl = memchr(s->buf + at, '\n', span);

		if (nl != NULL) {
			size_t n = (size_t)(nl - (s->buf + at));

			log_record(l, s->tag, false, when, s->buf + at, n);
			at += n + 1;
		} else if (span == SHIM_LOG_LINE) {
			log_record(l, s->tag, true, when, s->buf + at, span);
			at += span;
		} else {
			break;
		}
	}
	s->len -= at;
	if (at > 0 && s->len > 0)
		memmove(s->buf, s->buf + at, s->len);
	log_flush(l);
}

void
stream_partial(struct stream *s, struct log *l)
{
	if (s->len == 0)
		return;
	log_record(l, s->tag, true, now_ns(), s->buf, s->len);
	s->len = 0;
	log_flush(l);
}

/* Reads once, at most `max` bytes. Bytes read, 0 at the end, negative when there is nothing yet. */
static long
stream_take(struct stream *s, size_t max, struct log *l, struct client *c)
{
	size_t room = STREAM_BUF - s->len;
	long n;

	do
		n = sys_read(s->fd, s->buf + s->len, room < max ? room : max);
	while (n == -SYS_EINTR);
	if (sys_would_wait(n))
		return n;
	if (n <= 0) {
		stream_partial(s, l);
		sys_close(s->fd);
		s->fd = -1;
		return 0;
	}
	client_send(c, s->frame, s->buf + s->len, (size_t)n);
	s->len += (size_t)n;
	stream_lines(s, l);
	return n;
}

void
stream_read(struct stream *s, struct log *l, struct client *c)
{
	stream_take(s, STREAM_BUF, l, c);
}

/* At most `limit` bytes: who got hold of the pipe's other end could write for ever. */
void
stream_drain(struct stream *s, size_t limit, struct log *l, struct client *c)
{
	while (s->fd >= 0 && limit > 0) {
		long n = stream_take(s, limit, l, c);

		if (n <= 0)
			break;
		limit -= (size_t)n;
	}
	if (s->fd >= 0)
		stream_partial(s, l);
}
