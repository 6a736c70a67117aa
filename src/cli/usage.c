/* Help made from the rows: one line, one verb, all verbs, and all as JSON. */
#include <string.h>

#include "cli/cli.h"

#define TEXT_COLUMN 30
#define USAGE_COLUMNS 100
#define USAGE_INDENT 10 /* and a blank: below the verb */

static const char *
pots_usage(const struct cmd *c)
{
	switch (c->pot) {
	case POT_ONE:
		return " NAME";
	case POT_OPTIONAL:
		return " [NAME]";
	case POT_MANY:
		return " NAME ...";
	case POT_ANY:
		return " [NAME ...]";
	default:
		return "";
	}
}

static void
usage_options(const struct cmd *c, FILE *f)
{
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++) {
		bool must = (o->flags & OPT_MUST) != 0;

		fputs(must ? " " : " [", f);
		if (o->letter != 0)
			fprintf(f, "-%c", o->letter);
		else
			fprintf(f, "--%s", o->name);
		if (o->arg != NULL)
			fprintf(f, " %s", o->arg);
		fprintf(f, "%s%s", must ? "" : "]", (o->flags & OPT_MANY) != 0 ? " ..." : "");
	}
}

void
usage_line(const struct cmd *c, FILE *f)
{
	fprintf(f, "pot %s", c->name);
	usage_options(c, f);
	fprintf(f, "%s%s%s", pots_usage(c), c->args[0] != '\0' ? " " : "", c->args);
}

/* The end of a part that stays on one line: "[-M SIZE]", "NAME", "[--io RATES] ...". */
static size_t
usage_part(const char *s)
{
	size_t n = 0;
	int depth = 0;

	for (; s[n] != '\0' && (s[n] != ' ' || depth > 0 || strncmp(s + n, " ...", 4) == 0); n++)
		depth += (s[n] == '[') - (s[n] == ']');
	return n;
}

static void
usage_folded(const struct cmd *c, FILE *f)
{
	AUTO_FREE char *line = NULL;
	size_t len, column = 0;
	FILE *whole = open_memstream(&line, &len);

	if (whole == NULL)
		return;
	usage_line(c, whole);
	if (fclose(whole) != 0)
		return;
	column += (size_t)fprintf(f, "usage:");
	for (const char *s = line; *s != '\0'; s += *s == ' ') {
		size_t n = usage_part(s);

		if (column + 1 + n > USAGE_COLUMNS) {
			fprintf(f, "\n%*s", USAGE_INDENT, "");
			column = USAGE_INDENT;
		}
		column += (size_t)fprintf(f, " %.*s", (int)n, s);
		s += n;
	}
}

static void
option_row(const struct opt *o, FILE *f)
{
	int n;

	if (o->letter != 0)
		n = fprintf(f, "  -%c, --%s", o->letter, o->name);
	else
		n = fprintf(f, "      --%s", o->name);
	if (o->arg != NULL)
		n += fprintf(f, " %s", o->arg);
	if (n >= TEXT_COLUMN) {
		fputc('\n', f);
		n = 0;
	}
	fprintf(f, "%*s%s%s\n", TEXT_COLUMN - n, "", o->text,
	    (o->flags & OPT_MANY) != 0 && o != &opt_pot ? " (may be repeated)" : "");
}

void
usage_cmd(const struct cmd *c, FILE *f)
{
	usage_folded(c, f);
	fprintf(f, "\n\n%s\n", c->text);
	if (c->aliases[0] != NULL) {
		fputs("\nalso called:", f);
		for (size_t i = 0; c->aliases[i] != NULL; i++)
			fprintf(f, " %s", c->aliases[i]);
		fputc('\n', f);
	}
	if (c->opts != NULL || c->pot != POT_NONE)
		fputs("\noptions:\n", f);
	if (c->pot != POT_NONE)
		option_row(&opt_pot, f);
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		option_row(o, f);
	fprintf(
	    f, "\nexample:\n  %s\n\nGlobal options: see 'pot help'. More: man pot-%s\n", c->example, c->name);
}

void
usage_all(FILE *f)
{
	const char *group = "";

	fputs("usage: pot [global options] COMMAND [options] [arguments]\n", f);
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++) {
		if (((*c)->flags & CMD_HIDDEN) != 0)
			continue;
		if (strcmp(group, (*c)->group) != 0)
			fprintf(f, "\n%s:\n", (*c)->group);
		group = (*c)->group;
		fprintf(f, "  %-21s %s\n", (*c)->name, (*c)->summary);
	}
	fputs("\nglobal options (before or after the command):\n", f);
	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		option_row(o, f);
	fputs("\n'pot help COMMAND' tells about one command; the manual is pot(8).\n", f);
}

/* ---- JSON ------------------------------------------------------------------- */

static json_t *
opt_json(const struct opt *o)
{
	char letter[2] = { o->letter, '\0' };

	return json_pack("{s:o, s:s, s:o, s:s, s:b, s:b}", "short", js_string(o->letter != 0 ? letter : NULL),
	    "long", o->name, "arg", js_string(o->arg), "text", o->text, "repeatable",
	    (o->flags & OPT_MANY) != 0, "required", (o->flags & OPT_MUST) != 0);
}

/* "key: text\n…" as a list of pairs, in the order of the row. */
static json_t *
keys_json(const char *text)
{
	json_t *list = json_array();

	for (; text != NULL && *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
		size_t key = strcspn(text, ":\n"), end = strcspn(text, "\n");
		size_t value = key + 2 < end ? key + 2 : end;

		json_array_append_new(
		    list, json_pack("{s:s%, s:s%}", "key", text, key, "text", text + value, end - value));
	}
	return list;
}

static json_t *
cmd_json(const struct cmd *c)
{
	AUTO_FREE char *line = NULL;
	size_t len;
	json_t *opts = json_array(), *aliases = json_array();
	char words[256];
	FILE *f = open_memstream(&line, &len);

	if (f == NULL)
		return NULL;
	usage_line(c, f);
	if (fclose(f) != 0)
		return NULL;
	snprintf(words, sizeof(words), "%s%s%s", pots_usage(c), c->args[0] != '\0' ? " " : "", c->args);
	if (c->pot != POT_NONE)
		json_array_append_new(opts, opt_json(&opt_pot));
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		json_array_append_new(opts, opt_json(o));
	for (size_t i = 0; c->aliases[i] != NULL; i++)
		json_array_append_new(aliases, json_string(c->aliases[i]));
	return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:b, s:b}", "name", c->name,
	    "aliases", aliases, "group", c->group, "summary", c->summary, "description", c->text, "usage",
	    line, "arguments", words + strspn(words, " "), "options", opts, "example", c->example, "json",
	    c->json != NULL ? keys_json(c->json) : json_null(), "root", (c->flags & CMD_ROOT) != 0,
	    "command_status", (c->flags & CMD_STATUS) != 0);
}

int
usage_json(struct err *e)
{
	json_t *globals = json_array(), *verbs = json_array();

	for (const struct opt *o = opt_globals; o->name != NULL; o++)
		json_array_append_new(globals, opt_json(o));
	for (const struct cmd *const *c = cmd_table; *c != NULL; c++)
		if (((*c)->flags & CMD_HIDDEN) == 0)
			json_array_append_new(verbs, cmd_json(*c));
	return js_print(
	    json_pack("{s:s, s:o, s:o}", "version", POT_VERSION, "options", globals, "verbs", verbs), e);
}
