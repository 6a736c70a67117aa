/* pot copy-out: files out of a pot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_copy_out(cli->ctx, a->pots[0], args_value(a, "source"), args_value(a, "destination"),
	    args_has(a, "parents") ? POT_COPY_PARENTS : 0, e);
}

static const struct opt opts[] = {
	{ "source", 's', "PATH", OPT_MUST, "absolute path in the pot" },
	{ "destination", 'd', "PATH", OPT_FILE | OPT_MUST, "file or directory of the host" },
	{ "parents", 'c', NULL, 0, "make missing directories of the destination" },
	{ "force", 'F', NULL, 0, "no effect: copying out of a running pot is safe" },
	OPT_END,
};

const struct cmd cmd_copy_out = {
	.name = "copy-out",
	.group = "Files",
	.summary = "copy files out of a pot",
	.text = COPY_TEXT,
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot copy-out -p web -s /var/log -d ./logs",
	.run = run,
};
