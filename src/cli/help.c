/* pot help: from the rows, for people and as JSON. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const struct cmd *cmd;

	if (cli->json)
		return usage_json(e);
	if (a->nrest == 0) {
		usage_all(stdout);
		return 0;
	}
	cmd = cmd_find(cmd_table, a->rest[0]);
	if (cmd == NULL)
		return cmd_unknown(cmd_table, a->rest[0], e);
	usage_cmd(cmd, stdout);
	return 0;
}

const struct cmd cmd_help = {
	.name = "help",
	.group = "Help",
	.summary = "show help",
	.text =
	    "Lists the commands, or tells about one of them. As JSON it gives the whole table of commands.",
	.args = "[COMMAND]",
	.max = 1,
	.flags = CMD_JSON | CMD_NOCTX,
	.arg_kind = OPT_VERB,
	.example = "pot help create",
	.json = "version: the version\n"
		"options: the global options, as objects with short, long, arg, text, repeatable, required\n"
		"verbs: the commands, as objects with name, aliases, group, summary, description, usage, "
		"options, example, "
		"json, root, command_status\n",
	.run = run,
};
