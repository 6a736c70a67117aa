/* pot snapshot, rollback, purge-snapshots. */
#include "cli/cli.h"

static int
snapshot_run(struct cli *cli, const struct args *a, struct err *e)
{
	char made[128] = "";
	int rc = pot_snapshot(cli->ctx, a->pots[0], args_value(a, "tag"), made, e);

	if (rc != 0)
		return rc;
	if (cli->json)
		return js_print(
		    json_pack("{s:o, s:o}", "name", js_string(a->pots[0]), "tag", js_string(made)), e);
	if (!cli->quiet)
		puts(made);
	return 0;
}

static int
rollback_run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_rollback(cli->ctx, a->pots[0], args_value(a, "tag"), e);
}

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
purge_run(struct cli *cli, const struct args *a, struct err *e)
{
	struct look l = { cli, cli->json ? json_array() : NULL };
	int rc = pot_purge_snapshots(cli->ctx, a->pots[0], args_has(a, "all"), purged, &l, e);

	if (rc == 0 && cli->json)
		return js_print(l.list, e);
	if (l.list != NULL)
		json_decref(l.list);
	return rc;
}

static const struct opt snapshot_opts[] = {
	{ "tag", 'n', "TAG", 0, "its name; without it the time in seconds" },
	OPT_END,
};

const struct cmd cmd_snapshot = {
	.name = "snapshot",
	.aliases = { "snap" },
	.group = "Snapshots",
	.summary = "take a snapshot of a stopped pot",
	.text =
	    "Keeps the state of the pot's files under a tag and prints the tag. 'pot info -s' lists them.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = snapshot_opts,
	.example = "pot snapshot -n before-upgrade web",
	.json = "name: the pot\n"
		"tag: the snapshot's tag\n",
	.run = snapshot_run,
};

static const struct opt rollback_opts[] = {
	{ "tag", 'n', "TAG", 0, "to this snapshot; without it to the last" },
	OPT_END,
};

const struct cmd cmd_rollback = {
	.name = "rollback",
	.aliases = { "revert" },
	.group = "Snapshots",
	.summary = "take a stopped pot back to a snapshot",
	.text = "The pot's files become what they were; later changes are lost.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = rollback_opts,
	.example = "pot rollback -n before-upgrade web",
	.run = rollback_run,
};

static const struct opt purge_opts[] = {
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
	.opts = purge_opts,
	.example = "pot purge-snapshots -a web",
	.json = "[]: the tags removed, in an array\n",
	.run = purge_run,
};
