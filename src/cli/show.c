/* pot show: what pots use now. */
#include <string.h>

#include "cli/cli.h"

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

/* What the running ones use, in order of names; without their interfaces. */
struct usage {
	struct pot_stats *v;
	size_t n, cap;
};

static int
take_stats(void *arg, const struct pot_stats *s)
{
	struct usage *u = arg;

	if (u->n == u->cap) {
		size_t cap = u->cap == 0 ? 16 : u->cap * 2;
		struct pot_stats *v = reallocarray(u->v, cap, sizeof(*v));

		if (v == NULL)
			return -E_NOMEM;
		u->v = v;
		u->cap = cap;
	}
	u->v[u->n++] = *s;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct pot_stats *)a)->name, ((const struct pot_stats *)b)->name);
}

static json_t *
row_json(const struct pot_info *in, const struct pot_stats *s)
{
	json_t *o = js_summary(&in->summary);

	json_object_set_new(o, "pids", js_known(s->pids));
	json_object_set_new(o, "memory_bytes", js_known(s->memory));
	json_object_set_new(o, "cpu_ns", js_known(s->cpu_ns));
	json_object_set_new(o, "own_bytes", json_integer((json_int_t)in->own_bytes));
	json_object_set_new(o, "shared_bytes", json_integer((json_int_t)in->shared_bytes));
	return o;
}

static void
row_table(struct table *t, const struct pot_info *in, const struct pot_stats *s)
{
	char cpu[TEXT_AGE_LEN];

	table_add(t, in->summary.name);
	table_colour(t, pot_state_name(in->summary.state), state_colour(in->summary.state));
	if (s->pids != POT_UNKNOWN)
		table_fmt(t, "%llu", (unsigned long long)s->pids);
	else
		table_add(t, "-");
	if (s->memory != POT_UNKNOWN)
		table_size(t, s->memory);
	else
		table_add(t, "-");
	if (s->cpu_ns != POT_UNKNOWN)
		text_age_print((int64_t)s->cpu_ns, cpu);
	table_add(t, s->cpu_ns != POT_UNKNOWN ? cpu : "-");
	table_size(t, in->own_bytes);
	table_size(t, in->shared_bytes);
}

static int
show_one(struct cli *cli, const struct usage *u, const char *name, bool must, struct table *t, json_t *list,
    struct err *e)
{
	const struct pot_stats *s,
	    none = { .cpu_ns = POT_UNKNOWN, .memory = POT_UNKNOWN, .pids = POT_UNKNOWN };
	struct pot_info *in = NULL;
	struct pot_stats key;
	int rc = pot_info(cli->ctx, name, POT_INFO_SIZES, &in, e);

	/* A pot of the list may be gone by now; one that was named must be there. */
	if (rc != 0)
		return rc == -E_NOENT && !must ? 0 : rc;
	snprintf(key.name, sizeof(key.name), "%s", name);
	s = in->summary.pid > 0 && u->n > 0 ? bsearch(&key, u->v, u->n, sizeof(*u->v), by_name) : NULL;
	if (cli->json)
		json_array_append_new(list, row_json(in, s != NULL ? s : &none));
	else
		row_table(t, in, s != NULL ? s : &none);
	pot_info_free(in);
	return 0;
}

static int
show_names(struct cli *cli, const struct strv *names, bool must, struct err *e)
{
	AUTO_FINI(table) struct table t;
	json_t *list = cli->json ? json_array() : NULL;
	const char *const one[] = { must ? names->v[0] : NULL, NULL };
	struct usage u = { NULL, 0, 0 };
	int rc = 0;

	if (!cli->quiet || cli->json)
		rc = pot_stats(cli->ctx, must ? one : NULL, POT_STATS_RUNNING, take_stats, &u, e);
	table_init(&t, "NAME STATE -PIDS -MEMORY -CPU -OWN -SHARED");
	for (size_t i = 0; i < names->n && rc == 0; i++) {
		if (cli->quiet && !cli->json)
			puts(names->v[i]);
		else
			rc = show_one(cli, &u, names->v[i], must, &t, list, e);
	}
	free(u.v);
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
	.text = "Shows the number of processes and threads, their memory and processor time, and the disk\n"
		"space of each running pot, of all, or of one. 'pot stats' shows more of what changes.",
	.args = "",
	.pot = POT_OPTIONAL,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot show -a",
	.json = JSON_SUMMARY "pids: processes and threads, or null\n"
			     "memory_bytes: memory in use, as stats counts it, or null\n"
			     "cpu_ns: processor time of all of them in nanoseconds, or null\n"
			     "own_bytes: disk space of its own\n"
			     "shared_bytes: disk space shared with its base or snapshots\n",
	.run = run,
};
