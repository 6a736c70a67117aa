/* pot prune: removes what was meant to be removed after its end. */
#include "cli/cli.h"

struct look {
	const struct cli *cli;
	json_t *list;
};

static int
each(void *arg, const char *name)
{
	struct look *l = arg;

	if (l->cli->json)
		json_array_append_new(l->list, js_string(name));
	else if (!l->cli->quiet)
		puts(name);
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_prune_args in = { args_has(a, "dry-run"), args_has(a, "grace") };
	struct look l = { cli, cli->json ? json_array() : NULL };
	int rc = pot_prune(cli->ctx, &in, each, &l, e);

	if (!cli->json)
		return rc;
	if (rc == 0)
		return js_print(l.list, e);
	json_decref(l.list);
	return rc;
}

static const struct opt opts[] = {
	{ "dry-run", 'n', NULL, 0, "only show the names" },
	{ "grace", 'g', NULL, 0, "pass over pots that ended less than a minute ago" },
	OPT_END,
};

const struct cmd cmd_prune = {
	.name = "prune",
	.group = "Pots",
	.summary = "remove stopped pots that are marked prunable",
	.text = "Removes every stopped pot that has the attribute prunable and has run, and repairs what\n"
		"interrupted commands left. Prints the names of the pots removed.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot prune -n",
	.json = "[]: the names, in an array\n",
	.run = run,
};
