/* pot exec: a command in a running pot. */
#include <string.h>

#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE char **env = args_values(a, "env");
	struct pot_exec_args x = {
		.argv = a->rest,
		.env = env,
		.user = args_value(a, "user"),
		.workdir = args_value(a, "workdir"),
		.tty = args_has(a, "tty"),
	};
	bool detach = args_has(a, "detach");
	int rc = args_exclusive(a, "user", "pot-user", e);

	if (rc == 0)
		rc = args_exclusive(a, "detach", "tty", e);
	if (rc == 0)
		rc = args_exclusive(a, "detach", "interactive", e);
	if (rc != 0)
		return rc;
	if (env == NULL)
		return err_nomem(e);
	for (char **v = env; *v != NULL; v++)
		if (strchr(*v, '=') == NULL || **v == '=')
			return args_usage(a, e, "-e '%.64s': not NAME=VALUE", *v);
	if (x.user == NULL)
		x.user = args_value(a, "pot-user");
	/* An unset variable of a script must not become root. */
	if (x.user != NULL && x.user[0] == '\0')
		return args_usage(a, e, "the user is empty");
	/* Whoever asks for a terminal at a terminal wants to type. */
	return run_in_pot(
	    cli, a->pots[0], &x, args_has(a, "interactive") || (x.tty && isatty(STDIN_FILENO)), detach, e);
}

static const struct opt opts[] = {
	{ "interactive", 'i', NULL, 0, "pass standard input; without it that is empty" },
	{ "tty", 't', NULL, 0, "give the command a terminal, joined to this one" },
	{ "detach", 'd', NULL, 0, "return at once and leave it running; its output is discarded" },
	{ "env", 'e', "NAME=VALUE", OPT_MANY, "set a variable, on top of the pot's" },
	{ "user", 'u', "USER[:GROUP]", 0, "run as this user of the pot (root)" },
	{ "pot-user", 'U', "USER[:GROUP]", 0, "the same, as it was called" },
	{ "workdir", 'w', "DIR", 0, "in this directory of the pot (/)" },
	OPT_END,
};

const struct cmd cmd_exec = {
	.name = "exec",
	.group = "Running",
	.summary = "run a command in a running pot",
	.text =
	    "Runs the command in the pot with the pot's environment and exits with its status. Its options\n"
	    "are its own: what follows its first word is not looked at.",
	.args = "COMMAND [ARGUMENT ...]",
	.min = 1,
	.max = -1,
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_TAIL | CMD_STATUS,
	.opts = opts,
	.example = "pot exec -t web sh -l",
	.run = run,
};
