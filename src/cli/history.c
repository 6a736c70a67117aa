/* pot history: how an image came to be. */
#include "cli/cli.h"

const struct cmd cmd_history = {
	.name = "history",
	.group = "Images",
	.summary = "show the steps that made an image",
	.text = "The newest step first, with the size of its layer as it is stored.",
	.args = "IMAGE",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.example = "pot history web:1.0",
	.json = "[]: the steps, the newest first, each with:\n"
		"created_at: when, or null\n"
		"created_by: what made it\n"
		"comment: a message, or null\n"
		"author: who, or null\n"
		"size_bytes: bytes of its layer, 0 when it has none\n"
		"layer: digest of its layer, or null\n",
	.run = image_verb,
};
