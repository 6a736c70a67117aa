/* pot build: an image of a Potfile. */
#include "cli/cli.h"
#include "cli/registry.h"

static const struct opt opts[] = {
	{ "tag", 't', "NAME", OPT_MANY, "name of the image: NAME[:TAG]" },
	{ "file", 'f', "POTFILE", OPT_FILE,
	    "the Potfile, or - (else Potfile, Containerfile or Dockerfile in DIR)" },
	{ "build-arg", 0, "NAME[=VALUE]", OPT_MANY, "value of an ARG; without = that of the environment" },
	{ "target", 0, "STAGE", 0, "build this stage, not the last one" },
	{ "label", 0, "NAME=VALUE", OPT_MANY, "label of the image, on top of the Potfile's" },
	{ "secret", 0, "SPEC", OPT_MANY,
	    "id=NAME,src=FILE or id=NAME,env=VARIABLE, for RUN --mount=type=secret" },
	{ "network", 0, "default|none|host", 0, "network of RUN where it does not say" },
	{ "allow", 0, "insecure|host", OPT_MANY, "let the Potfile use --security=insecure, --network=host" },
	{ "platform", 0, "OS/ARCH", 0, "what it is for; only this machine's can be built" },
	{ "flavour-dir", 0, "DIR", OPT_DIR | OPT_MANY, "look for flavours here first" },
	{ "flavour-arg", 0, "FLAVOUR.NAME=VALUE", OPT_MANY, "parameter of a flavour" },
	{ "no-cache", 0, NULL, 0, "do all steps again" },
	{ "squash", 0, NULL, 0, "make one layer of all those of the Potfile" },
	{ "debug", 0, NULL, 0, "where a step fails: a shell on what it left" },
	{ "progress", 0, "auto|plain|tty|json", 0, "how progress is shown" },
	{ "jobs", 'j', "N", 0, "steps under way at a time (as many as processors)" },
	{ "verify", 0, NULL, 0, "demand a good signature of images that are pulled" },
	{ "all", 'a', NULL, 0, "with prune: everything, also caches of RUN --mount" },
	{ "keep-storage", 0, "SIZE", 0, "with prune: keep the steps used last, up to this size" },
	{ "filter", 0, "until=TIME", 0, "with prune: only what was not used since" },
	{ "dry-run", 'n', NULL, 0, "with prune: only show what would go" },
	REGISTRY_OPTS,
	OPT_END,
};

const struct cmd cmd_build = {
	.name = "build",
	.group = "Images",
	.summary = "build an image of a Potfile",
	.text = "Does the instructions of a Potfile (or Dockerfile) one after the other, each in a pot on "
		"what the one\n"
		"before left, and makes an image of the outcome. A step that was done before is not done "
		"again: its\n"
		"parent, its text and the content that it copies tell. Stages that do not need each other "
		"are built\n"
		"at the same time. Files come from DIR, or from an archive on standard input (-).\n"
		"Prints the digest of the image.\n"
		"'build prune' gives up what builds keep; without an option the steps\n"
		"that were not used for a week.",
	.args = "DIR | - | prune",
	.min = 1,
	.max = 1,
	.flags = CMD_ROOT | CMD_JSON,
	.arg_kind = OPT_DIR,
	.opts = opts,
	.example = "pot build -t web:1.0 .",
	.json = "id: digest of the image\n"
		"name: its first name, or null\n"
		"steps: how many steps there were\n"
		"cached: how many of them were done before\n"
		"layers: how many layers the image has\n"
		"size: bytes of their blobs\n"
		"caches: (prune) how many caches of RUN --mount went; steps counts those of the cache\n"
		"bytes: (prune) bytes of what went\n",
	.run = image_verb,
};
