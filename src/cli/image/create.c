/* What create and clone do with -f. */
#include <pot/flavour.h>

#include "cli/image/steps.h"
#include "cli/image/verbs.h"

int
create_flavoured(struct cli *cli, const struct args *a, const struct pot_create_args *in, struct err *e)
{
	AUTO_FREE char **names = args_values(a, "flavour");
	AUTO_FREE char **given = args_values(a, "flavour-arg");
	AUTO_FREE char **dirs = args_values(a, "flavour-dir");
	AUTO_FINI(steps) struct steps steps;
	const struct pot_flavours flavours = { .names = (const char *const *)names,
		.args = (const char *const *)given,
		.dirs = (const char *const *)dirs,
		.network = args_value(a, "flavour-network"),
		.no_cache = args_has(a, "no-cache"),
		.fn = steps_tell,
		.arg = &steps };

	steps_init(&steps, cli, cli->quiet ? STEPS_QUIET : cli->err_tty ? STEPS_TTY : STEPS_PLAIN);
	if (names == NULL || given == NULL || dirs == NULL)
		return err_nomem(e);
	return pot_create_flavoured(cli->ctx, in, &flavours, e);
}
