/*
 * The wire: any number of HTTP exchanges at a time, over libcurl, in the
 * thread of the caller.  One call is one request and its answer; redirects,
 * credentials and second attempts are the business of client.c.  Nothing that
 * comes is believed: headers, bodies and the time without a byte are bounded,
 * names and certificates of TLS are always checked unless the call says that
 * its peer was named as insecure.
 */
#ifndef IMAGE_HTTP_H
#define IMAGE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define HTTP_HEADERS_MAX (64 * 1024) /* of one answer, all lines together */
#define HTTP_STALL_DEFAULT 60        /* seconds in which next to nothing came */

struct http;

struct http_params {
	unsigned stall_s;            /* 0: HTTP_STALL_DEFAULT */
	const volatile bool *cancel; /* may be NULL */
};

int http_new(struct http **, const struct http_params *, struct err *) MUST_CHECK;
void http_free(struct http *); /* every call must have ended or been stopped */
DEFINE_AUTO(http, struct http *, NULL, http_free)

struct http_call;

struct http_sink {
	/* The header is complete: http_status and http_header tell what it says. */
	int (*head)(void *arg, struct http_call *, struct err *);
	/* Bytes of the body. */
	int (*data)(void *arg, const void *, size_t, struct err *);
	/* It has ended; rc 0, or why not. The call may be started again or freed in here. */
	void (*done)(void *arg, struct http_call *, int rc, struct err *);
	void *arg;
};

struct http_request {
	const char *method;
	const char *url;
	char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
	const void *body;     /* or NULL; borrowed until the call has ended */
	int body_fd;          /* without body: a file to send from body_offset on, -1 none; borrowed */
	uint64_t body_offset, body_size;
	bool insecure;       /* neither the name nor the certificate is checked */
	const char *ca_file; /* NULL: those that the system trusts */
	int64_t delay_ms;    /* not before so long from now */
};

int http_call_new(struct http_call **, struct http *, const struct http_sink *, struct err *) MUST_CHECK;
void http_call_free(struct http_call *); /* stops it when it is under way, without a call of done */
/* May be called again after the end. What the request points to is copied, but the body. */
int http_start(struct http_call *, const struct http_request *, struct err *) MUST_CHECK;

long http_status(const struct http_call *);                          /* 0: none came */
const char *http_header(const struct http_call *, const char *name); /* the last one, or NULL; borrowed */
uint64_t http_sent(const struct http_call *); /* bytes of the body that have gone out */

/*
 * Waits for the next event and deals with it. more (may be null) is one more
 * descriptor to wait for, revents filled. E_INTR when cancelled.
 */
struct pollfd;
int http_step(struct http *, struct pollfd *more, unsigned nmore, struct err *) MUST_CHECK;
bool http_is_busy(const struct http *); /* is any call under way or waiting for its time? */

/* ---- URLs ------------------------------------------------------------- */

#define URL_MAX 8192

/* base resolved with what a Location says; E_INVAL for anything but http and https, and for user names. */
int url_join(const char *base, const char *location, struct buf *out, struct err *) MUST_CHECK;
/* Same scheme, host and port? Credentials never leave it. */
bool url_same_origin(const char *, const char *);
bool url_is_https(const char *);
/* "HOST" (brackets included), without the port. */
int url_host(const char *, char *out, size_t size, struct err *) MUST_CHECK;
/* Appends "?key=value" or "&key=value", escaped. */
void url_query(struct buf *url, const char *key, const char *value);

#endif
