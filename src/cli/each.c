/* Verbs that take several pots do all of them, whatever happens to one. */
#include "cli/cli.h"

int
each_pot(struct cli *cli, const struct args *a, each_fn *fn, struct err *e)
{
	int first = 0;

	if (a->npots == 1)
		return fn(cli, a, a->pots[0], e);
	for (size_t i = 0; i < a->npots; i++) {
		struct err one = ERR_INIT;
		int rc = fn(cli, a, a->pots[i], &one);

		if (rc < 0) {
			print_error(cli, &one);
			cli->told = true;
			if (first >= 0)
				first = rc;
		}
		if (rc > 0 && first == 0)
			first = rc;
		if (rc == -E_INTR)
			break;
	}
	return first;
}
