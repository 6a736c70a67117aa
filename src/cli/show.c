/* pot show: what pots use now. */
#include "cli/cli.h"

struct usage {
	unsigned tasks;
	uint64_t rss, cpu_ns;
};

struct look {
	struct cli *cli;
	bool all;
	struct strv names;
};

static int
name_each(void *arg, const struct pot_summary *s)
{
	struct look *l = arg;

	if (l->all || s->state == POT_RUNNING || s->state == POT_PAUSED || s->state == POT_STARTING ||
	    s->state == POT_STOPPING)
		strv_add(&l->names, s->name);
	return 0;
}

static int
task_each(void *arg, const struct pot_task *t)
{
	struct usage *u = arg;

	u->tasks++;
	u->rss += t->rss;
	u->cpu_ns += t->cpu_ns;
	return 0;
}

static json_t *
row_json(const struct pot_info *in, const struct usage *u)
{
	bool up = in->summary.pid > 0;
	json_t *o = js_summary(&in->summary);

	json_object_set_new(o, "processes", up ? json_integer(u->tasks) : json_null());
	json_object_set_new(o, "memory_bytes", up ? json_integer((json_int_t)u->rss) : json_null());
	json_object_set_new(o, "cpu_ns", up ? json_integer((json_int_t)u->cpu_ns) : json_null());
	json_object_set_new(o, "own_bytes", json_integer((json_int_t)in->own_bytes));
	json_object_set_new(o, "shared_bytes", json_integer((json_int_t)in->shared_bytes));
	return o;
}

static void
row_table(struct table *t, const struct pot_info *in, const struct usage *u)
{
	char cpu[TEXT_AGE_LEN];

	table_add(t, in->summary.name);
	table_colour(t, pot_state_name(in->summary.state), state_colour(in->summary.state));
	if (in->summary.pid > 0) {
		text_age_print((int64_t)u->cpu_ns, cpu);
		table_fmt(t, "%u", u->tasks);
		table_size(t, u->rss);
		table_add(t, cpu);
	} else {
		for (int i = 0; i < 3; i++)
			table_add(t, "-");
	}
	table_size(t, in->own_bytes);
	table_size(t, in->shared_bytes);
}

static int
show_one(struct cli *cli, const char *name, bool must, struct table *t, json_t *list, struct err *e)
{
	struct pot_info *in = NULL;
	struct usage u = { 0 };
	struct err ended = ERR_INIT;
	int rc = pot_info(cli->ctx, name, POT_INFO_SIZES, &in, e);

	/* A pot of the list may be gone by now; one that was named must be there. */
	if (rc != 0)
		return rc == -E_NOENT && !must ? 0 : rc;
	if (in->summary.pid > 0 && pot_top(cli->ctx, name, task_each, &u, &ended) != 0)
		u = (struct usage){ 0 };
	if (cli->json)
		json_array_append_new(list, row_json(in, &u));
	else
		row_table(t, in, &u);
	pot_info_free(in);
	return 0;
}

static int
show_names(struct cli *cli, const struct strv *names, bool must, struct err *e)
{
	AUTO_FINI(table) struct table t;
	json_t *list = cli->json ? json_array() : NULL;
	int rc = 0;

	table_init(&t, "NAME STATE -PROCESSES -MEMORY -CPU -OWN -SHARED");
	for (size_t i = 0; i < names->n && rc == 0; i++) {
		if (cli->quiet && !cli->json)
			puts(names->v[i]);
		else
			rc = show_one(cli, names->v[i], must, &t, list, e);
	}
	if (rc == 0 && cli->json)
		return js_print(list, e);
	if (list != NULL)
		json_decref(list);
	return rc != 0 || cli->quiet ? rc : table_print(&t, cli, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1000000);
	struct look l = { cli, args_has(a, "all"), STRV_INIT(1000000) };
	int rc = args_exclusive(a, "all", "running", e);

	if (rc == 0 && a->npots > 0 && (l.all || args_has(a, "running")))
		rc = args_usage(a, e, "takes either a pot or '-a' or '-r'");
	if (rc != 0)
		return rc;
	if (a->npots > 0) {
		strv_add(&names, a->pots[0]);
		rc = cli->quiet ? pot_exists(cli->ctx, a->pots[0], e) : 0;
		if (cli->quiet && rc == 0)
			return err_set(e, E_NOENT, "pot '%.64s' does not exist", a->pots[0]);
		rc = rc > 0 ? 0 : rc;
	} else {
		rc = pot_list(cli->ctx, name_each, &l, e);
		names = l.names;
	}
	if (rc == 0)
		rc = strv_check(&names, "the list of pots", e);
	return rc != 0 ? rc : show_names(cli, &names, a->npots > 0, e);
}

static const struct opt opts[] = {
	{ "running", 'r', NULL, 0, "running pots (what it shows without an option)" },
	{ "all", 'a', NULL, 0, "all pots" },
	OPT_END,
};

const struct cmd cmd_show = {
	.name = "show",
	.group = "Looking",
	.summary = "show what pots use",
	.text = "Shows the number of processes, their memory and processor time, and the disk space of each\n"
		"running pot, of all, or of one.",
	.args = "",
	.pot = POT_OPTIONAL,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot show -a",
	.json = JSON_SUMMARY "processes: how many run, or null\n"
			     "memory_bytes: resident memory of all of them, or null\n"
			     "cpu_ns: processor time of all of them in nanoseconds, or null\n"
			     "own_bytes: disk space of its own\n"
			     "shared_bytes: disk space shared with its base or snapshots\n",
	.run = run,
};
