/*
 * A configuration that the agent has checked and sent as msgpack, as a tree.
 * Numbers come as integers, floats or, when neither holds them, decimal
 * strings; an unset key comes as nil. The getters take all of these and say in
 * their errors which key is wrong and why ("config: ports[2]: …").
 */
#ifndef NOMAD_VALUE_H
#define NOMAD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"

enum value_type { VALUE_NIL, VALUE_BOOL, VALUE_INT, VALUE_FLOAT, VALUE_STRING, VALUE_LIST, VALUE_MAP };

struct value_pair;
struct value {
	enum value_type type;
	union {
		bool b;
		int64_t i;
		double f;
		struct {
			size_t len; /* holds no NUL */
			const char *s;
		};
		struct {
			size_t n; /* of a list or a map */
			union {
				const struct value *list;
				const struct value_pair *map;
			};
		};
	};
};
struct value_pair {
	const char *key;
	struct value value;
};

/* Limits that no honest configuration meets. */
#define VALUE_MAX_BYTES (16u << 20)
#define VALUE_MAX_NODES (1u << 18)
#define VALUE_MAX_DEPTH 24

/*
 * Decodes exactly n bytes; n 0 gives an empty map. The result is always a map (E_INVAL else) and owns everything
 * that hangs on it: value_free.
 */
int value_decode(const void *, size_t n, struct value **, const char *what, struct err *) MUST_CHECK;
void value_free(struct value *);
DEFINE_AUTO(value, struct value *, NULL, value_free)

/* The value of a key, or NULL when it is nil or not there; map may be NULL. */
const struct value *value_get(const struct value *map, const char *key);
/*
 * The value of a key in a map as a type. When it is nil or absent *out is left
 * alone and 0 returned, else 1; E_INVAL naming `what` and the key when it is of another type.
 */
int value_string(
    const struct value *map, const char *key, const char **out, const char *what, struct err *) MUST_CHECK;
int value_bool(
    const struct value *map, const char *key, bool *out, const char *what, struct err *) MUST_CHECK;
int value_int(const struct value *map, const char *key, int64_t lo, int64_t hi, int64_t *out,
    const char *what, struct err *) MUST_CHECK;
/* Appends a list of strings (numbers and bools as text). One string counts as a list of one. */
int value_strings(
    const struct value *map, const char *key, struct strv *out, const char *what, struct err *) MUST_CHECK;
/*
 * The pairs of a map of strings, also of a list of such maps (HCL's form), as
 * "KEY" and "VALUE" by turns; a later key does not replace an earlier one.
 */
int value_map(
    const struct value *map, const char *key, struct strv *out, const char *what, struct err *) MUST_CHECK;
/* The map of a block (given as a map, or as a list of one map), or NULL. */
int value_block(const struct value *map, const char *key, const struct value **out, const char *what,
    struct err *) MUST_CHECK;
/* A number or a string as text: "5", "0.1", "true"; E_INVAL for the rest. */
int value_print(const struct value *, struct buf *, const char *what, struct err *) MUST_CHECK;

#endif
