/* A build as a whole: the Potfile, its context, its stages, and the image in the end. */
#ifndef BUILDER_BUILD_H
#define BUILDER_BUILD_H

#include <pot/build.h>

#include "builder/context.h"
#include "image/image.h"

struct bld_stage;

struct bld_build_args {
	const struct pot_build_args *user;
	/* Gets an image of a registry onto this node. */
	int (*pull)(void *arg, const char *ref, struct err *);
	void *arg;
};

struct bld_build {
	const struct bld_build_args *args;
	struct potfile pf;
	struct scope_build scope;
	struct bld_context *context;
	struct bld_stage *stages;
	size_t target;
	unsigned steps, cached;
	char name[REF_TEXT]; /* of NAME, "": of pots, and of the image where nobody gives another */
};

void bld_build_init(struct bld_build *, const struct bld_build_args *);
void bld_build_fini(struct bld_build *);
/* Reads and resolves the Potfile. */
int bld_build_read(struct bld *, struct bld_build *, struct err *) MUST_CHECK;
/* Does what is to be done; *image is the manifest of what comes out, which has no name yet. */
int bld_build_run(struct bld *, struct bld_build *, struct digest *image, struct err *) MUST_CHECK;
/* "insecure" or "host": E_PERM with how to allow it. */
int bld_build_allows(const struct bld_build *, const char *what, struct err *) MUST_CHECK;
/* What is wrong in a Potfile, with its line and a caret, to the caller. */
void bld_build_show(const struct bld_build *, const struct potfile *, struct potfile_place);

DEFINE_AUTO_FINI(bld_build, struct bld_build)

#endif
