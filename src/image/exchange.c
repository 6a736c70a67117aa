/*
 * One request to a registry until there is an answer that counts: the token
 * before it, redirects, a second try after a broken connection or "too many
 * requests".  The body of a good answer goes to the caller as it comes.
 */
#include <openssl/rand.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/client_impl.h"
#include "image/manifest.h"

#define HEADERS_MAX 32
#define COMPLAINT_MAX (64 * 1024)
#define PROGRESS_BYTES (64 * 1024) /* after so many more the attempts count from the beginning again */

int
exchange_init(
    struct exchange *x, struct client *c, const struct exchange_ops *ops, size_t answer_max, struct err *e)
{
	*x = (struct exchange){ .client = c, .ops = *ops, .body_fd = -1, .method = "GET", .what = "" };
	buf_init(&x->url, URL_MAX);
	buf_init(&x->target, URL_MAX);
	buf_init(&x->answer, answer_max);
	buf_init(&x->complaint, COMPLAINT_MAX);
	x->headers = (struct strv)STRV_INIT(HEADERS_MAX);
	x->sent = (struct strv)STRV_INIT(HEADERS_MAX + 2);
	return 0;
}

void
exchange_fini(struct exchange *x)
{
	if (x->client == NULL)
		return;
	token_unpark(x);
	http_call_free(take_ptr(x->call));
	buf_fini(&x->url);
	buf_fini(&x->target);
	buf_fini(&x->answer);
	buf_fini(&x->complaint);
	strv_fini(&x->headers);
	strv_fini(&x->sent);
	x->client = NULL;
}

void
exchange_url(struct exchange *x, const char *fmt, ...)
{
	va_list ap;

	buf_reset(&x->url);
	va_start(ap, fmt);
	buf_vfmt(&x->url, fmt, ap);
	va_end(ap);
}

void
exchange_header(struct exchange *x, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(AUTH_TOKEN_MAX + 64);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	strv_add(&x->headers, buf_cstr(&b));
	if (b.failed)
		x->headers.failed = true;
}

const char *
exchange_answer_header(const struct exchange *x, const char *name)
{
	return x->call != NULL ? http_header(x->call, name) : NULL;
}

int
exchange_location(const struct exchange *x, struct buf *url, struct err *e)
{
	const char *where = exchange_answer_header(x, "Location");

	if (where == NULL)
		return err_set(
		    e, E_INVAL, "registry %s: %s: the answer says no Location", x->client->host, x->what);
	return url_join(buf_cstr(&x->target), where, url, e);
}

/* ---- second tries ---------------------------------------------------------- */

/* Up to half of it more, so that many who were sent away do not come back together. */
static int64_t
jitter(int64_t ms)
{
	unsigned char r = 0;

	(void)RAND_bytes(&r, 1);
	return ms + ms * r / 512;
}

int64_t
client_retry_delay(const struct http_call *call, int rc, unsigned attempt)
{
	long status = http_status(call);
	const char *after = http_header(call, "Retry-After");
	int64_t ms = CLIENT_BACKOFF_MS;
	uint64_t s;

	if (attempt >= CLIENT_ATTEMPTS)
		return -1;
	if (rc < 0 && rc != -E_SYS && rc != -E_TIMEOUT)
		return -1;
	if (rc == 0 && status != 408 && status != 429 && status != 500 && status != 502 && status != 503 &&
	    status != 504)
		return -1;
	if (rc == 0 && after != NULL && text_uint(after, 0, UINT32_MAX, &s, "Retry-After", NULL) == 0)
		return s * 1000 > CLIENT_RETRY_AFTER_MAX_MS ? CLIENT_RETRY_AFTER_MAX_MS : (int64_t)s * 1000;
	for (unsigned i = 1; i < attempt && ms < CLIENT_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return jitter(ms);
}

/* ---- what an answer means ----------------------------------------------------- */

static void
auto_json(json_t **j)
{
	json_decref(*j);
}

/* "CODE: message" of {"errors": [...]}, else nothing. */
static void
complaint_text(struct exchange *x, char *out, size_t size)
{
	__attribute__((cleanup(auto_json))) json_t *j = NULL;
	const json_t *first;
	const char *code, *message;

	out[0] = '\0';
	if (img_json_parse(buf_cstr(&x->complaint), x->complaint.len, COMPLAINT_MAX, "the answer", &j, NULL) <
	    0)
		return;
	first = json_array_get(json_object_get(j, "errors"), 0);
	code = json_string_value(json_object_get(first, "code"));
	message = json_string_value(json_object_get(first, "message"));
	snprintf(out, size, "%.60s%s%.200s", code != NULL ? code : "",
	    code != NULL && message != NULL ? ": " : "", message != NULL ? message : "");
}

static int
status_error(struct exchange *x, struct err *e)
{
	static const struct {
		int status;
		enum err_code code;
		const char *text;
	} rows[] = {
		{ 401, E_PERM, "access denied" },
		{ 403, E_PERM, "access denied" },
		{ 404, E_NOENT, "not found" },
		{ 405, E_NOTSUP, "the registry does not allow it" },
		{ 408, E_TIMEOUT, "timed out" },
		{ 413, E_LIMIT, "too large for the registry" },
		{ 416, E_STATE, "the registry cannot go on from there" },
		{ 429, E_LIMIT, "too many requests" },
		{ 507, E_NOSPC, "the registry is full" },
	};
	char said[320];
	enum err_code code = x->status >= 500 ? E_SYS : E_INVAL;
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == x->status) {
			code = rows[i].code;
			text = rows[i].text;
		}
	complaint_text(x, said, sizeof(said));
	if (text != NULL)
		err_set(e, code, "registry %s: %s: %s%s%s%s", x->client->host, x->what, text,
		    said[0] != '\0' ? " (" : "", said, said[0] != '\0' ? ")" : "");
	else
		err_set(e, code, "registry %s: %s: HTTP status %d%s%s%s", x->client->host, x->what, x->status,
		    said[0] != '\0' ? " (" : "", said, said[0] != '\0' ? ")" : "");
	if (x->status == 401 || (x->status == 403 && x->client->user == NULL))
		err_hint(e, "try: pot login %s", x->client->host);
	return -e->code;
}

