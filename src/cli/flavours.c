/* pot flavours: the recipes that pots are made with. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "flavour-dir", 0, "DIR", OPT_DIR | OPT_MANY, "look here before all other places" },
	OPT_END,
};

const struct cmd cmd_flavours = {
	.name = "flavours",
	.aliases = { "flavors" },
	.group = "Building",
	.summary = "list, show and check flavours",
	.text = "ls lists the flavours that pots can be made with; show tells what one is, its parameters "
		"and its\n"
		"files; lint looks for mistakes in some, or in all, and has the status 1 when something "
		"would fail.",
	.args = "[ls | show NAME | lint [NAME...]]",
	.min = 0,
	.max = -1,
	.flags = CMD_JSON,
	.opts = opts,
	.example = "pot flavours show nginx",
	.json = "name: the flavour\n"
		"title: what it is, in one line, or null\n"
		"description: the same with more words, or null\n"
		"version: its version, or null\n"
		"licence: under which it may be used, or null\n"
		"directory: where it was found\n"
		"systems: array of linux, freebsd\n"
		"here: whether it works on this system\n"
		"commands: whether it has a command file\n"
		"script: whether it has a script\n"
		"parameters: array of objects with name, description, default (or null), required\n"
		"flavours: array of those that are applied before it\n"
		"broken: why it cannot be read, or null\n"
		"severity: of lint: warn or fail\n"
		"file: of lint: path of the file\n"
		"line: of lint: its line, or null\n"
		"text: of lint: what was found\n",
	.run = image_verb,
};
