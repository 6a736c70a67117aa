/*
 * HTTP over libcurl's multi interface: its sockets and its timer stand in one
 * poll, which a signal ends at once (base/await.h).  A call owns its easy
 * handle; the connections belong to the engine and are used again.
 */
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/await.h"
#include "base/text.h"
#include "image/http.h"

#define CONNECTIONS_MAX 8 /* to one host; more calls wait for a free one */
#define CONNECT_TIMEOUT_S 30L
#define LOW_SPEED 64L /* bytes a second that count as nothing */
#define RECEIVE_BUFFER (256L * 1024)
#define SEND_BUFFER (256L * 1024)
#define WAIT_MAX_MS 60000

struct http {
	CURLM *multi;
	struct pollfd *fds; /* libcurl's sockets */
	size_t nfds, cap;
	int64_t timer_at; /* libcurl wants to be called then, -1 never */
	size_t active;
	struct http_call *later; /* calls whose time has not come */
	unsigned stall_s;
	const volatile bool *cancel;
};

struct http_call {
	struct http *http;
	struct http_sink sink;
	CURL *easy; /* of the exchange under way or of the last one */
	struct curl_slist *headers;
	const char *body;
	int body_fd;
	uint64_t body_offset, body_size, body_at;
	size_t header_bytes;
	bool running, head_told;
	int64_t not_before; /* in the list of later ones */
	struct http_call *next;
	int rc; /* of a callback of the sink */
	struct err why;
	char curl_error[CURL_ERROR_SIZE];
};

/*
 * libcurl starts threads that resolve names; a signal must not end there, and
 * nothing may interrupt between a look at the flag and the wait.
 */
static void
signals_block(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
signals_restore(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- libcurl's sockets and timer ---------------------------------------- */

static struct pollfd *
find_fd(struct http *h, curl_socket_t fd)
{
	for (size_t i = 0; i < h->nfds; i++)
		if (h->fds[i].fd == fd)
			return &h->fds[i];
	return NULL;
}

static struct pollfd *
add_fd(struct http *h, curl_socket_t fd)
{
	if (h->nfds == h->cap) {
		size_t cap = h->cap == 0 ? 16 : h->cap * 2;
		struct pollfd *v = realloc(h->fds, cap * sizeof(*v));

		if (v == NULL)
			return NULL;
		h->fds = v;
		h->cap = cap;
	}
	h->fds[h->nfds] = (struct pollfd){ .fd = fd };
	return &h->fds[h->nfds++];
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *ignored)
{
	struct http *h = arg;
	struct pollfd *p = find_fd(h, fd);

	if (what == CURL_POLL_REMOVE) {
		if (p != NULL)
			*p = h->fds[--h->nfds];
		return 0;
	}
	if (p == NULL && (p = add_fd(h, fd)) == NULL)
		return -1;
	p->events =
	    (short)(((what & CURL_POLL_IN) != 0 ? POLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0));
	return 0;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	h->timer_at = ms < 0 ? -1 : text_monotonic_ms() + ms;
	return 0;
}

int
http_new(struct http **out, const struct http_params *p, struct err *e)
{
	AUTO(http) struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return err_nomem(e);
	h->timer_at = -1;
	h->stall_s = p->stall_s != 0 ? p->stall_s : HTTP_STALL_DEFAULT;
	h->cancel = p->cancel;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, E_SYS, "cannot prepare libcurl");
	h->multi = curl_multi_init();
	if (h->multi == NULL)
		return err_nomem(e);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_MAX);
	*out = take_ptr(h);
	return 0;
}

void
http_free(struct http *h)
{
	if (h->multi != NULL) {
		curl_multi_cleanup(h->multi);
		curl_global_cleanup();
	}
	free(h->fds);
	free(h);
}

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

static int
tell_head(struct http_call *c)
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

	if (tell_head(c) != 0)
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

static void
later_remove(struct http_call *c)
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
static void
detach(struct http_call *c)
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

	later_remove(c);
	signals_block(&before);
	detach(c);
	if (c->easy != NULL)
		curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	signals_restore(&before);
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

