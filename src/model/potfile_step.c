/*
 * One logical line of a Potfile to a step: the instruction's word, its flags,
 * its arguments in the form that its row says, its here-documents.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/potfile_impl.h"

static void
warn(struct potfile_reader *r, const char *s, const char *text)
{
	struct potfile *pf = r->pf;

	if (pf->nwarnings < ARRAY_LEN(pf->warnings))
		pf->warnings[pf->nwarnings++] =
		    (struct potfile_warning){ potfile_where(pf, potfile_source(r, s)), text };
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\v\f\r");
}

static int
word(struct potfile_reader *r, const char *s, size_t *len, struct err *e)
{
	const char *open;

	*len = potfile_word_length(s, r->pf->escape, &open);
	if (open != NULL)
		return potfile_fail(r, open, e, "a %c without its end", *open);
	return 0;
}

static int
add(struct potfile_reader *r, struct potfile_step *st, const char *s, size_t len, struct err *e)
{
	int rc = potfile_add_word(st, s, len, potfile_source(r, s), e);

	if (rc < 0)
		r->fault = potfile_source(r, s);
	return rc;
}

static int
parse_words(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	size_t len;
	int rc = 0;

	for (; rc == 0 && *(s = skip_blanks(s)) != '\0'; s += len) {
		rc = word(r, s, &len, e);
		if (rc == 0)
			rc = add(r, st, s, len, e);
	}
	return rc;
}

/* 1: it was JSON. */
static int
parse_json(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(POTFILE_WORDS_MAX);
	int rc = potfile_json(s, &v, e);

	if (rc <= 0)
		return rc;
	st->exec = true;
	for (size_t i = 0; i < v.n; i++) {
		rc = potfile_add_word(st, v.v[i], strlen(v.v[i]), potfile_source(r, s), e);
		if (rc < 0)
			return rc;
	}
	return 1;
}

