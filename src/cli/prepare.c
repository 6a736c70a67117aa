/* pot prepare: everything that an orchestrator needs done before it starts a pot. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "name", 'p', "NAME", OPT_MUST, "name of the image" },
	{ "tag", 't', "TAG", OPT_MUST, "its tag" },
	{ "allocation", 'a', "ID", OPT_MUST, "end of the new pot's name" },
	{ "as", 'n', "POT", 0, "beginning of the new pot's name; without it NAME_TAG" },
	{ "url", 'U', "PLACE", 0,
	    "where the image is, when it is not here: as for import, or oci://HOST[/PATH]" },
	{ "key", 'C', "FILE", OPT_FILE, "public key that must have signed a classic image" },
	{ "insecure", 0, NULL, 0, "classic: also plain HTTP without a signature" },
	{ "cmd", 'c', "COMMAND", 0, "the command to start, in place of the image's" },
	{ "export", 'e', "PORT", OPT_MANY, "publish a port: [HOST:]PORT, as --publish" },
	{ "start", 's', NULL, 0, "start it" },
	NETWORK_OPTS_AS('i', 'd'),
	OPT_END,
};

const struct cmd cmd_prepare = {
	.name = "prepare",
	.group = "Images",
	.summary = "bring an image and make a pot of it for an orchestrator",
	.text =
	    "Brings the image NAME:TAG when it is not on this node, and makes the pot NAME_TAG_ID of it, "
	    "with\n"
	    "the network given and '_' for each dot. A classic image is kept as the pot NAME_TAG and cloned; "
	    "it\n"
	    "comes from a directory or server, as for import. With oci://HOST it is pulled from a registry.\n"
	    "The pot is prunable and not persistent, with localhost-tunnel, no-etc-hosts, no-rc-script and\n"
	    "no-tmpfs. When something fails, no pot is left. Prints its name.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example =
	    "pot prepare -p nginx -t 1.1 -U oci://registry.example.org -a 7f3a -N public-bridge -e 8080:80",
	.json = "name: the pot\n",
	.run = image_verb,
};
