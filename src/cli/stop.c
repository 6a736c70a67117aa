/* pot stop: asks, waits, kills. restart.c uses it too. */
#include "cli/cli.h"

static int
timeout_of(const struct args *a, int64_t *ms, struct err *e)
{
	const char *text = args_value(a, "timeout");

	*ms = POT_TIMEOUT_DEFAULT;
	return text == NULL ? 0 : text_duration(text, ms, "--timeout", e);
}

int
stop_pot(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	int64_t ms;
	int rc = timeout_of(a, &ms, e);

	return rc != 0 ? rc : pot_stop(cli->ctx, name, ms, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, stop_pot, e);
}

static const struct opt opts[] = {
	{ "timeout", 't', "SECONDS", 0, "time until SIGKILL; also 500ms, 1m (the pot's stop_timeout)" },
	OPT_END,
};

const struct cmd cmd_stop = {
	.name = "stop",
	.group = "Running",
	.summary = "stop pots",
	.text =
	    "Runs the prestop hook, asks the pot to end with its stop command or signal, and kills it when\n"
	    "the time is over. Returns when it has ended and everything is cleaned up.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot stop -t 30 web",
	.run = run,
};
