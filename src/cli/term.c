/* pot term: a shell in a running pot. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_exec_args x = { .login = true, .tty = isatty(STDIN_FILENO) };

	if (args_has(a, "force")) {
		struct pot_start_args start = { 0 };
		struct pot_process proc = { 0, -1 };
		int rc = pot_start(cli->ctx, a->pots[0], &start, &proc, e);

		if (rc != 0 && rc != -E_EXIST)
			return rc;
	}
	return run_in_pot(cli, a->pots[0], &x, true, false, e);
}

static const struct opt opts[] = {
	{ "force", 'f', NULL, 0, "start the pot first when it does not run" },
	OPT_END,
};

const struct cmd cmd_term = {
	.name = "term",
	.group = "Running",
	.summary = "open a shell in a running pot",
	.text = "Runs root's shell, as the pot's passwd file names it, else /bin/sh, as a login shell in a "
		"terminal,\n"
		"and exits with its status. When standard input is not a terminal the shell reads commands "
		"from it.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_STATUS,
	.opts = opts,
	.example = "pot term -f web",
	.run = run,
};
