/*
 * Growable bytes (struct buf) and lists of owned strings (struct strv).
 * Both have a maximum from birth and remember a failure instead of returning
 * it at each step.  Bytes are wiped before their memory goes back, as a
 * buffer may hold credentials.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BUF_FIRST_CAP 128u

static void
buf_fail(struct buf *b, bool nomem)
{
	if (!b->failed)
		b->nomem = nomem;
	b->failed = true;
}

/* Makes room for n more bytes and the NUL. Not realloc(): it would leave the old bytes unwiped. */
static bool
buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *data;

	if (b->failed)
		return false;
	if (b->len > b->max || n > b->max - b->len || n >= SIZE_MAX - b->len) {
		buf_fail(b, false);
		return false;
	}
	need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap == 0 ? BUF_FIRST_CAP : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	data = malloc(cap);
	if (data == NULL) {
		buf_fail(b, true);
		return false;
	}
	if (b->data != NULL) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
	return true;
}

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

void
buf_fini(struct buf *b)
{
	if (b->data != NULL) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	buf_init(b, b->max);
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char small[256];
	int n;

	if (b->failed)
		return;
	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0) {
		buf_fail(b, true);
	} else if ((size_t)n < sizeof(small)) {
		buf_add(b, small, (size_t)n);
	} else if (buf_reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void
buf_reset(struct buf *b)
{
	if (b->data != NULL) {
		explicit_bzero(b->data, b->cap);
		b->data[0] = '\0';
	}
	b->len = 0;
	b->failed = b->nomem = false;
}

int
buf_check(const struct buf *b, const char *what, struct err *e)
{
	if (!b->failed)
		return 0;
	if (b->nomem)
		return err_nomem(e);
	return err_set(e, E_LIMIT, "%s: larger than the %zu bytes allowed", what, b->max);
}

const char *
buf_cstr(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

char *
buf_take(struct buf *b)
{
	char *data = b->data;

	if (b->failed) {
		buf_fini(b);
		return NULL;
	}
	buf_init(b, b->max);
	return data != NULL ? data : calloc(1, 1);
}

static void
strv_fail(struct strv *s, bool nomem)
{
	if (!s->failed)
		s->nomem = nomem;
	s->failed = true;
}

static bool
strv_reserve(struct strv *s)
{
	size_t cap;
	char **v;

	if (s->failed)
		return false;
	if (s->n >= s->max) {
		strv_fail(s, false);
		return false;
	}
	if (s->n + 1 < s->cap)
		return true;
	cap = s->cap == 0 ? 8 : s->cap * 2;
	v = reallocarray(s->v, cap, sizeof(*v));
	if (v == NULL) {
		strv_fail(s, true);
		return false;
	}
	v[s->n] = NULL;
	s->v = v;
	s->cap = cap;
	return true;
}

char *
buf_dup(const char *text, size_t n)
{
	char *copy = malloc(n + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, n);
	copy[n] = '\0';
	return copy;
}

/* Takes the string; NULL stands for memory that could not be had. */
static void
strv_push(struct strv *s, char *text)
{
	if (text == NULL) {
		strv_fail(s, true);
		return;
	}
	if (!strv_reserve(s)) {
		free(text);
		return;
	}
	s->v[s->n++] = text;
	s->v[s->n] = NULL;
}

void
strv_clear(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	s->n = 0;
	if (s->v != NULL)
		s->v[0] = NULL;
	s->failed = s->nomem = false;
}

void
strv_fini(struct strv *s)
{
	strv_clear(s);
	free(s->v);
	*s = (struct strv)STRV_INIT(s->max);
}

void
strv_addn(struct strv *s, const char *text, size_t n)
{
	if (!s->failed)
		strv_push(s, buf_dup(text, n));
}

void
strv_add(struct strv *s, const char *text)
{
	if (!s->failed)
		strv_push(s, strdup(text));
}

void
strv_fmt(struct strv *s, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	if (s->failed)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	strv_push(s, text);
}

void
strv_remove(struct strv *s, size_t index)
{
	if (index >= s->n)
		return;
	free(s->v[index]);
	memmove(&s->v[index], &s->v[index + 1], (s->n - index) * sizeof(*s->v));
	s->n--;
}

void
strv_copy(struct strv *dst, const struct strv *src)
{
	strv_clear(dst);
	for (size_t i = 0; i < src->n; i++)
		strv_add(dst, src->v[i]);
	if (src->failed)
		strv_fail(dst, src->nomem);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
strv_sort(struct strv *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

int
strv_check(const struct strv *s, const char *what, struct err *e)
{
	if (!s->failed)
		return 0;
	if (s->nomem)
		return err_nomem(e);
	return err_set(e, E_LIMIT, "%s: more than the %zu entries allowed", what, s->max);
}

char *const *
strv_argv(struct strv *s)
{
	static char *const none[1] = { NULL };

	return s->v != NULL ? s->v : none;
}
