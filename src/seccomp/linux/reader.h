/*
 * Inside seccomp only: taking values out of a profile's JSON, with the place
 * of every mistake in its message ("FILE: syscalls[3].args[0].op: why").
 */
#ifndef SECCOMP_LINUX_READER_H
#define SECCOMP_LINUX_READER_H

#include <jansson.h>

#include "base/buf.h"
#include "seccomp/linux/filter.h"

#define READER_ARCHS_MAX 16

struct reader {
	struct sec_filter *filter;
	const char *what; /* the file */
	uint64_t caps;
	struct buf *notes;
	struct err *e;
	char place[160]; /* "syscalls[3].args[0]"; after a failure it stays where that was */
	const struct sec_machine *machines[READER_ARCHS_MAX];
	size_t nmachines;
};

/* Into a member or an element; the length returned brings back where it was: place[length] = 0. */
size_t read_enter(struct reader *, const char *key);
size_t read_enter_index(struct reader *, size_t);
/* An error at the place; returns -code. */
int read_wrong(struct reader *, enum err_code, const char *fmt, ...) PRINTF(3, 4);

/* Is it an object, and is each of its keys in the list (blank between)? */
int read_keys(struct reader *, const json_t *object, const char *known) MUST_CHECK;
/* A string, or NULL where there is none or it is empty. */
int read_string(struct reader *, const json_t *object, const char *key, const char **) MUST_CHECK;
/* A whole number of at most max: 1; *out stays where there is none: 0. */
int read_number(
    struct reader *, const json_t *object, const char *key, uint64_t max, uint64_t *out) MUST_CHECK;
/* A list of words that are not empty; NULL where there is none. */
int read_list(struct reader *, const json_t *object, const char *key, json_t **) MUST_CHECK;

/* errnoRet (a number) and errno (a name, Docker's and podman's word): either, or both and the same. */
int rule_errno(
    struct reader *, const json_t *, const char *number_key, const char *name_key, uint32_t *out) MUST_CHECK;
/* An action as SECCOMP_RET_*; data goes with those that take it. */
int rule_action(struct reader *, const json_t *, const char *key, uint32_t data, uint32_t *out) MUST_CHECK;
/* Adds one entry of "syscalls" to the filter. */
int rule_read(struct reader *, const json_t *entry) MUST_CHECK;

#endif
