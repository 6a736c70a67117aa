/*
 * Request targets.  A path is taken apart from its end, since a repository's
 * name may itself have components called "blobs" or "manifests".
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "registry/path.h"

static bool
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One component; returns what follows it, or NULL. */
static const char *
name_component(const char *s)
{
	for (;;) {
		if (!is_lower_alnum(*s))
			return NULL;
		while (is_lower_alnum(*s))
			s++;
		if (*s == '-') {
			while (*s == '-')
				s++;
		} else if (*s == '_') {
			s += s[1] == '_' ? 2 : 1;
		} else if (*s == '.') {
			s++;
		} else {
			return s;
		}
	}
}

bool
repo_name_is_valid(const char *s)
{
	if (strnlen(s, REPO_NAME_MAX + 1) > REPO_NAME_MAX)
		return false;
	for (;;) {
		s = name_component(s);
		if (s == NULL)
			return false;
		if (*s == '\0')
			return true;
		if (*s++ != '/')
			return false;
	}
}

bool
tag_is_valid(const char *s)
{
	size_t n = strnlen(s, TAG_MAX + 1);

	if (n == 0 || n > TAG_MAX || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_lower_alnum(s[i]) && !(s[i] >= 'A' && s[i] <= 'Z') && strchr("._-", s[i]) == NULL)
			return false;
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes text[len] into out (room for len + 1). False for a broken escape or a NUL. */
static bool
decode(const char *text, size_t len, bool plus_is_blank, char *out)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int hi, lo;

			if (len - i < 3)
				return false;
			hi = hex_digit(text[i + 1]);
			lo = hex_digit(text[i + 2]);
			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		*out++ = c;
	}
	*out = '\0';
	return true;
}

int
query_parse(struct query *q, const char *text, size_t len, struct err *e)
{
	char *out;

	memset(q, 0, sizeof(*q));
	q->text = out = malloc(len + 2);
	if (out == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < len && q->n < QUERY_MAX;) {
		const char *pair = text + i, *amp = memchr(pair, '&', len - i);
		size_t n = amp == NULL ? len - i : (size_t)(amp - pair);
		const char *eq = memchr(pair, '=', n);
		size_t key = eq == NULL ? n : (size_t)(eq - pair);
		struct query_param *p = &q->v[q->n];

		i += n + 1;
		if (n == 0)
			continue;
		/* Never longer than what it is made from: pair and its "&" or the end become two strings. */
		p->key = out;
		if (!decode(pair, key, true, out))
			goto broken;
		out += strlen(out) + 1;
		if (eq == NULL) {
			p->value = out - 1;
		} else {
			p->value = out;
			if (!decode(eq + 1, n - key - 1, true, out))
				goto broken;
			out += strlen(out) + 1;
		}
		q->n++;
	}
	return 0;
broken:
	query_fini(q);
	return err_set(e, E_INVAL, "query: its encoding is broken");
}

void
query_fini(struct query *q)
{
	free(q->text);
	memset(q, 0, sizeof(*q));
}

const char *
query_next(const struct query *q, const char *key, size_t *pos)
{
	while (*pos < q->n) {
		const struct query_param *p = &q->v[(*pos)++];

		if (strcmp(p->key, key) == 0)
			return p->value;
	}
	return NULL;
}

const char *
query_get(const struct query *q, const char *key)
{
	size_t pos = 0;

	return query_next(q, key, &pos);
}

static void
copy_cut(char *dst, size_t size, const char *src, size_t n)
{
	if (n > size - 1)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
}

/* The part of s that its last n slashes cut off ("a/b/c", 1: "c"), or NULL. */
static const char *
last_components(const char *s, size_t len, int n)
{
	for (size_t i = len; i > 0; i--) {
		if (s[i - 1] == '/' && --n == 0)
			return s + i;
	}
	return NULL;
}

