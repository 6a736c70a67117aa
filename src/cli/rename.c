/* pot rename: another name for a stopped pot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *name = args_value(a, "new-name");

	if (name != NULL && a->nrest > 0)
		return args_usage(a, e, "unexpected argument '%.64s'", a->rest[0]);
	if (name == NULL && a->nrest == 0)
		return args_usage(a, e, "option '-n NEWNAME' is missing");
	return pot_rename(cli->ctx, a->pots[0], name != NULL ? name : a->rest[0], e);
}

static const struct opt opts[] = {
	{ "new-name", 'n', "NEWNAME", 0, "the new name; may also be the second argument" },
	OPT_END,
};

const struct cmd cmd_rename = {
	.name = "rename",
	.group = "Pots",
	.summary = "give a pot another name",
	.text = "Renames a stopped pot. Its identity, settings, snapshots and log stay.",
	.args = "[NEWNAME]",
	.max = 1,
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot rename -p web -n www",
	.run = run,
};
