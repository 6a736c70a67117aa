/*
 * Attributes of a pot: one row each. Parsing, defaults, get-attribute, info,
 * completion and the man page come from the row. Classic names are kept
 * (docs: pot-set-attribute(8)).
 */
#ifndef MODEL_ATTR_H
#define MODEL_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum attr_type { ATTR_BOOL, ATTR_UINT, ATTR_STRING, ATTR_DURATION, ATTR_SIGNAL };
#define ATTR_READONLY 1u /* set by pot itself */
#define ATTR_LINUX 2u    /* has an effect on Linux */
#define ATTR_FREEBSD 4u  /* is for FreeBSD; without ATTR_LINUX only recorded on Linux */

struct attr {
	const char *name; /* "start-at-boot" */
	const char *key;  /* in the pot's file: "pot.attr.start-at-boot" */
	enum attr_type type;
	const char *def; /* "NO", "10", "" */
	unsigned flags;
	const char *summary;
	const char *choices; /* ATTR_STRING: "new|inherit|disable", or NULL: a command line (text_split) */
	unsigned max;        /* ATTR_UINT; ATTR_DURATION in seconds */
};
extern const struct attr attr_table[];
extern const size_t attr_count;

/* NULL when unknown (E_INVAL with the nearest name as hint). */
const struct attr *attr_find(const char *name, struct err *);
/*
 * Checks and normalises a value: booleans (yes no true false on off 1 0, any case) become YES or
 * NO, durations seconds ("1.5m" is "90"), signals a name without SIG. malloc'ed, or NULL with e
 * filled. Also for read-only attributes: who may set them is the caller's question.
 */
char *attr_normalize(const struct attr *, const char *value, struct err *);

#endif
