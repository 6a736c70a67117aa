/*
 * COPY and ADD, and the copies of flavours (builder/builder.h has the contract
 * of digest and apply). What is to be copied is listed and digested first, and
 * then exactly that is copied: a file that is not any more what was digested
 * is an error, never a wrong entry of the cache.
 */
#ifndef BUILDER_COPY_H
#define BUILDER_COPY_H

#include "builder/builder.h"
#include "builder/context.h"

struct bld_copy_state; /* what digest keeps for apply */

struct bld_copy {
	bool add; /* ADD: archives are unpacked, URLs fetched */
	int src;  /* sources are below this directory, hostile content; -1: there is none */
	/*
	 * With src -1: the sources are in this tree, and it is looked at only where the digest of these
	 * sources is not known yet. Usually with keep_owner.
	 */
	const struct bld_tree *tree;
	struct bld_context *context; /* src is the context's: its ignore rules hold; else NULL */
	const char *what;            /* of messages: "the context", "stage build"; may be NULL */
	const char *const *sources;  /* NULL-terminated, as written */
	const struct potfile_heredoc *heredocs;
	size_t nheredocs;
	const char *dest, *workdir; /* workdir: absolute, for a relative dest */
	const char *chown;          /* "USER[:GROUP]" or NULL: root */
	const char *chmod;          /* or NULL: as they are */
	const char *const *exclude; /* NULL-terminated, or NULL */
	const char *checksum;       /* of the one URL, or NULL */
	bool link, parents, keep_owner;
	bool no_unpack;   /* ADD copies archives as they are */
	bool unpack_urls; /* ADD unpacks archives from URLs, too */
	bool whole;       /* as cp -R: a directory is copied itself, under its own name where dest is one */
	struct bld_copy_state *priv;
};
#define BLD_COPY_INIT     \
	{                 \
		.src = -1 \
	}

/*
 * From an expanded COPY or ADD (potfile_expand): everything but src, tree, context, what, workdir,
 * keep_owner, which the caller sets. Borrows from the step.
 */
int bld_copy_init(struct bld_copy *, const struct potfile_step *, struct err *) MUST_CHECK;
/* May be called again, and looks again. */
int bld_copy_digest(struct bld *, struct bld_copy *, struct digest *, struct err *) MUST_CHECK;
/*
 * E_BUSY: a source is not any more what was digested; beginning again with the digest may do better.
 * E_EXIST: a file where a directory is to be, or the reverse. E_NOENT: a name of chown.
 */
int bld_copy_apply(struct bld *, struct bld_copy *, int rootfd, struct err *) MUST_CHECK;
/* A directory of the tree with all above it: what is missing is made, 0755, and that user's ("USER[:GROUP]"; NULL or unknown: root's). */
int bld_make_dirs(int rootfd, const char *path, const char *user, struct err *) MUST_CHECK;
void bld_copy_fini(struct bld_copy *); /* releases what init and digest made; src stays the caller's */
DEFINE_AUTO_FINI(bld_copy, struct bld_copy)

#endif
