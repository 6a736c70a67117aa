/*
 * Takes argv apart by the rows of the table: global options anywhere, the
 * verb, its options (letters, clusters, long names with or without "="), the
 * pot, positionals, the words of a command. Knows no verb by name, opens and
 * prints nothing. Strings stay argv's; the vectors belong to struct args.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cmd.h"

/* Where -p/--pot is the pot; a verb whose row has its own letter p keeps that. */
const struct opt opt_pot = { "pot", 'p', "NAME", OPT_POT | OPT_MANY, "the pot" };

struct parser {
	struct args *a;
	const struct cmd *const *table;
	char **argv;
	int argc, i;
	size_t npos;
	char **pos; /* all positionals in order, the pot among them */
	bool only_words;
};

int
args_usage(const struct args *a, struct err *e, const char *fmt, ...)
{
	va_list ap;
	char why[256];

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (a->cmd == NULL) {
		err_set(e, E_USAGE, "%s", why);
		return err_hint(e, "see 'pot help'");
	}
	err_set(e, E_USAGE, "%s: %s", a->cmd->name, why);
	return err_hint(e, "see 'pot help %s'", a->cmd->name);
}

/* ---- rows ------------------------------------------------------------------ */

static const struct opt *
rows_by_letter(const struct opt *rows, char letter)
{
	for (; rows != NULL && rows->name != NULL; rows++)
		if (rows->letter == letter)
			return rows;
	return NULL;
}

