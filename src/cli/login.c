/* pot login: credentials for a registry. */
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "username", 'u', "USER", 0, "the user; without it asked for" },
	{ "password-stdin", 0, NULL, 0, "read the password from standard input" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_login = {
	.name = "login",
	.group = "Images",
	.summary = "keep credentials for a registry",
	.text = "Asks for the password without showing it, proves it to the registry, and keeps it in\n"
		"registries/auth.json of the installation, which only root may read. There is no option for\n"
		"the password itself: everybody could read it in the list of processes.",
	.args = "HOST[:PORT]",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot login -u alice registry.example.org",
	.run = image_verb,
};
