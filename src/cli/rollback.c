/* pot rollback: back to a snapshot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_rollback(cli->ctx, a->pots[0], args_value(a, "tag"), e);
}

static const struct opt opts[] = {
	{ "tag", 'n', "TAG", 0, "to this snapshot; without it to the last" },
	OPT_END,
};

const struct cmd cmd_rollback = {
	.name = "rollback",
	.aliases = { "revert" },
	.group = "Snapshots",
	.summary = "take a stopped pot back to a snapshot",
	.text = "The pot's files become what they were; later changes are lost.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot rollback -n before-upgrade web",
	.run = run,
};
