/* Lists of a pot that are replaced, added to, taken from, cleared: what set-env and set-hosts share. */
#include "cli/cli.h"

/*
 * The option named `value` replaces the list, or with --add is added to it;
 * --remove takes away, --clear empties. One kind at a time, so that the
 * order of options never matters.
 */
int
change_list(struct cli *cli, const struct args *a, const char *value, change_fn *fn, struct err *e)
{
	static const char *const others[] = { "add", "remove", "clear" };
	static const enum pot_change changes[] = { POT_ADD, POT_REMOVE, POT_CLEAR };
	enum pot_change change = POT_REPLACE;
	const char *from = value;
	int kinds = args_has(a, value);

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (!args_has(a, others[i]))
			continue;
		kinds++;
		change = changes[i];
		from = others[i];
	}
	if (kinds == 0)
		return args_usage(a, e, "option '--%s', '--add', '--remove' or '--clear' is missing", value);
	if (kinds > 1)
		return args_usage(
		    a, e, "'--%s', '--add', '--remove' and '--clear' exclude each other", value);

	AUTO_FREE char **list = args_values(a, from);
	if (list == NULL)
		return err_nomem(e);
	return fn(cli->ctx, a->pots[0], change, list, e);
}
