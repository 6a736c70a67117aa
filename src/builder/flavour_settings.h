/* What the lines of a flavour's command file set. */
#ifndef BUILDER_FLAVOUR_SETTINGS_H
#define BUILDER_FLAVOUR_SETTINGS_H

#include "builder/builder.h"
#include "builder/flavour_find.h"

static inline const char *
flavour_first(const struct flavour_line *l, char letter)
{
	size_t pos = 0;

	return flavour_option(l, letter, &pos);
}

/* Of one line that copies nothing: adds to kv, as bld_settings_merge takes it. */
int flavour_settings(
    const struct flavour *, const struct flavour_line *, struct kv *, struct err *) MUST_CHECK;

#endif
