/* Flavours as the builder's core calls them. */
#ifndef BUILDER_FLAVOUR_H
#define BUILDER_FLAVOUR_H

#include "builder/builder.h"

/*
 * Appends what the flavours come to, dependencies first, to the recipe. refs: as people type them
 * ("nginx?port=8080"), NULL-terminated. dir: where FLAVOUR of a Potfile looks first (the context), or -1.
 */
int bld_flavours_expand(
    struct bld *, const char *const *refs, int dir, struct bld_recipe *, struct err *) MUST_CHECK;
void bld_recipe_fini(struct bld_recipe *);
#define BLD_RECIPE_INIT                   \
	{                                 \
		NULL, 0, 0, KV_INIT, NULL \
	}
DEFINE_AUTO_FINI(bld_recipe, struct bld_recipe)

#endif
