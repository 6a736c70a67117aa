/* pot create-base: an operating system's userland that pots are made from. */
#include "cli/cli.h"
#include "model/bsdrelease.h"

static int
run(struct cli *cli, const struct args *a, struct err *e)
{
	struct pot_base_args in = {
		.name = args_value(a, "base"),
		.release = args_value(a, "release"),
		.from = args_value(a, "from"),
		.mirror = args_value(a, "mirror"),
		.include = args_value(a, "include"),
	};
	const char *max = args_value(a, "max-size");
	int rc;

	if (in.release == NULL && in.from == NULL)
		return args_usage(a, e, "option '--release' or '--from' is missing");
	/* What fetches them needs libraries that pots do not. */
	if (in.release != NULL && in.from == NULL && bsd_release_is(in.release))
		return image_verb(cli, a, e);
	if (args_has(a, "pkgbase") || args_has(a, "insecure"))
		return args_usage(a, e, "'--pkgbase' and '--insecure' are for releases of FreeBSD");
	if (max != NULL && (rc = text_size(max, &in.max_size, "--max-size", e)) != 0)
		return rc;
	return pot_base_create(cli->ctx, &in, e);
}

static const struct opt opts[] = {
	{ "release", 'r', "RELEASE", 0, "the release: bookworm, debian:bookworm, 14.3, freebsd:15.0-RC2" },
	{ "base", 'b', "NAME", 0, "name of the base; without it made from the release or the file" },
	{ "from", 0, "SOURCE", OPT_FILE,
	    "take this root tarball (- is standard input), directory or image of this node" },
	{ "mirror", 0, "URL", 0,
	    "fetch from this mirror, not from the host's own package sources or FreeBSD's server" },
	{ "include", 0, "PACKAGES", 0,
	    "with a suite or --pkgbase: install these packages too, separated by commas" },
	{ "pkgbase", 0, NULL, 0,
	    "a release of FreeBSD from 15.0 on: install its packages with the host's pkg(8)" },
	{ "insecure", 0, NULL, 0,
	    "also plain HTTP that nothing vouches for, and a certificate that is not good" },
	{ "max-size", 0, "SIZE", 0, "refuse archives that unpack to more than SIZE (64g)" },
	OPT_END,
};

const struct cmd cmd_create_base = {
	.name = "create-base",
	.group = "Setting up",
	.summary = "make a base that pots are made from",
	.text = "A base is the userland of an operating system. With -r it is fetched and installed; with\n"
		"--from it is unpacked or copied. A release of FreeBSD is its set base.txz, with the sum "
		"that the\n"
		"list of sets says; what was fetched is kept below ROOT/cache/freebsd, and a fetch that was "
		"cut off\n"
		"is gone on with. A failure or an interrupt half-way leaves no base.",
	.args = "",
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot create-base -r bookworm",
	.run = run,
};
