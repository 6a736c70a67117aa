/* pot set-rss: CPUs and memory, as the classic command sets them. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FINI(limit_args) struct limit_args l = { NULL, 0 };
	static const struct pot_limit none[] = { { "memory", NULL }, { "memory-swap", NULL },
		{ "cpus", NULL } };
	int rc = limit_args_get(a, &l, e);

	if (rc != 0)
		return rc;
	if (args_has(a, "clear"))
		return l.n > 0 ? args_usage(a, e, "'--clear' takes both away: give nothing beside it")
			       : pot_update(cli->ctx, a->pots[0], none, ARRAY_LEN(none), e);
	if (l.n == 0)
		return args_usage(a, e, "option '-C CPUS', '-M MEMORY' or '--clear' is missing");
	return pot_update(cli->ctx, a->pots[0], l.v, l.n, e);
}

static const struct opt opts[] = {
	{ "cpus", 'C', "CPUS", 0, "pin it to so many CPUs, those least used; 0: all" },
	{ "memory", 'M', "SIZE", 0, "memory at most: 64m, 1g; 0: no limit" },
	{ "clear", 0, NULL, 0, "take both limits away" },
	OPT_END,
};

const struct cmd cmd_set_rss = {
	.name = "set-rss",
	.group = "Settings",
	.summary = "set how much memory and how many CPUs a pot may use",
	.text = "The same as update -C and -M. A running pot has them at once.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot set-rss -p web -C 2 -M 512m",
	.run = run,
};
