/* pot mount-out: the opposite of mount-in. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_mount_out(cli->ctx, a->pots[0], args_value(a, "mount-point"), e);
}

static const struct opt opts[] = {
	{ "mount-point", 'm', "PATH", OPT_MUST, "absolute path in the pot" },
	OPT_END,
};

const struct cmd cmd_mount_out = {
	.name = "mount-out",
	.group = "Files",
	.summary = "undo mount-in",
	.text = "The directory is gone from the pot, at once also when the pot runs.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot mount-out -p web -m /data",
	.run = run,
};
