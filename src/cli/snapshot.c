/* pot snapshot: keeps the state of a pot's files. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
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

static const struct opt opts[] = {
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
	.opts = opts,
	.example = "pot snapshot -n before-upgrade web",
	.json = "name: the pot\n"
		"tag: the snapshot's tag\n",
	.run = run,
};
