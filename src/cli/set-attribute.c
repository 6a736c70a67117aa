/* pot set-attribute and get-attribute. */
#include <string.h>

#include "cli/cli.h"
#include "model/attr.h"

static int
set_run(struct cli *cli, const struct args *a, struct err *e)
{
	return pot_set_attribute(cli->ctx, a->pots[0], args_value(a, "attribute"), args_value(a, "value"), e);
}

static int
get_run(struct cli *cli, const struct args *a, struct err *e)
{
	AUTO_FREE char *value = NULL;
	const char *attr = args_value(a, "attribute");
	int rc = pot_get_attribute(cli->ctx, a->pots[0], attr, &value, e);

	if (rc != 0)
		return rc;
	if (cli->json)
		return js_print(json_pack("{s:o, s:o, s:o}", "name", js_string(a->pots[0]), "attribute",
				    js_string(attr), "value", js_string(value)),
		    e);
	if (!cli->quiet)
		printf("%s: ", attr);
	put_text(value != NULL ? value : "");
	putchar('\n');
	return 0;
}

static const struct opt set_opts[] = {
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
	.opts = set_opts,
	.example = "pot set-attribute -p web -A prunable -V yes",
	.run = set_run,
};

static const struct opt get_opts[] = {
	{ "attribute", 'A', "ATTRIBUTE", OPT_ATTR | OPT_MUST, "the attribute" },
	OPT_END,
};

const struct cmd cmd_get_attribute = {
	.name = "get-attribute",
	.aliases = { "get-attr" },
	.group = "Settings",
	.summary = "show an attribute of a pot",
	.text = "Prints the attribute and its value; with -q only the value.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.opts = get_opts,
	.example = "pot get-attribute -q -p web -A prunable",
	.json = "name: the pot\n"
		"attribute: the attribute\n"
		"value: its value\n",
	.run = get_run,
};
