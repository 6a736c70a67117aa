/* Flavours as the builder's core calls them. */
#ifndef BUILDER_FLAVOUR_H
#define BUILDER_FLAVOUR_H

#include "builder/builder.h"

/* May all be NULL; lists end with NULL. */
struct bld_flavour_options {
	const char *const *dirs; /* looked in before all other places */
	const char *const *args; /* "FLAVOUR.PARAMETER=VALUE" */
	const char *pot;         /* name of the pot that is made: a script's first argument */
};

/*
 * Appends what the flavours come to, dependencies first, to the recipe. refs: as people type them
 * ("nginx?port=8080"), NULL-terminated. dir: where FLAVOUR of a Potfile looks first (the context), or -1;
 * what comes from there is hostile and takes no file of the host. Ports are in the settings twice:
 * BLD_SET_PORT (to publish) and IMG_SET_EXPOSE. Scripts have the network of the bld.
 */
int bld_flavours_expand(
    struct bld *, const char *const *refs, int dir, struct bld_recipe *, struct err *) MUST_CHECK;
void bld_recipe_fini(struct bld_recipe *);
#define BLD_RECIPE_INIT                         \
	{                                       \
		NULL, 0, 0, KV_INIT, NULL, NULL \
	}
DEFINE_AUTO_FINI(bld_recipe, struct bld_recipe)

#endif