/* What stands below /v2/: "NAME/blobs/DIGEST" and its like. */
static int
parse_v2(const char *s, struct path *p, struct err *e)
{
	static const struct {
		const char *text; /* between NAME/ and the last component */
		int slashes;
		enum path_kind kind;
	} tails[] = {
		{ "blobs/uploads/", 3, PATH_UPLOAD },
		{ "blobs/", 2, PATH_BLOB },
		{ "manifests/", 2, PATH_MANIFEST },
		{ "tags/", 2, PATH_TAGS },
		{ "referrers/", 2, PATH_REFERRERS },
	};
	size_t len = strlen(s);

	if (len == 0) {
		p->kind = PATH_BASE;
		return 0;
	}
	if (strcmp(s, "_catalog") == 0) {
		p->kind = PATH_CATALOG;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		const char *tail = last_components(s, len, tails[i].slashes);
		size_t n = strlen(tails[i].text), name;

		if (tail == NULL || strncmp(tail, tails[i].text, n) != 0)
			continue;
		name = (size_t)(tail - s) - 1;
		if (strlen(tail + n) > PATH_REST_MAX || name > 4 * REPO_NAME_MAX)
			return err_set(e, E_LIMIT, "the request's path is too long");
		p->kind = tails[i].kind;
		copy_cut(p->repo, sizeof(p->repo), s, name);
		p->repo_valid = name <= REPO_NAME_MAX && repo_name_is_valid(p->repo);
		copy_cut(p->rest, sizeof(p->rest), tail + n, strlen(tail + n));
		if (p->kind == PATH_UPLOAD && p->rest[0] == '\0')
			p->kind = PATH_UPLOADS;
		if (p->kind == PATH_BLOB && strcmp(p->rest, "uploads") == 0)
			p->kind = PATH_UPLOADS;
		if (p->kind == PATH_TAGS && strcmp(p->rest, "list") != 0)
			p->kind = PATH_NONE;
		return 0;
	}
	return 0;
}

static int
parse_decoded(const char *s, struct path *p, struct err *e)
{
	static const struct {
		const char *text;
		enum path_kind kind;
	} fixed[] = { { "/v2", PATH_BASE }, { "/token", PATH_TOKEN }, { "/api/v1/images", PATH_SEARCH },
		{ "/healthz", PATH_HEALTH }, { "/metrics", PATH_METRICS } };

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		if (strcmp(s, fixed[i].text) == 0) {
			p->kind = fixed[i].kind;
			return 0;
		}
	}
	if (strncmp(s, "/v2/", 4) == 0)
		return parse_v2(s + 4, p, e);
	if (strncmp(s, "/classic/", 9) == 0 && s[9] != '\0') {
		if (strlen(s + 9) > PATH_REST_MAX)
			return err_set(e, E_LIMIT, "the request's path is too long");
		p->kind = PATH_CLASSIC;
		copy_cut(p->rest, sizeof(p->rest), s + 9, strlen(s + 9));
	}
	return 0;
}

/* No control characters, nothing that is still encoded, no "." and ".." between slashes. */
static bool
path_is_sane(const char *s)
{
	for (const char *c = s; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '%' || *c == '\\')
			return false;
		if (*c == '/' && c[1] == '.' && (c[2] == '/' || c[2] == '\0'))
			return false;
		if (*c == '/' && c[1] == '.' && c[2] == '.' && (c[3] == '/' || c[3] == '\0'))
			return false;
	}
	return s[0] == '/';
}

int
path_parse(const char *target, struct path *p, struct query *q, struct err *e)
{
	size_t len = strcspn(target, "?#");
	AUTO_FREE char *text = NULL;
	size_t slashes_raw = 0, slashes = 0;

	memset(p, 0, sizeof(*p));
	memset(q, 0, sizeof(*q));
	text = malloc(len + 1);
	if (text == NULL)
		return err_nomem(e);
	if (!decode(target, len, false, text) || !path_is_sane(text))
		return err_set(e, E_INVAL, "the request's path is not a valid one");
	for (size_t i = 0; i < len; i++)
		slashes_raw += target[i] == '/';
	for (const char *c = text; *c != '\0'; c++)
		slashes += *c == '/';
	/* A slash that was hidden from a proxy in front of us would lead past its rules. */
	if (slashes != slashes_raw)
		return err_set(e, E_INVAL, "the request's path has an encoded slash");
	if (target[len] == '?') {
		const char *query = target + len + 1;
		int rc = query_parse(q, query, strcspn(query, "#"), e);

		if (rc < 0)
			return rc;
	}
	return parse_decoded(text, p, e);
}
