/* pot set-hook: programs that run at points of a pot's life. */
#include "cli/cli.h"

static const char *const points[] = { "prestart", "poststart", "prestop", "poststop" };

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE char **removed = args_values(a, "remove");
	size_t done = 0;
	int rc;

	if (removed == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		const char *file = args_value(a, points[i]);

		if (file == NULL)
			continue;
		rc = pot_set_hook(cli->ctx, a->pots[0], points[i], file, e);
		if (rc != 0)
			return rc;
		done++;
	}
	for (char **point = removed; *point != NULL; point++, done++) {
		rc = pot_set_hook(cli->ctx, a->pots[0], *point, NULL, e);
		if (rc != 0)
			return rc;
	}
	if (done == 0)
		return args_usage(a, e, "which hook? Give '-s', '-S', '-t', '-T' or '--remove'");
	return 0;
}

static const struct opt opts[] = {
	{ "prestart", 's', "FILE", OPT_FILE, "before anything of the pot exists; failing stops the start" },
	{ "poststart", 'S', "FILE", OPT_FILE, "when the command has been executed" },
	{ "prestop", 't', "FILE", OPT_FILE, "before the pot is asked to end" },
	{ "poststop", 'T', "FILE", OPT_FILE, "when everything of the pot is gone, also after a crash" },
	{ "remove", 0, "prestart|poststart|prestop|poststop", OPT_MANY, "remove this hook" },
	OPT_END,
};

const struct cmd cmd_set_hook = {
	.name = "set-hook",
	.group = "Settings",
	.summary = "set programs that run when a pot starts and stops",
	.text = "The file, which must be executable, is copied. It runs on the host as root, with the pot's "
		"name and\n"
		"state in its environment and a time limit (the setting hook_timeout).",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot set-hook -p web -S /root/announce.sh",
	.run = run,
};
