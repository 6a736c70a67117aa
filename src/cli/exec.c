/* pot exec and term: a process in a running pot, with our terminal or our descriptors. */
#include <fcntl.h>
#include <string.h>

#include "cli/cli.h"

/* Opens /dev/null for those of the three that are not passed. */
static int
choose_fds(struct pot_exec_args *x, bool with_stdin, bool detach, int *null, struct err *e)
{
	*null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (*null < 0)
		return err_sys(e, "cannot open /dev/null");
	x->fds[0] = with_stdin && !detach ? STDIN_FILENO : *null;
	x->fds[1] = detach ? *null : STDOUT_FILENO;
	x->fds[2] = detach ? *null : STDERR_FILENO;
	return 0;
}

static int
run_in_pot(
    struct cli *cli, const char *name, struct pot_exec_args *x, bool with_stdin, bool detach, struct err *e)
{
	struct pot_process proc = { 0, -1 };
	AUTO(fd) int null = -1;
	int status = 0, rc;

	if (x->tty)
		tty_size(&x->rows, &x->cols);
	rc = choose_fds(x, with_stdin, detach, &null, e);
	if (rc == 0)
		rc = pot_exec(cli->ctx, name, x, &proc, e);
	if (rc != 0 || detach)
		return rc;
	if (x->tty) {
		rc = tty_run(&proc, with_stdin, &status, e);
	} else {
		signals_to_child(proc.pid);
		rc = pot_exec_wait(&proc, &status, e);
	}
	signals_to_child(0);
	return rc != 0 ? rc : status;
}

static int
exec_run(struct cli *cli, const struct args *a, struct err *e)
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
	/* Whoever asks for a terminal at a terminal wants to type. */
	return run_in_pot(
	    cli, a->pots[0], &x, args_has(a, "interactive") || (x.tty && isatty(STDIN_FILENO)), detach, e);
}

static int
term_run(struct cli *cli, const struct args *a, struct err *e)
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

static const struct opt exec_opts[] = {
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
	.opts = exec_opts,
	.example = "pot exec -t web sh -l",
	.run = exec_run,
};

static const struct opt term_opts[] = {
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
	.opts = term_opts,
	.example = "pot term -f web",
	.run = term_run,
};