static int
attach(struct http_call *c, struct err *e)
{
	sigset_t before;
	CURLMcode rc;

	signals_block(&before);
	rc = curl_multi_add_handle(c->http->multi, c->easy);
	signals_restore(&before);
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
		return attach(c, e);
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

/* ---- the loop ----------------------------------------------------------- */

/* What libcurl says in our words; the code says whether trying again can help. */
static int
wire_error(struct http_call *c, CURLcode code, struct err *e)
{
	const char *why = c->curl_error[0] != '\0' ? c->curl_error : curl_easy_strerror(code);

	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, E_TIMEOUT, "%s", why);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		err_set(e, E_PERM, "the server's certificate is not trusted: %s", why);
		return err_hint(
		    e, "install the certificate of its authority, or name the registry with --insecure");
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, E_NOENT, "%s", why);
	case CURLE_SSL_CONNECT_ERROR:
		return err_set(e, E_NOTSUP, "no TLS: %s", why);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(e, E_INVAL, "%s", why);
	case CURLE_OUT_OF_MEMORY:
		return err_nomem(e);
	default:
		return err_set(e, E_SYS, "%s", why);
	}
}

static void
finish(struct http_call *c, CURLcode code)
{
	struct err e = ERR_INIT;
	int rc = 0;

	detach(c);
	if (c->rc == 0 && code == CURLE_OK)
		tell_head(c);
	if (c->rc != 0) {
		e = c->why;
		rc = c->rc;
	} else if (code != CURLE_OK) {
		rc = wire_error(c, code, &e);
	}
	c->sink.done(c->sink.arg, c, rc, &e);
}

static void
finish_all(struct http *h)
{
	struct http_call *c;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, code);
	}
}

/* Starts the calls whose time has come. */
static void
start_due(struct http *h)
{
	int64_t now = text_monotonic_ms();
	struct http_call *c, *next;
	struct err e = ERR_INIT;

	for (c = h->later; c != NULL; c = next) {
		next = c->next;
		if (c->not_before > now)
			continue;
		later_remove(c);
		if (attach(c, &e) < 0) {
			c->sink.done(c->sink.arg, c, -e.code, &e);
			next = h->later; /* the sink may have changed the list */
		}
	}
}

static int
time_left(const struct http *h)
{
	int64_t now = text_monotonic_ms(), at = now + WAIT_MAX_MS;

	if (h->timer_at >= 0 && h->timer_at < at)
		at = h->timer_at;
	for (const struct http_call *c = h->later; c != NULL; c = c->next)
		if (c->not_before < at)
			at = c->not_before;
	return at > now ? (int)(at - now) : 0;
}

static void
act(struct http *h, const struct pollfd *fds, size_t n)
{
	int running;

	for (size_t i = 0; i < n; i++) {
		int what = ((fds[i].revents & (POLLIN | POLLHUP)) != 0 ? CURL_CSELECT_IN : 0) |
		    ((fds[i].revents & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
		    ((fds[i].revents & (POLLERR | POLLNVAL)) != 0 ? CURL_CSELECT_ERR : 0);

		if (what != 0)
			curl_multi_socket_action(h->multi, fds[i].fd, what, &running);
	}
	if (h->timer_at >= 0 && h->timer_at <= text_monotonic_ms()) {
		h->timer_at = -1;
		curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
}

int
http_step(struct http *h, struct pollfd *more, unsigned nmore, struct err *e)
{
	AUTO_FREE struct pollfd *fds = NULL;
	size_t n = h->nfds;
	sigset_t before;
	int rc;

	fds = calloc(n + nmore + 1, sizeof(*fds));
	if (fds == NULL)
		return err_nomem(e);
	if (n > 0)
		memcpy(fds, h->fds, n * sizeof(*fds));
	if (nmore > 0)
		memcpy(fds + n, more, nmore * sizeof(*fds));
	rc = await_fds(fds, (unsigned)n + nmore, time_left(h), h->cancel, e);
	if (rc < 0)
		return rc;
	if (nmore > 0)
		memcpy(more, fds + n, nmore * sizeof(*fds));
	signals_block(&before);
	act(h, fds, n);
	signals_restore(&before);
	finish_all(h);
	start_due(h);
	return 0;
}

bool
http_is_busy(const struct http *h)
{
	return h->active > 0 || h->later != NULL;
}
