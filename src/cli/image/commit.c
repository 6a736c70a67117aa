/* What pot commit does. */
#include "cli/image/verbs.h"

int
image_commit(struct cli *cli, const struct args *a, struct err *e)
{
	const struct pot_commit_args in = {
		.pot = a->pots[0],
		.snapshot = args_value(a, "snapshot"),
		.name = args_value(a, "tag"),
		.message = args_value(a, "message"),
		.author = args_value(a, "author"),
	};
	char id[POT_DIGEST_LEN];
	int rc = pot_image_commit(cli->ctx, &in, id, e);

	if (rc != 0)
		return rc;
	events_end(cli);
	if (cli->json)
		return js_print(json_pack("{s:o, s:o}", "name", js_string(in.name), "id", js_string(id)), e);
	if (!cli->quiet)
		puts(id);
	return 0;
}
