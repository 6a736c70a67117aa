/* What pot import does. */
#include <stdio.h>

#include "cli/image/verbs.h"

int
image_import(struct cli *cli, const struct args *a, struct err *e)
{
	const char *from = args_value(a, "url");
	struct pot_import_args args = {
		.name = args_value(a, "name"),
		.tag = args_value(a, "tag"),
		.from = from != NULL ? from : ".",
		.key = args_value(a, "key"),
		.pot = args_value(a, "as"),
		.insecure = args_has(a, "insecure"),
	};
	char made[64];
	int rc = stall_arg(a, &args.stall_s, e);

	if (rc != 0)
		return rc;
	rc = pot_image_import(cli->ctx, &args, made, e);
	events_end(cli);
	if (rc != 0)
		return tell_failure(cli, rc, e);
	if (cli->json)
		return js_print(json_pack("{s:s}", "name", made), e);
	puts(made);
	return 0;
}
