/* pot set-hosts: entries of the hosts file. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return change_list(cli, a, "host", pot_set_hosts, e);
}

static const struct opt opts[] = {
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
	.opts = opts,
	.example = "pot set-hosts -p web -H db:10.1.2.3 -H db6:fd00::3",
	.run = run,
};
