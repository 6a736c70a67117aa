/*
 * Growable bytes and string lists with a hard maximum from birth.  Going
 * over the maximum, or running out of memory, marks the object as failed;
 * later appends do nothing, and the one check at the end sees it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/err.h"

struct buf {
	char *data; /* NUL-terminated whenever not NULL */
	size_t len, cap, max;
	bool failed, nomem; /* nomem: what failed was memory, not the maximum */
};

#define BUF_INIT(maximum)                           \
	{                                           \
		NULL, 0, 0, (maximum), false, false \
	}

void buf_init(struct buf *, size_t max);
void buf_fini(struct buf *); /* wipes, frees; the object may be used again */
void buf_add(struct buf *, const void *, size_t);
void buf_str(struct buf *, const char *);
void buf_fmt(struct buf *, const char *fmt, ...) PRINTF(2, 3);
void buf_vfmt(struct buf *, const char *fmt, va_list) PRINTF(2, 0);
void buf_reset(struct buf *); /* empties, keeps the memory, clears failed */
/* 0, or E_LIMIT naming `what` when the maximum was passed, or E_NOMEM. */
int buf_check(const struct buf *, const char *what, struct err *) MUST_CHECK;
const char *buf_cstr(const struct buf *); /* "" when empty; borrowed */
char *buf_take(struct buf *);             /* caller frees; NULL if failed; never NULL when empty and fine */

DEFINE_AUTO_FINI(buf, struct buf)

/* n bytes as a string of its own; caller frees; NULL without memory. Unlike strndup it reads all n. */
char *buf_dup(const char *, size_t n);

/* A NULL-terminated vector of owned strings. v is never NULL after one add. */
struct strv {
	char **v;
	size_t n, cap, max; /* max: number of strings */
	bool failed, nomem;
};

#define STRV_INIT(maximum)                          \
	{                                           \
		NULL, 0, 0, (maximum), false, false \
	}

void strv_fini(struct strv *);
void strv_add(struct strv *, const char *);          /* copies */
void strv_addn(struct strv *, const char *, size_t); /* copies n bytes */
void strv_fmt(struct strv *, const char *fmt, ...) PRINTF(2, 3);
void strv_remove(struct strv *, size_t index);
void strv_clear(struct strv *);
void strv_copy(struct strv *dst, const struct strv *src);
void strv_sort(struct strv *);
int strv_check(const struct strv *, const char *what, struct err *) MUST_CHECK;
/* A NULL-terminated argv for exec, valid until the next change. */
char *const *strv_argv(struct strv *);

DEFINE_AUTO_FINI(strv, struct strv)

#endif
