/*
 * Globs of COPY's and ADD's sources, as Go's filepath.Match has them: '*',
 * '?', [a-z], [^a-z], backslash; none of them crosses a '/'.
 */
#ifndef MODEL_GLOB_H
#define MODEL_GLOB_H

#include <stdbool.h>
#include "model/pattern.h"

#define GLOB_COMPONENTS_MAX 128

struct glob {
	struct pattern v[GLOB_COMPONENTS_MAX]; /* one for each component of the path */
	size_t n;
};

void glob_fini(struct glob *);
/* Has it a character that makes it more than a name? */
bool glob_has_wildcard(const char *);
/* "/" in front, "." components and doubled slashes go; E_INVAL also for "..". */
int glob_compile(struct glob *, const char *pattern, struct err *) MUST_CHECK;
bool glob_matches(const struct glob *, const char *path);
/* Does a name match the component at this depth (from 0)? So a walk reads only what can match. */
bool glob_component(const struct glob *, size_t depth, const char *name);

DEFINE_AUTO_FINI(glob, struct glob)

#endif
