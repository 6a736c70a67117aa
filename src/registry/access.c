/*
 * Who asks, and may they?  Basic passwords are checked by a worker, as that
 * takes a tenth of a second, and remembered for a few minutes under a keyed
 * hash; bearer tokens are checked at once.  Rights come from the auth file of
 * this moment, also those of a token given out before it changed.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "registry/login.h"
#include "registry/registry.h"

struct access {
	enum { WHO_NOBODY, WHO_USER, WHO_TOKEN } who;
	struct token token; /* its user also for WHO_USER */
	char password[LOGIN_PASSWORD_MAX + 1];
	bool checked, refused;
	unsigned right;
	enum http_next (*next)(struct req *);
};

struct password_job {
	struct job job;
	struct req *req;
	struct access *access;
};

static void
access_free(void *p)
{
	if (p != NULL)
		explicit_bzero(p, sizeof(struct access));
	free(p);
}

int
registry_load_auth(struct registry *g, struct err *e)
{
	struct auth *fresh = NULL, *old;
	int rc = 0;

	if (g->options->auth[0] != '\0')
		rc = auth_load(g->options->auth, &fresh, e);
	if (rc < 0)
		return rc;
	pthread_rwlock_wrlock(&g->auth_lock);
	old = g->auth;
	g->auth = fresh;
	pthread_rwlock_unlock(&g->auth_lock);
	logins_forget(g->logins);
	auth_free(old);
	return 0;
}

static unsigned
rights_of(struct registry *g, const struct access *a, const char *repo)
{
	unsigned rights;

	pthread_rwlock_rdlock(&g->auth_lock);
	if (g->auth == NULL)
		rights = RIGHT_ALL;
	else
		rights = auth_rights(
		    g->auth, a->who == WHO_NOBODY || a->token.user[0] == '\0' ? NULL : a->token.user, repo);
	pthread_rwlock_unlock(&g->auth_lock);
	if (a->who == WHO_TOKEN && g->options->auth[0] != '\0')
		rights &= token_rights(&a->token, repo);
	return rights;
}

bool
access_allows(const struct req *r, const char *repo, unsigned right)
{
	static const struct access nobody = { .who = WHO_NOBODY };
	const struct access *a = r->access == NULL ? &nobody : r->access;

	return (rights_of(r->app, a, repo) & right) == right;
}

/* Where this registry is, for links: as told, or as the client spoke to it. False when its Host is no host. */
static bool
own_url(const struct req *r, struct buf *out, bool with_scheme)
{
	const struct registry *g = r->app;
	const char *host = http_header(r, "Host"), *url = g->options->public_url;

	if (url[0] != '\0') {
		const char *slashes = with_scheme ? NULL : strstr(url, "://");

		buf_str(out, slashes == NULL ? url : slashes + 3);
		return true;
	}
	if (host == NULL || host[0] == '\0' ||
	    strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") !=
		strlen(host) ||
	    strlen(host) > 300)
		return false;
	buf_fmt(out, "%s%s", !with_scheme ? "" : http_is_tls(r->server) ? "https://" : "http://", host);
	return true;
}

static void
scope_text(const struct req *r, unsigned right, struct buf *out)
{
	const char *from = query_get(&r->query, "from");

	if (!r->path.repo_valid)
		return;
	buf_fmt(out, ",scope=\"repository:%s:%s", r->path.repo,
	    right == RIGHT_DELETE     ? "delete"
		: right == RIGHT_PUSH ? "pull,push"
				      : "pull");
	/* What a mount needs beside it. */
	if (r->path.kind == PATH_UPLOADS && query_get(&r->query, "mount") != NULL && from != NULL &&
	    repo_name_is_valid(from))
		buf_fmt(out, " repository:%s:pull", from);
	buf_str(out, "\"");
}

/* 401 with where to get a token; 403 for who has shown one or a password and still may not. */
static enum http_next
challenge(struct req *r, unsigned right, const char *why)
{
	AUTO_FINI(buf)
	struct buf url = BUF_INIT(1024), service = BUF_INIT(1024), scope = BUF_INIT(1024),
		   body = BUF_INIT(2048);
	struct http_object *o;

	buf_str(&body, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":");
	json_quote(&body, why);
	buf_str(&body, "}]}\n");
	o = http_object_bytes(buf_cstr(&body), body.len, "application/json");
	scope_text(r, right, &scope);
	if (r->path.kind != PATH_TOKEN && own_url(r, &url, true) && own_url(r, &service, false))
		http_object_header(o, "WWW-Authenticate", "Bearer realm=\"%s/token\",service=\"%s\"%s",
		    buf_cstr(&url), buf_cstr(&service), buf_cstr(&scope));
	else
		http_object_header(o, "WWW-Authenticate", "Basic realm=\"pot-registry\"");
	http_object_header(o, "Docker-Distribution-Api-Version", "registry/2.0");
	return reply_object(r, 401, o);
}