static int
parse_command(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	int rc = parse_json(r, st, s, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (st->op == POTFILE_SHELL)
		return potfile_fail(r, s, e, "a list in JSON is wanted: %s", potfile_rows[st->op].usage);
	if (s[0] == '[' && strchr(s, '"') != NULL && s[strlen(s) - 1] == ']')
		warn(r, s,
		    "looks like the exec form, but is no JSON list of strings: taken as a command line");
	return *s == '\0' ? 0 : add(r, st, s, strlen(s), e);
}

/* CMD … or NONE behind the flags. */
static int
parse_healthcheck(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	size_t len = strcspn(s, " \t");
	const char *rest = skip_blanks(s + len);

	if (len == 4 && strncasecmp(s, "NONE", 4) == 0) {
		st->none = true;
		return *rest == '\0' ? 0 : potfile_fail(r, rest, e, "nothing follows HEALTHCHECK NONE");
	}
	if (len != 3 || strncasecmp(s, "CMD", 3) != 0)
		return potfile_fail(r, s, e, "CMD or NONE is wanted here");
	if (*rest == '\0')
		return potfile_fail(r, rest, e, "no command after HEALTHCHECK CMD");
	return parse_command(r, st, rest, e);
}

static int
parse_pair(struct potfile_reader *r, struct potfile_step *st, const char *s, size_t len, struct err *e)
{
	const char *eq = memchr(s, '=', len);
	int rc;

	if (eq == s || (eq == NULL && st->op != POTFILE_ARG))
		return potfile_fail(r, s, e, eq == s ? "no name before '='" : "NAME=VALUE is wanted here");
	if ((rc = add(r, st, s, eq != NULL ? (size_t)(eq - s) : len, e)) < 0)
		return rc;
	if (eq == NULL)
		return potfile_add_word(st, NULL, 0, potfile_source(r, s), e);
	return add(r, st, eq + 1, len - (size_t)(eq + 1 - s), e);
}

static int
parse_pairs(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	size_t len;
	int rc = word(r, s, &len, e);

	/* The old form: NAME, and the rest of the line is the value. */
	if (rc == 0 && len > 0 && st->op != POTFILE_ARG && memchr(s, '=', len) == NULL) {
		const char *value = skip_blanks(s + len);

		if (*value == '\0')
			return potfile_fail(r, s, e, "no value: %s", potfile_rows[st->op].usage);
		warn(r, s, "the old form; better NAME=VALUE");
		rc = add(r, st, s, len, e);
		return rc < 0 ? rc : add(r, st, value, strlen(value), e);
	}
	for (; rc == 0 && *(s = skip_blanks(s)) != '\0'; s += len) {
		rc = word(r, s, &len, e);
		if (rc == 0)
			rc = parse_pair(r, st, s, len, e);
	}
	return rc;
}

/* IMAGE [AS NAME] */
static int
parse_from(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	int rc = parse_words(r, st, s, e);

	if (rc < 0 || st->nwords <= 1)
		return rc;
	if (st->nwords != 3 || strcasecmp(st->words[1].text, "AS") != 0) {
		r->fault = st->words[1].at;
		return err_set(e, E_INVAL, "only 'AS NAME' may follow the image");
	}
	free(st->words[1].text);
	st->words[1] = st->words[2];
	st->nwords = 2;
	for (char *p = st->words[1].text; *p != '\0'; p++) {
		*p = (char)tolower((unsigned char)*p);
		if (p == st->words[1].text ? !isalpha((unsigned char)*p)
					   : !isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL) {
			r->fault = st->words[1].at + (size_t)(p - st->words[1].text);
			return err_set(
			    e, E_INVAL, "a stage's name is a letter and then letters, digits, '-', '_', '.'");
		}
	}
	return 0;
}

/* --name, --name=value, as many as there are; *s is then behind them. */
static int
parse_flags(struct potfile_reader *r, struct potfile_step *st, const char **s, struct err *e)
{
	int rc = 0;

	while (rc == 0 && strncmp(*s = skip_blanks(*s), "--", 2) == 0) {
		const char *start = *s, *row, *value;
		char name[32], *text;
		size_t len, n;

		if ((rc = word(r, start, &len, e)) < 0)
			return rc;
		*s += len;
		if (len == 2)
			break;
		n = strcspn(start + 2, "= \t");
		if (n >= sizeof(name))
			return potfile_fail(r, start, e, "no option of %s", potfile_op_name(st->op));
		memcpy(name, start + 2, n);
		name[n] = '\0';
		r->fault = potfile_source(r, start);
		if ((row = potfile_flag_find(st->op, name, e)) == NULL)
			return -E_INVAL;
		if (potfile_flag(st, row) != NULL && !potfile_flag_repeats(st->op, row))
			return potfile_fail(r, start, e, "--%s stands here a second time", row);
		value = start[2 + n] == '=' ? start + 3 + n : NULL;
		text = value != NULL ? buf_dup(value, len - 3 - n) : NULL;
		if (value != NULL && text == NULL)
			return err_nomem(e);
		rc = potfile_add_flag(st, row, text, potfile_source(r, start), e);
		if (rc == 0)
			rc = potfile_flag_check(st->op, row, text, false, e);
		free(text);
	}
	*s = skip_blanks(*s);
	return rc;
}

/* Takes the quotes off a delimiter; false: it is none. The shell ends it at its own signs. */
static bool
delimiter(const char *s, size_t len, char *out, size_t size, bool *quoted)
{
	size_t n = 0;
	char quote = '\0';

	*quoted = false;
	for (size_t i = 0; i < len; i++) {
		if (quote == '\0' && strchr("<>|&;()", s[i]) != NULL) {
			if (s[i] == '<')
				return false;
			break;
		}
		if (s[i] == quote) {
			quote = '\0';
		} else if (quote == '\0' && (s[i] == '\'' || s[i] == '"')) {
			quote = s[i];
			*quoted = true;
		} else if (s[i] == '\\' && quote == '\0' && i + 1 < len) {
			*quoted = true;
			continue;
		} else if (n + 1 < size) {
			out[n++] = s[i];
		} else {
			return false;
		}
	}
	out[n] = '\0';
	return n > 0;
}

static int
add_heredoc(struct potfile_reader *r, struct potfile_step *st, const char *at, const char *name, bool quoted,
    bool tabs, struct err *e)
{
	struct potfile_heredoc *h;

	if (st->nheredocs == POTFILE_HEREDOCS_MAX)
		return potfile_fail(r, at, e, "more than %d here-documents", POTFILE_HEREDOCS_MAX);
	h = reallocarray(st->heredocs, st->nheredocs + 1, sizeof(*h));
	if (h == NULL)
		return err_nomem(e);
	st->heredocs = h;
	h += st->nheredocs++;
	*h = (struct potfile_heredoc){ .name = strdup(name), .expand = !quoted, .at = potfile_source(r, at) };
	return h->name == NULL ? err_nomem(e) : potfile_read_heredoc(r, h, tabs, e);
}

/* 1: the word is [N]<<[-]NAME and its body has been read. */
static int
read_heredoc(struct potfile_reader *r, struct potfile_step *st, const char *s, size_t len, struct err *e)
{
	const char *at = s, *end = s + len;
	char name[128];
	bool tabs, quoted;
	int rc;

	while (s < end && isdigit((unsigned char)*s))
		s++;
	if (end - s < 3 || strncmp(s, "<<", 2) != 0)
		return 0;
	s += 2;
	tabs = *s == '-';
	s += tabs;
	if (!delimiter(s, (size_t)(end - s), name, sizeof(name), &quoted))
		return 0;
	rc = add_heredoc(r, st, at, name, quoted, tabs, e);
	return rc < 0 ? rc : 1;
}

/* Of a command line only the here-documents are looked for; its quotes are the shell's. */
static int
command_heredocs(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	const char *open;
	int rc = 0;

	while (rc >= 0 && *(s = skip_blanks(s)) != '\0') {
		size_t len = potfile_word_length(s, r->pf->escape, &open);

		rc = read_heredoc(r, st, s, len, e);
		s += len;
	}
	return rc < 0 ? rc : 0;
}

static int
parse_copy(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	size_t len;
	int rc = parse_json(r, st, s, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	for (; rc >= 0 && *(s = skip_blanks(s)) != '\0'; s += len) {
		if ((rc = word(r, s, &len, e)) < 0 || (rc = read_heredoc(r, st, s, len, e)) != 0)
			continue;
		rc = add(r, st, s, len, e);
	}
	return rc < 0 ? rc : 0;
}

static int
parse_arguments(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	unsigned flags = potfile_rows[st->op].flags;
	int rc;

	if (st->op == POTFILE_FROM)
		return parse_from(r, st, s, e);
	if (st->op == POTFILE_HEALTHCHECK)
		return parse_healthcheck(r, st, s, e);
	if (st->op == POTFILE_COPY || st->op == POTFILE_ADD)
		return parse_copy(r, st, s, e);
	if ((flags & IN_COMMAND) != 0) {
		rc = parse_command(r, st, s, e);
		if (rc == 0 && (flags & IN_HEREDOC) != 0 && !st->exec)
			rc = command_heredocs(r, st, s, e);
		return rc;
	}
	if ((flags & IN_JSON) != 0 && (rc = parse_json(r, st, s, e)) != 0)
		return rc < 0 ? rc : 0;
	if ((flags & IN_PAIRS) != 0)
		return parse_pairs(r, st, s, e);
	if ((flags & IN_REST) != 0)
		return *s == '\0' ? 0 : add(r, st, s, strlen(s), e);
	return parse_words(r, st, s, e);
}

static int
check_counts(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	const struct potfile_row *row = &potfile_rows[st->op];
	size_t wrong;
	int rc;

	if (st->nwords < row->min || st->nwords > row->max) {
		potfile_fail(r, s, e, "%s %s", row->name,
		    st->nwords == 0             ? "needs an argument"
			: st->nwords < row->min ? "needs more arguments"
						: "has too many arguments");
		return err_hint(e, "%s", row->usage);
	}
	if ((st->op == POTFILE_COPY || st->op == POTFILE_ADD) && st->nwords + st->nheredocs < 2) {
		potfile_fail(r, s, e, "%s needs a source and a destination", row->name);
		return err_hint(e, "%s", row->usage);
	}
	if (st->op == POTFILE_RUN && st->exec && st->nwords == 0)
		return potfile_fail(r, s, e, "an empty list is no command");
	rc = potfile_words_check(st, false, &wrong, e);
	if (rc < 0)
		r->fault = st->words[wrong].at;
	return rc;
}

static int
find_op(struct potfile_reader *r, const char *s, size_t len, enum potfile_op *op, struct err *e)
{
	const char *names[POTFILE_OPS], *near;
	char upper[16];
	size_t n = len < sizeof(upper) ? len : sizeof(upper) - 1;

	for (size_t i = 0; i < n; i++)
		upper[i] = (char)toupper((unsigned char)s[i]);
	upper[n] = '\0';
	for (unsigned i = 0; i < POTFILE_OPS; i++) {
		names[i] = potfile_rows[i].name;
		if (strlen(names[i]) == len && strcmp(names[i], upper) == 0) {
			*op = (enum potfile_op)i;
			return 0;
		}
	}
	potfile_fail(r, s, e, "unknown instruction '%.*s'", (int)(len < 40 ? len : 40), s);
	near = text_nearest(upper, names, POTFILE_OPS);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	return -E_INVAL;
}

/* Steps come in order, so each newline is counted once. */
static unsigned
line_of(struct potfile_reader *r, size_t at)
{
	for (; r->counted < at; r->counted++)
		r->newlines += r->pf->text[r->counted] == '\n';
	return r->newlines + 1;
}

static int
start_step(struct potfile_reader *r, struct potfile_step *st, const char **s, struct err *e)
{
	size_t len = strcspn(*s, " \t\v\f\r");
	int rc = find_op(r, *s, len, &st->op, e);

	if (rc < 0)
		return rc;
	st->at = potfile_source(r, *s);
	st->line = line_of(r, st->at);
	st->text = strdup(*s);
	if (st->text == NULL)
		return err_nomem(e);
	*s = skip_blanks(*s + len);
	return parse_flags(r, st, s, e);
}

static int
finish_step(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	const char *start = buf_cstr(&r->line);
	int rc = parse_arguments(r, st, s, e);

	return rc < 0 ? rc : check_counts(r, st, *s != '\0' ? s : start, e);
}

static int
parse_onbuild(struct potfile_reader *r, struct potfile_step *st, const char *s, struct err *e)
{
	const char *start = s;
	int rc;

	st->inner = calloc(1, sizeof(*st->inner));
	if (st->inner == NULL)
		return err_nomem(e);
	if (*s == '\0')
		return potfile_fail(r, buf_cstr(&r->line), e, "ONBUILD needs an instruction");
	if ((rc = start_step(r, st->inner, &s, e)) < 0)
		return rc;
	if ((potfile_rows[st->inner->op].flags & IN_TRIGGER) == 0)
		return potfile_fail(
		    r, start, e, "%s cannot stand behind ONBUILD", potfile_op_name(st->inner->op));
	return finish_step(r, st->inner, s, e);
}

int
potfile_parse_step(struct potfile_reader *r, struct potfile_step *st, struct err *e)
{
	const char *s = buf_cstr(&r->line), *nul = memchr(s, '\0', r->line.len);
	int rc;

	if (nul != NULL)
		return potfile_fail(r, nul, e, "a NUL byte: not a text file");
	if ((rc = start_step(r, st, &s, e)) < 0)
		return rc;
	if (r->triggers && (potfile_rows[st->op].flags & IN_TRIGGER) == 0)
		return potfile_fail(
		    r, buf_cstr(&r->line), e, "%s cannot be a trigger", potfile_op_name(st->op));
	if (st->op == POTFILE_ONBUILD)
		return parse_onbuild(r, st, s, e);
	return finish_step(r, st, s, e);
}
