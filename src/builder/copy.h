/*
 * COPY and ADD as the builder's core calls them (builder/builder.h has the
 * contract of digest and apply).
 */
#ifndef BUILDER_COPY_H
#define BUILDER_COPY_H

#include "builder/builder.h"
#include "builder/context.h"

struct bld_copy {
	bool add; /* ADD: archives are unpacked, URLs fetched */
	int src;  /* sources are below this directory, hostile content; -1: there is none */
	struct bld_context *context; /* src is the context's: its ignore rules hold; else NULL */
	const char *const *sources;  /* NULL-terminated, as written */
	const struct potfile_heredoc *heredocs;
	size_t nheredocs;
	const char *dest, *workdir; /* workdir: absolute, for a relative dest */
	const char *chown;          /* "USER[:GROUP]" or NULL: root */
	const char *chmod;          /* or NULL: as they are */
	const char *const *exclude; /* NULL-terminated, or NULL */
	const char *checksum;       /* or NULL */
	bool link, parents, keep_owner, no_unpack;
	void *priv; /* what digest keeps for apply */
};
#define BLD_COPY_INIT     \
	{                 \
		.src = -1 \
	}

/*
 * From an expanded COPY or ADD (potfile_expand): everything but src, context, workdir, which the caller sets.
 * Borrows from the step.
 */
int bld_copy_init(struct bld_copy *, const struct potfile_step *, struct err *) MUST_CHECK;
int bld_copy_digest(struct bld *, struct bld_copy *, struct digest *, struct err *) MUST_CHECK;
int bld_copy_apply(struct bld *, struct bld_copy *, int rootfd, struct err *) MUST_CHECK;
void bld_copy_fini(struct bld_copy *); /* releases what init and digest made; src stays the caller's */
DEFINE_AUTO_FINI(bld_copy, struct bld_copy)

#endif
