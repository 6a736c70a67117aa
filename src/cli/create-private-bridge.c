/* pot create-private-bridge: a network of their own for some pots. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	uint64_t hosts;
	int rc = text_uint(args_value(a, "size"), 2, 65534, &hosts, "--size", e);

	return rc != 0 ? rc : pot_bridge_create(cli->ctx, args_value(a, "bridge"), (unsigned)hosts, e);
}

static const struct opt opts[] = {
	{ "bridge", 'B', "BRIDGE", OPT_MUST, "its name" },
	{ "size", 'S', "HOSTS", OPT_MUST, "how many pots it must have room for, 2 to 65534" },
	OPT_END,
};

const struct cmd cmd_create_private_bridge = {
	.name = "create-private-bridge",
	.group = "Networks",
	.summary = "make a private bridge",
	.text =
	    "Makes a network with a range of its own. Pots on it reach each other by name and the outside\n"
	    "through NAT; pots on other bridges do not reach them.",
	.args = "",
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot create-private-bridge -B backend -S 20",
	.run = run,
};
