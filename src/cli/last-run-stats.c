/* pot last-run-stats: the classic JSON that schedulers read. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_exit x = { 0 };
	int rc = pot_last_exit(cli->ctx, a->pots[0], &x, e);

	if (rc != 0)
		return rc;
	/* Byte for byte what the shell framework printed; no library needed. */
	if (x.known)
		printf("{ \"ExitCode\": %d }\n", x.status);
	else
		puts("{}");
	return 0;
}

const struct cmd cmd_last_run_stats = {
	.name = "last-run-stats",
	.group = "Looking",
	.summary = "show the exit status of a pot's last run",
	.text = "Prints one line of JSON, also without --format json: { \"ExitCode\": N }, or {} when the "
		"pot has\n"
		"never run to an end.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.example = "pot last-run-stats -p web",
	.json = "ExitCode: exit status of the last run, 128 plus the signal when it was killed\n",
	.run = run,
};
