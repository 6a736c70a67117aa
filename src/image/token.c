/*
 * Bearer tokens: fetched once per scope from the realm that the registry
 * names, kept in memory until they end.  Exchanges that need one wait in its
 * list.  A realm is never followed elsewhere, and gets the user's credentials
 * only where auth_realm_is_trusted says so.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/client_impl.h"

#define TOKEN_ANSWER_MAX (128 * 1024)
#define TOKEN_MARGIN_MS 5000 /* one that ends so soon counts as ended */

static int fetch(struct token *, int64_t delay_ms, struct err *) MUST_CHECK;

static struct token *
find(struct client *c, const char *scope)
{
	for (struct token *t = c->tokens; t != NULL; t = t->next)
		if (strcmp(t->scope, scope) == 0)
			return t;
	return NULL;
}

const char *
token_get(struct client *c, const char *scope)
{
	struct token *t = find(c, scope);

	if (t == NULL || t->call != NULL || t->value.len == 0 ||
	    t->until_ms - TOKEN_MARGIN_MS < text_monotonic_ms())
		return NULL;
	return buf_cstr(&t->value);
}

void
token_drop(struct client *c, const char *scope)
{
	struct token *t = find(c, scope);

	if (t != NULL && t->call == NULL)
		buf_reset(&t->value);
}

/* All who wait go on: with the token, or with why there is none. */
static void
release(struct token *t, int rc, const struct err *why)
{
	struct exchange *x;

	while ((x = t->parked) != NULL) {
		struct err e = *why;

		t->parked = x->next;
		x->next = NULL;
		x->parked = false;
		if (rc < 0)
			exchange_end(x, rc, &e);
		else
			exchange_send(x, 0);
	}
}

static int
take_answer(struct token *t, long status, struct err *e)
{
	int64_t lasts;
	int rc;

	if (status == 401 || status == 403) {
		err_set(e, E_PERM, "registry %s: %s refuses %s%s", t->client->host, t->client->realm_host,
		    t->client->user != NULL ? "the user " : "access without a log-in",
		    t->client->user != NULL ? t->client->user : "");
		return err_hint(e, "try: pot login %s", t->client->host);
	}
	if (status != 200)
		return err_set(e, E_SYS, "registry %s: no token from %s: HTTP status %ld", t->client->host,
		    t->client->realm_host, status);
	rc = auth_parse_token(buf_cstr(&t->answer), t->answer.len, &t->value, &lasts, e);
	if (rc < 0) {
		err_wrap(e, "registry %s: no token from %s", t->client->host, t->client->realm_host);
		return rc;
	}
	/* A token that lasts a moment only must still serve the request that asked for it. */
	t->until_ms = text_monotonic_ms() + lasts + TOKEN_MARGIN_MS;
	return 0;
}

static void
on_done(void *arg, struct http_call *call, int rc, struct err *e)
{
	struct token *t = arg;
	long status = http_status(call);
	int64_t delay = client_retry_delay(call, rc, ++t->attempts);

	if (delay >= 0 && (rc = fetch(t, delay, e)) == 0)
		return;
	if (rc == 0)
		rc = take_answer(t, status, e);
	else
		err_wrap(e, "registry %s: no token from %s", t->client->host, t->client->realm_host);
	buf_reset(&t->answer);
	http_call_free(take_ptr(t->call));
	release(t, rc, e);
}

static int
on_data(void *arg, const void *data, size_t n, struct err *e)
{
	struct token *t = arg;

	buf_add(&t->answer, data, n);
	return buf_check(&t->answer, "the token", e);
}

/* The realm with the service and each scope; the user's name where it may go there. */
static int
fetch(struct token *t, int64_t delay_ms, struct err *e)
{
	struct client *c = t->client;
	AUTO_FINI(buf)
	struct buf url = BUF_INIT(URL_MAX), header = BUF_INIT(16 * 1024), word = BUF_INIT(URL_MAX);
	AUTO_FINI(strv) struct strv headers = STRV_INIT(4);
	struct http_request r = { .method = "GET",
		.body_fd = -1,
		.insecure = c->insecure && client_is_own_host(c, c->challenge.realm),
		.ca_file = c->ca_file,
		.delay_ms = delay_ms };

	buf_str(&url, c->challenge.realm);
	if (c->challenge.service[0] != '\0')
		url_query(&url, "service", c->challenge.service);
	for (const char *s = t->scope; *s != '\0'; s += strspn(s, " ")) {
		size_t n = strcspn(s, " ");

		buf_reset(&word);
		buf_add(&word, s, n);
		url_query(&url, "scope", buf_cstr(&word));
		s += n;
	}
	if (c->user != NULL && (c->trust_realm || auth_realm_is_trusted(c->host, c->realm_host, c->realm))) {
		url_query(&url, "account", c->user);
		buf_str(&header, "Authorization: ");
		auth_basic(c->user, c->password, &header);
		strv_add(&headers, buf_cstr(&header));
	} else if (c->user != NULL) {
		event_warn(&c->events,
		    "registry %s: its realm %s is not trusted with your password; asking without "
		    "(log in again to trust it)",
		    c->host, c->realm_host);
	}
	if (buf_check(&url, "URL", e) < 0 || buf_check(&header, "credentials", e) < 0 ||
	    strv_check(&headers, "headers", e) < 0)
		return -e->code;
	buf_reset(&t->answer);
	r.url = buf_cstr(&url);
	r.headers = strv_argv(&headers);
	return http_start(t->call, &r, e);
}

static int
begin(struct token *t, struct err *e)
{
	const struct http_sink sink = { .data = on_data, .done = on_done, .arg = t };
	int rc;

	t->attempts = 0;
	if ((rc = http_call_new(&t->call, t->client->http, &sink, e)) < 0 || (rc = fetch(t, 0, e)) < 0) {
		http_call_free(take_ptr(t->call));
		return rc;
	}
	return 0;
}

static struct token *
make(struct client *c, const char *scope)
{
	struct token *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	snprintf(t->scope, sizeof(t->scope), "%s", scope);
	t->client = c;
	buf_init(&t->value, AUTH_TOKEN_MAX + 1);
	buf_init(&t->answer, TOKEN_ANSWER_MAX);
	t->next = c->tokens;
	c->tokens = t;
	return t;
}

int
token_await(struct client *c, struct exchange *x, struct err *e)
{
	struct token *t = find(c, x->scope);
	int rc;

	if (t == NULL && (t = make(c, x->scope)) == NULL)
		return err_nomem(e);
	if (t->call == NULL && (rc = begin(t, e)) < 0)
		return rc;
	x->parked = true;
	x->next = t->parked;
	t->parked = x;
	return 0;
}

void
token_unpark(struct exchange *x)
{
	struct token *t = find(x->client, x->scope);

	if (!x->parked || t == NULL)
		return;
	for (struct exchange **p = &t->parked; *p != NULL; p = &(*p)->next)
		if (*p == x) {
			*p = x->next;
			break;
		}
	x->next = NULL;
	x->parked = false;
}

void
tokens_free(struct client *c)
{
	struct token *t;

	while ((t = c->tokens) != NULL) {
		c->tokens = t->next;
		http_call_free(t->call);
		buf_fini(&t->value);
		buf_fini(&t->answer);
		free(t);
	}
}
