/*
 * A call over libcurl: the request as it is given to an easy handle, and what
 * libcurl calls back while it is under way. A call owns its easy handle; the
 * connections belong to the engine (http_loop.c) and are used again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/http_impl.h"

#define CONNECT_TIMEOUT_S 30L
#define LOW_SPEED 64L /* bytes a second that count as nothing */
#define RECEIVE_BUFFER (256L * 1024)
#define SEND_BUFFER (256L * 1024)

/* ---- what libcurl calls while a call is under way ------------------------ */

/* Remembers why the sink wants no more. */
static int
sink_failed(struct http_call *c, int rc)
{
	if (c->rc == 0) {
		c->rc = rc;
		if (c->why.code == 0)
			err_set(&c->why, (enum err_code) - rc, "%s", err_text((enum err_code) - rc));
	}
	return -1;
}

int
http_tell_head(struct http_call *c)
{
	int rc;

	if (c->head_told)
		return 0;
	c->head_told = true;
	if (c->sink.head == NULL || (rc = c->sink.head(c->sink.arg, c, &c->why)) == 0)
		return 0;
	return sink_failed(c, rc);
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	c->header_bytes += size * n;
	if (c->header_bytes <= HTTP_HEADERS_MAX)
		return size * n;
	err_set(&c->why, E_LIMIT, "the answer's header is larger than %d KiB", HTTP_HEADERS_MAX / 1024);
	sink_failed(c, -E_LIMIT);
	return 0;
}

static size_t
on_data(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;
	int rc;

	if (http_tell_head(c) != 0)
		return 0;
	rc = c->sink.data != NULL ? c->sink.data(c->sink.arg, data, size * n, &c->why) : 0;
	if (rc < 0) {
		sink_failed(c, rc);
		return 0;
	}
	return size * n;
}

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;
	uint64_t left = c->body_size - c->body_at;
	size_t want = size * n;
	ssize_t got;

	if (want > left)
		want = (size_t)left;
	if (want == 0)
		return 0;
	if (c->body != NULL) {
		memcpy(out, c->body + c->body_at, want);
		c->body_at += want;
		return want;
	}
	do {
		got = pread(c->body_fd, out, want, (off_t)(c->body_offset + c->body_at));
	} while (got < 0 && errno == EINTR);
	if (got <= 0) {
		if (got < 0)
			err_sys(&c->why, "read what is to be sent");
		else
			err_set(&c->why, E_CORRUPT, "what is to be sent became shorter meanwhile");
		sink_failed(c, -c->why.code);
		return CURL_READFUNC_ABORT;
	}
	c->body_at += (uint64_t)got;
	return (size_t)got;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_call *c = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->body_size)
		return CURL_SEEKFUNC_FAIL;
	c->body_at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- a call ------------------------------------------------------------- */

int
http_call_new(struct http_call **out, struct http *h, const struct http_sink *sink, struct err *e)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_nomem(e);
	c->http = h;
	c->sink = *sink;
	c->body_fd = -1;
	*out = c;
	return 0;
}

void
http_later_remove(struct http_call *c)
{
	for (struct http_call **p = &c->http->later; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			c->next = NULL;
			c->not_before = 0;
			return;
		}
}

/* Takes it off the wire; its easy handle stays for its answers. */
void
http_detach(struct http_call *c)
{
	if (!c->running)
		return;
	curl_multi_remove_handle(c->http->multi, c->easy);
	c->running = false;
	c->http->active--;
}

static void
forget(struct http_call *c)
{
	sigset_t before;

	http_later_remove(c);
	http_signals_block(&before);
	http_detach(c);
	if (c->easy != NULL)
		curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	http_signals_restore(&before);
	c->easy = NULL;
	c->headers = NULL;
}

void
http_call_free(struct http_call *c)
{
	if (c == NULL)
		return;
	forget(c);
	free(c);
}

static int
set_headers(struct http_call *c, char *const *headers)
{
	static const char *const fixed[] = { "Expect:", "User-Agent: pot/0.1", NULL };

	for (int set = 0; set < 2; set++) {
		char *const *v = set == 0 ? (char *const *)fixed : headers;

		for (; v != NULL && *v != NULL; v++) {
			struct curl_slist *l = curl_slist_append(c->headers, *v);

			if (l == NULL)
				return -1;
			c->headers = l;
		}
	}
	return 0;
}

static void
set_body(struct http_call *c, const struct http_request *r)
{
	c->body = r->body;
	c->body_fd = r->body_fd;
	c->body_offset = r->body_offset;
	c->body_size = r->body_size;
	c->body_at = 0;
	if (strcmp(r->method, "HEAD") == 0) {
		curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
	} else if (strcmp(r->method, "GET") != 0) {
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
		curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_size);
		curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
		curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c);
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	}
}

static void
set_trust(struct http_call *c, const struct http_request *r)
{
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, r->insecure ? 0L : 1L);
	curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, r->insecure ? 0L : 2L);
	if (r->ca_file != NULL)
		curl_easy_setopt(c->easy, CURLOPT_CAINFO, r->ca_file);
}

static int
prepare(struct http_call *c, const struct http_request *r, struct err *e)
{
	c->easy = curl_easy_init();
	if (c->easy == NULL || set_headers(c, r->headers) < 0)
		return err_nomem(e);
	if (curl_easy_setopt(c->easy, CURLOPT_URL, r->url) != CURLE_OK)
		return err_nomem(e);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->curl_error);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME, (long)c->http->stall_s);
	set_trust(c, r);
	set_body(c, r);
	return 0;
}

int
http_attach(struct http_call *c, struct err *e)
{
	sigset_t before;
	CURLMcode rc;

	http_signals_block(&before);
	rc = curl_multi_add_handle(c->http->multi, c->easy);
	http_signals_restore(&before);
	if (rc != CURLM_OK)
		return err_set(e, E_SYS, "cannot start a transfer: %s", curl_multi_strerror(rc));
	c->running = true;
	c->http->active++;
	return 0;
}

int
http_start(struct http_call *c, const struct http_request *r, struct err *e)
{
	int rc;

	forget(c);
	c->header_bytes = 0;
	c->head_told = false;
	c->rc = 0;
	c->why = (struct err)ERR_INIT;
	c->curl_error[0] = '\0';
	if ((rc = prepare(c, r, e)) < 0)
		return rc;
	if (r->delay_ms <= 0)
		return http_attach(c, e);
	c->not_before = text_monotonic_ms() + r->delay_ms;
	c->next = c->http->later;
	c->http->later = c;
	return 0;
}

long
http_status(const struct http_call *c)
{
	long status = 0;

	if (c->easy != NULL)
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

const char *
http_header(const struct http_call *c, const char *name)
{
	struct curl_header *h;

	if (c->easy == NULL || curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	if (h->amount > 1 &&
	    curl_easy_header(c->easy, name, h->amount - 1, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

uint64_t
http_sent(const struct http_call *c)
{
	return c->body_at;
}