static const struct opt *
rows_by_name(const struct opt *rows, const char *name, size_t len)
{
	for (; rows != NULL && rows->name != NULL; rows++)
		if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct opt *
opt_by_letter(const struct cmd *cmd, char letter)
{
	const struct opt *o = NULL;

	if (cmd != NULL)
		o = rows_by_letter(cmd->opts, letter);
	if (o == NULL && cmd != NULL && cmd->pot != POT_NONE && letter == opt_pot.letter)
		o = &opt_pot;
	return o != NULL ? o : rows_by_letter(opt_globals, letter);
}

static const struct opt *
opt_by_name(const struct cmd *cmd, const char *name, size_t len)
{
	const struct opt *o = NULL;

	if (cmd != NULL)
		o = rows_by_name(cmd->opts, name, len);
	if (o == NULL && cmd != NULL && cmd->pot != POT_NONE && len == 3 && memcmp(name, "pot", 3) == 0)
		o = &opt_pot;
	return o != NULL ? o : rows_by_name(opt_globals, name, len);
}

const struct cmd *
cmd_find(const struct cmd *const *table, const char *name)
{
	for (; *table != NULL; table++) {
		if (strcmp((*table)->name, name) == 0)
			return *table;
		for (const char *const *al = (*table)->aliases; *al != NULL; al++)
			if (strcmp(*al, name) == 0)
				return *table;
	}
	return NULL;
}

int
cmd_unknown(const struct cmd *const *table, const char *verb, struct err *e)
{
	const char *names[256], *near;
	size_t n = 0;

	for (const struct cmd *const *c = table; *c != NULL && n < ARRAY_LEN(names); c++) {
		if (((*c)->flags & CMD_HIDDEN) != 0)
			continue;
		names[n++] = (*c)->name;
		for (size_t k = 0; (*c)->aliases[k] != NULL && n < ARRAY_LEN(names); k++)
			names[n++] = (*c)->aliases[k];
	}
	near = text_nearest(verb, names, n);
	err_set(e, E_USAGE, "unknown command '%.64s'", verb);
	if (near != NULL)
		return err_hint(e, "did you mean '%s'? See 'pot help'", near);
	return err_hint(e, "see 'pot help'");
}

static int
unknown_long(const struct parser *p, const char *name, size_t len, struct err *e)
{
	const struct cmd *cmd = p->a->cmd;
	const char *names[128], *near;
	char word[64];
	size_t n = 0;

	if (len >= sizeof(word))
		len = sizeof(word) - 1;
	memcpy(word, name, len);
	word[len] = '\0';
	for (const struct opt *o = cmd != NULL ? cmd->opts : NULL; o != NULL && o->name != NULL; o++)
		if (n < ARRAY_LEN(names))
			names[n++] = o->name;
	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		if (n < ARRAY_LEN(names))
			names[n++] = o->name;
	if (cmd != NULL && cmd->pot != POT_NONE && n < ARRAY_LEN(names))
		names[n++] = opt_pot.name;
	near = text_nearest(word, names, n);
	(void)args_usage(p->a, e, "unknown option '--%s'", word);
	if (near == NULL)
		return -E_USAGE;
	if (cmd == NULL)
		return err_hint(e, "did you mean '--%s'? See 'pot help'", near);
	return err_hint(e, "did you mean '--%s'? See 'pot help %s'", near, cmd->name);
}

/* ---- one option ------------------------------------------------------------ */

/* Is value one of the words of "a|b|c"? Anything is, where arg names no words. */
static bool
choice_ok(const char *arg, const char *value)
{
	size_t len = strlen(value);

	if (strchr(arg, '|') == NULL)
		return true;
	for (const char *w = arg;; w = strchr(w, '|') + 1) {
		size_t n = strcspn(w, "|");

		if (n == len && memcmp(w, value, n) == 0)
			return true;
		if (w[n] == '\0')
			return false;
	}
}

static int
give(struct parser *p, const struct opt *o, const char *value, struct err *e)
{
	struct args *a = p->a;

	if (value != NULL && !choice_ok(o->arg, value))
		return args_usage(a, e, "--%s: '%.64s' is not one of %s", o->name, value, o->arg);
	if (o == &opt_pot) {
		if (value[0] == '\0')
			return args_usage(a, e, "the name of the pot is empty");
		a->pots[a->npots++] = value;
		return 0;
	}
	if (o->arg != NULL && (o->flags & OPT_MANY) == 0)
		for (size_t i = 0; i < a->ngiven; i++)
			if (a->given[i].opt == o)
				return args_usage(a, e, "option '--%s' was given twice", o->name);
	a->given[a->ngiven++] = (struct given){ o, value };
	if (strcmp(o->name, "help") == 0)
		a->help = true;
	return 0;
}

/* The value that stands in the next word. */
static const char *
next_word(struct parser *p)
{
	return p->i + 1 < p->argc ? p->argv[++p->i] : NULL;
}

static int
long_option(struct parser *p, const char *word, struct err *e)
{
	size_t len = strcspn(word, "=");
	const struct opt *o = opt_by_name(p->a->cmd, word, len);
	const char *value = word[len] == '=' ? word + len + 1 : NULL;

	if (o == NULL)
		return unknown_long(p, word, len, e);
	if (o->arg == NULL && value != NULL)
		return args_usage(p->a, e, "option '--%s' takes no value", o->name);
	if (o->arg != NULL && value == NULL && (value = next_word(p)) == NULL)
		return args_usage(p->a, e, "option '--%s' needs %s", o->name, o->arg);
	return give(p, o, value, e);
}

static int
letters(struct parser *p, const char *word, struct err *e)
{
	for (; *word != '\0'; word++) {
		const struct opt *o = opt_by_letter(p->a->cmd, *word);
		const char *value = NULL;
		int rc;

		if (o == NULL) {
			if ((unsigned char)*word < 0x20 || (unsigned char)*word > 0x7e)
				return args_usage(p->a, e, "unknown option");
			return args_usage(p->a, e, "unknown option '-%c'", *word);
		}
		if (o->arg != NULL) {
			value = word[1] != '\0' ? word + 1 : next_word(p);
			if (value == NULL)
				return args_usage(p->a, e, "option '-%c' needs %s", *word, o->arg);
		}
		rc = give(p, o, value, e);
		if (rc != 0)
			return rc;
		if (value != NULL)
			break;
	}
	return 0;
}

/* ---- words ----------------------------------------------------------------- */

static int
set_verb(struct parser *p, const char *word, struct err *e)
{
	p->a->verb = word;
	p->a->cmd = cmd_find(p->table, word);
	return p->a->cmd != NULL ? 0 : cmd_unknown(p->table, word, e);
}

/* Has the command of an exec-like verb begun, so that options are its own? */
static bool
in_tail(const struct parser *p)
{
	const struct cmd *cmd = p->a->cmd;

	if (cmd == NULL || (cmd->flags & CMD_TAIL) == 0)
		return false;
	return p->npos + (p->a->npots > 0) > ((cmd->flags & CMD_TAIL_FIRST) != 0 ? 0 : 1);
}

static int
one_word(struct parser *p, struct err *e)
{
	char *word = p->argv[p->i];

	if (!p->only_words && word[0] == '-' && word[1] != '\0' && !in_tail(p)) {
		if (strcmp(word, "--") == 0) {
			p->only_words = true;
			return 0;
		}
		return word[1] == '-' ? long_option(p, word + 2, e) : letters(p, word + 1, e);
	}
	if (p->a->cmd == NULL)
		return set_verb(p, word, e);
	p->pos[p->npos++] = word;
	return 0;
}

/* ---- what must be there ------------------------------------------------------ */

bool
args_flagged(const struct args *a, unsigned flag)
{
	for (size_t i = 0; i < a->ngiven; i++)
		if ((a->given[i].opt->flags & flag) != 0)
			return true;
	return false;
}

/* Gives the first positionals to the pots where the verb takes them there. */
static int
take_pots(struct parser *p, struct err *e)
{
	struct args *a = p->a;
	enum pot_use use = a->cmd->pot;
	bool several = use == POT_MANY || use == POT_ANY;
	size_t used = 0, wanted = several ? p->npos : 1;

	if (use == POT_NONE || args_flagged(a, OPT_NOPOT | OPT_SOLO))
		wanted = 0;
	if (a->npots > 0 && !several)
		wanted = 0;
	while (used < wanted && used < p->npos) {
		if (p->pos[used][0] == '\0')
			return args_usage(a, e, "the name of the pot is empty");
		a->pots[a->npots++] = p->pos[used++];
	}
	a->rest = p->pos + used;
	a->nrest = p->npos - used;
	if (a->npots > 1 && !several)
		return args_usage(a, e, "takes one pot, '%.64s' is a second one", a->pots[1]);
	if (a->npots > 0 && args_flagged(a, OPT_NOPOT))
		return args_usage(a, e, "takes either a pot or '--%s'", a->given[0].opt->name);
	return 0;
}

static int
check_complete(const struct args *a, struct err *e)
{
	const struct cmd *cmd = a->cmd;

	if (args_flagged(a, OPT_SOLO))
		return a->nrest == 0 ? 0 : args_usage(a, e, "unexpected argument '%.64s'", a->rest[0]);
	if ((cmd->pot == POT_ONE || cmd->pot == POT_MANY) && a->npots == 0 && !args_flagged(a, OPT_NOPOT))
		return args_usage(a, e, "which pot? Its name is missing");
	for (const struct opt *o = cmd->opts; o != NULL && o->name != NULL; o++) {
		if ((o->flags & OPT_MUST) == 0 || args_has(a, o->name))
			continue;
		if (o->letter != 0)
			return args_usage(
			    a, e, "option '-%c' ('--%s %s') is missing", o->letter, o->name, o->arg);
		return args_usage(a, e, "option '--%s %s' is missing", o->name, o->arg);
	}
	if (a->nrest < (size_t)cmd->min)
		return args_usage(a, e, "missing argument: %s", cmd->args);
	if (cmd->max >= 0 && a->nrest > (size_t)cmd->max)
		return args_usage(a, e, "unexpected argument '%.64s'", a->rest[cmd->max]);
	return 0;
}

/* ---- public -------------------------------------------------------------------- */

int
args_parse(struct args *a, int argc, char **argv, const struct cmd *const *table, struct err *e)
{
	struct parser p = { .a = a, .table = table, .argv = argv, .argc = argc };
	size_t letters_total = 1;
	int rc;

	memset(a, 0, sizeof(*a));
	for (int i = 1; i < argc; i++)
		letters_total += strlen(argv[i]) + 1;
	/* A cluster gives at most one option a letter; so no vector can be too short. */
	a->given = calloc(letters_total, sizeof(*a->given));
	a->pots = calloc(letters_total, sizeof(*a->pots));
	p.pos = calloc((size_t)argc + 1, sizeof(*p.pos));
	a->words = p.pos;
	if (a->given == NULL || a->pots == NULL || p.pos == NULL)
		return err_nomem(e);
	a->rest = p.pos;
	for (p.i = 1; p.i < argc; p.i++)
		if ((rc = one_word(&p, e)) != 0)
			return a->help ? 0 : rc;
	if (a->help || a->cmd == NULL)
		return 0;
	if ((rc = take_pots(&p, e)) != 0)
		return rc;
	return check_complete(a, e);
}

void
args_fini(struct args *a)
{
	free(a->given);
	free(a->pots);
	free(a->words);
	memset(a, 0, sizeof(*a));
}

static const struct opt *
must_find(const struct args *a, const char *name)
{
	const struct opt *o = opt_by_name(a->cmd, name, strlen(name));

	assert(o != NULL);
	return o;
}

size_t
args_count(const struct args *a, const char *name)
{
	const struct opt *o = must_find(a, name);
	size_t n = 0;

	for (size_t i = 0; i < a->ngiven; i++)
		n += a->given[i].opt == o;
	return n;
}

bool
args_has(const struct args *a, const char *name)
{
	return args_count(a, name) > 0;
}

const char *
args_value(const struct args *a, const char *name)
{
	const struct opt *o = must_find(a, name);

	for (size_t i = a->ngiven; i > 0; i--)
		if (a->given[i - 1].opt == o)
			return a->given[i - 1].value;
	return NULL;
}

char **
args_values(const struct args *a, const char *name)
{
	const struct opt *o = must_find(a, name);
	char **v = calloc(a->ngiven + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; v != NULL && i < a->ngiven; i++)
		if (a->given[i].opt == o)
			v[n++] = (char *)a->given[i].value;
	return v;
}

int
args_exclusive(const struct args *a, const char *one, const char *other, struct err *e)
{
	if (!args_has(a, one) || !args_has(a, other))
		return 0;
	return args_usage(a, e, "'--%s' and '--%s' exclude each other", one, other);
}
