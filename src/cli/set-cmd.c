/* pot set-cmd: the command that start runs. */
#include <string.h>

#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	const char *command = args_value(a, "cmd");
	int rc = args_exclusive(a, "cmd", "clear", e);

	if (rc != 0)
		return rc;
	if (command == NULL && !args_has(a, "clear"))
		return args_usage(a, e, "option '-c COMMAND' or '--clear' is missing");
	if (command != NULL && command[strspn(command, " \t")] == '\0')
		return args_usage(a, e, "the command is empty; '--clear' removes it");
	return pot_set_command(cli->ctx, a->pots[0], command, e);
}

static const struct opt opts[] = {
	{ "cmd", 'c', "COMMAND", 0, "one line, split into words as a shell does" },
	{ "clear", 0, NULL, 0, "record none: start runs the system's own init" },
	OPT_END,
};

const struct cmd cmd_set_cmd = {
	.name = "set-cmd",
	.group = "Settings",
	.summary = "set the command that start runs",
	.text = "Takes effect at the next start. The line is split as a shell splits words, with quotes and\n"
		"backslashes, and is not run by a shell: for that say sh -c '...'.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot set-cmd -p web -c 'httpd -f -p 8080'",
	.run = run,
};
