/* pot sign: a signature on an image in a registry. */
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "key", 'k', "FILE", OPT_FILE | OPT_MUST, "the secret key (see keygen)" },
	{ "passphrase-stdin", 0, NULL, 0, "read the key's passphrase from standard input" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_sign = {
	.name = "sign",
	.group = "Images",
	.summary = "sign an image in a registry",
	.text =
	    "Signs the image's digest together with its name and tag, so that the signature is no good for\n"
	    "another name, and puts the signature beside the image. Prints the digest.",
	.args = "IMAGE",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot sign -k release.sec registry.example.org/team/web:1.0",
	.run = image_verb,
};
