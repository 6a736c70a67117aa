/*
 * Wildcard patterns as a small automaton: one pass over the text, no
 * backtracking, so a pattern cannot be made to take long. Globs of COPY,
 * ignore files and ${VAR#pattern} are all these.
 */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PATTERN_TOKENS_MAX 1024

#define PATTERN_PATH 1u  /* '*', '?' and classes do not match '/' */
#define PATTERN_CLASS 2u /* [a-z], [^a] */
#define PATTERN_DEEP 4u  /* "**" is any number of directories; also within a name */

struct pattern_token;
struct pattern {
	struct pattern_token *v;
	size_t n;
};
#define PATTERN_INIT    \
	{               \
		NULL, 0 \
	}

void pattern_fini(struct pattern *);
/* A backslash takes the next character for itself. E_INVAL: open class, trailing backslash; E_LIMIT: too long. */
int pattern_compile(struct pattern *, const char *text, unsigned flags, struct err *) MUST_CHECK;

/* Turns it around, to match a text from its end; not with PATTERN_DEEP. */
void pattern_reverse(struct pattern *);

/* Which places of the pattern a text has come to. */
struct pattern_run {
	const struct pattern *pattern;
	uint64_t set[PATTERN_TOKENS_MAX / 64 + 1];
};
void pattern_start(struct pattern_run *, const struct pattern *);
void pattern_step(struct pattern_run *, uint32_t ch);
bool pattern_accepts(const struct pattern_run *); /* what was read so far is matched whole */
bool pattern_alive(const struct pattern_run *);   /* more text could still be matched */

/* The next character and its length (>= 1); a byte that is not UTF-8 is a character of its own. */
size_t pattern_char(const char *, size_t n, uint32_t *ch);
bool pattern_matches(const struct pattern *, const char *text, size_t n);

DEFINE_AUTO_FINI(pattern, struct pattern)

#endif
