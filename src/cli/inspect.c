/* pot inspect: everything about one pot, for programs. */
#include "cli/cli.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_info *in = NULL;
	int rc;

	if (args_has(a, "image"))
		return image_verb(cli, a, e);
	rc = pot_info(cli->ctx, a->pots[0], POT_INFO_SIZES, &in, e);

	if (rc == 0)
		rc = js_print(js_info(in, true), e);
	pot_info_free(in);
	return rc;
}

static const struct opt opts[] = {
	{ "image", 0, "IMAGE", OPT_NOPOT, "show this image, not a pot" },
	OPT_END,
};

const struct cmd cmd_inspect = {
	.name = "inspect",
	.group = "Looking",
	.summary = "show everything about a pot or an image as JSON",
	.text = "Of a pot the same as info --format json, with sizes. Of an image what images --format json\n"
		"shows, and its manifest and config.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot inspect web",
	.json = JSON_INFO "manifest: with --image: the image's manifest, beside the keys of images\n"
			  "config: with --image: its config\n",
	.run = run,
};
