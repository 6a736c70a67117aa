/*
 * What an archive entry says about a file besides its content: owner, mode,
 * times, extended attributes, ACLs.
 */
#ifndef UNPACK_META_H
#define UNPACK_META_H

#include <sys/types.h>
#include <time.h>
#include <archive_entry.h>

#include "base/err.h"

struct meta {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permission and set-id bits */
	struct timespec mtime;
};

/* Checks the numbers. E_CORRUPT for an owner that does not exist as a number. */
int meta_read(struct archive_entry *, struct meta *, struct err *) MUST_CHECK;
/* Owner, then mode (set-id bits survive), then attributes and ACLs, then times. *dropped counts. */
int meta_apply(int fd, const struct meta *, struct archive_entry *, unsigned long long *dropped,
    struct err *) MUST_CHECK;
/* Owner and times of something that cannot be opened: a symlink or a FIFO, itself. */
int meta_apply_at(int dirfd, const char *name, const struct meta *, struct err *) MUST_CHECK;

#endif
