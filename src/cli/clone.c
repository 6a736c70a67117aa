/* pot clone: a pot from another pot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_create_args in = {
		.name = a->pots[0],
		.from_pot = args_value(a, "from-pot"),
		.tag = args_value(a, "tag"),
		.snapshot = args_has(a, "fresh"),
		.level = -1,
		.keep = args_has(a, "keep"),
	};
	AUTO_FINI(network_args) struct network_args net = { NULL };
	AUTO_FINI(walls_args) struct walls_args walls = WALLS_ARGS_INIT;
	AUTO_FINI(limit_args) struct limit_args limits = { NULL, 0 };
	int rc = args_exclusive(a, "tag", "fresh", e);

	if (rc == 0)
		rc = network_args_get(a, &in, &net, e);
	if (rc == 0)
		rc = walls_args_get(a, &walls, &in.walls, e);
	if (rc == 0)
		rc = limit_args_get(a, &limits, e);
	in.limits = limits.v;
	in.nlimits = limits.n;
	return rc != 0 ? rc : create_pot(cli, a, &in, e);
}

static const struct opt opts[] = {
	{ "from-pot", 'P', "POT", OPT_POT | OPT_MUST, "the pot to clone; it may be running, but for -F" },
	{ "tag", 's', "TAG", 0, "clone this snapshot, not the last" },
	{ "fresh", 'F', NULL, 0, "take a snapshot now and clone it" },
	NETWORK_OPTS,
	WALLS_OPTS,
	LIMIT_OPTS,
	FLAVOUR_OPTS,
	{ "keep", 'k', NULL, 0, "keep the half-made pot when something fails" },
	OPT_END,
};

const struct cmd cmd_clone = {
	.name = "clone",
	.group = "Pots",
	.summary = "make a pot from another pot",
	.text =
	    "Makes a pot from the last snapshot of another one, with its settings. The source must have a\n"
	    "snapshot, or -F takes one. Network, stack and bridges are the source's unless given; addresses "
	    "are\n"
	    "the clone's own, and it publishes the same ports on host ports of its own.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_NEWPOT,
	.opts = opts,
	.example = "pot clone -p web2 -P web -F",
	.run = run,
};
