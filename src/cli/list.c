/* pot list: which pots and bases there are. */
#include "cli/cli.h"

struct look {
	const struct cli *cli;
	struct table table;
	json_t *list;
};

/* Shows what was collected; the list is used up. */
static int
show(struct look *l, int rc, struct err *e)
{
	if (rc == 0 && l->cli->json)
		rc = js_print(take_ptr(l->list), e);
	else if (rc == 0 && !l->cli->quiet)
		rc = table_print(&l->table, l->cli, e);
	if (l->list != NULL)
		json_decref(l->list);
	table_fini(&l->table);
	return rc;
}

static int
list_pot(void *arg, const struct pot_summary *s)
{
	struct look *l = arg;

	if (l->cli->json) {
		json_array_append_new(l->list, js_summary(s));
	} else if (l->cli->quiet) {
		puts(s->name);
	} else {
		table_add(&l->table, s->name);
		table_colour(&l->table, pot_state_name(s->state), state_colour(s->state));
		table_add(&l->table, s->network);
		table_add(&l->table, s->base);
	}
	return 0;
}

static int
list_base(void *arg, const struct pot_base_info *b)
{
	struct look *l = arg;
	bool size = l->cli->verbose > 0;

	if (l->cli->json) {
		json_array_append_new(l->list,
		    json_pack("{s:o, s:o, s:o, s:o, s:o, s:i}", "name", js_string(b->name), "release",
			js_string(b->release[0] != '\0' ? b->release : NULL), "source", js_string(b->source),
			"created_at", js_time(b->created_ns), "size_bytes",
			size ? json_integer((json_int_t)b->size) : json_null(), "pots", (int)b->pots));
		return 0;
	}
	if (l->cli->quiet) {
		puts(b->name);
		return 0;
	}
	table_add(&l->table, b->name);
	table_add(&l->table, b->release);
	table_fmt(&l->table, "%u", b->pots);
	table_time(&l->table, b->created_ns);
	if (size)
		table_size(&l->table, b->size);
	table_add(&l->table, b->source);
	return 0;
}

static int
list_pots(struct cli *cli, json_t **list, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table, "NAME STATE NETWORK BASE");
	rc = pot_list(cli->ctx, list_pot, &l, e);
	if (rc == 0 && list != NULL)
		*list = take_ptr(l.list);
	return list != NULL && rc == 0 ? 0 : show(&l, rc, e);
}

static int
list_bases(struct cli *cli, json_t **list, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table,
	    cli->verbose > 0 ? "BASE RELEASE -POTS CREATED -SIZE SOURCE"
			     : "BASE RELEASE -POTS CREATED SOURCE");
	rc = pot_base_list(cli->ctx, cli->verbose > 0, list_base, &l, e);
	if (rc == 0 && list != NULL)
		*list = take_ptr(l.list);
	return list != NULL && rc == 0 ? 0 : show(&l, rc, e);
}

static int
list_all(struct cli *cli, struct err *e)
{
	json_t *bases = NULL, *pots = NULL, *bridges = NULL;
	int rc = list_bases(cli, cli->json ? &bases : NULL, e);

	if (rc == 0 && !cli->json)
		putchar('\n');
	if (rc == 0)
		rc = list_pots(cli, cli->json ? &pots : NULL, e);
	if (rc == 0 && !cli->json)
		putchar('\n');
	if (rc == 0)
		rc = list_bridges(cli, cli->json ? &bridges : NULL, e);
	if (rc == 0 && cli->json)
		return js_print(
		    json_pack("{s:o, s:o, s:o}", "bases", bases, "pots", pots, "bridges", bridges), e);
	if (bases != NULL)
		json_decref(bases);
	if (pots != NULL)
		json_decref(pots);
	return rc;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	static const char *const kinds[] = { "pots", "bases", "bridges", "flavours", "all" };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (size_t k = 0; k < i && rc == 0; k++)
			rc = args_exclusive(a, kinds[k], kinds[i], e);
	if (rc == 0 && !cli->json)
		rc = args_exclusive(a, "all", "quiet", e);
	if (rc != 0)
		return rc;
	if (args_has(a, "all"))
		return list_all(cli, e);
	if (args_has(a, "flavours"))
		return image_verb(cli, a, e);
	if (args_has(a, "bridges"))
		return list_bridges(cli, NULL, e);
	return args_has(a, "bases") ? list_bases(cli, NULL, e) : list_pots(cli, NULL, e);
}

static const struct opt opts[] = {
	{ "pots", 'p', NULL, 0, "pots (what it shows without an option)" },
	{ "bases", 'b', NULL, 0, "bases; with -v their sizes too" },
	{ "bridges", 'B', NULL, 0, "bridges" },
	{ "flavours", 'F', NULL, 0, "flavours, as pot flavours ls" },
	{ "all", 'a', NULL, 0, "bases, pots and bridges" },
	OPT_END,
};

const struct cmd cmd_list = {
	.name = "list",
	.aliases = { "ls" },
	.group = "Looking",
	.summary = "list pots, bases, bridges and flavours",
	.text = "Lists all pots, bases, bridges or flavours. With -q only names, one a line.",
	.args = "",
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot ls -b",
	.json = JSON_SUMMARY "release: of a base: its release, or null\n"
			     "source: of a base: what it was made from\n"
			     "created_at: of a base: when it was made\n"
			     "size_bytes: of a base, with -v: its size, else null\n"
			     "pots: of a base: how many pots use it; with -a: the array of pots\n"
			     "bases: with -a: the array of bases\n"
			     "bridges: with -a: the array of bridges, objects as of pot network ls\n",
	.run = run,
};
