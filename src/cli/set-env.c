/* pot set-env and set-hosts: lists that are replaced, added to, taken from, cleared. */
#include <string.h>

#include "cli/cli.h"

typedef int change_fn(struct pot_ctx *, const char *, enum pot_change, char *const *, struct err *);

/*
 * The option named `value` replaces the list, or with --add is added to it;
 * --remove takes away, --clear empties. One kind at a time, so that the
 * order of options never matters.
 */
static int
change_list(struct cli *cli, const struct args *a, const char *value, change_fn *fn, struct err *e)
{
	static const char *const others[] = { "add", "remove", "clear" };
	static const enum pot_change changes[] = { POT_ADD, POT_REMOVE, POT_CLEAR };
	enum pot_change change = POT_REPLACE;
	const char *from = value;
	int kinds = args_has(a, value);

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (!args_has(a, others[i]))
			continue;
		kinds++;
		change = changes[i];
		from = others[i];
	}
	if (kinds == 0)
		return args_usage(a, e, "option '--%s', '--add', '--remove' or '--clear' is missing", value);
	if (kinds > 1)
		return args_usage(
		    a, e, "'--%s', '--add', '--remove' and '--clear' exclude each other", value);

	AUTO_FREE char **list = args_values(a, from);
	if (list == NULL)
		return err_nomem(e);
	return fn(cli->ctx, a->pots[0], change, list, e);
}

static int
env_run(struct cli *cli, const struct args *a, struct err *e)
{
	return change_list(cli, a, "env", pot_set_env, e);
}

static int
hosts_run(struct cli *cli, const struct args *a, struct err *e)
{
	return change_list(cli, a, "host", pot_set_hosts, e);
}

static const struct opt env_opts[] = {
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
	.opts = env_opts,
	.example = "pot set-env -p web --add LANG=C.UTF-8",
	.run = env_run,
};

static const struct opt hosts_opts[] = {
	{ "host", 'H', "HOST:ADDRESS", OPT_MANY, "these become all the entries of the pot" },
	{ "add", 0, "HOST:ADDRESS", OPT_MANY, "add an entry or change its address" },
	{ "remove", 0, "HOST", OPT_MANY, "remove an entry" },
	{ "clear", 0, NULL, 0, "remove all entries" },
	OPT_END,
};

const struct cmd cmd_set_hosts = {
	.name = "set-hosts",
	.group = "Settings",
	.summary = "set entries of a pot's hosts file",
	.text =
	    "The entries are written to the pot's /etc/hosts at the next start. -H replaces all of them;\n"
	    "--add, --remove and --clear change what is there.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = hosts_opts,
	.example = "pot set-hosts -p web -H db:10.1.2.3 -H db6:fd00::3",
	.run = hosts_run,
};
