/* pot pause and unpause: freezes all processes of a pot. */
#include "cli/cli.h"

static int
pause_one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	return pot_pause(cli->ctx, name, true, e);
}

static int
unpause_one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	return pot_pause(cli->ctx, name, false, e);
}

static int
pause_run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, pause_one, e);
}

static int
unpause_run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, unpause_one, e);
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
	.run = pause_run,
};

const struct cmd cmd_unpause = {
	.name = "unpause",
	.group = "Running",
	.summary = "let the processes of pots run again",
	.text = "The opposite of pause.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.example = "pot unpause web",
	.run = unpause_run,
};
