/* pot pause: freezes all processes of a pot. */
#include "cli/cli.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	return pot_pause(cli->ctx, name, true, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, one, e);
}

const struct cmd cmd_pause = {
	.name = "pause",
	.group = "Running",
	.summary = "freeze the processes of pots",
	.text = "No process of the pot gets any time until unpause. Returns when all are frozen.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.example = "pot pause web",
	.run = run,
};
