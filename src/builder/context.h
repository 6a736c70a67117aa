/*
 * The build context: the directory, or the archive from stdin, that COPY
 * takes from, and the Potfile in it.
 */
#ifndef BUILDER_CONTEXT_H
#define BUILDER_CONTEXT_H

#include "builder/builder.h"
#include "model/ignore.h"

struct bld_context;

/* where: a directory, or "-": an archive, or a Potfile alone, on stdin (unpacked below b->tmp). */
int bld_context_open(struct bld *, const char *where, struct bld_context **, struct err *) MUST_CHECK;
void bld_context_free(struct bld_context *);    /* NULL is allowed */
int bld_context_fd(const struct bld_context *); /* its directory, borrowed; -1: there is none */
const struct ignore *bld_context_ignore(const struct bld_context *); /* borrowed */
/*
 * The text of the Potfile: `name` is a path as typed (-f; relative to the working directory), or NULL: what
 * came on stdin, else the first of Potfile, Containerfile, Dockerfile in the context. what: for messages.
 * Also reads the ignore rules that go with it.
 */
int bld_context_potfile(
    struct bld_context *, const char *name, struct buf *text, char what[static 256], struct err *) MUST_CHECK;
/*
 * RUN --mount=type=bind from the context: the directory `path` as an O_PATH fd, or the file to be read, and
 * the digest of its content under the ignore rules.
 */
int bld_context_bind(
    struct bld *, struct bld_context *, const char *path, struct digest *, struct err *) MUST_CHECK;

DEFINE_AUTO(bld_context, struct bld_context *, NULL, bld_context_free)

#endif
