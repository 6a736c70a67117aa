/* pot save: images to a file. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "output", 'o', "FILE", OPT_FILE, "write to FILE; without it to standard output" },
	OPT_END,
};

const struct cmd cmd_save = {
	.name = "save",
	.group = "Images",
	.summary = "write images to a file",
	.text =
	    "An OCI archive: a tar that 'pot load' and every tool for OCI images reads. Layers that several\n"
	    "of the images have are in it once.",
	.args = "IMAGE...",
	.min = 1,
	.max = -1,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot save -o web.tar web:1.0",
	.run = image_verb,
};
