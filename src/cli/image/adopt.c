/* What pot adopt does. */
#include <stdio.h>

#include "cli/image/verbs.h"

int
image_adopt(struct cli *cli, const struct args *a, struct err *e)
{
	const struct pot_adopt_args args = {
		.name = args_value(a, "pot"),
		.as = args_value(a, "as"),
		.config = args_value(a, "classic-config"),
		.dry_run = args_has(a, "dry-run"),
	};
	char made[64];
	int rc = pot_adopt(cli->ctx, &args, made, e);

	events_end(cli);
	if (rc < 0)
		return rc;
	if (cli->json)
		return js_print(json_pack("{s:s}", "name", made), e);
	puts(made);
	return 0;
}
