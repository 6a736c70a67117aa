/* Inside client.c, exchange.c and token.c: what a session with a registry knows. */
#ifndef IMAGE_CLIENT_IMPL_H
#define IMAGE_CLIENT_IMPL_H

#include "image/client.h"

#define CLIENT_REDIRECTS 5
#define CLIENT_ATTEMPTS 6     /* without a byte of progress in between */
#define CLIENT_LOGINS 2       /* times that one exchange may be answered with 401 */
#define CLIENT_BACKOFF_MS 400 /* doubled with each attempt */
#define CLIENT_BACKOFF_MAX_MS 20000
#define CLIENT_RETRY_AFTER_MAX_MS 60000

struct token {
	char scope[CLIENT_SCOPE_MAX];
	struct client *client;
	struct http_call *call; /* not NULL: being fetched */
	struct buf value, answer;
	int64_t until_ms; /* monotonic */
	unsigned attempts;
	struct exchange *parked; /* wait for it */
	struct token *next;
};

struct client {
	struct http *http;
	char *host, *ca_file, *user, *password, *realm;
	bool insecure; /* as named by the caller */
	bool login, trust_realm;
	struct buf base; /* "https://HOST[:PORT]" */
	struct auth_challenge challenge;
	char realm_host[AUTH_WORD_MAX];
	struct token *tokens;
	struct pot_events events;
};

/* ---- token.c ---------------------------------------------------------------- */

/* The token of this scope that is at hand and lasts, or NULL. */
const char *token_get(struct client *, const char *scope);
/* Forgets it: the registry did not take it. */
void token_drop(struct client *, const char *scope);
/* The exchange is sent when there is one, or ends with why there is none. */
int token_await(struct client *, struct exchange *, struct err *) MUST_CHECK;
void token_unpark(struct exchange *); /* it waits no more */
void tokens_free(struct client *);

/* ---- exchange.c --------------------------------------------------------------- */

/* On the wire, with the credentials that there are. */
void exchange_send(struct exchange *, int64_t delay_ms);
void exchange_end(struct exchange *, int rc, struct err *);
/* How long to wait before the attempt'th try after this answer, or -1 when trying again is of no use. */
int64_t client_retry_delay(const struct http_call *, int rc, unsigned attempt);
/* Gives the challenge of an answer with 401 to the session. */
int client_challenged(struct client *, const struct http_call *, struct err *) MUST_CHECK;
/* Is this URL's host the registry itself? Only that one was named as insecure. */
bool client_is_own_host(const struct client *, const char *url);
/* May plain HTTP be spoken to it? To the registry that is so, and from it on this machine. */
bool client_may_be_plain(const struct client *, const char *url);
/* Is that a redirect which is followed? */
bool client_is_redirect(long status);

#endif
