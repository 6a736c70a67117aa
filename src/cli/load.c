/* pot load: images from a file. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "input", 'i', "FILE", OPT_FILE, "read FILE; without it standard input" },
	{ "tag", 't', "NAME", 0, "call the image NAME, whatever the file says" },
	OPT_END,
};

const struct cmd cmd_load = {
	.name = "load",
	.group = "Images",
	.summary = "read images from a file",
	.text =
	    "Reads OCI archives and Docker's, compressed or not, unpacks their layers and prints the names\n"
	    "of the images. Layers that are here already are not unpacked again.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot load -i web.tar",
	.json = "[]: the names of the images, in an array\n",
	.run = image_verb,
};
