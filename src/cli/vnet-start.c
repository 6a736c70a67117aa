/* pot vnet-start: a bridge, brought up before any pot needs it. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_bridge_up(cli->ctx, args_value(a, "bridge"), e);
}

static const struct opt opts[] = {
	{ "bridge", 'B', "BRIDGE", OPT_BRIDGE, "this private bridge, not the public one" },
	OPT_END,
};

const struct cmd cmd_vnet_start = {
	.name = "vnet-start",
	.group = "Networks",
	.summary = "bring up a bridge",
	.text =
	    "Makes the bridge, the rules and forwarding now, and brings back what somebody else took away.\n"
	    "A start does so by itself; running it again changes nothing.",
	.args = "",
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot vnet-start",
	.run = run,
};
