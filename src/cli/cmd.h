/*
 * The rows that the command line is made of. A verb is one file that ends in
 * its row; parsing, help, completion and the check of the man pages read the
 * rows and nothing else. parse.c turns argv into struct args by them.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What a value is, for completion; without one of these it is free text. */
#define OPT_FILE 0x01u
#define OPT_DIR 0x02u
#define OPT_POT 0x04u
#define OPT_BASE 0x08u
#define OPT_SIGNAL 0x10u
#define OPT_ATTR 0x20u
#define OPT_VERB 0x40u
#define OPT_BRIDGE 0x80u
/* How it may be used. */
#define OPT_MANY 0x100u    /* repeatable */
#define OPT_MUST 0x200u    /* must be given, unless an OPT_SOLO one is */
#define OPT_NOPOT 0x400u   /* takes the place of the pot's name */
#define OPT_SOLO 0x800u    /* answers by itself: no pot, no root, no installation */
#define OPT_STATUS 0x1000u /* the command's status becomes ours, as with CMD_STATUS */

struct opt {
	const char *name; /* long name, without dashes */
	char letter;      /* 0: none */
	const char *arg;  /* "NAME"; "a|b|c": exactly one of these words; NULL: a flag */
	unsigned flags;
	const char *text; /* one line, no full stop */
};

/* How a verb takes pots: with -p/--pot NAME, or as the first positional(s). */
enum pot_use { POT_NONE, POT_ONE, POT_OPTIONAL, POT_MANY, POT_ANY }; /* MANY: at least one, ANY: or none */

#define CMD_ROOT 0x01u       /* needs uid 0 */
#define CMD_JSON 0x02u       /* shows something: --format json */
#define CMD_TAIL 0x04u       /* ends in a command: its words are never options */
#define CMD_STATUS 0x08u     /* exits with a command's status; pot's own failures are 125 */
#define CMD_NOCTX 0x10u      /* needs no installation: nothing is opened or read */
#define CMD_HIDDEN 0x20u     /* for pot itself: not in help, completion, suggestions */
#define CMD_TAIL_FIRST 0x80u /* with CMD_TAIL: the command begins behind the first positional */
#define CMD_NEWPOT 0x40u     /* the pot's name is a new one: no completion of names */

#define CMD_ALIASES 2

struct cli;
struct args;

struct cmd {
	const char *name;
	const char *aliases[CMD_ALIASES + 1]; /* NULL-terminated */
	const char *group;                    /* heading in help */
	const char *summary;                  /* one line, no full stop */
	const char *text;                     /* paragraphs of the description, '\n' between */
	const char *args;                     /* positionals after the pot, as in the usage line, or "" */
	int min, max;                         /* how many of those; max -1: any number */
	enum pot_use pot;
	unsigned flags;
	unsigned arg_kind;      /* OPT_FILE …: what the positionals are */
	const struct opt *opts; /* ends with a row without a name; NULL: none */
	const char *example;    /* one command line */
	const char *json;       /* the keys of its JSON: "key: text\n" lines; NULL: shows nothing */
	/* 0, or a positive exit status, or a negative code with the error filled. */
	int (*run)(struct cli *, const struct args *, struct err *);
};

#define OPT_END              \
	{                    \
		.name = NULL \
	}

extern const struct cmd *const cmd_table[]; /* NULL-terminated, in the order of help */
extern const struct opt opt_globals[];      /* before and after the verb */

/* One option as given. */
struct given {
	const struct opt *opt;
	const char *value; /* NULL: a flag */
};

/* argv, taken apart. Strings are borrowed from argv. */
struct args {
	const struct cmd *cmd; /* NULL: no verb was given */
	const char *verb;      /* as typed */
	struct given *given;
	size_t ngiven;
	const char **pots; /* NULL-terminated */
	size_t npots;
	char **rest; /* positionals after the pot, NULL-terminated */
	size_t nrest;
	bool help;    /* -h was given */
	char **words; /* what rest points into */
};

/*
 * argv[0] is passed over. E_USAGE with "VERB: why" and a hint. After -h
 * nothing fails any more. args_fini also after a failure.
 */
int args_parse(struct args *, int argc, char **argv, const struct cmd *const *table, struct err *) MUST_CHECK;
void args_fini(struct args *);

/* The row of -p/--pot for verbs that take pots so. */
extern const struct opt opt_pot;
/* The verb or alias of this name, or NULL. */
const struct cmd *cmd_find(const struct cmd *const *table, const char *name);
/* E_USAGE with the nearest name as hint. */
int cmd_unknown(const struct cmd *const *table, const char *name, struct err *);

/* Options by long name; the name must be one of the row's or of the globals. */
bool args_has(const struct args *, const char *name);
size_t args_count(const struct args *, const char *name);
const char *args_value(const struct args *, const char *name); /* the last, or NULL */
/* All values in order, NULL-terminated and malloc'ed (NULL: out of memory). */
char **args_values(const struct args *, const char *name);
/* Was an option given whose row has this flag? */
bool args_flagged(const struct args *, unsigned flag);
/* More than one of two options that exclude each other: E_USAGE. */
int args_exclusive(const struct args *, const char *a, const char *b, struct err *) MUST_CHECK;

/* E_USAGE with "VERB: why" and where to read more. */
int args_usage(const struct args *, struct err *, const char *fmt, ...) PRINTF(3, 4);

#endif
