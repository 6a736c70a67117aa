/* pot destroy: removes pots, a base or a bridge. */
#include "cli/cli.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	return pot_destroy(cli->ctx, name, args_has(a, "force"), e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *base = args_value(a, "base"), *bridge = args_value(a, "bridge");
	int rc = args_exclusive(a, "base", "bridge", e);

	if (rc != 0)
		return rc;
	if (bridge != NULL)
		return pot_bridge_destroy(cli->ctx, bridge, e);
	if (base != NULL)
		return pot_base_destroy(cli->ctx, base, args_has(a, "recursive"), e);
	return each_pot(cli, a, one, e);
}

static const struct opt opts[] = {
	{ "base", 'b', "BASE", OPT_BASE | OPT_NOPOT, "remove this base, not a pot" },
	{ "bridge", 'B', "BRIDGE", OPT_BRIDGE | OPT_NOPOT, "remove this private bridge" },
	{ "force", 'F', NULL, 0, "kill the pot first when it runs; also for damaged pots" },
	{ "recursive", 'r', NULL, 0, "with -b: remove the pots made from it too" },
	OPT_END,
};

const struct cmd cmd_destroy = {
	.name = "destroy",
	.group = "Pots",
	.summary = "remove pots, a base or a bridge",
	.text =
	    "Removes pots with their snapshots, settings and logs. A running pot is refused unless -F is\n"
	    "given. A base that pots use is refused unless -r is given, a\n"
	    "bridge that pots have an address on in any case. Clones of a pot do not need it and "
	    "stay.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot destroy -F -p web",
	.run = run,
};
