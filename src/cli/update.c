/* pot update: limits of a pot, at once and for its next starts. */
#include <stdlib.h>

#include "cli/cli.h"

static const struct opt opts[] = {
	LIMIT_OPTS,
	{ "net-in", 0, "RATE", 0, "limit what it receives, in bits per second: 10m; 0: no limit" },
	{ "net-out", 0, "RATE", 0, "limit what it sends" },
	OPT_END,
};

static bool
is_limit(const struct opt *given)
{
	for (const struct opt *o = opts; o->name != NULL; o++)
		if (o == given)
			return true;
	return false;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE struct pot_limit *v = calloc(a->ngiven + 1, sizeof(*v));
	size_t n = 0;

	if (v == NULL)
		return err_nomem(e);
	/* All of its own options are limits. */
	for (size_t i = 0; i < a->ngiven; i++)
		if (is_limit(a->given[i].opt))
			v[n++] = (struct pot_limit){ a->given[i].opt->name, a->given[i].value };
	if (n == 0)
		return args_usage(a, e, "nothing to change was given");
	return pot_update(cli->ctx, a->pots[0], v, n, e);
}

const struct cmd cmd_update = {
	.name = "update",
	.group = "Settings",
	.summary = "change what a pot may use",
	.text =
	    "A running pot has the new limits when the command returns, and keeps them for its next starts;\n"
	    "ulimits are for processes started from then on. All of the limits given are changed, or none:\n"
	    "one that is less than what the pot uses now, or more than the host has, is refused, and the\n"
	    "message tells what would do.\n"
	    "0 takes a limit away, and 'default' does in all of them.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot update web -M 512m --cpu-quota 150%",
	.run = run,
};
