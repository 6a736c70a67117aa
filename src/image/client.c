/*
 * The session with one registry: its address, and what it wants to see of
 * whom.  Exchanges are exchange.c's, tokens token.c's.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "image/client_impl.h"
#include "model/reference.h"

#define HELLO_ANSWER_MAX (64 * 1024)

/* Docker's hub answers under another name than the one in references. */
static const char *
host_on_the_wire(const char *host)
{
	return strcmp(host, "docker.io") == 0 ? "registry-1.docker.io" : host;
}

static char *
dup_or_null(const char *s, bool *failed)
{
	char *copy = s != NULL ? buf_dup(s, strlen(s)) : NULL;

	if (s != NULL && copy == NULL)
		*failed = true;
	return copy;
}

int
client_new(struct client **out, struct http *h, const struct client_params *p, struct err *e)
{
	AUTO(client) struct client *c = calloc(1, sizeof(*c));
	bool failed = false;

	if (c == NULL)
		return err_nomem(e);
	c->http = h;
	buf_init(&c->base, URL_MAX);
	c->host = dup_or_null(p->host, &failed);
	c->ca_file = dup_or_null(p->ca_file, &failed);
	c->user = dup_or_null(p->user, &failed);
	c->password = dup_or_null(p->password, &failed);
	c->realm = dup_or_null(p->realm, &failed);
	c->insecure = p->insecure;
	c->login = p->login;
	c->trust_realm = p->trust_realm;
	if (p->events != NULL)
		c->events = *p->events;
	if (failed)
		return err_nomem(e);
	*out = take_ptr(c);
	return 0;
}

static void
free_secret(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
client_free(struct client *c)
{
	tokens_free(c);
	buf_fini(&c->base);
	free_secret(c->password);
	free(c->user);
	free(c->realm);
	free(c->ca_file);
	free(c->host);
	free(c);
}

const char *
client_host(const struct client *c)
{
	return c->host;
}

const char *
client_realm_host(const struct client *c)
{
	return c->realm_host;
}

bool
client_asks(const struct client *c)
{
	return c->challenge.kind != AUTH_NONE;
}

struct http *
client_http(struct client *c)
{
	return c->http;
}

bool
client_is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool
client_is_own_host(const struct client *c, const char *url)
{
	char host[AUTH_WORD_MAX], own[AUTH_WORD_MAX];

	return url_host(url, host, sizeof(host), NULL) == 0 &&
	    url_host(buf_cstr(&c->base), own, sizeof(own), NULL) == 0 && strcmp(host, own) == 0;
}

bool
client_may_be_plain(const struct client *c, const char *url)
{
	char host[AUTH_WORD_MAX];

	if (url_is_https(buf_cstr(&c->base)) || url_host(url, host, sizeof(host), NULL) < 0)
		return false;
	return client_is_own_host(c, url) || (ref_host_is_loopback(c->host) && ref_host_is_loopback(host));
}

/*
 * A realm is asked over https; over plain HTTP only by a registry that is
 * itself spoken to so, and only on its own host or on this machine.
 */
static int
check_realm(struct client *c, const struct auth_challenge *ch, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	int rc;

	if ((rc = url_join(ch->realm, ch->realm, &url, e)) < 0 ||
	    (rc = url_host(ch->realm, c->realm_host, sizeof(c->realm_host), e)) < 0) {
		err_wrap(e, "registry %s: the realm that gives tokens", c->host);
		return rc;
	}
	if (url_is_https(ch->realm) || client_may_be_plain(c, ch->realm))
		return 0;
	err_set(
	    e, E_PERM, "registry %s sends to '%.200s' for tokens, which is not https", c->host, ch->realm);
	return err_hint(e, "nothing was sent there");
}

int
client_challenged(struct client *c, const struct http_call *call, struct err *e)
{
	const char *header = http_header(call, "WWW-Authenticate");
	struct auth_challenge ch;
	int rc;

	if (header == NULL)
		return err_set(e, E_PERM, "registry %s: refused without saying how to log in", c->host);
	if ((rc = auth_parse(header, &ch, e)) < 0) {
		err_wrap(e, "registry %s", c->host);
		return rc;
	}
	if (ch.kind == AUTH_BEARER && (rc = check_realm(c, &ch, e)) < 0)
		return rc;
	if (ch.kind == AUTH_BASIC)
		c->realm_host[0] = '\0';
	c->challenge = ch;
	return 0;
}

/* ---- hello ------------------------------------------------------------------- */

static int
ask(struct client *c, const char *scheme, bool guess, struct err *e)
{
	static const struct exchange_ops ops = { 0 };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	int rc;

	buf_reset(&c->base);
	buf_fmt(&c->base, "%s://%s", scheme, host_on_the_wire(c->host));
	if ((rc = buf_check(&c->base, "URL", e)) < 0 ||
	    (rc = exchange_init(&x, c, &ops, HELLO_ANSWER_MAX, e)) < 0)
		return rc;
	x.method = "GET";
	x.what = "its version";
	x.once = guess; /* a wrong scheme stays wrong */
	exchange_url(&x, "/v2/");
	rc = exchange_run(&x, e);
	/* Some answer 404 or 403 here and serve all the same; only "not HTTP" and "not me" count. */
	if (rc < 0 && (x.status == 401 || x.status == 403) && c->challenge.kind == AUTH_BEARER && !c->login)
		return 0;
	if (rc < 0 && (x.status == 404 || (x.status == 401 && c->user == NULL && !c->login)))
		return 0;
	if (rc < 0 && x.status == 400 && strcmp(scheme, "http") == 0)
		return err_set(e, E_NOTSUP, "%s", e->msg);
	return rc;
}

static bool
may_be_other_scheme(int rc)
{
	return rc == -E_NOTSUP || rc == -E_SYS || rc == -E_INVAL || rc == -E_TIMEOUT;
}

int
client_hello(struct client *c, struct err *e)
{
	bool loopback = ref_host_is_loopback(c->host);
	struct err first = ERR_INIT;
	int rc;

	if (!loopback && !c->insecure)
		return ask(c, "https", false, e);
	if (!loopback)
		event_warn(&c->events,
		    "registry %s is not verified: anybody on the way can be it (--insecure)", c->host);
	/*
	 * A TLS server answers plain text at once; a plain one may wait for the
	 * end of what it takes for a line. So on loopback plain comes first.
	 */
	rc = ask(c, loopback ? "http" : "https", true, e);
	if (!may_be_other_scheme(rc))
		return rc;
	first = *e;
	rc = ask(c, loopback ? "https" : "http", true, e);
	if (!may_be_other_scheme(rc))
		return rc;
	*e = first;
	return -e->code;
}
