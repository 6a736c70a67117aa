/* pot unpause: lets them run again. */
#include "cli/cli.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	return pot_pause(cli->ctx, name, false, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return each_pot(cli, a, one, e);
}

const struct cmd cmd_unpause = {
	.name = "unpause",
	.group = "Running",
	.summary = "let the processes of pots run again",
	.text = "The opposite of pause.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.example = "pot unpause web",
	.run = run,
};
