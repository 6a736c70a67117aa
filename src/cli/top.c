/* pot top: the processes of a running pot. */
#include <string.h>

#include "cli/cli.h"

/* One that is kept until all are known and in order. */
struct kept {
	struct pot_task t;
	char *comm, *args;
};

struct look {
	struct kept *v;
	size_t n, cap;
	int64_t now_ns;
	struct err *e;
};

static void
look_fini(struct look *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].comm);
		free(l->v[i].args);
	}
	free(l->v);
}

static int
each(void *arg, const struct pot_task *t)
{
	struct look *l = arg;
	struct kept *k;

	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct kept *v = reallocarray(l->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(l->e);
		l->v = v;
		l->cap = cap;
	}
	k = &l->v[l->n++];
	k->t = *t;
	k->comm = strdup(t->comm != NULL ? t->comm : "");
	k->args = strdup(t->args != NULL ? t->args : "");
	return k->comm != NULL && k->args != NULL ? 0 : err_nomem(l->e);
}

/* ---- order ------------------------------------------------------------------------ */

/* Equal ones stand in order of numbers. */
static int
by_pid(const void *a, const void *b)
{
	const struct pot_task *x = &((const struct kept *)a)->t, *y = &((const struct kept *)b)->t;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int
by_cpu(const void *a, const void *b)
{
	const struct pot_task *x = &((const struct kept *)a)->t, *y = &((const struct kept *)b)->t;

	return x->cpu_ns != y->cpu_ns ? (x->cpu_ns < y->cpu_ns ? 1 : -1) : by_pid(a, b);
}

static int
by_rss(const void *a, const void *b)
{
	const struct pot_task *x = &((const struct kept *)a)->t, *y = &((const struct kept *)b)->t;

	return x->rss != y->rss ? (x->rss < y->rss ? 1 : -1) : by_pid(a, b);
}

static int
by_start(const void *a, const void *b)
{
	const struct pot_task *x = &((const struct kept *)a)->t, *y = &((const struct kept *)b)->t;

	return x->start_ns != y->start_ns ? (x->start_ns < y->start_ns ? -1 : 1) : by_pid(a, b);
}

static const struct {
	const char *name;
	int (*cmp)(const void *, const void *);
} orders[] = { { "pid", by_pid }, { "cpu", by_cpu }, { "rss", by_rss }, { "start", by_start } };

static void
sort(struct look *l, const char *order)
{
	for (size_t i = 0; i < ARRAY_LEN(orders) && l->n > 0; i++)
		if (strcmp(order, orders[i].name) == 0)
			qsort(l->v, l->n, sizeof(*l->v), orders[i].cmp);
}

/* ---- showing ------------------------------------------------------------------------ */

/* Of one processor since it started, as ps(1) has it. */
static double
cpu_percent(const struct look *l, const struct pot_task *t)
{
	int64_t age = l->now_ns - t->start_ns;

	return age > 0 ? (double)t->cpu_ns * 100 / (double)age : 0;
}

static json_t *
task_json(const struct look *l, const struct kept *k)
{
	const struct pot_task *t = &k->t;
	char state[2] = { t->state, '\0' };

	return json_pack("{s:i, s:i, s:i, s:I, s:o, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "pid",
	    (int)t->pid, "host_pid", (int)t->host_pid, "ppid", (int)t->ppid, "uid", (json_int_t)t->uid,
	    "user", js_string(t->user), "state", state, "cpu_percent", js_percent(cpu_percent(l, t)),
	    "cpu_ns", (json_int_t)t->cpu_ns, "rss_bytes", (json_int_t)t->rss, "vsize_bytes",
	    (json_int_t)t->vsize, "started_at", js_time(t->start_ns), "comm", js_string(k->comm), "command",
	    js_string(k->args));
}

static void
add_row(struct table *table, const struct look *l, const struct kept *k)
{
	const struct pot_task *t = &k->t;
	char state[2] = { t->state, '\0' }, time[TEXT_AGE_LEN];

	text_age_print((int64_t)t->cpu_ns, time);
	table_fmt(table, "%d", (int)t->pid);
	table_fmt(table, "%d", (int)t->ppid);
	if (t->user[0] != '\0')
		table_add(table, t->user);
	else
		table_fmt(table, "%u", (unsigned)t->uid);
	table_add(table, state);
	table_fmt(table, "%.1f%%", cpu_percent(l, t));
	table_add(table, time);
	table_size(table, t->rss);
	table_time(table, t->start_ns);
	if (k->args[0] != '\0')
		table_add(table, k->args);
	else
		table_fmt(table, "[%s]", k->comm);
}

static int
show(struct cli *cli, const struct look *l, struct err *e)
{
	AUTO_FINI(table) struct table table;
	json_t *list = cli->json ? json_array() : NULL;

	table_init(&table, "-PID -PPID USER STATE -CPU% -TIME -RSS STARTED COMMAND");
	for (size_t i = 0; i < l->n; i++) {
		if (cli->json)
			json_array_append_new(list, task_json(l, &l->v[i]));
		else if (cli->quiet)
			printf("%d\n", (int)l->v[i].t.pid);
		else
			add_row(&table, l, &l->v[i]);
	}
	if (cli->json)
		return js_print(list, e);
	return cli->quiet ? 0 : table_print(&table, cli, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *order = args_value(a, "sort");
	struct look l = { .now_ns = text_now_ns(), .e = e };
	int rc = pot_top(cli->ctx, a->pots[0], each, &l, e);

	sort(&l, order != NULL ? order : "pid");
	if (rc == 0)
		rc = show(cli, &l, e);
	look_fini(&l);
	return rc;
}

static const struct opt opts[] = {
	{ "sort", 0, "pid|cpu|rss|start", 0,
	    "order: number (default), most time, most memory, oldest first" },
	OPT_END,
};

const struct cmd cmd_top = {
	.name = "top",
	.group = "Looking",
	.summary = "show the processes of a running pot",
	.text =
	    "Lists the processes with the numbers and user names that they have inside the pot. CPU% is of\n"
	    "one processor since the process started, TIME the processor time that it had, RSS the memory\n"
	    "that is there for it.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON | CMD_ROOT,
	.opts = opts,
	.example = "pot top --sort cpu web",
	.json = "pid: process id in the pot\n"
		"host_pid: process id on the host\n"
		"ppid: parent in the pot, 0 when outside\n"
		"uid: user id in the pot\n"
		"user: user name in the pot, or the number\n"
		"state: R, S, D, T, Z, I as ps(1) has them\n"
		"cpu_percent: of one processor, since it started\n"
		"cpu_ns: processor time in nanoseconds\n"
		"rss_bytes: resident memory\n"
		"vsize_bytes: address space\n"
		"started_at: when it started\n"
		"comm: short name\n"
		"command: the whole command line\n",
	.run = run,
};
