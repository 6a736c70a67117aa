/*
 * The pieces of an instruction: words between blanks, JSON arrays, and the
 * lists of a step that they go into.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/potfile_impl.h"

size_t
potfile_word_length(const char *s, char escape, const char **open)
{
	const char *start = s, *quote = NULL;

	*open = NULL;
	for (; *s != '\0'; s++) {
		if (quote == NULL && (*s == ' ' || *s == '\t'))
			break;
		/* Within '…' nothing is an escape. */
		if (*s == escape && s[1] != '\0' && (quote == NULL || *quote == '"'))
			s++;
		else if (quote != NULL && *s == *quote)
			quote = NULL;
		else if (quote == NULL && (*s == '\'' || *s == '"'))
			quote = s;
	}
	*open = quote;
	return (size_t)(s - start);
}

int
potfile_json(const char *text, struct strv *out, struct err *e)
{
	json_t *root, *item;
	json_error_t why;
	size_t i;
	int rc = 1;

	if (text[0] != '[')
		return 0;
	root = json_loads(text, 0, &why);
	if (root == NULL)
		return 0;
	json_array_foreach(root, i, item)
	{
		if (!json_is_string(item)) {
			strv_clear(out);
			rc = 0;
			break;
		}
		strv_add(out, json_string_value(item));
	}
	json_decref(root);
	if (strv_check(out, "words", e) < 0)
		return strv_check(out, "words", e);
	return rc;
}

int
potfile_add_word(struct potfile_step *st, const char *text, size_t len, size_t at, struct err *e)
{
	struct potfile_word *v;

	if (st->nwords == POTFILE_WORDS_MAX)
		return err_set(e, E_LIMIT, "more than %d words", POTFILE_WORDS_MAX);
	/* Grows in powers of two. */
	if ((st->nwords & (st->nwords - 1)) == 0) {
		v = reallocarray(st->words, st->nwords == 0 ? 1 : st->nwords * 2, sizeof(*v));
		if (v == NULL)
			return err_nomem(e);
		st->words = v;
	}
	st->words[st->nwords] = (struct potfile_word){ text != NULL ? buf_dup(text, len) : NULL, at };
	if (text != NULL && st->words[st->nwords].text == NULL)
		return err_nomem(e);
	st->nwords++;
	return 0;
}

int
potfile_add_flag(struct potfile_step *st, const char *name, const char *value, size_t at, struct err *e)
{
	struct potfile_flag *v;
	char *copy = NULL;

	if (st->nflags == POTFILE_WORDS_MAX)
		return err_set(e, E_LIMIT, "more than %d options", POTFILE_WORDS_MAX);
	if (value != NULL && (copy = strdup(value)) == NULL)
		return err_nomem(e);
	v = reallocarray(st->flags, st->nflags + 1, sizeof(*v));
	if (v == NULL) {
		free(copy);
		return err_nomem(e);
	}
	st->flags = v;
	st->flags[st->nflags++] = (struct potfile_flag){ name, copy, at };
	return 0;
}

static void
step_clear(struct potfile_step *st)
{
	for (size_t i = 0; i < st->nwords; i++)
		free(st->words[i].text);
	for (size_t i = 0; i < st->nflags; i++)
		free(st->flags[i].value);
	for (size_t i = 0; i < st->nheredocs; i++) {
		free(st->heredocs[i].name);
		free(st->heredocs[i].body);
	}
	free(st->text);
	free(st->words);
	free(st->flags);
	free(st->heredocs);
}

/* ONBUILD holds one step and that none. */
void
potfile_step_fini(struct potfile_step *st)
{
	if (st->inner != NULL) {
		step_clear(st->inner);
		free(st->inner);
	}
	step_clear(st);
	*st = (struct potfile_step){ 0 };
}

const char *
potfile_flag_next(const struct potfile_step *st, const char *name, size_t *pos)
{
	while (*pos < st->nflags) {
		const struct potfile_flag *f = &st->flags[(*pos)++];

		if (strcmp(f->name, name) == 0)
			return f->value != NULL ? f->value : "";
	}
	return NULL;
}

const char *
potfile_flag(const struct potfile_step *st, const char *name)
{
	size_t pos = 0;

	return potfile_flag_next(st, name, &pos);
}

bool
potfile_flag_is(const struct potfile_step *st, const char *name)
{
	const char *value = potfile_flag(st, name);

	return value != NULL && (value[0] == '\0' || strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

/* Is the command line nothing but the here-document's word? */
static bool
is_bare(const struct potfile_step *st)
{
	const char *s;

	if (st->exec || st->nheredocs != 1 || st->nwords != 1)
		return false;
	s = st->words[0].text;
	return strncmp(s, "<<", 2) == 0 && strpbrk(s, " \t;|&>") == NULL;
}

static void
print_heredocs(const struct potfile_step *st, struct buf *out)
{
	for (size_t i = 0; i < st->nheredocs; i++)
		buf_fmt(out, "\n%s%s", st->heredocs[i].body, st->heredocs[i].name);
	if (st->nheredocs > 0)
		buf_str(out, "\n");
}

int
potfile_command(const struct potfile_step *st, struct buf *out, bool *script, struct err *e)
{
	*script = is_bare(st);
	if (*script) {
		buf_str(out, st->heredocs[0].body);
	} else {
		buf_str(out, st->nwords > 0 ? st->words[0].text : "");
		print_heredocs(st, out);
	}
	return buf_check(out, "command", e);
}

int
potfile_print(const struct potfile_step *st, struct buf *out, struct err *e)
{
	buf_str(out, st->text);
	print_heredocs(st->inner != NULL ? st->inner : st, out);
	return buf_check(out, "instruction", e);
}
