/*
 * Locking the process up before it parses anything. One file per system.
 */
#ifndef UNPACK_SANDBOX_H
#define UNPACK_SANDBOX_H

#include <stdint.h>

#include "base/err.h"

/* Dies with its parent, leaves no core, cannot be traced. First thing in main. */
int sandbox_begin(struct err *) MUST_CHECK;

/*
 * After this the process sees nothing but the directory root_fd (its "/" and
 * its working directory), the fds it has open, and the memory it has plus
 * `memory` bytes; it cannot execute, connect, mount or make processes, and
 * may do to files only what unpacking needs. Fails closed.
 */
int sandbox_enter(int root_fd, uint64_t memory, uint64_t max_file, struct err *) MUST_CHECK;

/* Makes everything written below root_fd durable, and tells what could not be. */
int sandbox_sync(int root_fd, struct err *) MUST_CHECK;

/*
 * Sets an extended attribute named as on Linux ("user.x", "security.capability",
 * "system.posix_acl_access"). 0, or -1 with errno; ENOTSUP when the system or
 * the file system has no such thing.
 */
int sandbox_setxattr(int fd, const char *name, const void *value, size_t size);
/* Takes away all attributes that sandbox_setxattr can set. 0, or -1 with errno. */
int sandbox_clear_xattrs(int fd);

#endif
