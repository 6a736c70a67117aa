/* Inside http.c and http_loop.c: an engine, a call, and what one needs of the other. */
#ifndef IMAGE_HTTP_IMPL_H
#define IMAGE_HTTP_IMPL_H

#include <curl/curl.h>
#include <poll.h>
#include <signal.h>

#include "image/http.h"

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

/* ---- http_loop.c -------------------------------------------------------------- */

/*
 * libcurl starts threads that resolve names; a signal must not end there, and
 * nothing may interrupt between a look at the flag and the wait.
 */
void http_signals_block(sigset_t *before);
void http_signals_restore(const sigset_t *before);

/* ---- http.c --------------------------------------------------------------------- */

/* Puts it on the wire; takes it off, its easy handle stays for its answers. */
int http_attach(struct http_call *, struct err *) MUST_CHECK;
void http_detach(struct http_call *);
/* Out of the list of calls whose time has not come. */
void http_later_remove(struct http_call *);
/* The sink hears of the header, once. */
int http_tell_head(struct http_call *);

#endif
