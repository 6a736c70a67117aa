/* pot export: a pot's snapshot as a file for elsewhere. */
#include "cli/cli.h"

static const struct opt opts[] = {
	{ "format", 0, "oci|classic", 0, "an OCI archive (default), or the shell framework's set" },
	{ "tag", 't', "TAG", 0, "tag of the image; without it the snapshot's name" },
	{ "dir", 'D', "DIR", OPT_DIR, "where the files go; without it the current directory" },
	{ "level", 'l', "LEVEL", 0, "classic: how hard xz tries, 0 to 9 (default 6)" },
	{ "sign", 'S', "FILE", OPT_FILE, "classic: sign with this secret key" },
	{ "whole", 0, NULL, 0, "classic: also of a clone, with all that is below it" },
	{ "passphrase-stdin", 0, NULL, 0, "read the key's passphrase from standard input" },
	{ "force", 'F', NULL, 0, "export the last snapshot although there are several" },
	{ "auto", 'A', NULL, 0, "take a snapshot when there is none, remove older ones" },
	{ "check", 'c', NULL, 0,
	    "tags are versions: refuse one lower than the last, or used for another snapshot" },
	OPT_END,
};

const struct cmd cmd_export = {
	.name = "export",
	.group = "Images",
	.summary = "write a pot's snapshot to a file",
	.text = "Writes the last snapshot of a pot as NAME_TAG.tar, an OCI archive that pot load and other\n"
		"tools read. With --format classic, where the storage is ZFS, it is NAME_TAG.xz with .meta, "
		".skein\n"
		"and (-S) .skein.sig beside it, as pot import and the shell framework's import read them. "
		"When the\n"
		"pot has no snapshot or several, -A or -F says what to do. A clone of a pot that was "
		"exported or\n"
		"imported is layered on that one, unless --whole is given. Prints the name of the file.",
	.args = "",
	.pot = POT_ONE,
	.flags = CMD_ROOT,
	.opts = opts,
	.example = "pot export -p web -t 1.2 -D /srv/images -A",
	.run = image_verb,
};
