/*
 * The words of a Potfile after variables, quotes and escapes. Which variables
 * there are is scope.c's; which instructions are substituted potfile's.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "model/pattern.h"
#include "model/substitute.h"

#define MATCH_STEPS_MAX 4000000u /* of one ${VAR/pattern/…} */

struct subst {
	const char *text, *s;
	char escape;
	bool quotes;  /* quotes quote */
	bool pattern; /* the word is a pattern: what was quoted in it stays literal */
	const struct subst_lookup *lookup;
	struct buf *out;
	struct strv *words; /* NULL: no splitting */
	bool in_word;
	unsigned depth, unused; /* unused: within a word that is not taken */
	size_t fault;
};

static int run(struct subst *, const char *stops, struct err *);

static int
fail(struct subst *st, const char *at, enum err_code code, struct err *e, const char *why)
{
	st->fault = (size_t)(at - st->text);
	return err_set(e, code, "%s", why);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
end_word(struct subst *st)
{
	if (st->in_word)
		strv_addn(st->words, buf_cstr(st->out), st->out->len);
	buf_reset(st->out);
	st->in_word = false;
}

static void
put_quoted(struct subst *st, const char *s, size_t n)
{
	st->in_word = true;
	for (size_t i = 0; i < n; i++) {
		if (st->pattern && strchr("*?\\", s[i]) != NULL)
			buf_add(st->out, "\\", 1);
		buf_add(st->out, s + i, 1);
	}
}

/* Outside quotes: blanks end words. */
static void
put(struct subst *st, const char *s, size_t n)
{
	if (st->words == NULL) {
		buf_add(st->out, s, n);
		return;
	}
	for (size_t i = 0; i < n && !st->out->failed && !st->words->failed; i++) {
		if (is_blank(s[i])) {
			end_word(st);
		} else {
			buf_add(st->out, s + i, 1);
			st->in_word = true;
		}
	}
}

static int
check(struct subst *st, struct err *e)
{
	if (st->words != NULL && st->words->failed)
		return strv_check(st->words, "words after substitution", e);
	return st->out->failed ? buf_check(st->out, "the word after substitution", e) : 0;
}

/* The word up to one of stops, into out. */
static int
nested(struct subst *st, const char *stops, bool pattern, struct buf *out, struct err *e)
{
	struct subst in = *st;
	int rc;

	if (st->depth == SUBST_DEPTH_MAX)
		return fail(st, st->s, E_LIMIT, e, "${…} nested too deeply");
	in.depth++;
	in.out = out;
	in.words = NULL;
	in.pattern = pattern;
	rc = run(&in, stops, e);
	st->s = in.s;
	st->fault = in.fault;
	if (rc == 0 && (rc = buf_check(out, "the word within ${…}", e)) < 0)
		st->fault = (size_t)(st->s - st->text);
	return rc;
}

struct chars {
	uint32_t *ch;
	size_t *at; /* n + 1 offsets */
	size_t n;
};

static void
chars_fini(struct chars *c)
{
	free(c->ch);
	free(c->at);
}

static int
chars_read(struct chars *c, const char *s, struct err *e)
{
	size_t len = strlen(s), i;

	c->ch = calloc(len + 1, sizeof(*c->ch));
	c->at = calloc(len + 1, sizeof(*c->at));
	c->n = 0;
	if (c->ch == NULL || c->at == NULL)
		return err_nomem(e);
	for (i = 0; i < len;) {
		c->at[c->n] = i;
		i += pattern_char(s + i, len - i, &c->ch[c->n++]);
	}
	c->at[c->n] = len;
	return 0;
}

/* Number of characters from `first` on (backwards if so told) that the pattern matches, or -1. */
static long
match_length(
    const struct chars *c, size_t first, bool backwards, bool longest, const struct pattern *p, size_t *steps)
{
	struct pattern_run r;
	size_t n = c->n - first;
	long found;

	pattern_start(&r, p);
	found = pattern_accepts(&r) ? 0 : -1;
	for (size_t i = 0; i < n && pattern_alive(&r) && (longest || found < 0); i++) {
		pattern_step(&r, c->ch[backwards ? n - 1 - i : first + i]);
		if (pattern_accepts(&r))
			found = (long)i + 1;
		(*steps)++;
	}
	return found;
}

/* ${VAR#p} ${VAR##p} ${VAR%p} ${VAR%%p} */
static void
trim(const struct chars *c, const char *value, bool end, bool longest, struct pattern *p, struct buf *out)
{
	size_t steps = 0;
	long n;

	if (end)
		pattern_reverse(p);
	n = match_length(c, 0, end, longest, p, &steps);
	if (n < 0)
		n = 0;
	if (end)
		buf_add(out, value, c->at[c->n - (size_t)n]);
	else
		buf_str(out, value + c->at[n]);
}

/* ${VAR/p/r} ${VAR//p/r} */
static int
replace(const struct chars *c, const char *value, bool all, const struct pattern *p, const char *with,
    struct buf *out, struct err *e)
{
	size_t steps = 0, i = 0;
	bool done = p->n == 0;

	while (i < c->n && !out->failed) {
		long n = done ? 0 : match_length(c, i, false, true, p, &steps);

		if (steps > MATCH_STEPS_MAX)
			return err_set(e, E_LIMIT, "too long a value for this pattern");
		if (n > 0) {
			buf_str(out, with);
			i += (size_t)n;
			done = !all;
		} else {
			buf_add(out, value + c->at[i], c->at[i + 1] - c->at[i]);
			i++;
		}
	}
	return 0;
}

/* s stands on the '#', '%' or '/'; leaves it on the '}'. */
static int
match_modifier(struct subst *st, const char *value, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SUBST_MAX);
	AUTO_FINI(buf) struct buf with = BUF_INIT(SUBST_MAX);
	AUTO_FINI(pattern) struct pattern p = PATTERN_INIT;
	struct chars c = { NULL, NULL, 0 };
	const char *start = st->s;
	char op = *st->s++;
	bool twice = *st->s == op;
	int rc;

	st->s += twice;
	if ((rc = nested(st, op == '/' ? "/}" : "}", true, &text, e)) < 0)
		return rc;
	if (op == '/' && *st->s == '/') {
		st->s++;
		if ((rc = nested(st, "}", false, &with, e)) < 0)
			return rc;
	}
	if ((rc = pattern_compile(&p, buf_cstr(&text), 0, e)) == 0 && (rc = chars_read(&c, value, e)) == 0) {
		if (op == '/')
			rc = replace(&c, value, twice, &p, buf_cstr(&with), out, e);
		else
			trim(&c, value, op == '%', twice, &p, out);
	}
	chars_fini(&c);
	if (rc < 0)
		st->fault = (size_t)(start - st->text);
	return rc;
}

