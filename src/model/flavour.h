/*
 * Flavours: the command file in its classic form (lines for the host), the
 * file that describes a flavour, and the name with arguments that people
 * give. What a line does is the builder's.
 */
#ifndef MODEL_FLAVOUR_H
#define MODEL_FLAVOUR_H

#include <stdbool.h>
#include "base/kv.h"

#define FLAVOUR_FILE_MAX (256 * 1024)
#define FLAVOUR_LINES_MAX 4096
#define FLAVOUR_PARAMETERS_MAX 64
#define FLAVOUR_NEEDS_MAX 32

enum flavour_op {
	FLAVOUR_ADD_DEP,
	FLAVOUR_SET_ATTRIBUTE,
	FLAVOUR_COPY_IN,
	FLAVOUR_COPY_IN_FLV, /* a relative source is the flavour's directory's */
	FLAVOUR_MOUNT_IN,
	FLAVOUR_SET_RSS,
	FLAVOUR_EXPORT_PORTS,
	FLAVOUR_SET_CMD,
	FLAVOUR_SET_ENV,
	FLAVOUR_OPS
};

/* One line. Options by their letter; those that may repeat stand several times, in order. */
struct flavour_option {
	char letter;
	char *value; /* NULL: takes none */
};
struct flavour_line {
	enum flavour_op op;
	unsigned number; /* in the file */
	char *text;      /* as written */
	struct flavour_option *options;
	size_t n;
};
struct flavour_commands {
	struct flavour_line *v;
	size_t n, cap;
};
#define FLAVOUR_COMMANDS_INIT \
	{                     \
		NULL, 0, 0    \
	}

const char *flavour_op_name(enum flavour_op);
void flavour_commands_fini(struct flavour_commands *);
/*
 * Words are split as by a shell (so classic files, which had no quotes, read the same); of "set-cmd -c" the rest
 * of the line is taken as it stands. Parameters are put in (args as flavour_arguments gives them, NULL: none).
 * Messages begin with "WHAT:LINE:COLUMN: ". Every line is checked: letters, what is needed, what excludes
 * each other, ports, attributes, limits.
 */
int flavour_commands_parse(struct flavour_commands *, const char *text, size_t len, const struct strv *args,
    const char *what, struct err *) MUST_CHECK;
/* Value of an option ("" when it takes none), or NULL; *pos starts at 0. */
const char *flavour_option(const struct flavour_line *, char letter, size_t *pos);

struct flavour_parameter {
	const char *name, *description, *def; /* def NULL: none */
	bool required;
};
/* NAME.meta: key=value lines (base/kv.h). Strings point into kv. */
struct flavour_meta {
	struct kv kv;
	const char *title, *description, *version, *licence; /* "" where missing */
	struct flavour_parameter parameters[FLAVOUR_PARAMETERS_MAX];
	size_t nparameters;
	const char *needs[FLAVOUR_NEEDS_MAX]; /* flavour=: those applied before it, as people type them */
	size_t nneeds;
	bool on_linux, on_freebsd; /* systems= */
};
void flavour_meta_fini(struct flavour_meta *);
int flavour_meta_parse(
    struct flavour_meta *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;

/* "nginx?port=8080&name=a%20b": the name ("dir/nginx", "./x.sh") and its arguments, decoded. */
struct flavour_ref {
	char *name;
	struct kv args;
};
#define FLAVOUR_REF_INIT      \
	{                     \
		NULL, KV_INIT \
	}
void flavour_ref_fini(struct flavour_ref *);
int flavour_ref_parse(struct flavour_ref *, const char *text, struct err *) MUST_CHECK;
/*
 * What the script and the command file get: NAME=value of every parameter, given or by default. E_INVAL for
 * one that is required and not given or that the flavour does not know, with the nearest.
 */
int flavour_arguments(
    const struct flavour_meta *, const struct flavour_ref *, struct strv *, struct err *) MUST_CHECK;
/* "NAME.KEY=VALUE", as --flavour-arg has it. name and key are malloc'ed, value points into text. */
int flavour_arg_parse(const char *text, char **name, char **key, const char **value, struct err *) MUST_CHECK;
/*
 * Appends text with ${NAME} replaced by the arguments ("NAME=value") of these names; any other ${…} stays.
 * line: text is split into words later, and a value may only have characters that mean nothing then: E_INVAL.
 */
int flavour_fill(
    const char *text, const struct strv *args, bool line, struct buf *out, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(flavour_commands, struct flavour_commands)
DEFINE_AUTO_FINI(flavour_meta, struct flavour_meta)
DEFINE_AUTO_FINI(flavour_ref, struct flavour_ref)

#endif
