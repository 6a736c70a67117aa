/* pot _cleanup: executed by a pot's shim when the pot has ended. Not for people. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* The number of the run as the engine writes it into the shim's arguments: 1 to 16 hexadecimal digits. */
static int
run_id_parse(const char *text, uint64_t *id, struct err *e)
{
	size_t len = strspn(text, "0123456789abcdef");

	if (len == 0 || len > 16 || text[len] != '\0')
		return err_set(
		    e, E_INVAL, "'%.32s' is not the number of a run: not 1 to 16 hexadecimal digits", text);
	*id = strtoull(text, NULL, 16);
	return 0;
}

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	uint64_t run_id = 0;
	int rc = run_id_parse(a->rest[0], &run_id, e);

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
	.example = "pot _cleanup web 7f3a",
	.run = run,
};
