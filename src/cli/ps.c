/* pot ps: the pots that run. */
#include "cli/cli.h"

struct look {
	const struct cli *cli;
	bool all;
	struct table table;
	json_t *list;
};

static bool
is_up(enum pot_state s)
{
	return s == POT_STARTING || s == POT_RUNNING || s == POT_PAUSED || s == POT_STOPPING;
}

static void
row(struct look *l, const struct pot_summary *s)
{
	char age[TEXT_AGE_LEN];

	table_add(&l->table, s->name);
	table_colour(&l->table, pot_state_name(s->state), state_colour(s->state));
	if (s->pid > 0)
		table_fmt(&l->table, "%d", (int)s->pid);
	else
		table_add(&l->table, "-");
	age_print(is_up(s->state) ? s->started_ns : 0, age);
	table_add(&l->table, age);
	if (l->all) {
		if (s->status >= 0 && !is_up(s->state))
			table_fmt(&l->table, "%d", s->status);
		else
			table_add(&l->table, "-");
	}
	table_add(&l->table, s->network);
	table_add(&l->table, s->ip[0] != '\0' ? s->ip : "-");
	table_add(&l->table, s->ports[0] != '\0' ? s->ports : "-");
	table_add(&l->table, s->base);
}

static int
each(void *arg, const struct pot_summary *s)
{
	struct look *l = arg;

	if (!l->all && !is_up(s->state))
		return 0;
	if (l->cli->json)
		json_array_append_new(l->list, js_summary(s));
	else if (l->cli->quiet)
		puts(s->name);
	else
		row(l, s);
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .cli = cli, .all = args_has(a, "all"), .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table,
	    l.all ? "NAME STATE -PID UP -STATUS NETWORK IP PORTS BASE"
		  : "NAME STATE -PID UP NETWORK IP PORTS BASE");
	rc = pot_list(cli->ctx, each, &l, e);
	if (rc == 0 && cli->json)
		rc = js_print(take_ptr(l.list), e);
	else if (rc == 0 && !cli->quiet)
		rc = table_print(&l.table, cli, e);
	if (l.list != NULL)
		json_decref(l.list);
	table_fini(&l.table);
	return rc;
}

static const struct opt opts[] = {
	{ "all", 'a', NULL, 0, "all pots, not only the running ones" },
	OPT_END,
};

const struct cmd cmd_ps = {
	.name = "ps",
	.group = "Looking",
	.summary = "show running pots",
	.text =
	    "Lists the pots that run, with the process id of their first process and how long they are up,\n"
	    "their addresses and published ports (HOST:PORT).\n"
	    "With -a all pots and the status of their last end. With -q only names.",
	.args = "",
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot ps -a",
	.json = JSON_SUMMARY,
	.run = run,
};
