/* What pot create-base does for a release of FreeBSD. */
#include "cli/image/verbs.h"

int
image_create_base(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_base_args in = {
		.name = args_value(a, "base"),
		.release = args_value(a, "release"),
		.mirror = args_value(a, "mirror"),
		.include = args_value(a, "include"),
		.pkgbase = args_has(a, "pkgbase"),
		.insecure = args_has(a, "insecure"),
	};
	const char *max = args_value(a, "max-size");
	int rc = max == NULL ? 0 : text_size(max, &in.max_size, "--max-size", e);

	if (rc == 0)
		rc = pot_base_release(cli->ctx, &in, e);
	events_end(cli);
	return rc;
}
