/* pot copy-in: files into a pot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_copy_in(cli->ctx, a->pots[0], args_value(a, "source"), args_value(a, "destination"),
	    args_has(a, "parents") ? POT_COPY_PARENTS : 0, e);
}

static const struct opt opts[] = {
	{ "source", 's', "PATH", OPT_FILE | OPT_MUST, "file or directory of the host" },
	{ "destination", 'd', "PATH", OPT_MUST, "absolute path in the pot" },
	{ "parents", 'c', NULL, 0, "make missing directories of the destination" },
	{ "force", 'F', NULL, 0, "no effect: copying into a running pot is safe" },
	OPT_END,
};

const struct cmd cmd_copy_in = {
	.name = "copy-in",
	.group = "Files",
	.summary = "copy files into a pot",
	.text = COPY_TEXT,
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot copy-in -p web -s ./site -d /srv/site -c",
	.run = run,
};
