/* pot get-attribute. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
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

static const struct opt opts[] = {
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
	.opts = opts,
	.example = "pot get-attribute -q -p web -A prunable",
	.json = "name: the pot\n"
		"attribute: the attribute\n"
		"value: its value\n",
	.run = run,
};
