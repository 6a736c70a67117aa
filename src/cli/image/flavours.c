/* What pot flavours and list -F do. */
#include <string.h>

#include <pot/flavour.h>

#include "cli/image/verbs.h"

struct look {
	struct cli *cli;
	struct table table;
	json_t *list;
	size_t n;
};

static json_t *
systems(const struct pot_flavour_info *f)
{
	json_t *v = json_array();

	if (f->on_linux)
		json_array_append_new(v, json_string("linux"));
	if (f->on_freebsd)
		json_array_append_new(v, json_string("freebsd"));
	return v;
}

static json_t *
js_flavour(const struct pot_flavour_info *f)
{
	json_t *parameters = json_array(), *needs = json_array();

	for (size_t i = 0; i < f->nparameters; i++) {
		const struct pot_flavour_parameter *p = &f->parameters[i];

		json_array_append_new(parameters,
		    json_pack("{s:o, s:o, s:o, s:b}", "name", js_string(p->name), "description",
			js_text_or_null(p->description), "default", js_string(p->def), "required",
			(int)p->required));
	}
	for (size_t i = 0; i < f->nneeds; i++)
		json_array_append_new(needs, js_string(f->needs[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:o}", "name",
	    js_string(f->name), "title", js_text_or_null(f->title), "description",
	    js_text_or_null(f->description), "version", js_text_or_null(f->version), "licence",
	    js_text_or_null(f->licence), "directory", js_string(f->where), "systems", systems(f), "here",
	    (int)f->here, "commands", (int)f->has_commands, "script", (int)f->has_script, "parameters",
	    parameters, "flavours", needs, "broken", js_string(f->broken));
}

/* ---- ls --------------------------------------------------------------------------- */

static const char *
systems_text(const struct pot_flavour_info *f)
{
	return f->on_linux && f->on_freebsd ? "freebsd linux" : f->on_linux ? "linux" : "freebsd";
}

static int
list_one(void *arg, const struct pot_flavour_info *f)
{
	struct look *l = arg;

	if (l->cli->json) {
		json_array_append_new(l->list, js_flavour(f));
		return 0;
	}
	if (l->cli->quiet) {
		puts(f->name);
		return 0;
	}
	table_add(&l->table, f->name);
	table_add(&l->table, f->version[0] != '\0' ? f->version : "-");
	table_colour(&l->table, f->broken != NULL ? "?" : systems_text(f),
	    f->broken != NULL ? COLOUR_RED
		: f->here     ? COLOUR_NONE
			      : COLOUR_YELLOW);
	table_add(&l->table, f->broken != NULL ? "cannot be read: pot flavours lint" : f->title);
	if (l->cli->verbose > 0)
		table_add(&l->table, f->where);
	return 0;
}

static int
list(struct cli *cli, const char *const *dirs, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table,
	    cli->verbose > 0 ? "FLAVOUR VERSION SYSTEMS TITLE DIRECTORY" : "FLAVOUR VERSION SYSTEMS TITLE");
	rc = pot_flavour_list(cli->ctx, dirs, list_one, &l, e);
	if (rc == 0 && cli->json)
		rc = js_print(json_incref(l.list), e);
	else if (rc == 0 && !cli->quiet)
		rc = table_print(&l.table, cli, e);
	table_fini(&l.table);
	json_decref(l.list);
	return rc;
}

int
image_list(struct cli *cli, const struct args *a, struct err *e)
{
	(void)a;
	return list(cli, NULL, e);
}

/* ---- show ---------------------------------------------------------------------------- */

static void
show_parameter(const struct pot_flavour_parameter *p, bool is_first)
{
	field(is_first ? "parameters" : "", "%s: %s%s%s%s%s", p->name, p->description,
	    p->required ? " (required)" : "", p->def != NULL && p->def[0] != '\0' ? " [" : "",
	    p->def != NULL ? p->def : "", p->def != NULL && p->def[0] != '\0' ? "]" : "");
}

