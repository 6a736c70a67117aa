/* Inside the HTTP layer only: connections, and what a request keeps beside struct req. */
#ifndef REGISTRY_HTTP_IMPL_H
#define REGISTRY_HTTP_IMPL_H

#include <sys/types.h>
#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "registry/http.h"

/*
 * Bytes, also mapped ones, are one response of libmicrohttpd's for all who get them.  A file gets
 * one of its own each time, since libmicrohttpd holds a response's lock over
 * sendfile; what it is made from is kept instead.
 */
#define OBJECT_HEADERS 12
struct http_object {
	struct MHD_Response *response; /* NULL for a file */
	atomic_uint owners;
	uint64_t size, offset;
	bool file;
	int fd;
	struct {
		const char *name; /* a literal */
		char *value;
	} headers[OBJECT_HEADERS];
	size_t n_headers;
};

/* To be queued once and destroyed; NULL without memory or descriptors. */
struct MHD_Response *http_object_response(const struct http_object *);

/*
 * A connection, on the server's list from accept to close.  deadline: when the
 * reaper shuts it down (monotonic ms); moved on by what arrives.
 */
struct conn {
	struct conn *prev, *next;
	int fd;
	_Atomic int64_t deadline;
	char addr[HTTP_ADDR_LEN];
};

struct http_server {
	struct http_params params;
	struct MHD_Daemon *daemon;
	int listen_fd;
	unsigned port;
	atomic_uint requests; /* begun and not done */
	/* The reaper, http_reaper.c. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t reaper;
	bool stopping, reaping;
	struct conn *conns;
	unsigned n_conns;
	/* The acceptor, http_accept.c. */
	pthread_t acceptor;
	bool accepting;
	atomic_bool closing;
	int told[2];    /* wakes it */
	unsigned taken; /* under the lock, like full: it waits until one is closed */
	bool full;
};

int reaper_start(struct http_server *, struct err *) MUST_CHECK;
void reaper_stop(struct http_server *);
void reaper_add(struct http_server *, struct conn *);
void reaper_remove(struct http_server *, struct conn *);
/* Begins to take connections; stop may be called again. */
int accept_start(struct http_server *, struct err *) MUST_CHECK;
void accept_stop(struct http_server *);
void accept_closed(struct http_server *);
/* The state of a connection for the reaper. */
void conn_idle(const struct http_server *, struct conn *);
void conn_receiving(const struct http_server *, struct conn *, const struct req *);
void conn_working(struct conn *);
void conn_sending(const struct http_server *, struct conn *, uint64_t length);

#endif
