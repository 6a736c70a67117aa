/* pot set-env: environment variables. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return change_list(cli, a, "env", pot_set_env, e);
}

static const struct opt opts[] = {
	{ "env", 'E', "NAME=VALUE", OPT_MANY, "these become all the variables of the pot" },
	{ "add", 0, "NAME=VALUE", OPT_MANY, "add a variable or change its value" },
	{ "remove", 0, "NAME", OPT_MANY, "remove a variable" },
	{ "clear", 0, NULL, 0, "remove all variables" },
	OPT_END,
};

const struct cmd cmd_set_env = {
	.name = "set-env",
	.group = "Settings",
	.summary = "set environment variables of a pot",
	.text = "The variables are in the environment of the pot's command and of exec. -E replaces all of "
		"them;\n"
		"--add, --remove and --clear change what is there. Takes effect at the next start.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot set-env -p web --add LANG=C.UTF-8",
	.run = run,
};
