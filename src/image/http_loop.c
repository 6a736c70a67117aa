/*
 * The engine: libcurl's sockets and its timer stand in one poll, which a
 * signal ends at once (base/await.h).
 */
#include <pthread.h>
#include <string.h>

#include "base/await.h"
#include "base/text.h"
#include "image/http_impl.h"

#define CONNECTIONS_MAX 8 /* to one host; more calls wait for a free one */
#define WAIT_MAX_MS 60000

void
http_signals_block(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

void
http_signals_restore(const sigset_t *before)
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

	http_detach(c);
	if (c->rc == 0 && code == CURLE_OK)
		http_tell_head(c);
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
		http_later_remove(c);
		if (http_attach(c, &e) < 0) {
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
	http_signals_block(&before);
	act(h, fds, n);
	http_signals_restore(&before);
	finish_all(h);
	start_due(h);
	return 0;
}

bool
http_is_busy(const struct http *h)
{
	return h->active > 0 || h->later != NULL;
}
