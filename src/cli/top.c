/* pot top: the processes of a running pot. */
#include "cli/cli.h"

struct look {
	struct cli *cli;
	struct table table;
	json_t *list;
};

static int
each(void *arg, const struct pot_task *t)
{
	struct look *l = arg;
	char state[2] = { t->state, '\0' }, cpu[TEXT_AGE_LEN];

	if (l->cli->json) {
		json_array_append_new(l->list,
		    json_pack("{s:i, s:i, s:i, s:I, s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "pid", (int)t->pid,
			"host_pid", (int)t->host_pid, "ppid", (int)t->ppid, "uid", (json_int_t)t->uid, "user",
			js_string(t->user), "state", state, "cpu_ns", (json_int_t)t->cpu_ns, "rss",
			(json_int_t)t->rss, "started_at", js_time(t->start_ns), "comm", js_string(t->comm),
			"command", js_string(t->args)));
		return 0;
	}
	if (l->cli->quiet) {
		printf("%d\n", (int)t->pid);
		return 0;
	}
	text_age_print((int64_t)t->cpu_ns, cpu);
	table_fmt(&l->table, "%d", (int)t->pid);
	if (t->user[0] != '\0')
		table_add(&l->table, t->user);
	else
		table_fmt(&l->table, "%u", (unsigned)t->uid);
	table_add(&l->table, state);
	table_add(&l->table, cpu);
	table_size(&l->table, t->rss);
	table_time(&l->table, t->start_ns);
	if (t->args != NULL && t->args[0] != '\0')
		table_add(&l->table, t->args);
	else
		table_fmt(&l->table, "[%s]", t->comm);
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { .cli = cli, .list = cli->json ? json_array() : NULL };
	int rc;

	table_init(&l.table, "-PID USER STATE -CPU -RSS STARTED COMMAND");
	rc = pot_top(cli->ctx, a->pots[0], each, &l, e);
	if (rc == 0 && cli->json)
		rc = js_print(take_ptr(l.list), e);
	else if (rc == 0 && !cli->quiet)
		rc = table_print(&l.table, cli, e);
	if (l.list != NULL)
		json_decref(l.list);
	table_fini(&l.table);
	return rc;
}

const struct cmd cmd_top = {
	.name = "top",
	.group = "Looking",
	.summary = "show the processes of a running pot",
	.text = "Lists the processes with the numbers and user names that they have inside the pot.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.example = "pot top web",
	.json = "pid: process id in the pot\n"
		"host_pid: process id on the host\n"
		"ppid: parent in the pot, 0 when outside\n"
		"uid: user id in the pot\n"
		"user: user name in the pot, or empty\n"
		"state: R, S, D, T, Z, I as ps(1) has them\n"
		"cpu_ns: processor time in nanoseconds\n"
		"rss: resident memory in bytes\n"
		"started_at: when it started\n"
		"comm: short name\n"
		"command: the whole command line\n",
	.run = run,
};