static int
show_one(void *arg, const struct pot_flavour_info *f)
{
	struct look *l = arg;

	if (l->cli->json) {
		l->list = js_flavour(f);
		return 0;
	}
	field("flavour", "%s", f->name);
	if (f->title[0] != '\0')
		field("title", "%s", f->title);
	if (f->description[0] != '\0')
		field("description", "%s", f->description);
	if (f->version[0] != '\0')
		field("version", "%s", f->version);
	if (f->licence[0] != '\0')
		field("licence", "%s", f->licence);
	field("systems", "%s%s", systems_text(f), f->here ? "" : " (not this one)");
	field("directory", "%s", f->where);
	field("files", "%s%s%s%s%s%s", f->has_commands ? f->name : "", f->has_commands ? " " : "",
	    f->has_script ? f->name : "", f->has_script ? ".sh " : "", f->has_description ? f->name : "",
	    f->has_description ? ".meta" : "");
	for (size_t i = 0; i < f->nneeds; i++)
		field(i == 0 ? "flavours" : "", "%s", f->needs[i]);
	for (size_t i = 0; i < f->nparameters; i++)
		show_parameter(&f->parameters[i], i == 0);
	return 0;
}

static int
show(struct cli *cli, const char *const *dirs, const char *name, struct err *e)
{
	struct look l = { .cli = cli };
	int rc = pot_flavour_show(cli->ctx, dirs, name, show_one, &l, e);

	return rc == 0 && cli->json ? js_print(l.list, e) : rc;
}

/* ---- lint ------------------------------------------------------------------------------ */

static int
tell_finding(void *arg, const struct pot_flavour_finding *f)
{
	struct look *l = arg;
	const char *severity = f->severity == POT_FAIL ? "fail" : "warn";

	if (l->cli->json) {
		json_array_append_new(l->list,
		    json_pack("{s:s, s:o, s:o, s:o}", "severity", severity, "file", js_string(f->file),
			"line", f->line > 0 ? json_integer(f->line) : json_null(), "text",
			js_string(f->text)));
		return 0;
	}
	if (l->cli->quiet && f->severity != POT_FAIL)
		return 0;
	put_text(f->file);
	if (f->line > 0)
		printf(":%u", f->line);
	printf(": %s: ", severity);
	put_text(f->text);
	putchar('\n');
	return 0;
}

static int
note_name(void *arg, const struct pot_flavour_info *f)
{
	strv_add(arg, f->name);
	return 0;
}

static int
lint(struct cli *cli, const char *const *dirs, char *const *names, struct err *e)
{
	AUTO_FINI(strv) struct strv all = STRV_INIT(65536);
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int worst = POT_OK, rc = 0;

	if (*names == NULL) {
		rc = pot_flavour_list(cli->ctx, dirs, note_name, &all, e);
		if (rc == 0)
			rc = strv_check(&all, "flavours", e);
		names = all.n > 0 ? all.v : names;
	}
	for (; rc >= 0 && *names != NULL; names++) {
		rc = pot_flavour_lint(cli->ctx, dirs, *names, tell_finding, &l, e);
		worst = rc > worst ? rc : worst;
	}
	if (rc >= 0 && cli->json)
		rc = js_print(json_incref(l.list), e);
	json_decref(l.list);
	return rc < 0 ? rc : worst == POT_FAIL;
}

int
image_flavours(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE char **dirs = args_values(a, "flavour-dir");
	const char *what = a->nrest > 0 ? a->rest[0] : "ls";
	const char *const *in = (const char *const *)dirs;

	if (dirs == NULL)
		return err_nomem(e);
	if (strcmp(what, "ls") == 0 || strcmp(what, "list") == 0)
		return a->nrest > 1 ? args_usage(a, e, "'ls' takes no name") : list(cli, in, e);
	if (strcmp(what, "lint") == 0)
		return lint(cli, in, a->rest + 1, e);
	if (strcmp(what, "show") != 0)
		return args_usage(a, e, "there is no 'flavours %.32s': ls, show or lint", what);
	if (a->nrest != 2)
		return args_usage(a, e, "'show' takes the name of one flavour");
	return show(cli, in, a->rest[1], e);
}