enum http_next
access_refuse(struct req *r, unsigned right)
{
	const struct access *of = r->access;
	struct access as_user = { .who = of->token.user[0] == '\0' ? WHO_NOBODY : WHO_USER,
		.token = of->token };
	const struct access *a = &as_user;

	/* When the rules would allow it, a token just lacks the scope: the client gets another one and comes again. */
	if (a->who == WHO_USER && (rights_of(r->app, a, r->path.repo) & right) != right)
		return reply_error(
		    r, 403, "DENIED", "user %s may not do this with %s", a->token.user, r->path.repo);
	return challenge(r, right, "authentication is required");
}

bool
access_lacks_scope(const struct req *r, const char *repo, unsigned right)
{
	const struct access *a = r->access;
	struct access as_user = { .who = WHO_USER };

	if (a == NULL || a->who != WHO_TOKEN || a->token.user[0] == '\0' || access_allows(r, repo, right))
		return false;
	as_user.token = a->token;
	return (rights_of(r->app, &as_user, repo) & right) == right;
}

static enum http_next
decide(struct req *r)
{
	struct registry *g = r->app;
	struct access *a = r->access;

	explicit_bzero(a->password, sizeof(a->password));
	if (a->refused)
		return challenge(r, a->right, "the name or the password is wrong");
	if (a->who != WHO_NOBODY)
		snprintf(r->user, sizeof(r->user), "%s", a->token.user);
	if (a->right == 0) { /* for everybody who has shown who they are */
		if (g->options->auth[0] != '\0' && a->who == WHO_NOBODY && r->path.kind == PATH_BASE)
			return challenge(r, 0, "authentication is required");
		return a->next(r);
	}
	if (r->path.repo_valid && !access_allows(r, r->path.repo, a->right))
		return access_refuse(r, a->right);
	return a->next(r);
}

static void
run_password_job(struct job *job)
{
	struct password_job *p = (struct password_job *)job;
	struct registry *g = p->req->app;
	struct access *a = p->access;

	a->refused = !logins_check(g->logins, g, a->token.user, a->password);
	if (a->refused)
		atomic_fetch_add(&g->metrics.logins_failed, 1);
	http_resume(p->req);
	free(p);
}

