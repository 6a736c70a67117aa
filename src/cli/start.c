/* pot start: in the background, or attached to its output. */
#include "cli/cli.h"

static int
one(struct cli *cli, const struct args *a, const char *name, struct err *e)
{
	struct pot_start_args in = { .attach = args_has(a, "attach"), .snapshot = args_has(a, "snapshot") };
	struct pot_process proc = { 0, -1 };
	int status = 0, signals, rc;

	rc = pot_start(cli->ctx, name, &in, &proc, e);
	if (rc != 0 || !in.attach)
		return rc;
	signals = signals_to_fd(false, e);
	if (signals < 0)
		return signals;
	fflush(stdout);
	rc = pot_attach(cli->ctx, name, &proc, STDOUT_FILENO, STDERR_FILENO, signals, &status, e);
	return rc != 0 ? rc : status;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	if (args_has(a, "attach") && a->npots > 1)
		return args_usage(a, e, "--attach takes one pot");
	return each_pot(cli, a, one, e);
}

static const struct opt opts[] = {
	{ "attach", 'a', NULL, OPT_STATUS, "stay with its output until it ends, exit with its status" },
	{ "snapshot", 's', NULL, 0, "take a snapshot first" },
	OPT_END,
};

const struct cmd cmd_start = {
	.name = "start",
	.group = "Running",
	.summary = "start pots",
	.text =
	    "Returns when the pot's command runs and the poststart hook is done. With -a it stays: output "
	    "is\n"
	    "copied, the signals INT TERM HUP QUIT USR1 USR2 are passed on, the status is the command's.\n"
	    "The command is what set-cmd recorded, else the system's own init.",
	.args = "",
	.pot = POT_MANY,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot start -a web",
	.run = run,
};