/* s stands on the '-', '+' or '?'; leaves it on the '}'. */
static int
test_modifier(struct subst *st, const char *name, const char *value, bool set, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf word = BUF_INIT(SUBST_MAX);
	const char *start = st->s;
	char op = *st->s++;
	bool takes = op == '+' ? set : !set;
	int rc;

	st->unused += !takes;
	rc = nested(st, "}", false, &word, e);
	st->unused -= !takes;
	if (rc < 0)
		return rc;
	if (takes && op == '?') {
		if (st->unused > 0)
			return 0;
		st->fault = (size_t)(start - st->text);
		return err_set(
		    e, E_STATE, "%.200s: %.400s", name, word.len > 0 ? word.data : "is needed and not set");
	}
	if (takes)
		buf_str(out, buf_cstr(&word));
	else if (op != '+')
		buf_str(out, value);
	return 0;
}

/* Length of the variable's name at s: a name, digits, or one of the shell's special ones. */
static size_t
name_length(const char *s)
{
	size_t n = 0;

	if (isalpha((unsigned char)s[0]) || s[0] == '_') {
		while (isalnum((unsigned char)s[n]) || s[n] == '_')
			n++;
	} else if (isdigit((unsigned char)s[0])) {
		while (isdigit((unsigned char)s[n]))
			n++;
	} else if (s[0] != '\0' && strchr("@*#?-$!", s[0]) != NULL) {
		n = 1;
	}
	return n;
}

/* s stands behind "${"; leaves it behind the '}'. */
static int
braces(struct subst *st, struct buf *out, struct err *e)
{
	const char *open = st->s - 2, *value;
	AUTO_FREE char *name = NULL;
	size_t n = name_length(st->s);
	bool set;
	int rc = 0;

	if (n == 0)
		return fail(st, st->s, E_INVAL, e, "no variable's name after '${'");
	name = buf_dup(st->s, n);
	if (name == NULL)
		return err_nomem(e);
	st->s += n;
	value = st->lookup->get(st->lookup->arg, name);
	set = value != NULL;
	if (!set)
		value = "";
	if (*st->s == ':') {
		st->s++;
		if (*st->s == '\0' || strchr("-+?", *st->s) == NULL)
			return fail(st, st->s, E_INVAL, e, "only '-', '+' or '?' may follow ${NAME:");
		rc = test_modifier(st, name, value, value[0] != '\0', out, e);
	} else if (*st->s != '\0' && strchr("-+?", *st->s) != NULL) {
		rc = test_modifier(st, name, value, set, out, e);
	} else if (*st->s != '\0' && strchr("#%/", *st->s) != NULL) {
		rc = match_modifier(st, value, out, e);
	} else if (*st->s == '}') {
		buf_str(out, value);
	} else if (*st->s != '\0') {
		return fail(st, st->s, E_INVAL, e, "not a modifier of ${NAME}");
	}
	if (rc < 0)
		return rc;
	if (*st->s != '}')
		return fail(st, open, E_INVAL, e, "'${' without '}'");
	st->s++;
	return 0;
}