static enum http_next
check_password(struct req *r)
{
	struct registry *g = r->app;
	struct access *a = r->access;
	struct password_job *p;
	unsigned wait;

	if (logins_known(g->logins, a->token.user, a->password))
		return decide(r);
	if (!logins_may_try(g->logins, r->addr, &wait)) {
		atomic_fetch_add(&g->metrics.limited, 1);
		return reply_error(r, 429, "TOOMANYREQUESTS", "too many passwords from this address");
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	*p = (struct password_job){ .job = { .run = run_password_job }, .req = r, .access = a };
	r->resumed = decide;
	http_suspend(r);
	work_submit(g->workers, &p->job);
	return NEXT_WAIT;
}

/* "NAME:PASSWORD" in base64. */
static bool
read_basic(const char *text, struct access *a)
{
	unsigned char plain[512];
	size_t n = strlen(text);
	char *colon;
	int len;

	if (n == 0 || n % 4 != 0 || n > 600)
		return false;
	len = EVP_DecodeBlock(plain, (const unsigned char *)text, (int)n);
	if (len < 0)
		return false;
	len -= (text[n - 1] == '=') + (n > 1 && text[n - 2] == '=');
	plain[len] = '\0';
	colon = strchr((char *)plain, ':');
	if (colon == NULL || strlen((char *)plain) != (size_t)len || colon - (char *)plain > USER_MAX ||
	    strlen(colon + 1) > LOGIN_PASSWORD_MAX)
		return false;
	*colon = '\0';
	memcpy(a->token.user, plain, (size_t)(colon - (char *)plain) + 1);
	snprintf(a->password, sizeof(a->password), "%s", colon + 1);
	explicit_bzero(plain, sizeof(plain));
	return a->token.user[0] != '\0';
}

enum http_next
access_check(struct req *r, unsigned right, enum http_next (*next)(struct req *))
{
	struct registry *g = r->app;
	const char *header = http_header(r, "Authorization");
	struct access *a = calloc(1, sizeof(*a));
	struct err e = ERR_INIT;

	if (a == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	r->access = a;
	r->access_free = access_free;
	a->right = right;
	a->next = next;
	if (header == NULL || g->options->auth[0] == '\0')
		return decide(r);
	if (strncasecmp(header, "Basic ", 6) == 0) {
		a->who = WHO_USER;
		if (!read_basic(header + 6, a))
			return challenge(r, right, "the name or the password is wrong");
		return check_password(r);
	}
	if (strncasecmp(header, "Bearer ", 7) == 0) {
		a->who = WHO_TOKEN;
		if (token_parse(header + 7, g->token_key, registry_now(), &a->token, &e) < 0)
			return challenge(r, right, e.msg);
		return decide(r);
	}
	return challenge(r, right, "this kind of authentication is not known");
}

/* The token endpoint, once it is known who asks: scopes cut down to what they may. */
static enum http_next
give_token(struct req *r, const struct query *q)
{
	struct registry *g = r->app;
	struct access *a = r->access;
	AUTO_FINI(buf) struct buf text = BUF_INIT(TOKEN_MAX), body = BUF_INIT(2 * TOKEN_MAX);
	struct token t = { .expires = registry_now() + g->options->token_life / 1000 };
	struct err e = ERR_INIT;
	const char *scope;
	char issued[TEXT_TIME_LEN];
	size_t pos = 0, kept = 0;

	snprintf(t.user, sizeof(t.user), "%s", a->who == WHO_NOBODY ? "" : a->token.user);
	while ((scope = query_next(q, "scope", &pos)) != NULL) {
		for (const char *s = scope; *s != '\0'; s += strspn(s, " ")) {
			size_t n = strcspn(s, " ");

			token_add_scope(&t, s, n);
			s += n;
		}
	}
	for (size_t i = 0; i < t.n; i++) {
		t.scopes[i].rights &= rights_of(g, a, t.scopes[i].repo);
		if (t.scopes[i].rights != 0)
			t.scopes[kept++] = t.scopes[i];
	}
	t.n = kept;
	if (token_print(&t, g->token_key, &text, &e) < 0)
		return reply_err(r, "UNSUPPORTED", &e);
	text_time_print(text_now_ns(), false, issued);
	buf_fmt(&body,
	    "{\"token\":\"%s\",\"access_token\":\"%s\",\"expires_in\":%lld,\"issued_at\":\"%s\"}\n",
	    buf_cstr(&text), buf_cstr(&text), (long long)(g->options->token_life / 1000), issued);
	return reply_json(r, 200, &body);
}

enum http_next
token_handle(struct req *r)
{
	const struct access *a = r->access;

	if (a->who == WHO_TOKEN)
		return challenge(r, 0, "a token does not give another one");
	return give_token(r, &r->query);
}

/* ---- the same by POST: the form of OAuth 2 (RFC 6749, 4.3), as clients of registries send it ---- */

#define FORM_MAX 8192

struct form {
	struct buf text;
	struct query query;
};

static void
form_free(void *arg)
{
	struct form *f = arg;

	if (f->text.data != NULL)
		explicit_bzero(f->text.data, f->text.len);
	buf_fini(&f->text);
	/* The decoded strings are no longer than what they were made from. */
	if (f->query.text != NULL)
		explicit_bzero(f->query.text, f->text.len);
	query_fini(&f->query);
	free(f);
}

static enum http_next
form_error(struct req *r, const char *error, const char *why)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);

	buf_fmt(&b, "{\"error\":\"%s\",\"error_description\":", error);
	json_quote(&b, why);
	buf_str(&b, "}\n");
	return reply_json(r, 400, &b);
}

static int
form_sink(struct req *r, const char *data, size_t n)
{
	struct form *f = r->state;

	buf_add(&f->text, data, n);
	if (!f->text.failed)
		return 0;
	reply_error(r, 413, "SIZE_INVALID", "the form is too long");
	return -1;
}

static enum http_next
form_granted(struct req *r)
{
	const struct form *f = r->state;

	return give_token(r, &f->query);
}

static enum http_next
form_finish(struct req *r)
{
	const struct registry *g = r->app;
	struct access *a = r->access;
	struct form *f = r->state;
	const char *type, *user, *password;

	if (query_parse(&f->query, buf_cstr(&f->text), f->text.len, NULL) < 0)
		return form_error(r, "invalid_request", "the form cannot be read");
	type = query_get(&f->query, "grant_type");
	user = query_get(&f->query, "username");
	password = query_get(&f->query, "password");
	if (type == NULL || strcmp(type, "password") != 0)
		return form_error(r, "unsupported_grant_type", "only a password gives a token");
	if (user == NULL || password == NULL || user[0] == '\0' || strlen(user) > USER_MAX ||
	    strchr(user, ':') != NULL || strlen(password) > LOGIN_PASSWORD_MAX)
		return form_error(r, "invalid_request", "user name and password are missing or too long");
	a->next = form_granted;
	if (g->options->auth[0] == '\0')
		return form_granted(r);
	a->who = WHO_USER;
	snprintf(a->token.user, sizeof(a->token.user), "%s", user);
	snprintf(a->password, sizeof(a->password), "%s", password);
	return check_password(r);
}

enum http_next
token_post(struct req *r)
{
	const struct access *a = r->access;
	struct form *f;

	if (a->who == WHO_TOKEN)
		return challenge(r, 0, "a token does not give another one");
	if ((f = calloc(1, sizeof(*f))) == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	f->text = (struct buf)BUF_INIT(FORM_MAX);
	r->state = f;
	r->state_free = form_free;
	r->sink = form_sink;
	r->finish = form_finish;
	return NEXT_BODY;
}
