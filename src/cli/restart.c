/* pot restart: stop and start. */
#include "cli/cli.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	struct pot_start_args start = { 0 };
	struct pot_process proc = { 0, -1 };
	int rc = stop_pot(cli, a, name, e);

	/* One that does not run is only started. */
	if (rc != 0 && rc != -E_STATE)
		return rc;
	return pot_start(cli->ctx, name, &start, &proc, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, one, e);
}

static const struct opt opts[] = {
	{ "timeout", 't', "SECONDS", 0, "time until SIGKILL; also 500ms, 1m (the pot's stop_timeout)" },
	OPT_END,
};

const struct cmd cmd_restart = {
	.name = "restart",
	.group = "Running",
	.summary = "stop pots and start them again",
	.text = "As stop and then start. A pot that does not run is only started.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot restart web",
	.run = run,
};
