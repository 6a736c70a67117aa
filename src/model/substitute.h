/*
 * $VAR and ${VAR…} in the words of a Potfile, with quotes and escapes taken
 * away. Modifiers: ":-" "-" ":+" "+" ":?" "?" "#" "##" "%" "%%" "/" "//".
 */
#ifndef MODEL_SUBSTITUTE_H
#define MODEL_SUBSTITUTE_H

#include "base/buf.h"

#define SUBST_MAX (1024 * 1024) /* bytes of one outcome */
#define SUBST_DEPTH_MAX 16      /* words within ${…} within words */

/* Value of a variable, borrowed, or NULL: not set. */
struct subst_lookup {
	const char *(*get)(void *arg, const char *name);
	void *arg;
};

/* Quotes stand for themselves and only "\$" and "\\" are escapes: here-documents, words of the exec form. */
#define SUBST_TEXT 1u

/*
 * Appends the outcome; out needs a maximum. lookup NULL: no variables, '$' stands for itself. *at: where in
 * text it failed. E_INVAL, E_LIMIT; E_STATE for ${VAR:?why}.
 */
int subst_word(const char *text, char escape, unsigned flags, const struct subst_lookup *, struct buf *out,
    size_t *at, struct err *) MUST_CHECK;
/* The same, split at blanks that are not quoted, also those in values. */
int subst_words(const char *text, char escape, const struct subst_lookup *, struct strv *out, size_t *at,
    struct err *) MUST_CHECK;

#endif
