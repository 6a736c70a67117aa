/*
 * One registry as a client sees it (OCI distribution-spec 1.1): where it
 * answers, how it wants to be asked, and exchanges with it that follow
 * redirects, fetch tokens and are tried again where that can help.
 *
 * Credentials go to the registry's own origin and to its realm, never after a
 * redirect to anybody else; plain HTTP only where the host is loopback or was
 * named as insecure.
 */
#ifndef IMAGE_CLIENT_H
#define IMAGE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "image/auth.h"
#include "image/http.h"

#define CLIENT_SCOPE_MAX 1100

struct client;

struct client_params {
	const char *host; /* "HOST[:PORT]" of a reference */
	bool insecure;    /* plain HTTP and certificates of anybody are taken */
	bool login;       /* client_hello proves the credentials */
	bool trust_realm; /* they may go to whatever realm the registry names over https */
	const char *ca_file;
	const char *user, *password;     /* or NULL */
	const char *realm;               /* host of the realm that login was told, or NULL */
	const struct pot_events *events; /* may be NULL */
};

/* All strings are copied. The engine is borrowed. */
int client_new(struct client **, struct http *, const struct client_params *, struct err *) MUST_CHECK;
void client_free(struct client *); /* every exchange must have ended or been freed */
DEFINE_AUTO(client, struct client *, NULL, client_free)

/* Asks GET /v2/: finds out scheme and kind of credentials. To be called first. */
int client_hello(struct client *, struct err *) MUST_CHECK;
const char *client_host(const struct client *);
/* The realm's host after client_hello, "" when there is none. */
const char *client_realm_host(const struct client *);
bool client_asks(const struct client *); /* for credentials, as far as it has told */
struct http *client_http(struct client *);

struct exchange;

struct exchange_ops {
	/* Before each time it is sent: set headers and body. May be NULL. */
	int (*prepare)(void *arg, struct exchange *, struct err *);
	/* The header of a good answer (2xx). May be NULL. */
	int (*head)(void *arg, struct exchange *, struct err *);
	/* The body of a good answer; NULL: collected in answer. */
	int (*data)(void *arg, struct exchange *, const void *, size_t, struct err *);
	/*
	 * It is over: rc 0 after a good answer, E_NOENT after 404, E_PERM after 401
	 * and 403 and so on. May free the exchange. NULL: exchange_run waits for it.
	 */
	void (*done)(void *arg, struct exchange *, int rc, struct err *);
	void *arg;
};

struct exchange {
	/* What the caller sets; headers and body again in prepare. */
	const char *method;
	const char *what;             /* for messages: "layer sha256:…"; borrowed */
	char scope[CLIENT_SCOPE_MAX]; /* of the token: "repository:web:pull", several by blanks */
	struct buf url;               /* below the registry: "/v2/…", or absolute */
	struct strv headers;
	const void *body; /* borrowed */
	int body_fd;
	uint64_t body_offset, body_size;
	bool once;        /* not to be sent again after a failure: the caller asks how far it got */
	int64_t delay_ms; /* before the first time; forgotten by it */

	/* The answer. */
	int status;
	struct buf answer; /* body; its maximum is the caller's to set before */

	/* Inside client.c. */
	struct client *client;
	struct exchange_ops ops;
	struct http_call *call;
	struct strv sent; /* headers as sent */
	struct buf target, complaint;
	unsigned attempts, redirects, logins;
	uint64_t moved; /* bytes of the answer since the last failure */
	bool running, over, parked;
	int rc;
	struct err err;
	struct exchange *next;
};

/* answer_max: of the body when there is no data callback. */
int exchange_init(struct exchange *, struct client *, const struct exchange_ops *, size_t answer_max,
    struct err *) MUST_CHECK;
/* Stops it when it is under way; done is not called. */
void exchange_fini(struct exchange *);
DEFINE_AUTO_FINI(exchange, struct exchange)

void exchange_url(struct exchange *, const char *fmt, ...) PRINTF(2, 3); /* forgets what was there */
void exchange_header(struct exchange *, const char *fmt, ...) PRINTF(2, 3);
/* Of the last answer, borrowed, or NULL. */
const char *exchange_answer_header(const struct exchange *, const char *name);
/* The Location of the answer as an absolute URL. */
int exchange_location(const struct exchange *, struct buf *url, struct err *) MUST_CHECK;

/* Failures come through done as well. May be called again after the end. */
void exchange_start(struct exchange *);
/* How long to wait before the attempt'th (from 1) try of something like it, -1: no use in trying. */
int64_t exchange_retry_delay(const struct exchange *, unsigned attempt);
/* Starts it and turns the engine until it is over. */
int exchange_run(struct exchange *, struct err *) MUST_CHECK;

#endif
