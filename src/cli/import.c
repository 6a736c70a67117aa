/* pot import: a classic image becomes a pot. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "name", 'p', "NAME", OPT_MUST, "name of the image" },
	{ "tag", 't', "TAG", OPT_MUST, "its tag" },
	{ "url", 'U', "PLACE", 0,
	    "a directory, or the URL below which the files are; without it the current one" },
	{ "key", 'C', "FILE", OPT_FILE, "public key that must have signed it" },
	{ "as", 0, "POT", 0, "name of the pot, in place of NAME_TAG" },
	{ "insecure", 0, NULL, 0, "also plain HTTP without a signature, and a certificate that is not good" },
	OPT_END,
};

const struct cmd cmd_import = {
	.name = "import",
	.group = "Images",
	.summary = "make a pot of a classic image",
	.text =
	    "Makes a pot of NAME_TAG.xz, as the shell framework's export writes it, with the command, the\n"
	    "environment and the harmless attributes that it had. Its sum, and with -C its signature, are\n"
	    "checked before anything is made. Only where the storage is ZFS. A layered image needs the pot\n"
	    "that it stands on, imported before. Prints the name of the pot.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot import -p nginx-amd64-14_1 -t 1.1 -U https://images.example.org/nginx -C maker.pub",
	.json = "name: the pot\n",
	.run = image_verb,
};
