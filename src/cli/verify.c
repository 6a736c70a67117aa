/* pot verify: who signed an image in a registry? */
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "key", 'k', "FILE", OPT_FILE | OPT_MANY,
	    "this public key must have signed it; without it policy.conf says who" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_verify = {
	.name = "verify",
	.group = "Images",
	.summary = "check the signatures of an image in a registry",
	.text = "Asks the registry what the name means now and who signed that, and fails unless all keys "
		"given,\n"
		"or as many as the rule of policy.conf wants, have signed digest, name and tag.",
	.args = "IMAGE",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot verify -k release.pub registry.example.org/team/web:1.0",
	.json = "name: the image\n"
		"digest: what the name means now\n"
		"rule: the rule of policy.conf, or \"the keys given\"\n"
		"good: how many keys of the rule have signed it\n"
		"need: how many must have\n"
		"signed_by: their files\n"
		"signed_at: when the last one needed was made\n",
	.run = image_verb,
};
