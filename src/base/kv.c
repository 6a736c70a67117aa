/*
 * "key=value" files: parse, print, look up, change.  A struct kv owns its
 * strings.  Order and repetitions are kept; the parser is strict, since what
 * it reads was written by kv_print(), and says line and column.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/kv.h"

static bool
is_key_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	    c == '_' || c == '-';
}

static void
truncate_to(struct kv *kv, size_t n)
{
	while (kv->n > n) {
		kv->n--;
		free(kv->v[kv->n].key);
		explicit_bzero(kv->v[kv->n].value, strlen(kv->v[kv->n].value));
		free(kv->v[kv->n].value);
	}
}

void
kv_fini(struct kv *kv)
{
	truncate_to(kv, 0);
	free(kv->v);
	*kv = (struct kv)KV_INIT;
}

/* Takes both strings, also when it fails. */
static int
push(struct kv *kv, char *key, char *value, struct err *e)
{
	struct kv_pair *v;
	size_t cap;

	if (key == NULL || value == NULL)
		goto nomem;
	if (kv->n == kv->cap) {
		cap = kv->cap == 0 ? 16 : kv->cap * 2;
		v = reallocarray(kv->v, cap, sizeof(*v));
		if (v == NULL)
			goto nomem;
		kv->v = v;
		kv->cap = cap;
	}
	kv->v[kv->n++] = (struct kv_pair){ key, value };
	return 0;
nomem:
	free(key);
	free(value);
	return err_nomem(e);
}

struct place {
	const char *what;
	size_t line;
	const char *start; /* of the line */
};

#define FAIL(place, at, e, ...) fail_at((place), (size_t)((at) - (place)->start) + 1, (e), __VA_ARGS__)

static int
fail_at(const struct place *p, size_t column, struct err *e, const char *why)
{
	return err_set(e, E_INVAL, "%s:%zu:%zu: %s", p->what, p->line, column, why);
}

/* Undoes the escapes of [s, end) into out, which has room for as many bytes and the NUL. */
static int
unescape(const struct place *p, const char *s, const char *end, char *out, struct err *e)
{
	for (; s < end; s++) {
		if ((unsigned char)*s < 0x20)
			return FAIL(p, s, e, "control character in a value");
		if (*s != '\\') {
			*out++ = *s;
			continue;
		}
		if (s + 1 == end)
			return FAIL(p, s, e, "backslash at the end of the line");
		switch (*++s) {
		case '\\':
			*out++ = '\\';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'r':
			*out++ = '\r';
			break;
		case 't':
			*out++ = '\t';
			break;
		default:
			return FAIL(p, s - 1, e, "unknown escape; known are \\\\ \\n \\r \\t");
		}
	}
	*out = '\0';
	return 0;
}

static int
parse_line(struct kv *kv, const struct place *p, const char *end, struct err *e)
{
	AUTO_FREE char *value = NULL;
	const char *s = p->start;
	char *key;
	int rc;

	while (s < end && is_key_char((unsigned char)*s))
		s++;
	if (s == end)
		return FAIL(p, s, e, "no '=' after the key");
	if (*s != '=')
		return FAIL(p, s, e, s == p->start ? "no key" : "character not allowed in a key");
	if (s == p->start)
		return FAIL(p, s, e, "no key before '='");
	value = malloc((size_t)(end - s));
	if (value == NULL)
		return err_nomem(e);
	rc = unescape(p, s + 1, end, value, e);
	if (rc < 0)
		return rc;
	key = buf_dup(p->start, (size_t)(s - p->start));
	return push(kv, key, take_ptr(value), e);
}

int
kv_parse(struct kv *kv, const char *text, size_t len, const char *what, struct err *e)
{
	const char *end = text + len, *eol;
	struct place p = { what, 1, text };
	size_t before = kv->n;
	int rc = 0;

	if (len > KV_FILE_MAX)
		return err_set(e, E_LIMIT, "%s: larger than %d bytes", what, KV_FILE_MAX);
	for (; p.start < end && rc == 0; p.start = eol + 1, p.line++) {
		eol = memchr(p.start, '\n', (size_t)(end - p.start));
		if (eol == NULL)
			eol = end;
		if (eol > p.start && *p.start != '#')
			rc = parse_line(kv, &p, eol, e);
		if (eol == end)
			break;
	}
	if (rc < 0)
		truncate_to(kv, before);
	return rc;
}

void
kv_print(const struct kv *kv, struct buf *b)
{
	for (size_t i = 0; i < kv->n; i++) {
		const char *s = kv->v[i].value;

		buf_str(b, kv->v[i].key);
		buf_add(b, "=", 1);
		while (*s != '\0') {
			size_t plain = strcspn(s, "\\\n\r\t");

			buf_add(b, s, plain);
			s += plain;
			if (*s == '\0')
				break;
			buf_fmt(b, "\\%c", *s == '\n' ? 'n' : *s == '\r' ? 'r' : *s == '\t' ? 't' : '\\');
			s++;
		}
		buf_add(b, "\n", 1);
	}
}

const char *
kv_next(const struct kv *kv, const char *key, size_t *pos)
{
	while (*pos < kv->n) {
		const struct kv_pair *pair = &kv->v[(*pos)++];

		if (strcmp(pair->key, key) == 0)
			return pair->value;
	}
	return NULL;
}

const char *
kv_get(const struct kv *kv, const char *key)
{
	size_t pos = 0;

	return kv_next(kv, key, &pos);
}

static int
check(const char *key, const char *value, struct err *e)
{
	const char *s = key;

	while (is_key_char((unsigned char)*s))
		s++;
	if (*s != '\0' || s == key)
		return err_set(
		    e, E_INVAL, "\"%s\" is not a key: letters, digits, '.', '_' and '-' only", key);
	for (s = value; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 && strchr("\n\r\t", *s) == NULL)
			return err_set(e, E_INVAL, "%s: control character in the value", key);
	}
	return 0;
}

int
kv_add(struct kv *kv, const char *key, const char *value, struct err *e)
{
	int rc = check(key, value, e);

	return rc < 0 ? rc : push(kv, strdup(key), strdup(value), e);
}

static void
drop(struct kv *kv, size_t i)
{
	struct kv_pair gone = kv->v[i];

	memmove(&kv->v[i], &kv->v[i + 1], (kv->n - i - 1) * sizeof(*kv->v));
	kv->v[kv->n - 1] = gone;
	truncate_to(kv, kv->n - 1);
}

int
kv_set(struct kv *kv, const char *key, const char *value, struct err *e)
{
	bool placed = false;
	char *copy = NULL;
	int rc;

	if (value != NULL) {
		rc = check(key, value, e);
		if (rc < 0)
			return rc;
		copy = strdup(value);
		if (copy == NULL)
			return err_nomem(e);
	}
	for (size_t i = 0; i < kv->n;) {
		if (strcmp(kv->v[i].key, key) != 0) {
			i++;
		} else if (copy != NULL && !placed) {
			free(kv->v[i].value);
			kv->v[i++].value = copy;
			placed = true;
		} else {
			drop(kv, i);
		}
	}
	return copy == NULL || placed ? 0 : push(kv, strdup(key), copy, e);
}
