/* Mistakes in a flavour, found without applying it. */
#ifndef BUILDER_FLAVOUR_LINT_H
#define BUILDER_FLAVOUR_LINT_H

#include "builder/flavour_find.h"

struct flavour_finding {
	enum pot_severity severity;
	const char *file;
	unsigned line; /* 0: the whole */
	const char *text;
};
typedef int flavour_finding_fn(void *arg, const struct flavour_finding *);
/* Returns the worst severity, what fn returned when that is not 0, or < 0. */
int flavour_lint(
    const struct strv *places, const char *name, flavour_finding_fn *, void *arg, struct err *) MUST_CHECK;

#endif
