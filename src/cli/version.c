/* pot version: nothing but that, as fast as a program can be. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	if (cli->json)
		return js_print(json_pack("{s:s}", "version", POT_VERSION), e);
	if (!cli->quiet)
		fputs("pot version: ", stdout);
	puts(POT_VERSION);
	return 0;
}

const struct cmd cmd_version = {
	.name = "version",
	.group = "Help",
	.summary = "show the version",
	.text = "Prints the version; with -q only the number.",
	.args = "",
	.flags = CMD_JSON | CMD_NOCTX,
	.example = "pot version -q",
	.json = "version: the version\n",
	.run = run,
};