void
exchange_end(struct exchange *x, int rc, struct err *e)
{
	x->running = false;
	x->over = true;
	x->rc = rc;
	x->err = *e;
	if (x->ops.done != NULL)
		x->ops.done(x->ops.arg, x, rc, e);
}

static int
follow(struct exchange *x, struct err *e)
{
	AUTO_FINI(buf) struct buf next = BUF_INIT(URL_MAX);
	int rc;

	if (++x->redirects > CLIENT_REDIRECTS)
		return err_set(e, E_LIMIT, "registry %s: %s: more than %d redirects", x->client->host,
		    x->what, CLIENT_REDIRECTS);
	if ((rc = exchange_location(x, &next, e)) < 0)
		return rc;
	if (!url_is_https(buf_cstr(&next)) && !client_may_be_plain(x->client, buf_cstr(&next)))
		return err_set(
		    e, E_PERM, "registry %s: %s: redirect to plain http", x->client->host, x->what);
	buf_reset(&x->target);
	buf_str(&x->target, buf_cstr(&next));
	return buf_check(&x->target, "URL", e);
}

/* 1: sent again, 0: this answer is the one. */
static int
log_in(struct exchange *x, struct err *e)
{
	struct client *c = x->client;
	bool had = c->challenge.kind != AUTH_NONE;
	int rc;

	if (!url_same_origin(buf_cstr(&x->target), buf_cstr(&c->base)))
		return 0;
	if ((rc = client_challenged(c, x->call, e)) < 0)
		return rc;
	if (x->logins++ >= CLIENT_LOGINS)
		return 0;
	if (c->challenge.kind == AUTH_BASIC && (had || c->user == NULL))
		return 0; /* they are wrong, or there are none */
	if (c->challenge.kind == AUTH_BEARER && x->scope[0] == '\0' && !c->login)
		return 0; /* the greeting: a token without a scope proves a log-in, nothing else */
	token_drop(c, x->scope);
	return 1;
}

/* 1: goes on with another request, 0: over. */
static int
next_step(struct exchange *x, int rc, int64_t *delay, struct err *e)
{
	*delay = 0;
	if (rc == 0 && client_is_redirect(x->status)) {
		rc = follow(x, e);
		return rc < 0 ? rc : 1;
	}
	if (rc == 0 && x->status == 401) {
		rc = log_in(x, e);
		if (rc != 0)
			return rc;
	}
	if (x->moved >= PROGRESS_BYTES)
		x->attempts = 0;
	x->moved = 0;
	if (!x->once)
		*delay = client_retry_delay(x->call, rc, ++x->attempts);
	if (!x->once && *delay >= 0) {
		/* From the registry again: where a redirect led may have ended. */
		x->redirects = 0;
		buf_reset(&x->target);
		return 1;
	}
	return rc;
}

/* ---- the wire's side -------------------------------------------------------------- */

static bool
is_good(long status)
{
	return status >= 200 && status < 300;
}

static int
on_head(void *arg, struct http_call *call, struct err *e)
{
	struct exchange *x = arg;

	x->status = (int)http_status(call);
	buf_reset(&x->complaint);
	buf_reset(&x->answer);
	if (!is_good(x->status) || x->ops.head == NULL)
		return 0;
	return x->ops.head(x->ops.arg, x, e);
}

