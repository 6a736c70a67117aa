/*
 * Compiles wildcard patterns into tokens and runs texts through them. The
 * run keeps the set of all tokens that may come next, so its time is the
 * length of the text times that of the pattern at the worst. What a path, a
 * line of an ignore file or a variable is, is not known here.
 */
#include <stdlib.h>
#include <string.h>

#include "model/pattern.h"

enum token_kind {
	TOKEN_CHAR,
	TOKEN_ANY,
	TOKEN_STAR,    /* any number, and on to the next without any */
	TOKEN_CLASS,   /* one of ranges */
	TOKEN_OPTION,  /* of (ANYTHING '/')?: into the next token, or behind that */
	TOKEN_ANYTHING /* the loop within: '/' also leads on */
};

struct pattern_range {
	uint32_t lo, hi;
};

struct pattern_token {
	enum token_kind kind;
	bool slash; /* ANY, STAR: also matches '/' */
	bool negated;
	uint32_t ch;
	struct pattern_range *ranges;
	size_t nranges;
};

struct compiler {
	struct pattern *p;
	const char *s;
	unsigned flags;
};

void
pattern_fini(struct pattern *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].ranges);
	free(p->v);
	*p = (struct pattern)PATTERN_INIT;
}

size_t
pattern_char(const char *text, size_t n, uint32_t *ch)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 1;
	uint32_t c;

	if (s[0] < 0x80) {
		*ch = s[0];
		return 1;
	}
	c = s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if (i >= n || (s[i] & 0xc0) != 0x80) {
			len = 1;
			break;
		}
		c = c << 6 | (s[i] & 0x3fu);
	}
	/* Bytes that are no text stand above all characters, each for itself. */
	if (len == 1 || s[0] >= 0xf5 || c > 0x10ffff)
		c = 0x110000u + s[0], len = 1;
	*ch = c;
	return len;
}

static int
append(struct compiler *c, struct pattern_token token, struct err *e)
{
	struct pattern_token *v;

	if (c->p->n == PATTERN_TOKENS_MAX) {
		free(token.ranges);
		return err_set(e, E_LIMIT, "pattern longer than %d characters", PATTERN_TOKENS_MAX);
	}
	v = reallocarray(c->p->v, c->p->n + 1, sizeof(*v));
	if (v == NULL) {
		free(token.ranges);
		return err_nomem(e);
	}
	v[c->p->n++] = token;
	c->p->v = v;
	return 0;
}

static int
class_char(struct compiler *c, uint32_t *ch, struct err *e)
{
	if (*c->s == '\\')
		c->s++;
	if (*c->s == '\0')
		return err_set(e, E_INVAL, "'[' without ']' in the pattern");
	c->s += pattern_char(c->s, strlen(c->s), ch);
	return 0;
}

static int
class_range(struct compiler *c, struct pattern_token *t, struct err *e)
{
	struct pattern_range r, *v;
	int rc;

	if ((rc = class_char(c, &r.lo, e)) < 0)
		return rc;
	r.hi = r.lo;
	if (c->s[0] == '-') {
		c->s++;
		if (*c->s == ']')
			return err_set(e, E_INVAL, "a range without an end in the pattern's [...]");
		if ((rc = class_char(c, &r.hi, e)) < 0)
			return rc;
	}
	v = reallocarray(t->ranges, t->nranges + 1, sizeof(*v));
	if (v == NULL)
		return err_nomem(e);
	v[t->nranges++] = r;
	t->ranges = v;
	return 0;
}

/* s stands behind the '['. */
static int
compile_class(struct compiler *c, struct err *e)
{
	struct pattern_token t = { .kind = TOKEN_CLASS, .slash = (c->flags & PATTERN_PATH) == 0 };
	int rc = 0;

	if (*c->s == '^') {
		t.negated = true;
		c->s++;
	}
	if (*c->s == ']')
		rc = err_set(e, E_INVAL, "an empty [] in the pattern");
	while (rc == 0 && *c->s != ']') {
		if (t.nranges == PATTERN_TOKENS_MAX)
			rc = err_set(e, E_LIMIT, "too much in one [...] of the pattern");
		else
			rc = class_range(c, &t, e);
	}
	if (rc < 0) {
		free(t.ranges);
		return rc;
	}
	c->s++;
	return append(c, t, e);
}

/* s stands behind "*". */
static int
compile_star(struct compiler *c, struct err *e)
{
	struct pattern_token t = { .kind = TOKEN_STAR, .slash = (c->flags & PATTERN_PATH) == 0 };
	int rc;

	if ((c->flags & PATTERN_DEEP) == 0 || *c->s != '*') {
		/* A row of stars is one. */
		if (c->p->n > 0 && c->p->v[c->p->n - 1].kind == TOKEN_STAR)
			return 0;
		return append(c, t, e);
	}
	c->s += strspn(c->s, "*");
	if (*c->s != '/') {
		t.slash = true;
		return append(c, t, e);
	}
	c->s++;
	rc = append(c, (struct pattern_token){ .kind = TOKEN_OPTION }, e);
	return rc < 0 ? rc : append(c, (struct pattern_token){ .kind = TOKEN_ANYTHING }, e);
}

