/*
 * Inside of image/: the attributes of a file that a layer carries, and file
 * flags, which each system has in its own way.
 */
#ifndef IMAGE_ATTRS_H
#define IMAGE_ATTRS_H

#include <stdbool.h>

#include "image/tarout.h"

#define ATTRS_MAX 256

/* Extended attributes sorted by name: "user.x", "security.capability", "system.posix_acl_access". */
struct attrs {
	struct tar_attr v[ATTRS_MAX];
	size_t n;
	struct buf text; /* names and values */
	bool strict; /* the caller's: E_NOTSUP for a file that has something which a layer does not carry */
	char flags[256]; /* FreeBSD's, "" none */
};

void attrs_init(struct attrs *);
void attrs_fini(struct attrs *);
/* Of an open file or directory. Replaces what attrs holds. */
int attrs_read(struct attrs *, int fd, struct err *) MUST_CHECK;
bool attrs_equal(const struct attrs *, const struct attrs *);
/* Inside: adds one; the name and the value are copied. False: too many, or no memory. */
bool attrs_add(struct attrs *, const char *name, const void *value, size_t size);
/* Inside: sorts them. */
void attrs_finish(struct attrs *);
/* Inside: what a file has that no layer carries, where that counts. */
int attrs_foreign(const char *what, struct err *);

/* Per system: adds all that a layer carries, and sets flags. What it carries not is E_NOTSUP where strict. */
int attrs_read_os(struct attrs *, int fd, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(attrs, struct attrs)

#endif
