/*
 * The harness of the storage conformance suite: one installation at a time,
 * cases that say what they expect, TAP on stdout. A case starts on an empty
 * installation and must leave it empty; the harness compares everything below
 * the installation's directory (and every dataset) with what stood there
 * right after init, and a difference fails the case.
 */
#ifndef CONFORMANCE_SUITE_H
#define CONFORMANCE_SUITE_H

#include <stdbool.h>
#include <sys/types.h>

#include "storage/storage.h"

struct suite {
	struct stor_params par;
	const char *dir;       /* the installation */
	const char *small;     /* an installation on a file system of at most 512 MiB, or NULL */
	const char *small_zfs; /* its parent dataset */
	struct stor *s;        /* open */
	struct err e;          /* of the last call */
	char skip[256];        /* filled: the case was skipped, and why */
};

struct suite_case {
	const char *name;
	bool (*run)(struct suite *);
};

extern const struct suite_case suite_basic[];     /* storage.c */
extern const struct suite_case suite_content[];   /* storage_content.c */
extern const struct suite_case suite_crash[];     /* storage_crash.c */
extern const struct suite_case suite_space[];     /* storage_space.c */
extern const struct suite_case suite_stream[];    /* storage_stream.c */
extern const struct suite_case *const suite_os[]; /* os.c of the system; NULL-terminated */

/* A failed expectation: prints where and what, with the last error; returns false. */
bool suite_fail(struct suite *, const char *file, int line, const char *what);

#define OK(cond)                                                         \
	do {                                                             \
		if (!(cond))                                             \
			return suite_fail(t, __FILE__, __LINE__, #cond); \
	} while (0)
/* The call succeeds. */
#define DO(call) OK((call) >= 0)
/* The call is refused with this code and a message. */
#define REFUSED(want, call)                             \
	do {                                            \
		memset(&t->e, 0, sizeof(t->e));         \
		OK((call) == -(want));                  \
		OK(t->e.code == (want) && t->e.msg[0]); \
	} while (0)
#define SKIP(...)                                                \
	do {                                                     \
		snprintf(t->skip, sizeof(t->skip), __VA_ARGS__); \
		return true;                                     \
	} while (0)

#define POT(n) ((struct stor_fs){ STOR_POT, (n) })
#define BASE(n) ((struct stor_fs){ STOR_BASE, (n) })

/* copy: copies where the others share, and cannot refuse writes. */
bool suite_copies(const struct suite *);
/* Opens the installation anew, as another process would. NULL with t->e filled. */
struct stor *suite_open(struct suite *);

/* One file in a file system's root: mounted for it, unmounted after it. */
bool suite_put(struct suite *, struct stor_fs, const char *path, const char *text);
/* Is the file there with this text? text NULL: is it absent? */
bool suite_has(struct suite *, struct stor_fs, const char *path, const char *text);
bool fd_put(int rootfd, const char *path, const char *text);
bool fd_has(int rootfd, const char *path, const char *text);
/* Writes n bytes that do not compress; 0, or the errno that stopped it. */
int fd_fill(int rootfd, const char *path, size_t n);

/* "tag tag …" in the order of the list. */
bool suite_tags(struct suite *, struct stor_fs, struct buf *);
bool suite_tags_are(struct suite *, struct stor_fs, const char *tags);
/* Everything there is: each file system, its file "f" and its tags. */
bool suite_describe(struct suite *, struct buf *);
/* Destroys every file system of every kind. */
bool suite_empty(struct suite *);
/* Sorted paths below the installation and names of datasets. */
bool suite_traces(struct suite *, struct buf *);

/*
 * Runs fn in a child process that has the installation open for itself.
 * fault: POT_FAULT, log: POT_FAULT_LOG of the child, either may be NULL.
 * Returns the child's wait status; fn's result (0..255) is its exit status.
 */
int suite_child(struct suite *, int (*fn)(struct suite *), const char *fault, const char *log);

#endif
