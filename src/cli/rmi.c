/* pot rmi: takes names of images away, and what only they needed. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "force", 'f', NULL, 0, "also the last name of an image that pots were made from; they stay" },
	OPT_END,
};

const struct cmd cmd_rmi = {
	.name = "rmi",
	.group = "Images",
	.summary = "remove images",
	.text =
	    "Removes the names and every layer that neither another image nor a pot needs. An image that\n"
	    "pots were made from is refused unless -f is given; its layers stay until the pots go.",
	.args = "IMAGE...",
	.min = 1,
	.max = -1,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot rmi web:1.0",
	.run = image_verb,
};
