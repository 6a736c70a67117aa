/* pot de-init: the opposite of init. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_deinit(cli->ctx, args_has(a, "force"), e);
}

static const struct opt opts[] = {
	{ "force", 'f', NULL, 0, "stop running pots first" },
	{ "minimal", 'm', NULL, 0, "leave the files of the host as they are" },
	OPT_END,
};

const struct cmd cmd_de_init = {
	.name = "de-init",
	.group = "Setting up",
	.summary = "remove the installation with all its pots and bases",
	.text = "Removes everything that init and later commands made: pots, snapshots, bases, logs, state.\n"
		"The configuration file stays. Refused while a pot runs, unless forced.",
	.args = "",
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot de-init -f",
	.run = run,
};
