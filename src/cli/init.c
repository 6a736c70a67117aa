/* pot init: everything a node needs. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_init_args in = {
		.storage = args_value(a, "storage"),
		.zfs_root = args_value(a, "zfs-root"),
		.network = args_value(a, "network"),
		.network6 = args_value(a, "network6"),
		.dry_run = args_has(a, "dry-run"),
	};
	struct pot_init_report r = { 0 };
	const char *root = pot_root(cli->ctx);
	int rc = pot_init(cli->ctx, &in, &r, e);

	if (rc != 0)
		return rc;
	if (cli->json)
		return js_print(
		    json_pack("{s:o, s:s, s:o, s:b, s:b, s:o, s:o}", "root", js_string(root), "storage",
			r.storage, "why", js_string(r.why), "dry_run", (int)in.dry_run, "was_initialised",
			(int)r.was_there, "network", js_string(r.network[0] != '\0' ? r.network : NULL),
			"network6", js_string(r.network6[0] != '\0' ? r.network6 : NULL)),
		    e);
	if (cli->quiet)
		return 0;
	field("root", "%s", root);
	field("storage", "%s (%s)", r.storage, r.why);
	if (r.network[0] != '\0')
		field("network", "%s", r.network);
	if (r.network6[0] != '\0')
		field("network6", "%s", r.network6);
	if (r.was_there)
		puts("Nothing had to be done.");
	else if (in.dry_run)
		puts("This was a dry run: nothing was changed.");
	return 0;
}

static const struct opt opts[] = {
	{ "storage", 0, "auto|zfs|btrfs|overlay|copy", 0,
	    "how pots are stored; auto takes the best there is" },
	{ "zfs-root", 0, "DATASET", 0, "parent dataset for zfs, made when its parent exists" },
	{ "network", 0, "CIDR", 0, "IPv4 range of the public bridge; without it a free one is chosen" },
	{ "network6", 0, "CIDR", 0, "IPv6 range of the public bridge; without it one of the node's own" },
	{ "minimal", 'm', NULL, 0, "change no file of the host outside of pot's own directories" },
	{ "dry-run", 0, NULL, 0, "tell what would be chosen, change nothing" },
	OPT_END,
};

const struct cmd cmd_init = {
	.name = "init",
	.group = "Setting up",
	.summary = "prepare this machine for pots",
	.text = "Makes the directories (or datasets) of the installation and chooses its storage and\n"
		"the ranges of its public bridge.\n"
		"Prints what was chosen and why. Running it again changes nothing.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot init --storage overlay",
	.json = "root: directory of the installation\n"
		"storage: zfs, btrfs or overlay\n"
		"why: the reason for this storage\n"
		"dry_run: true when nothing was changed on purpose\n"
		"was_initialised: true when nothing had to be done\n"
		"network: IPv4 range of the public bridge, or null\n"
		"network6: IPv6 range of the public bridge, or null\n",
	.run = run,
};
