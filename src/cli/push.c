/* pot push: an image to a registry. */
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "sign", 0, "KEY", OPT_FILE, "sign it with this secret key (see keygen)" },
	{ "passphrase-stdin", 0, NULL, 0, "read the key's passphrase from standard input" },
	{ "streams", 0, NULL, 0, "offer the layers as streams of this storage, too (zfs, btrfs)" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_push = {
	.name = "push",
	.group = "Images",
	.summary = "send an image to a registry",
	.text = "Only layers that the registry lacks are sent, several at a time; those that another of its\n"
		"repositories has are mounted. DEST is the name there, where it differs from the one here.",
	.args = "IMAGE [DEST]",
	.min = 1,
	.max = 2,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot push web:1.0 registry.example.org/team/web:1.0",
	.json = "event: progress or done; one object a line\n"
		"what: of progress: the layer\n"
		"bytes: of progress: what is there of it; of done: what was moved\n"
		"total: of progress: its size\n"
		"name: of done: the image there\n"
		"digest: of done: what the name names\n"
		"id: of done: always null\n"
		"blobs: of done: layers and configs it has\n"
		"moved: of done: those that were sent\n"
		"mounted: of done: those that another repository had\n"
		"streams: of done: layers that are offered as streams, too\n"
		"changed: of done: always null\n"
		"signed_by: of done: the key that signed it, or null\n",
	.run = image_verb,
};
