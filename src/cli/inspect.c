/* pot inspect: everything about one pot, for programs. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_info *in = NULL;
	int rc = pot_info(cli->ctx, a->pots[0], POT_INFO_SIZES, &in, e);

	if (rc == 0)
		rc = js_print(js_info(in, true), e);
	pot_info_free(in);
	return rc;
}

const struct cmd cmd_inspect = {
	.name = "inspect",
	.group = "Looking",
	.summary = "show everything about a pot as JSON",
	.text = "The same as info --format json, with sizes.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.example = "pot inspect web",
	.json = JSON_INFO,
	.run = run,
};
