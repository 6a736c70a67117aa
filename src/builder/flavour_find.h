/*
 * Inside of builder/, and for who lists flavours: where flavours are found,
 * and one of them with its files in memory. What is in them is
 * model/flavour.h's; what they come to is flavour.c's.
 */
#ifndef BUILDER_FLAVOUR_FIND_H
#define BUILDER_FLAVOUR_FIND_H

#include "engine/engine.h"
#include "model/flavour.h"

/*
 * Where a plain name is looked for, first to last: `given` (--flavour-dir), the user's
 * ($XDG_CONFIG_HOME or ~/.config)/pot/flavours, "flavours" beside the configuration file in force, beside the
 * platform's own, and the shipped ones (beside the program, else installed). Absolute; not all exist.
 */
int flavour_places(
    const struct eng *, const char *const *given, struct strv *places, struct err *) MUST_CHECK;

struct flavour_file {
	bool there;
	struct buf text;
};
#define FLAVOUR_FILE_INIT                         \
	{                                         \
		false, BUF_INIT(FLAVOUR_FILE_MAX) \
	}
struct flavour {
	char *name;   /* without a directory and without ".sh" */
	char *where;  /* its directory, for people and as a path; of the context: "the build context" */
	int dir;      /* the same, opened */
	bool context; /* hostile: only below dir */
	struct flavour_file commands, script, meta;
	struct flavour_meta about;     /* filled with a title where there is no description */
	struct flavour_commands lines; /* by flavour_arm */
	struct strv args;              /* the same: NAME=value of each parameter */
};
#define FLAVOUR_INIT                                                                   \
	{                                                                              \
		.dir = -1, .commands = FLAVOUR_FILE_INIT, .script = FLAVOUR_FILE_INIT, \
		.meta = FLAVOUR_FILE_INIT, .lines = FLAVOUR_COMMANDS_INIT,             \
		.args = STRV_INIT(FLAVOUR_PARAMETERS_MAX)                              \
	}
void flavour_fini(struct flavour *);
DEFINE_AUTO_FINI(flavour, struct flavour)

/*
 * A name with a slash is a path (below context when that is not -1); another one is looked for in the
 * context (flavours/NAME, then NAME), then in the places. ".sh" at the end: the script alone. The
 * description is read, parameters and lines are not. E_NOENT with the nearest name and where was looked.
 */
int flavour_open(
    const struct strv *places, int context, const char *name, struct flavour *, struct err *) MUST_CHECK;
/* Puts the arguments in: args, then lines. Messages begin with the file. */
int flavour_arm(struct flavour *, const struct flavour_ref *, struct err *) MUST_CHECK;
/* Path of one of its files, for messages: "DIR/NAME.sh". */
void flavour_path(const struct flavour *, const char *suffix, char out[static PATH_MAX]);

/* Names of all flavours of the places, each once, sorted. */
int flavour_names(const struct strv *places, struct strv *names, struct err *) MUST_CHECK;

#endif
