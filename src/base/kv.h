/*
 * "key=value" text files: a pot's configuration and other small records that
 * the machine writes and a person may read.  Keys may repeat, order is kept,
 * '#' starts a comment line, empty lines are skipped.  In a value a backslash
 * escapes itself, n (newline), r and t; every other byte from 0x20 on stands
 * for itself.  Keys are [A-Za-z0-9._-]+.
 * (Not libucl: these files are on the path of every start and every ps, and
 * are never written by people; see docs/performance.md.)
 */
#ifndef BASE_KV_H
#define BASE_KV_H

#include "base/buf.h"

struct kv_pair {
	char *key, *value;
};
struct kv {
	struct kv_pair *v;
	size_t n, cap;
};

#define KV_INIT            \
	{                  \
		NULL, 0, 0 \
	}
#define KV_FILE_MAX (1024 * 1024)

void kv_fini(struct kv *);
/* Parses len bytes. `what` names the file in messages: "what:LINE:COL: why". */
int kv_parse(struct kv *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;
/* Appends the text form. */
void kv_print(const struct kv *, struct buf *);
const char *kv_get(const struct kv *, const char *key); /* first, or NULL; borrowed */
/* Iterates over the values of a repeated key: *pos starts at 0. */
const char *kv_next(const struct kv *, const char *key, size_t *pos);
int kv_add(struct kv *, const char *key, const char *value, struct err *) MUST_CHECK;
/* Replaces all values of key by one; NULL removes the key. */
int kv_set(struct kv *, const char *key, const char *value, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(kv, struct kv)

#endif
