/*
 * Steps with their variables put in, and checks of words that are then known:
 * ports, signals, names, limits, attributes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/attr.h"
#include "model/limit.h"
#include "model/name.h"
#include "model/potfile_impl.h"
#include "model/signame.h"

#define HEALTH_INTERVAL_MS 30000
#define HEALTH_TIMEOUT_MS 30000
#define HEALTH_START_INTERVAL_MS 5000
#define HEALTH_RETRIES 3

static int
check_attribute(const char *key, const char *value, struct err *e)
{
	const struct attr *a = attr_find(key, e);
	char *text;

	if (a == NULL)
		return -E_INVAL;
	if ((a->flags & ATTR_READONLY) != 0)
		return err_set(e, E_INVAL, "the attribute %s is set by pot itself", a->name);
	if (value == NULL)
		return 0;
	text = attr_normalize(a, value, e);
	if (text == NULL)
		return e != NULL && e->code != 0 ? -e->code : -E_INVAL;
	free(text);
	return 0;
}

static int
check_limit(const char *key, const char *value, struct err *e)
{
	AUTO_FREE struct limits *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return err_nomem(e);
	if (limits_find(key, e) == NULL)
		return -E_INVAL;
	return value == NULL ? 0 : limits_set(l, key, value, e);
}

/* NULL: not known yet. */
static const char *
known(const struct potfile_step *st, size_t i, bool expanded)
{
	const char *text = st->words[i].text;

	return expanded || text == NULL || strpbrk(text, "$\"'\\`") == NULL ? text : NULL;
}

static int
check_pair(const struct potfile_step *st, size_t *word, bool expanded, struct err *e)
{
	const char *key = known(st, 0, expanded), *value = known(st, 1, expanded);
	int rc;

	*word = 0;
	if (key == NULL)
		return 0;
	rc = st->op == POTFILE_LIMIT ? check_limit(key, NULL, e) : check_attribute(key, NULL, e);
	if (rc < 0 || value == NULL)
		return rc;
	*word = 1;
	return st->op == POTFILE_LIMIT ? check_limit(key, value, e) : check_attribute(key, value, e);
}

static int
check_word(const struct potfile_step *st, size_t i, const char *text, struct err *e)
{
	struct potfile_ports ports;
	int rc;

	switch (st->op) {
	case POTFILE_EXPOSE:
		return potfile_ports_parse(text, &ports, e);
	case POTFILE_STOPSIGNAL:
		rc = signame_parse(text, e);
		return rc < 0 ? rc : 0;
	case POTFILE_NAME:
		return name_check(text, "pot", e);
	case POTFILE_USER:
	case POTFILE_WORKDIR:
	case POTFILE_VOLUME:
	case POTFILE_FLAVOUR:
		return text[0] == '\0' ? err_set(e, E_INVAL, "%s names nothing", potfile_op_name(st->op)) : 0;
	case POTFILE_ENV:
	case POTFILE_LABEL:
	case POTFILE_ARG:
		if (i % 2 == 0 && (text[0] == '\0' || strchr(text, '=') != NULL))
			return err_set(e, E_INVAL, "'%.64s' is not a name", text);
		return 0;
	default:
		return 0;
	}
}

int
potfile_words_check(const struct potfile_step *st, bool expanded, size_t *word, struct err *e)
{
	int rc = 0;

	*word = 0;
	if (st->op == POTFILE_ATTRIBUTE || st->op == POTFILE_LIMIT)
		return check_pair(st, word, expanded, e);
	for (size_t i = 0; rc == 0 && i < st->nwords; i++) {
		const char *text = known(st, i, expanded);

		*word = i;
		if (text != NULL)
			rc = check_word(st, i, text, e);
	}
	return rc;
}

struct expander {
	const struct potfile *pf;
	const struct subst_lookup *lookup;
	size_t fault;
};

/* Offsets within a word are those in the file as long as it has no continuation in it; good enough for a caret. */
static int
expand_text(struct expander *x, const char *text, size_t at, unsigned flags, bool vars, struct buf *out,
    struct err *e)
{
	size_t within = 0;
	int rc = subst_word(text, x->pf->escape, flags, vars ? x->lookup : NULL, out, &within, e);

	if (rc < 0)
		x->fault = at + within;
	return rc;
}

static int
expand_split(struct expander *x, const struct potfile_word *w, struct potfile_step *out, struct err *e)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(POTFILE_WORDS_MAX);
	size_t within = 0;
	int rc = subst_words(w->text, x->pf->escape, x->lookup, &v, &within, e);

	x->fault = w->at + within;
	for (size_t i = 0; rc == 0 && i < v.n; i++)
		rc = potfile_add_word(out, v.v[i], strlen(v.v[i]), w->at, e);
	return rc;
}

static int
expand_word(
    struct expander *x, const struct potfile_step *st, size_t i, struct potfile_step *out, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SUBST_MAX);
	const struct potfile_word *w = &st->words[i];
	unsigned flags = potfile_rows[st->op].flags;
	int rc;

	x->fault = w->at;
	if (w->text == NULL || (flags & IN_VARS) == 0)
		return potfile_add_word(out, w->text, w->text != NULL ? strlen(w->text) : 0, w->at, e);
	if ((flags & IN_SPLIT) != 0)
		return expand_split(x, w, out, e);
	if ((rc = expand_text(x, w->text, w->at, st->exec ? SUBST_TEXT : 0, true, &text, e)) < 0)
		return rc;
	return potfile_add_word(out, buf_cstr(&text), text.len, w->at, e);
}

