/* pot tag: one more name for an image. */
#include "cli/cli.h"

const struct cmd cmd_tag = {
	.name = "tag",
	.group = "Images",
	.summary = "give an image one more name",
	.text = "The name may be one of a registry, to push it there. What had this name before loses it.",
	.args = "IMAGE NAME",
	.min = 2,
	.max = 2,
	.flags = CMD_ROOT,
	.example = "pot tag web:1.0 registry.example.org/team/web:1.0",
	.run = image_verb,
};
