/* pot pull: an image from a registry. */
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "as", 0, "NAME", 0, "call it NAME on this node" },
	{ "verify", 0, NULL, 0, "refuse it without a good signature, even where no policy asks for one" },
	{ "allow-older", 0, NULL, 0, "take an image that was signed before the one that is here" },
	{ "max-size", 0, "SIZE", 0, "refuse a layer that unpacks to more than SIZE (64g)" },
	{ "streams", 0, "WHEN", 0, "take layers as streams of zfs or btrfs: auto, never or always" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_pull = {
	.name = "pull",
	.group = "Images",
	.summary = "get an image from a registry",
	.text =
	    "Layers are fetched several at a time and unpacked while they come in; what this node has, or\n"
	    "another pull gets, is not fetched. An interrupted pull shows nothing, and the next goes on\n"
	    "from there. Whoever must have signed the image is said in policy.conf.",
	.args = "IMAGE",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.opts = opts,
	.example = "pot pull registry.example.org/team/web:1.0",
	.json = "event: progress, done or failed; one object a line\n"
		"code: of failed: the kind of error, as in \"not found\"\n"
		"message: of failed: what failed and why\n"
		"hint: of failed: what would help, or null\n"
		"what: of progress: the layer\n"
		"bytes: of progress: what is here of it; of done: what was moved\n"
		"total: of progress: its size\n"
		"name: of done: the image\n"
		"digest: of done: what the name names\n"
		"id: of done: the manifest for this platform\n"
		"blobs: of done: layers it has\n"
		"moved: of done: layers that were fetched\n"
		"mounted: of done: always 0\n"
		"streams: of done: layers that were made of streams\n"
		"changed: of done: did the name mean something else before?\n"
		"signed_by: of done: the keys whose signatures counted, or null\n",
	.run = image_verb,
};
