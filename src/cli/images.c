/* pot images: the images of this node. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "digests", 0, NULL, 0, "also show the digests" },
	OPT_END,
};

const struct cmd cmd_images = {
	.name = "images",
	.group = "Images",
	.summary = "list the images of this node",
	.text =
	    "Sizes are those of the stored, compressed layers: SIZE all of them, SHARED what other images\n"
	    "here have as well; UNPACKED what the files of a pot made from it add up to.",
	.args = "[NAME]",
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot images",
	.json = JSON_IMAGE,
	.run = image_verb,
};
