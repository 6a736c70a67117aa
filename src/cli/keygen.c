/* pot keygen: a pair of keys for signatures. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "public", 'p', "FILE", OPT_FILE | OPT_MUST, "the public key, for everybody" },
	{ "secret", 's', "FILE", OPT_FILE | OPT_MUST, "the secret key, of mode 0600" },
	{ "no-passphrase", 'n', NULL, 0, "do not lock the secret key with a passphrase" },
	{ "passphrase-stdin", 0, NULL, 0, "read the passphrase from standard input" },
	{ "comment", 'c', "TEXT", 0, "text for the first line of both (signify)" },
	OPT_END,
};

const struct cmd cmd_keygen = {
	.name = "keygen",
	.group = "Images",
	.summary = "make a pair of keys for signatures",
	.text = "Makes keys for Ed25519 in the files of signify(1), which can use them as well. Neither file "
		"may\n"
		"exist. The passphrase is asked for, unless -n is given.",
	.args = "",
	.flags = CMD_NOCTX,
	.opts = opts,
	.example = "pot keygen -p release.pub -s release.sec",
	.run = image_verb,
};