/* s stands on the '$'. */
static int
variable(struct subst *st, bool quoted, struct err *e)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(SUBST_MAX);
	const char *open = st->s++;
	size_t n = name_length(st->s);
	int rc = 0;

	if (*st->s == '{') {
		st->s++;
		rc = braces(st, &out, e);
	} else if (n == 0) {
		buf_str(&out, "$");
	} else {
		AUTO_FREE char *name = buf_dup(st->s, n);
		const char *value;

		if (name == NULL)
			return err_nomem(e);
		value = st->lookup->get(st->lookup->arg, name);
		buf_str(&out, value != NULL ? value : "");
		st->s += n;
	}
	if (rc == 0 && (rc = buf_check(&out, "the value", e)) < 0)
		st->fault = (size_t)(open - st->text);
	if (rc < 0)
		return rc;
	/* A pattern's variable is a pattern, unless it is quoted. */
	if (quoted)
		put_quoted(st, buf_cstr(&out), out.len);
	else
		put(st, buf_cstr(&out), out.len);
	return 0;
}

static int
single_quoted(struct subst *st, struct err *e)
{
	const char *end = strchr(st->s + 1, '\'');

	if (end == NULL)
		return fail(st, st->s, E_INVAL, e, "a ' without its end");
	put_quoted(st, st->s + 1, (size_t)(end - st->s) - 1);
	st->s = end + 1;
	return 0;
}

static int
double_quoted(struct subst *st, struct err *e)
{
	const char *open = st->s++;
	int rc = 0;

	st->in_word = true;
	while (rc == 0 && *st->s != '"') {
		if (*st->s == '\0')
			return fail(st, open, E_INVAL, e, "a \" without its end");
		if (*st->s == '$' && st->lookup != NULL) {
			rc = variable(st, true, e);
		} else {
			if (*st->s == st->escape && st->s[1] != '\0' &&
			    (st->s[1] == '"' || st->s[1] == '$' || st->s[1] == st->escape))
				st->s++;
			put_quoted(st, st->s++, 1);
		}
	}
	st->s += rc == 0;
	return rc;
}

/* s stands on the escape. */
static void
escaped(struct subst *st)
{
	bool is_escape = st->quotes || st->s[1] == '$' || st->s[1] == st->escape;

	if (!is_escape) {
		put(st, st->s++, 1);
		return;
	}
	/* At the very end it stands for nothing. */
	if (*++st->s != '\0')
		put_quoted(st, st->s++, 1);
}

static int
run(struct subst *st, const char *stops, struct err *e)
{
	const char *start = st->s;
	int rc = 0;

	while (rc == 0 && *st->s != '\0') {
		if (stops != NULL && strchr(stops, *st->s) != NULL)
			return check(st, e);
		if (*st->s == '\'' && st->quotes)
			rc = single_quoted(st, e);
		else if (*st->s == '"' && st->quotes)
			rc = double_quoted(st, e);
		else if (*st->s == '$' && st->lookup != NULL)
			rc = variable(st, false, e);
		else if (*st->s == st->escape)
			escaped(st);
		else
			put(st, st->s++, 1);
		if (rc == 0)
			rc = check(st, e);
	}
	if (rc == 0 && stops != NULL)
		return fail(st, start, E_INVAL, e, "'${' without '}'");
	return rc;
}

static int
begin(struct subst *st, size_t *at, struct err *e)
{
	int rc = run(st, NULL, e);

	if (at != NULL)
		*at = st->fault;
	return rc;
}

int
subst_word(const char *text, char escape, unsigned flags, const struct subst_lookup *lookup, struct buf *out,
    size_t *at, struct err *e)
{
	struct subst st = { .text = text,
		.s = text,
		.escape = escape,
		.quotes = (flags & SUBST_TEXT) == 0,
		.lookup = lookup,
		.out = out };

	return begin(&st, at, e);
}

int
subst_words(const char *text, char escape, const struct subst_lookup *lookup, struct strv *out, size_t *at,
    struct err *e)
{
	AUTO_FINI(buf) struct buf word = BUF_INIT(SUBST_MAX);
	struct subst st = { .text = text,
		.s = text,
		.escape = escape,
		.quotes = true,
		.lookup = lookup,
		.out = &word,
		.words = out };
	int rc = begin(&st, at, e);

	if (rc < 0)
		return rc;
	end_word(&st);
	return strv_check(out, "words after substitution", e);
}
