/*
 * Keys of the cache: digests over named fields, each with its length, so that
 * no two lists of fields give the same bytes. Pure. What is in them is
 * promised in builder.h; a change of it changes KEY_VERSION.
 */
#ifndef BUILDER_KEY_H
#define BUILDER_KEY_H

#include "builder/builder.h"

#define BLD_KEY_LEN 65 /* 64 hexadecimal digits */

struct bld_key {
	struct hasher *h;
	int failed; /* the first error's code, told by bld_key_end */
};
#define BLD_KEY_INIT    \
	{               \
		NULL, 0 \
	}
/* kind: "run", "copy" …; the parent, the epoch and the platform are in every key. */
int bld_key_begin(struct bld_key *, const char *kind, const struct bld_tree *parent, int64_t epoch,
    struct err *) MUST_CHECK;
/* value NULL is another one than "". */
void bld_key_text(struct bld_key *, const char *name, const char *value);
void bld_key_bytes(struct bld_key *, const char *name, const void *, size_t);
void bld_key_number(struct bld_key *, const char *name, uint64_t);
void bld_key_digest(struct bld_key *, const char *name, const struct digest *);
void bld_key_tree(struct bld_key *, const char *name, const struct bld_tree *);
void bld_key_list(struct bld_key *, const char *name, const char *const *); /* NULL is an empty one */
int bld_key_end(struct bld_key *, char out[static BLD_KEY_LEN], struct err *) MUST_CHECK;
void bld_key_fini(struct bld_key *);
DEFINE_AUTO_FINI(bld_key, struct bld_key)

/* The whole of a command: all that builder.h lists. */
int bld_key_run(const struct bld_run *, const struct bld_tree *parent, int64_t epoch,
    char out[static BLD_KEY_LEN], struct err *) MUST_CHECK;

#endif
