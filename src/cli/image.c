/* pot image: what concerns all images. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "all", 'a', NULL, 0, "also images that no pot was made from" },
	{ "dry-run", 'n', NULL, 0, "only show what would go" },
	OPT_END,
};

const struct cmd cmd_image = {
	.name = "image",
	.group = "Images",
	.summary = "free what no image needs",
	.text =
	    "'image prune' removes layers that no image and no pot needs, downloads that were not finished,\n"
	    "and what interrupted commands left; with -a the images that no pot was made from, too.",
	.args = "prune",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot image prune",
	.json = "images: array of the names removed\n"
		"blobs: how many blobs went\n"
		"layers: how many unpacked layers went\n"
		"bytes: bytes of the blobs\n",
	.run = image_verb,
};
