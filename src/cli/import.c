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
	{ "stall", 0, "TIME", 0, "give up when next to nothing came for so long (60s)" },
	OPT_END,
};

const struct cmd cmd_import = {
	.name = "import",
	.group = "Images",
	.summary = "make a pot of a classic image",
	.text =
	    "Makes a pot of NAME_TAG.xz, as the shell framework's export writes it, with the command, the\n"
	    "environment and the harmless attributes that it had. Its sum, and with -C its signature, are\n"
	    "checked before anything is made. Only where the storage is ZFS. What a layered image stands on\n"
	    "is imported before, as a pot of its own, from the same place, when it is not here. What an\n"
	    "interrupted fetch got is kept for the next one. Prints the name of the pot.",
	.args = "",
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot import -p nginx-amd64-14_1 -t 1.1 -U https://images.example.org/nginx -C maker.pub",
	.json = "name: the pot\n"
		"event: failed, where nothing was made\n"
		"code: of failed: the kind of error, as in \"not found\"\n"
		"message: of failed: what failed and why\n"
		"hint: of failed: what would help, or null\n",
	.run = image_verb,
};
