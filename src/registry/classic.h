/* Classic image files, made from streams that images carry. */
#ifndef REGISTRY_CLASSIC_H
#define REGISTRY_CLASSIC_H

#include "registry/registry.h"

enum classic_file { CLASSIC_XZ, CLASSIC_META, CLASSIC_SKEIN, CLASSIC_SIG };

/*
 * Takes "[PREFIX/]NAME_TAG.xz[.meta|.skein|.skein.sig]" apart: what file it is,
 * and in stem (lower case up to the tag) what stands before ".xz". False for
 * any other name.
 */
bool classic_split(const char *name, char stem[static PATH_REST_MAX + 1], enum classic_file *);
/*
 * The image that a stem may mean: cut at the underscore number n (from 0), as
 * both name and tag may have some. False when there are no more; then the
 * result may still be no valid name and tag: *valid.
 */
bool classic_candidate(const char *stem, unsigned n, char repo[static REPO_NAME_MAX + 1],
    char tag[static TAG_MAX + 1], bool *valid);

/* Makes the files of a stream in classic/ when they are not there: HEX-META.xz and .skein. Takes long. */
int classic_make(struct registry *, const struct db_classic *, struct err *) MUST_CHECK;
/* The name of a made file, without its end; the stream's digest and a hash of meta. */
#define CLASSIC_NAME_LEN (DIGEST_HEX_LEN + 20)
int classic_name(const struct db_classic *, char out[static CLASSIC_NAME_LEN], struct err *) MUST_CHECK;
/* Removes made files whose stream is gone. */
int classic_clean(struct registry *, struct err *) MUST_CHECK;

#endif