static int
expand_flag(struct expander *x, enum potfile_op op, const struct potfile_flag *f, struct potfile_step *out,
    struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SUBST_MAX);
	bool vars = strcmp(f->name, "from") != 0;
	const char *value = NULL;
	int rc = 0;

	if (f->value != NULL) {
		rc = expand_text(x, f->value, f->at + strlen(f->name) + 3, 0, vars, &text, e);
		value = buf_cstr(&text);
	}
	if (rc == 0) {
		x->fault = f->at;
		rc = potfile_flag_check(op, f->name, value, true, e);
	}
	return rc < 0 ? rc : potfile_add_flag(out, f->name, value, f->at, e);
}

static int
expand_heredocs(struct expander *x, const struct potfile_step *st, struct potfile_step *out, struct err *e)
{
	bool vars = (potfile_rows[st->op].flags & IN_VARS) != 0;

	out->heredocs = calloc(st->nheredocs > 0 ? st->nheredocs : 1, sizeof(*out->heredocs));
	if (out->heredocs == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < st->nheredocs; i++) {
		AUTO_FINI(buf) struct buf text = BUF_INIT(SUBST_MAX);
		const struct potfile_heredoc *h = &st->heredocs[i];
		int rc = 0;

		out->heredocs[out->nheredocs++] =
		    (struct potfile_heredoc){ .name = strdup(h->name), .expand = h->expand, .at = h->at };
		if (vars && h->expand)
			rc = subst_word(h->body, x->pf->escape, SUBST_TEXT, x->lookup, &text, NULL, e);
		else
			buf_str(&text, h->body);
		x->fault = h->at;
		if (rc < 0 || (rc = buf_check(&text, "here-document", e)) < 0)
			return rc;
		out->heredocs[i].body = buf_take(&text);
		if (out->heredocs[i].body == NULL || out->heredocs[i].name == NULL)
			return err_nomem(e);
	}
	return 0;
}

static int
expand_all(struct expander *x, const struct potfile_step *st, struct potfile_step *out, struct err *e)
{
	size_t wrong;
	int rc = 0;

	x->fault = st->at;
	out->text = strdup(st->text);
	if (out->text == NULL)
		return err_nomem(e);
	for (size_t i = 0; rc == 0 && i < st->nflags; i++)
		rc = expand_flag(x, st->op, &st->flags[i], out, e);
	for (size_t i = 0; rc == 0 && i < st->nwords; i++)
		rc = expand_word(x, st, i, out, e);
	if (rc == 0)
		rc = expand_heredocs(x, st, out, e);
	if (rc < 0)
		return rc;
	rc = potfile_words_check(out, true, &wrong, e);
	if (rc < 0 && wrong < out->nwords)
		x->fault = out->words[wrong].at;
	return rc;
}

/* ONBUILD has no words of its own; its inner step is for the build that it triggers in and is not copied. */
int
potfile_expand(const struct potfile *pf, const struct potfile_step *st, const struct subst_lookup *lookup,
    struct potfile_step *out, struct potfile_place *where, struct err *e)
{
	struct expander x = { pf, lookup, st->at };
	int rc;

	*out = (struct potfile_step){
		.op = st->op, .at = st->at, .line = st->line, .exec = st->exec, .none = st->none
	};
	rc = expand_all(&x, st, out, e);
	if (rc < 0) {
		potfile_locate(pf, x.fault, where, e);
		potfile_step_fini(out);
	}
	return rc;
}

static int
health_time(const struct potfile_step *st, const char *name, int64_t def, int64_t *ms, struct err *e)
{
	const char *value = potfile_flag(st, name);

	*ms = def;
	if (value == NULL)
		return 0;
	/* 0 means the default, as everywhere else. */
	if (potfile_duration_parse(value, ms, e) < 0)
		return -E_INVAL;
	if (*ms == 0)
		*ms = def;
	return 0;
}

int
potfile_health(const struct potfile_step *st, struct potfile_health *h, struct err *e)
{
	const char *retries = potfile_flag(st, "retries");
	uint64_t n = HEALTH_RETRIES;
	int rc;

	*h = (struct potfile_health){ .none = st->none };
	if ((rc = health_time(st, "interval", HEALTH_INTERVAL_MS, &h->interval_ms, e)) < 0 ||
	    (rc = health_time(st, "timeout", HEALTH_TIMEOUT_MS, &h->timeout_ms, e)) < 0 ||
	    (rc = health_time(st, "start-period", 0, &h->start_period_ms, e)) < 0 ||
	    (rc = health_time(st, "start-interval", HEALTH_START_INTERVAL_MS, &h->start_interval_ms, e)) < 0)
		return rc;
	if (retries != NULL && (rc = text_uint(retries, 0, 1000000, &n, "retries", e)) < 0)
		return rc;
	h->retries = n == 0 ? HEALTH_RETRIES : (unsigned)n;
	return 0;
}