static int
compile_char(struct compiler *c, struct err *e)
{
	struct pattern_token t = { .kind = TOKEN_CHAR };

	if (*c->s == '\\' && *++c->s == '\0')
		return err_set(e, E_INVAL, "a backslash at the end of the pattern");
	c->s += pattern_char(c->s, strlen(c->s), &t.ch);
	return append(c, t, e);
}

int
pattern_compile(struct pattern *p, const char *text, unsigned flags, struct err *e)
{
	struct compiler c = { p, text, flags };
	int rc = 0;

	*p = (struct pattern)PATTERN_INIT;
	while (rc == 0 && *c.s != '\0') {
		if (*c.s == '*') {
			c.s++;
			rc = compile_star(&c, e);
		} else if (*c.s == '?') {
			c.s++;
			rc = append(&c,
			    (struct pattern_token){ .kind = TOKEN_ANY, .slash = (flags & PATTERN_PATH) == 0 },
			    e);
		} else if (*c.s == '[' && (flags & PATTERN_CLASS) != 0) {
			c.s++;
			rc = compile_class(&c, e);
		} else {
			rc = compile_char(&c, e);
		}
	}
	if (rc < 0)
		pattern_fini(p);
	return rc;
}

void
pattern_reverse(struct pattern *p)
{
	for (size_t i = 0; i < p->n / 2; i++) {
		struct pattern_token t = p->v[i];

		p->v[i] = p->v[p->n - 1 - i];
		p->v[p->n - 1 - i] = t;
	}
}

/* Adds a place, and those that are reached from there without text. */
static void
enter(struct pattern_run *r, size_t at)
{
	const struct pattern *p = r->pattern;

	for (;;) {
		r->set[at / 64] |= UINT64_C(1) << (at % 64);
		if (at < p->n && p->v[at].kind == TOKEN_STAR) {
			at++;
		} else if (at < p->n && p->v[at].kind == TOKEN_OPTION) {
			r->set[(at + 1) / 64] |= UINT64_C(1) << ((at + 1) % 64);
			at += 2;
		} else {
			return;
		}
	}
}

void
pattern_start(struct pattern_run *r, const struct pattern *p)
{
	memset(r->set, 0, sizeof(r->set));
	r->pattern = p;
	enter(r, 0);
}

static bool
in_class(const struct pattern_token *t, uint32_t ch)
{
	for (size_t i = 0; i < t->nranges; i++) {
		if (ch >= t->ranges[i].lo && ch <= t->ranges[i].hi)
			return !t->negated;
	}
	return t->negated;
}

/* Where the token at `at` leads with this character. */
static void
advance(struct pattern_run *next, size_t at, uint32_t ch)
{
	const struct pattern_token *t = &next->pattern->v[at];
	bool passes = ch != '/' || t->slash;

	switch (t->kind) {
	case TOKEN_CHAR:
		if (t->ch == ch)
			enter(next, at + 1);
		break;
	case TOKEN_ANY:
		if (passes)
			enter(next, at + 1);
		break;
	case TOKEN_CLASS:
		if (passes && in_class(t, ch))
			enter(next, at + 1);
		break;
	case TOKEN_STAR:
		if (passes)
			enter(next, at);
		break;
	case TOKEN_OPTION:
		break;
	case TOKEN_ANYTHING:
		enter(next, at);
		if (ch == '/')
			enter(next, at + 1);
		break;
	}
}

void
pattern_step(struct pattern_run *r, uint32_t ch)
{
	struct pattern_run next = { .pattern = r->pattern };
	size_t n = r->pattern->n;

	for (size_t w = 0; w <= n / 64; w++) {
		for (uint64_t bits = r->set[w]; bits != 0; bits &= bits - 1) {
			size_t at = w * 64 + (size_t)__builtin_ctzll(bits);

			if (at < n)
				advance(&next, at, ch);
		}
	}
	memcpy(r->set, next.set, (n / 64 + 1) * sizeof(r->set[0]));
}

bool
pattern_accepts(const struct pattern_run *r)
{
	size_t n = r->pattern->n;

	return (r->set[n / 64] >> (n % 64) & 1) != 0;
}

bool
pattern_alive(const struct pattern_run *r)
{
	size_t n = r->pattern->n;

	for (size_t w = 0; w <= n / 64; w++) {
		uint64_t bits = r->set[w];

		/* The place behind the last token takes nothing more. */
		if (w == n / 64)
			bits &= ~(UINT64_C(1) << (n % 64));
		if (bits != 0)
			return true;
	}
	return false;
}

bool
pattern_matches(const struct pattern *p, const char *text, size_t n)
{
	struct pattern_run r;
	uint32_t ch;

	pattern_start(&r, p);
	for (size_t i = 0; i < n;) {
		i += pattern_char(text + i, n - i, &ch);
		pattern_step(&r, ch);
		if (!pattern_alive(&r) && i < n)
			return false;
	}
	return pattern_accepts(&r);
}
