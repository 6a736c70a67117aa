/* pot set-attribute. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_set_attribute(cli->ctx, a->pots[0], args_value(a, "attribute"), args_value(a, "value"), e);
}

static const struct opt opts[] = {
	{ "attribute", 'A', "ATTRIBUTE", OPT_ATTR | OPT_MUST, "the attribute" },
	{ "value", 'V', "VALUE", OPT_MUST, "its value; yes, no, on, off, true, false for a switch" },
	OPT_END,
};

const struct cmd cmd_set_attribute = {
	.name = "set-attribute",
	.aliases = { "set-attr" },
	.group = "Settings",
	.summary = "set an attribute of a pot",
	.text = "Attributes are switches and values such as start-at-boot, prunable, stop_timeout; 'pot info "
		"-v'\n"
		"shows all of them with their values. An empty value takes an attribute back to nothing "
		"where it is text.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot set-attribute -p web -A prunable -V yes",
	.run = run,
};
