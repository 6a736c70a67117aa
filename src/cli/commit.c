/* pot commit: a pot becomes an image. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "tag", 't', "NAME", OPT_MUST, "name of the image: NAME[:TAG]" },
	{ "snapshot", 'n', "TAG", 0, "of this snapshot, not of the stopped pot" },
	{ "message", 'm', "TEXT", 0, "what history says about it" },
	{ "author", 'a', "NAME", 0, "who made it" },
	OPT_END,
};

const struct cmd cmd_commit = {
	.name = "commit",
	.group = "Images",
	.summary = "make an image of a pot",
	.text = "Makes an image of a stopped pot or of one of its snapshots: its files and its settings\n"
		"(command, environment, ports, attributes). Only the difference to the image or base that it "
		"was\n"
		"made from is stored. The same content gives the same layer; with SOURCE_DATE_EPOCH in the\n"
		"environment no time in it is later than that. Prints the digest of the image.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot commit -p web -t web:1.0",
	.json = "name: the image\n"
		"id: its digest\n",
	.run = image_verb,
};
