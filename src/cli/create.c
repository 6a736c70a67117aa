/* pot create: a pot from a base, an image or another pot's snapshot. */
#include "cli/cli.h"

int
create_pot(struct cli *cli, const struct args *a, const struct pot_create_args *in, struct err *e)
{
	static const char *const others[] = { "flavour-arg", "flavour-dir", "flavour-network", "no-cache" };

	if (args_has(a, "flavour"))
		return create_flavoured(cli, a, in, e);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (args_has(a, others[i]))
			return args_usage(a, e, "'--%s' needs '-f FLAVOUR'", others[i]);
	return pot_create(cli->ctx, in, e);
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_create_args in = {
		.name = a->pots[0],
		.base = args_value(a, "base"),
		.image = args_value(a, "image"),
		.from_pot = args_value(a, "from-pot"),
		.tag = args_value(a, "tag"),
		.snapshot = args_has(a, "fresh"),
		.type = args_value(a, "type"),
		.level = -1,
		.command = args_value(a, "cmd"),
		.keep = args_has(a, "keep"),
	};
	AUTO_FINI(network_args) struct network_args net = { NULL };
	AUTO_FINI(walls_args) struct walls_args walls = WALLS_ARGS_INIT;
	AUTO_FINI(limit_args) struct limit_args limits = { NULL, 0 };
	const char *level = args_value(a, "level");
	uint64_t n;
	int rc = args_exclusive(a, "base", "from-pot", e);

	if (rc == 0)
		rc = args_exclusive(a, "base", "image", e);
	if (rc == 0)
		rc = args_exclusive(a, "image", "from-pot", e);
	if (rc == 0)
		rc = args_exclusive(a, "tag", "fresh", e);
	if (rc != 0)
		return rc;
	if (in.base == NULL && in.from_pot == NULL && in.image == NULL)
		return args_usage(a, e, "option '-b BASE', '-P POT' or '--image IMAGE' is missing");
	if (in.from_pot == NULL && (in.tag != NULL || in.snapshot))
		return args_usage(a, e, "'--%s' needs '-P POT'", in.tag != NULL ? "tag" : "fresh");
	if (level != NULL) {
		rc = text_uint(level, 0, 2, &n, "--level", e);
		if (rc != 0)
			return rc;
		in.level = (int)n;
	}
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
	{ "base", 'b', "BASE", OPT_BASE, "make it from this base" },
	{ "image", 0, "IMAGE", 0, "make it from this image of this node" },
	{ "from-pot", 'P', "POT", OPT_POT, "make it from a snapshot of this pot" },
	{ "tag", 's', "TAG", 0, "with -P: this snapshot, not the last" },
	{ "fresh", 'F', NULL, 0, "with -P: take a snapshot now" },
	{ "type", 't', "single|multi", 0,
	    "recorded for classic tools; every pot is whole and copy-on-write" },
	{ "level", 'l', "LEVEL", 0, "level of a multi pot: 0, 1 or 2" },
	NETWORK_OPTS,
	WALLS_OPTS,
	LIMIT_OPTS,
	FLAVOUR_OPTS,
	{ "cmd", 'c', "COMMAND", 0, "the command to start, as with set-cmd" },
	{ "keep", 'k', NULL, 0, "keep the half-made pot when something fails" },
	OPT_END,
};

const struct cmd cmd_create = {
	.name = "create",
	.group = "Pots",
	.summary = "make a pot",
	.text =
	    "Makes a pot from a base, an image or a snapshot of another pot, as a copy-on-write clone: it\n"
	    "costs the same for any size. From an image it has the command, environment, user, working\n"
	    "directory and stop signal, too. When something fails nothing is left, unless -k is given.\n"
	    "It gets a network of its own behind NAT (the public bridge) unless -N or -B says otherwise.\n"
	    "Addresses and ports stay the pot's until it is destroyed. With -i BRIDGE|ADDRESS a pot on\n"
	    "several bridges gets each.\n"
	    "Flavours are applied in the order given; what they did is kept, and only what has changed is "
	    "done\n"
	    "again the next time (pot-flavour(5)).",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_NEWPOT,
	.opts = opts,
	.example = "pot create -p web -b bookworm --publish 8080:80 -c 'nginx -g \"daemon off;\"'",
	.run = run,
};
