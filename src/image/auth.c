/* Challenges and tokens: text in, values out; nothing is asked or kept here. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "image/auth.h"
#include "image/manifest.h"

#define TOKEN_LASTS_MS 60000
#define TOKEN_LASTS_MAX_S 86400
#define TOKEN_ANSWER_MAX (128 * 1024)

/* ---- WWW-Authenticate --------------------------------------------------- */

static bool
is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* A token into out; how many bytes, 0 when there is none. */
static size_t
read_token(const char *s, char *out, size_t size)
{
	size_t n = 0;

	while (is_token_char(s[n]))
		n++;
	if (n >= size)
		return 0;
	memcpy(out, s, n);
	out[n] = '\0';
	return n;
}

/* A token or a quoted string into out; NULL when there is none or it is too long. */
static const char *
read_value(const char *s, char *out, size_t size)
{
	size_t n = 0;

	if (*s != '"') {
		n = read_token(s, out, size);
		return n > 0 ? s + n : NULL;
	}
	for (s++; *s != '"'; s++) {
		if (*s == '\\')
			s++;
		if (*s == '\0' || n + 1 >= size || (unsigned char)*s < 0x20)
			return NULL;
		out[n++] = *s;
	}
	out[n] = '\0';
	return s + 1;
}

/* False: the value is longer than any real one; cut off it would mean something else. */
static bool
keep(struct auth_challenge *c, const char *key, const char *value)
{
	const struct {
		const char *key;
		char *out;
		size_t size;
	} rows[] = {
		{ "realm", c->realm, sizeof(c->realm) },
		{ "service", c->service, sizeof(c->service) },
		{ "scope", c->scope, sizeof(c->scope) },
		{ "error", c->error, sizeof(c->error) },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(value);

		if (strcasecmp(key, rows[i].key) != 0)
			continue;
		if (n >= rows[i].size)
			return false;
		memcpy(rows[i].out, value, n + 1);
	}
	return true;
}

/* key=value pairs until the next challenge or the end; NULL when they cannot be read. */
static const char *
read_params(const char *s, struct auth_challenge *c)
{
	char key[64], value[AUTH_REALM_MAX];
	const char *p;
	size_t n;

	for (;;) {
		s += strspn(s, " \t,");
		n = read_token(s, key, sizeof(key));
		p = skip_blanks(s + n);
		if (n == 0 || *p != '=')
			return s; /* the end, or the name of the next scheme */
		s = read_value(skip_blanks(p + 1), value, sizeof(value));
		if (s == NULL || !keep(c, key, value))
			return NULL;
		s = skip_blanks(s);
		if (*s != ',' && *s != '\0')
			return NULL;
	}
}

int
auth_parse(const char *s, struct auth_challenge *out, struct err *e)
{
	struct auth_challenge c;
	char scheme[32];
	size_t n;

	*out = (struct auth_challenge){ AUTH_NONE };
	for (s += strspn(s, " \t,"); *s != '\0'; s += strspn(s, " \t,")) {
		c = (struct auth_challenge){ AUTH_NONE };
		n = read_token(s, scheme, sizeof(scheme));
		if (n == 0 || (s[n] != ' ' && s[n] != '\t' && s[n] != '\0' && s[n] != ','))
			return err_set(e, E_INVAL, "the registry asks for credentials in no known form");
		s = read_params(s + n, &c);
		if (s == NULL)
			return err_set(e, E_INVAL, "the registry asks for credentials in no known form");
		if (strcasecmp(scheme, "Bearer") == 0 && c.realm[0] != '\0')
			c.kind = AUTH_BEARER;
		else if (strcasecmp(scheme, "Basic") == 0)
			c.kind = AUTH_BASIC;
		if (c.kind > out->kind)
			*out = c;
	}
	if (out->kind == AUTH_NONE)
		return err_set(e, E_NOTSUP, "the registry asks for neither basic nor bearer credentials");
	return 0;
}

/* ---- realms -------------------------------------------------------------- */

static bool
is_address(const char *host)
{
	return host[0] == '[' || strspn(host, "0123456789.") == strlen(host);
}

bool
auth_realm_is_trusted(const char *registry, const char *realm, const char *known)
{
	char host[512];
	const char *parent;
	size_t n, m;

	snprintf(host, sizeof(host), "%s", registry);
	if (host[0] == '[') {
		char *end = strchr(host, ']');

		if (end != NULL)
			end[1] = '\0';
	} else {
		host[strcspn(host, ":")] = '\0';
	}
	if (strcasecmp(host, realm) == 0 || (known != NULL && strcasecmp(known, realm) == 0))
		return true;
	parent = strchr(host, '.');
	if (is_address(host) || is_address(realm) || parent == NULL || strchr(parent + 1, '.') == NULL)
		return false;
	if (strcasecmp(parent + 1, realm) == 0)
		return true;
	n = strlen(realm);
	m = strlen(parent);
	return n > m && strcasecmp(realm + n - m, parent) == 0;
}

/* ---- tokens --------------------------------------------------------------- */

static void
auto_json(json_t **j)
{
	json_decref(*j);
}

int
auth_parse_token(const char *text, size_t len, struct buf *token, int64_t *lasts_ms, struct err *e)
{
	__attribute__((cleanup(auto_json))) json_t *j = NULL;
	const json_t *value, *lasts;
	const char *s;
	int rc;

	if ((rc = img_json_parse(text, len, TOKEN_ANSWER_MAX, "the token", &j, e)) < 0)
		return rc;
	value = json_object_get(j, "token");
	if (value == NULL)
		value = json_object_get(j, "access_token");
	s = json_string_value(value);
	if (s == NULL || s[0] == '\0' || strlen(s) > AUTH_TOKEN_MAX)
		return err_set(e, E_INVAL, "the answer holds no token");
	for (const char *p = s; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, E_INVAL, "the answer's token has characters that none may have");
	lasts = json_object_get(j, "expires_in");
	*lasts_ms = TOKEN_LASTS_MS;
	if (json_is_integer(lasts) && json_integer_value(lasts) > 0 &&
	    json_integer_value(lasts) <= TOKEN_LASTS_MAX_S)
		*lasts_ms = (int64_t)json_integer_value(lasts) * 1000;
	buf_reset(token);
	buf_str(token, s);
	return buf_check(token, "token", e);
}

/* ---- basic ----------------------------------------------------------------- */

void
auth_basic(const char *user, const char *password, struct buf *out)
{
	AUTO_FINI(buf) struct buf plain = BUF_INIT(8192);

	buf_fmt(&plain, "%s:%s", user, password);
	buf_str(out, "Basic ");
	base64_encode(buf_cstr(&plain), plain.len, out);
	if (plain.failed)
		out->failed = true;
}
