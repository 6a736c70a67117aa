/* pot copy-in, copy-out, cp: files into a pot and out of it. */
#include <string.h>

#include "cli/cli.h"

static int
copy_in_run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_copy_in(cli->ctx, a->pots[0], args_value(a, "source"), args_value(a, "destination"),
	    args_has(a, "parents") ? POT_COPY_PARENTS : 0, e);
}

static int
copy_out_run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_copy_out(cli->ctx, a->pots[0], args_value(a, "source"), args_value(a, "destination"),
	    args_has(a, "parents") ? POT_COPY_PARENTS : 0, e);
}

/*
 * "NAME:/path": copies NAME to name and returns the path; else NULL. A path
 * of the host with a colon is told by a slash before it ("./a:b").
 */
static const char *
in_pot(const char *arg, char name[static 256])
{
	size_t len = strcspn(arg, ":/");

	if (arg[len] != ':' || len == 0 || len > 255)
		return NULL;
	memcpy(name, arg, len);
	name[len] = '\0';
	return arg + len + 1;
}

static int
cp_run(struct cli *cli, const struct args *a, struct err *e)
{
	char src_pot[256], dst_pot[256];
	const char *src = in_pot(a->rest[0], src_pot), *dst = in_pot(a->rest[1], dst_pot);
	unsigned flags = args_has(a, "parents") ? POT_COPY_PARENTS : 0;

	if ((src == NULL) == (dst == NULL))
		return args_usage(a, e, "one side, and only one, is NAME:/path");
	if ((src != NULL ? src : dst)[0] != '/')
		return args_usage(a, e, "the path in the pot must begin with '/'");
	if (src != NULL)
		return pot_copy_out(cli->ctx, src_pot, src, a->rest[1], flags, e);
	return pot_copy_in(cli->ctx, dst_pot, a->rest[0], dst, flags, e);
}

#define HOW                                                                                                \
	"Copies as cp -a: owner, mode, times, links and attributes stay. Into an existing directory the\n" \
	"source keeps its name. Works on running and stopped pots and never follows a link out of the pot."

static const struct opt in_opts[] = {
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
	.text = HOW,
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = in_opts,
	.example = "pot copy-in -p web -s ./site -d /srv/site -c",
	.run = copy_in_run,
};

static const struct opt out_opts[] = {
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
	.text = HOW,
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = out_opts,
	.example = "pot copy-out -p web -s /var/log -d ./logs",
	.run = copy_out_run,
};

static const struct opt cp_opts[] = {
	{ "parents", 'c', NULL, 0, "make missing directories of the destination" },
	OPT_END,
};

const struct cmd cmd_cp = {
	.name = "cp",
	.group = "Files",
	.summary = "copy files between the host and a pot",
	.text =
	    HOW "\nOne side is NAME:/path. A path of the host that has a colon is written with ./ before it.",
	.args = "SOURCE DESTINATION",
	.min = 2,
	.max = 2,
	.flags = CMD_ROOT,
	.arg_kind = OPT_FILE,
	.opts = cp_opts,
	.example = "pot cp web:/etc/hosts ./hosts",
	.run = cp_run,
};
