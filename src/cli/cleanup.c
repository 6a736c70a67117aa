/* pot _cleanup: executed by a pot's shim when the pot has ended. Not for people. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	uint64_t run_id;
	int rc = text_uint(a->rest[0], 0, UINT64_MAX, &run_id, "the run's number", e);

	return rc != 0 ? rc : pot_cleanup(cli->ctx, a->pots[0], run_id, e);
}

const struct cmd cmd_cleanup = {
	.name = "_cleanup",
	.group = "",
	.summary = "clean up after a run of a pot",
	.text = "Executed by pot itself.",
	.args = "RUNID",
	.min = 1,
	.max = 1,
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_HIDDEN,
	.example = "pot _cleanup web 7",
	.run = run,
};
