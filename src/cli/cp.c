/* pot cp: either way, as NAME:/path says. */
#include <string.h>

#include "cli/cli.h"

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
run(struct cli *cli, const struct args *a, struct err *e)
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

static const struct opt opts[] = {
	{ "parents", 'c', NULL, 0, "make missing directories of the destination" },
	OPT_END,
};

const struct cmd cmd_cp = {
	.name = "cp",
	.group = "Files",
	.summary = "copy files between the host and a pot",
	.text = COPY_TEXT
	"\nOne side is NAME:/path. A path of the host that has a colon is written with ./ before it.",
	.args = "SOURCE DESTINATION",
	.min = 2,
	.max = 2,
	.flags = CMD_ROOT,
	.arg_kind = OPT_FILE,
	.opts = opts,
	.example = "pot cp web:/etc/hosts ./hosts",
	.run = run,
};
