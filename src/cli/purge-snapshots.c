/* pot purge-snapshots: removes snapshots. */
#include "cli/cli.h"

struct look {
	const struct cli *cli;
	json_t *list;
};

static int
purged(void *arg, const char *tag)
{
	struct look *l = arg;

	if (l->cli->json)
		json_array_append_new(l->list, js_string(tag));
	else if (!l->cli->quiet)
		puts(tag);
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { cli, cli->json ? json_array() : NULL };
	int rc = pot_purge_snapshots(cli->ctx, a->pots[0], args_has(a, "all"), purged, &l, e);

	if (rc == 0 && cli->json)
		return js_print(l.list, e);
	if (l.list != NULL)
		json_decref(l.list);
	return rc;
}

static const struct opt opts[] = {
	{ "all", 'a', NULL, 0, "all of them, the last too" },
	OPT_END,
};

const struct cmd cmd_purge_snapshots = {
	.name = "purge-snapshots",
	.group = "Snapshots",
	.summary = "remove the snapshots of a pot",
	.text = "Removes all snapshots but the last and prints their tags.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot purge-snapshots -a web",
	.json = "[]: the tags removed, in an array\n",
	.run = run,
};
