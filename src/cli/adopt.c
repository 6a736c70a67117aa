/* pot adopt: a pot of the shell framework becomes one of this installation. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "pot", 'p', "NAME", OPT_MUST, "name of the classic pot" },
	{ "as", 0, "POT", 0, "name of the pot, in place of NAME" },
	{ "classic-config", 0, "FILE", OPT_FILE,
	    "the shell framework's pot.conf; without it zroot/pot at /opt/pot is meant" },
	{ "dry-run", 0, NULL, 0, "read everything and say what would be made" },
	OPT_END,
};

const struct cmd cmd_adopt = {
	.name = "adopt",
	.group = "Setting up",
	.summary = "take over a pot of the shell framework",
	.text =
	    "Makes a pot of one that the shell framework made, without a copy: its root is a clone of the "
	    "dataset\n"
	    "that it was, and what was mounted into it is mounted from where it is. Command, environment,\n"
	    "attributes, network, ports, hosts and limits come along. The classic pot stays as it was, but\n"
	    "must not run at the same time. Only where the storage is ZFS, on the same pool. Prints the "
	    "name.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot adopt -p www --classic-config /usr/local/etc/pot.old/pot.conf",
	.json = "name: the pot\n",
	.run = image_verb,
};
