/* pot wait: the end of pots, also after it. */
#include "cli/cli.h"

static json_t *
end_json(const char *name, const struct pot_exit *x)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:i}", "name", js_string(name), "status",
	    x->known ? json_integer(x->status) : json_null(), "signal",
	    x->known && x->signal > 0 ? json_integer(x->signal) : json_null(), "time", js_time(x->time_ns),
	    "reason", js_string(x->reason[0] != '\0' ? x->reason : NULL), "oom_killed",
	    (int)(x->oom_kills > 0), "oom_kills", (int)x->oom_kills);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	json_t *list = cli->json ? json_array() : NULL;
	int rc = 0, status = 0;

	signals_die();
	for (size_t i = 0; i < a->npots && rc == 0; i++) {
		struct pot_exit x = { 0 };

		rc = pot_wait(cli->ctx, a->pots[i], &x, e);
		if (rc != 0)
			break;
		if (cli->json)
			json_array_append_new(list, end_json(a->pots[i], &x));
		if (!x.known) {
			if (!cli->json)
				rc = err_set(e, E_STATE, "pot '%s' has never run", a->pots[i]);
			status = 1;
			continue;
		}
		status = x.status;
		if (cli->json || cli->quiet)
			continue;
		printf("%d\n", x.status);
		fflush(stdout);
	}
	if (cli->json && rc == 0)
		rc = js_print(list, e);
	else if (list != NULL)
		json_decref(list);
	return rc != 0 ? rc : status;
}

const struct cmd cmd_wait = {
	.name = "wait",
	.group = "Running",
	.summary = "wait until pots have ended, print their exit status",
	.text =
	    "Blocks until each pot has ended and is cleaned up, and prints its exit status, one line each:\n"
	    "0 to 255, or 128 plus the number of the signal that killed it. A pot that ended before is told\n"
	    "at once. The status of the last pot is that of this command; 1 also when something failed.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT | CMD_JSON,
	.example = "pot wait web",
	.json = "name: the pot\n"
		"status: exit status, or 128 plus the signal; null when it never ran\n"
		"signal: number of the signal that killed it, or null\n"
		"time: when it ended\n"
		"reason: why it failed or was interrupted, or null\n"
		"oom_killed: true when the kernel killed in it for want of memory\n"
		"oom_kills: how many of its processes\n",
	.run = run,
};