static int
on_data(void *arg, const void *data, size_t n, struct err *e)
{
	struct exchange *x = arg;
	int rc;

	if (!is_good(x->status)) {
		if (x->complaint.len + n <= COMPLAINT_MAX)
			buf_add(&x->complaint, data, n);
		return 0;
	}
	if (x->ops.data == NULL) {
		buf_add(&x->answer, data, n);
		return buf_check(&x->answer, x->what, e);
	}
	rc = x->ops.data(x->ops.arg, x, data, n, e);
	if (rc == 0)
		x->moved += n;
	return rc;
}

static void
on_done(void *arg, struct http_call *call, int rc, struct err *e)
{
	struct exchange *x = arg;
	int64_t delay;

	if (rc < 0) {
		x->status = 0;
		err_wrap(e, "registry %s: %s", x->client->host, x->what);
	}
	rc = next_step(x, rc, &delay, e);
	if (rc > 0) {
		exchange_send(x, delay);
		return;
	}
	if (rc == 0 && !is_good(x->status))
		rc = status_error(x, e);
	exchange_end(x, rc, e);
}

/* ---- sending ------------------------------------------------------------------------ */

static int
set_target(struct exchange *x, struct err *e)
{
	if (x->target.len > 0)
		return 0;
	if (buf_cstr(&x->url)[0] == '/')
		buf_str(&x->target, buf_cstr(&x->client->base));
	buf_str(&x->target, buf_cstr(&x->url));
	return buf_check(&x->target, "URL", e);
}

/* 1: waits for a token. */
static int
add_credentials(struct exchange *x, struct err *e)
{
	struct client *c = x->client;
	AUTO_FINI(buf) struct buf line = BUF_INIT(AUTH_TOKEN_MAX + 64);
	const char *token;
	int rc;

	if (!url_same_origin(buf_cstr(&x->target), buf_cstr(&c->base)))
		return 0;
	if (c->challenge.kind == AUTH_BASIC && c->user != NULL) {
		buf_str(&line, "Authorization: ");
		auth_basic(c->user, c->password, &line);
	} else if (c->challenge.kind == AUTH_BEARER && (x->scope[0] != '\0' || c->login)) {
		token = token_get(c, x->scope);
		if (token == NULL) {
			rc = token_await(c, x, e);
			return rc < 0 ? rc : 1;
		}
		buf_fmt(&line, "Authorization: Bearer %s", token);
	}
	if (line.len > 0)
		strv_add(&x->sent, buf_cstr(&line));
	return buf_check(&line, "credentials", e);
}

static int
try_send(struct exchange *x, int64_t delay_ms, struct err *e)
{
	struct http_request r = { .ca_file = x->client->ca_file, .delay_ms = delay_ms };
	int rc;

	if (x->ops.prepare != NULL) {
		strv_clear(&x->headers);
		if ((rc = x->ops.prepare(x->ops.arg, x, e)) < 0)
			return rc;
	}
	if ((rc = buf_check(&x->url, "URL", e)) < 0 || (rc = set_target(x, e)) < 0)
		return rc;
	strv_clear(&x->sent);
	strv_copy(&x->sent, &x->headers);
	rc = add_credentials(x, e);
	if (rc != 0)
		return rc;
	if ((rc = strv_check(&x->headers, "headers", e)) < 0 || (rc = strv_check(&x->sent, "headers", e)) < 0)
		return rc;
	r.insecure = x->client->insecure && client_is_own_host(x->client, buf_cstr(&x->target));
	r.method = x->method;
	r.url = buf_cstr(&x->target);
	r.headers = strv_argv(&x->sent);
	r.body = x->body;
	r.body_fd = x->body_fd;
	r.body_offset = x->body_offset;
	r.body_size = x->body_size;
	return http_start(x->call, &r, e);
}

void
exchange_send(struct exchange *x, int64_t delay_ms)
{
	struct err e = ERR_INIT;
	int rc = try_send(x, delay_ms, &e);

	if (rc < 0)
		exchange_end(x, rc, &e);
}

void
exchange_start(struct exchange *x)
{
	const struct http_sink sink = { on_head, on_data, on_done, x };
	struct err e = ERR_INIT;
	int rc;

	x->attempts = x->redirects = x->logins = 0;
	x->moved = 0;
	x->status = 0;
	x->over = false;
	x->running = true;
	buf_reset(&x->target);
	if (x->call == NULL && (rc = http_call_new(&x->call, x->client->http, &sink, &e)) < 0)
		exchange_end(x, rc, &e);
	else
		exchange_send(x, take(x->delay_ms, 0));
}

int64_t
exchange_retry_delay(const struct exchange *x, unsigned attempt)
{
	return x->call != NULL ? client_retry_delay(x->call, x->status == 0 ? x->rc : 0, attempt) : -1;
}

int
exchange_run(struct exchange *x, struct err *e)
{
	int rc;

	exchange_start(x);
	while (!x->over)
		if ((rc = http_step(x->client->http, NULL, 0, e)) < 0)
			return rc;
	if (x->rc < 0 && e != NULL)
		*e = x->err;
	return x->rc;
}
