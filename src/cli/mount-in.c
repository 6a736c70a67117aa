/* pot mount-in: a directory of the host in a pot. */
#include <stdlib.h>

#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	/* What is recorded must mean the same from any directory. */
	AUTO_FREE char *source = realpath(args_value(a, "directory"), NULL);
	struct pot_mount m = { source, args_value(a, "mount-point"), args_has(a, "read-only"),
		args_has(a, "idmap") };

	if (source == NULL)
		return err_sys(e, "cannot use '%.256s'", args_value(a, "directory"));
	return pot_mount_in(cli->ctx, a->pots[0], &m, e);
}

static const struct opt opts[] = {
	{ "directory", 'd', "DIR", OPT_DIR | OPT_MUST, "directory or file of the host" },
	{ "mount-point", 'm', "PATH", OPT_MUST, "absolute path in the pot, made when missing" },
	{ "read-only", 'r', NULL, 0, "the pot cannot write to it" },
	{ "idmap", 0, NULL, 0, "its owners are shown as the pot's users" },
	OPT_END,
};

const struct cmd cmd_mount_in = {
	.name = "mount-in",
	.group = "Files",
	.summary = "show a directory of the host in a pot",
	.text =
	    "The directory appears in the pot at every start, and at once when the pot runs.\n"
	    "A pot with a user namespace sees the host's users as nobody and writes as users of its own "
	    "range.\n"
	    "With --idmap user 0 of the directory is user 0 of the pot, and so on: what the pot's root "
	    "writes\n"
	    "is the host's root's. Where the file system of the directory cannot do that, it is an error.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot mount-in -p web -d /srv/data -m /data -r",
	.run = run,
};
