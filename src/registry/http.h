/*
 * The registry's HTTP server: a thin layer over libmicrohttpd, the only one
 * that includes its header, so that it can be changed.  Above it a request is
 * a struct req that goes through these calls, always in one thread at a time:
 *
 *   begin     the head is in: reply, wait for a job, or take the body
 *   sink      a part of the body
 *   finish    the body is in: reply or wait
 *   resumed   a job has ended (http_resume was called): reply, wait, go on
 *   done      the reply is sent, or the connection has died
 *
 * What libmicrohttpd lets through but RFC 9112 forbids (two lengths, a length
 * beside chunks, odd header names) is refused here before begin.
 */
#ifndef REGISTRY_HTTP_H
#define REGISTRY_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "registry/path.h"

#define HTTP_ADDR_LEN 46 /* an IPv6 address as text */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OTHER };

enum http_next {
	NEXT_REPLY, /* http_reply was called */
	NEXT_BODY,  /* from begin: sink gets the body, then finish is called */
	NEXT_WAIT,  /* http_suspend was called; resumed follows after http_resume */
};

struct http_server;
struct http_object; /* a reply's content and headers; counted, may be sent any number of times */
struct conn;
struct req;

struct req {
	struct http_server *server;
	void *app;
	enum http_method method;
	struct path path;
	struct query query;
	int path_error; /* code of path_parse, 0 fine; then path_message says why */
	char path_message[128];
	char addr[HTTP_ADDR_LEN];
	int64_t started;      /* monotonic, ns */
	uint64_t body_length; /* Content-Length, or HTTP_LENGTH_UNKNOWN when chunked */
	uint64_t body_received;
	/* Set by who handles it. A sink that refuses replies and returns -1: the rest is discarded. */
	int (*sink)(struct req *, const char *, size_t);
	enum http_next (*finish)(struct req *);
	enum http_next (*resumed)(struct req *);
	void *state; /* of the handler; state_free is called when the request is over */
	void (*state_free)(void *);
	void *access; /* of access.c, the same way */
	void (*access_free)(void *);
	char user[64]; /* for the log; "" nobody */
	/* The reply, for the log. */
	unsigned status;
	uint64_t reply_length;
	struct req_private *priv;
};

struct http_ops {
	enum http_next (*begin)(struct req *);
	void (*done)(struct req *, bool complete);
	void (*log)(void *app, const char *line); /* what libmicrohttpd complains about */
};

struct http_params {
	const char *listen; /* "ADDRESS:PORT", "[V6]:PORT"; port 0 takes any */
	unsigned threads;
	unsigned connections, connections_per_addr;
	unsigned idle_ms;     /* a connection without a complete request head */
	uint64_t min_rate;    /* bytes/s below which a transfer is cut */
	unsigned patience_ms; /* after this long */
	struct tls *tls;      /* NULL: plain */
	const struct http_ops *ops;
	void *app;
};

int http_start(const struct http_params *, struct http_server **, struct err *) MUST_CHECK;
/* No new connections; waits at most ms for the requests there are. */
void http_quiesce(struct http_server *, int ms);
/* Ends and frees. No request may be suspended any more: the jobs are ended before. */
void http_stop(struct http_server *);
unsigned http_port(const struct http_server *);
bool http_is_tls(const struct http_server *);
unsigned http_connections(const struct http_server *);

const char *http_header(const struct req *, const char *name); /* NULL when absent */
const char *http_method_name(enum http_method);

/* Objects. NULL for want of memory; all calls take NULL and http_reply(NULL) drops the connection. */
struct http_object *http_object_bytes(const void *, size_t, const char *type);
struct http_object *http_object_file(
    int fd, uint64_t offset, uint64_t length, const char *type); /* takes fd */
/*
 * The same for a whole file that nobody changes and that is sent often: a small one is mapped as long as the budget
 * of bytes allows, and leaves with its head in one call. Not for TLS: what a disk cannot read is an error in send(2),
 * but kills who reads it from the mapping.
 */
#define HTTP_MAPPED_MAX (UINT64_C(4) * 1024 * 1024)
struct http_object *http_object_mapped(int fd, uint64_t length, const char *type, _Atomic int64_t *budget);
void http_object_header(struct http_object *, const char *name, const char *fmt, ...) PRINTF(3, 4);
struct http_object *http_object_get(struct http_object *); /* one more owner */
void http_object_put(struct http_object *);
uint64_t http_object_size(const struct http_object *);

/* Takes one ownership of the object. Once per request. */
void http_reply(struct req *, unsigned status, struct http_object *);
/* The connection is closed after the reply. Before http_reply. */
void http_close_after(struct req *);

/* Called before the job that will call http_resume is handed out. */
void http_suspend(struct req *);
void http_resume(struct req *);

#endif
