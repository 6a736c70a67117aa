/* Replies: errors as the distribution-spec wants them, JSON, parts of files. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "registry/range.h"
#include "registry/registry.h"

#define JSON "application/json"

int64_t
registry_now(void)
{
	return (int64_t)time(NULL);
}

/* Length of the UTF-8 character at s, 0 when there is none. */
static size_t
utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80            ? 1
	    : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
	    : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
	    : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
					  : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void
json_quote(struct buf *b, const char *text)
{
	buf_str(b, "\"");
	for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
		size_t n = utf8_length(s);

		if (n == 0) {
			buf_str(b, "\\ufffd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			buf_fmt(b, "\\%c", *s);
		} else if (*s < 0x20 || *s == 0x7f) {
			buf_fmt(b, "\\u%04x", *s);
		} else {
			buf_add(b, s, n);
		}
		s += n;
	}
	buf_str(b, "\"");
}

struct http_object *
reply_empty(void)
{
	return http_object_bytes(NULL, 0, NULL);
}

enum http_next
reply_object(struct req *r, unsigned status, struct http_object *o)
{
	http_reply(r, status, o);
	return NEXT_REPLY;
}

enum http_next
reply_json(struct req *r, unsigned status, const struct buf *b)
{
	if (b->failed)
		return reply_error(r, 500, "UNSUPPORTED", "the answer is too large");
	return reply_object(r, status, http_object_bytes(buf_cstr(b), b->len, JSON));
}

enum http_next
reply_error(struct req *r, unsigned status, const char *code, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(8192);
	struct http_object *o;
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_fmt(&b, "{\"errors\":[{\"code\":\"%s\",\"message\":", code);
	json_quote(&b, text);
	buf_str(&b, "}]}\n");
	o = http_object_bytes(buf_cstr(&b), b.len, JSON);
	if (status == 429 || status == 503)
		http_object_header(o, "Retry-After", "1");
	return reply_object(r, status, o);
}

enum http_next
reply_err(struct req *r, const char *unknown, const struct err *e)
{
	struct registry *g = r->app;

	switch (e->code) {
	case E_NOENT:
		return reply_error(r, 404, unknown, "%s", e->msg);
	case E_INVAL:
	case E_NOTSUP:
		return reply_error(r, 400, "UNSUPPORTED", "%s", e->msg);
	case E_LIMIT:
	case E_BUSY:
		atomic_fetch_add(&g->metrics.limited, 1);
		return reply_error(r, 429, "TOOMANYREQUESTS", "%s", e->msg);
	case E_PERM:
		return reply_error(r, 403, "DENIED", "%s", e->msg);
	case E_NOSPC:
		log_message(g->log, "%s", e->msg);
		return reply_error(r, 507, "DENIED", "the registry's disk is full");
	default:
		/* What exactly is the operator's to know. */
		log_message(g->log, "%s %s: %s", http_method_name(r->method), r->path.repo, e->msg);
		return reply_error(r, 500, "UNSUPPORTED", "the registry failed; its log says more");
	}
}

static void
file_headers(struct http_object *o, const char *etag, const char *digest)
{
	http_object_header(o, "Accept-Ranges", "bytes");
	http_object_header(o, "ETag", "%s", etag);
	if (digest != NULL)
		http_object_header(o, "Docker-Content-Digest", "%s", digest);
}

enum http_next
reply_range(struct req *r, int fd, uint64_t size, const char *type, const char *etag, const char *digest)
{
	uint64_t first = 0, length = size;
	const char *if_range = http_header(r, "If-Range");
	enum range_result part = range_parse(http_header(r, "Range"), size, &first, &length);
	struct http_object *o;

	if (if_range != NULL && strcmp(if_range, etag) != 0)
		part = RANGE_WHOLE;
	if (part == RANGE_UNSATISFIABLE) {
		fd_close(fd);
		o = reply_empty();
		http_object_header(o, "Content-Range", "bytes */%" PRIu64, size);
		return reply_object(r, 416, o);
	}
	if (part == RANGE_WHOLE) {
		first = 0;
		length = size;
	}
	o = http_object_file(fd, first, length, type);
	file_headers(o, etag, digest);
	if (part == RANGE_PART)
		http_object_header(o, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
		    first + length - 1, size);
	return reply_object(r, part == RANGE_PART ? 206 : 200, o);
}

void
req_change_done(struct change *ch)
{
	struct req_change *c = (struct req_change *)ch;

	if (ch->rc == 0)
		cache_forget(c->registry->cache, c->repo);
	http_resume(c->req);
}

void
req_change_submit(struct req *r, struct req_change *c)
{
	c->req = r;
	c->registry = r->app;
	snprintf(c->repo, sizeof(c->repo), "%s", r->path.repo);
	c->change.done = req_change_done;
	http_suspend(r);
	commit_submit(c->registry->committer, &c->change);
}
