/* pot logout: forgets credentials. */
#include "cli/cli.h"

const struct cmd cmd_logout = {
	.name = "logout",
	.group = "Images",
	.summary = "forget the credentials for a registry",
	.text = "Removes what login has kept.",
	.args = "HOST[:PORT]",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT,
	.example = "pot logout registry.example.org",
	.run = image_verb,
};
