/*
 * Reading and writing the small things people type: numbers, sizes,
 * durations, times, words.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdint.h>
#include <time.h>

#include "base/buf.h"

/* Decimal without sign or blanks, lo..hi, else E_INVAL naming `what` and the range. */
int text_uint(const char *, uint64_t lo, uint64_t hi, uint64_t *, const char *what, struct err *) MUST_CHECK;
/* "512", "64m", "1.5G", "10MiB": bytes, powers of 1024, letters b k m g t in either case. */
int text_size(const char *, uint64_t *, const char *what, struct err *) MUST_CHECK;
/* "10", "10s", "1.5m", "2h", "1d" to milliseconds; a bare number is seconds. */
int text_duration(const char *, int64_t *ms, const char *what, struct err *) MUST_CHECK;
/* RFC 3339 ("2026-11-22T20:52:27[.123]Z" or offset), "@EPOCH", or an age ("10m"): ns since the epoch. */
int text_time(const char *, int64_t *ns, const char *what, struct err *) MUST_CHECK;

#define TEXT_TIME_LEN 36
void text_time_print(int64_t ns, bool fraction, char out[static TEXT_TIME_LEN]); /* RFC 3339, UTC */
#define TEXT_SIZE_LEN 16
void text_size_print(uint64_t, char out[static TEXT_SIZE_LEN]); /* "170.3M" */
#define TEXT_AGE_LEN 16
void text_age_print(int64_t ns, char out[static TEXT_AGE_LEN]); /* "3m12s" */
int64_t text_now_ns(void);                                      /* CLOCK_REALTIME */
int64_t text_monotonic_ms(void);

/*
 * Splits a command line as a POSIX shell splits words: blanks, '…', "…" with
 * \\ \" \$ \` inside, backslash. No expansion of any kind. Errors name the
 * column of an open quote. Appends to v.
 */
int text_split(const char *, struct strv *, struct err *) MUST_CHECK;
/* The reverse: words quoted only where needed, separated by one blank. */
void text_join(char *const *argv, struct buf *);

/*
 * Copies with \xNN for control characters (C0, DEL, C1, line separators and
 * the ones that turn the writing direction) and for bytes that are not UTF-8.
 */
void text_escape(const char *, size_t, struct buf *);
/* The same to size bytes at dst (> 0), cut at a whole character where it is full; allocates nothing. */
void text_escape_into(char *dst, size_t size, const char *, size_t);

/* The row of names[] nearest to word (Damerau-Levenshtein <= 2 and < half the length), or NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t n);

#endif
