/*
 * Writing tar: POSIX ustar with pax records where ustar has no room. Written
 * here and not by libarchive because a layer's digest is over these bytes:
 * they must not change with a library's version, a locale or a default, and
 * there is nothing in them but what is given.
 */
#ifndef IMAGE_TAROUT_H
#define IMAGE_TAROUT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"

/* Takes bytes in order. */
typedef int tarout_fn(void *arg, const void *, size_t, struct err *);

struct tar_attr {
	const char *name; /* "user.note": written as SCHILY.xattr.user.note */
	const void *value;
	size_t size;
};

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_entry {
	const char *path; /* a directory's ends in '/' */
	const char *link; /* of TAR_HARDLINK and TAR_SYMLINK */
	enum tar_type type;
	uint32_t mode, uid, gid;
	uint64_t size; /* of TAR_FILE */
	struct timespec mtime;
	const char *flags; /* FreeBSD file flags ("schg,nodump"), or NULL */
	const struct tar_attr *attrs;
	size_t nattrs;
};

struct tarout {
	tarout_fn *fn;
	void *arg;
	uint64_t left; /* of the entry's data */
	size_t pad;    /* zeros after it */
};

void tarout_init(struct tarout *, tarout_fn *, void *arg);
int tarout_entry(struct tarout *, const struct tar_entry *, struct err *) MUST_CHECK;
/* The data of the last entry, in as many pieces as one likes; exactly its size. */
int tarout_data(struct tarout *, const void *, size_t, struct err *) MUST_CHECK;
int tarout_end(struct tarout *, struct err *) MUST_CHECK;

#endif
