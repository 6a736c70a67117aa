/*
 * Files that pot itself owns: reading whole, writing atomically, locking,
 * removing trees.  For files under a pot's root see inroot.h.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Reads a regular file whole (O_NOFOLLOW). E_NOENT when absent, E_LIMIT over b->max. */
int file_read(int dirfd, const char *name, struct buf *, struct err *) MUST_CHECK;
/* Reads fd to its end into b. */
int fd_read_all(int fd, struct buf *, struct err *) MUST_CHECK;
/* Writes all, retrying short writes and EINTR. `what` names it in messages. */
int fd_write_all(int fd, const void *, size_t, const char *what, struct err *) MUST_CHECK;

/* Lets the system begin to write these bytes to the disk, so that an fsync later finds less to do. */
void file_begin_writeback(int fd, uint64_t at, uint64_t n);

/*
 * Replaces dirfd/name by the content: temporary file ".name.tmp" in the same
 * directory, fsync, rename, fsync of the directory.  After a crash the old or
 * the new content is there, never a mixture; a stale ".name.tmp" is reused.
 */
int file_write_atomic(int dirfd, const char *name, mode_t, const void *, size_t, struct err *) MUST_CHECK;
int dir_sync(int dirfd, const char *what, struct err *) MUST_CHECK;

/* mkdirat that accepts an existing directory (not a symlink), opened. Returns an fd. */
int dir_make(int dirfd, const char *name, mode_t, struct err *) MUST_CHECK;
int dir_open(int dirfd, const char *name, struct err *) MUST_CHECK; /* O_DIRECTORY|O_NOFOLLOW */
/* Creates the directories of an absolute host path (like mkdir -p). */
int dir_make_path(const char *path, mode_t, struct err *) MUST_CHECK;

/*
 * Removes dirfd/name and all below it without following symlinks and without
 * crossing into another file system (E_BUSY naming the mount point).  Nothing
 * there is fine.  Works at any depth with a bounded number of open fds;
 * clears the immutable and append-only flags where it meets them.
 */
int tree_remove(int dirfd, const char *name, struct err *) MUST_CHECK;

/* Waits until everything below dirfd/name is on the disk: each file and directory. */
int tree_sync(int dirfd, const char *name, struct err *) MUST_CHECK;

/* Bytes (st_blocks) allocated below dirfd/name, each inode once, same file system only. */
int tree_usage(int dirfd, const char *name, uint64_t *bytes, struct err *) MUST_CHECK;

/*
 * Copies a tree or a file: src_dirfd/src_name to dst_dirfd/dst_name, which
 * must not exist unless merge. Never follows a symlink on either side below
 * the two directory fds. Keeps owner, mode, times, xattrs (user.*,
 * security.capability, ACLs), hard links within the tree, sparse holes; uses
 * reflinks where the file system has them. Sockets are skipped; devices are
 * copied only with TREE_COPY_DEVICES.
 */
/*
 * Who owns a copy: the source's owner n becomes n - src_first + dst_first
 * when it is one of the `count` from src_first on. Another one stays who it
 * is, or, in a destination that has no others, becomes its 65534, "nobody".
 */
struct tree_ids {
	uint32_t src_first, dst_first, count;
	bool closed; /* the destination has no other owners */
};
#define TREE_COPY_MERGE 1u /* an existing directory is merged into, files are replaced */
#define TREE_COPY_DEVICES 2u
int tree_copy(int src_dirfd, const char *src_name, int dst_dirfd, const char *dst_name, unsigned flags,
    struct err *) MUST_CHECK;
/* The same with other owners; ids may be NULL. */
int tree_copy_ids(int src_dirfd, const char *src_name, int dst_dirfd, const char *dst_name, unsigned flags,
    const struct tree_ids *ids, struct err *) MUST_CHECK;

/*
 * Advisory locks bound to the open file, not to the process (OFD locks on
 * Linux; flock on FreeBSD): they survive in a child that inherited the fd and
 * vanish when the last copy is closed, so death of any kind releases them.
 * deadline_ms: 0 try once, -1 wait for ever. E_BUSY when held by another.
 */
int lock_fd(int fd, bool exclusive, int deadline_ms, struct err *) MUST_CHECK;
/* Opens (creating, 0600) dirfd/name and locks it. Returns the fd: closing it unlocks. */
int lock_file(int dirfd, const char *name, bool exclusive, int deadline_ms, struct err *) MUST_CHECK;
/*
 * The same for a file that its holder removes at the end: what is locked then is what has the name now. (Who removes
 * it does so before it closes it.)
 */
int lock_named(int dirfd, const char *name, bool exclusive, int deadline_ms, struct err *) MUST_CHECK;
/* Does dirfd/name, not followed, still stand for what fd is open on? */
bool file_is_named(int dirfd, const char *name, int fd);
/* Is a lock on this file held through another open file? 1, 0, or <0. */
int lock_held(int fd, struct err *) MUST_CHECK;

#endif
