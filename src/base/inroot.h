/*
 * Reaching files below an untrusted root.  A path is resolved as a process
 * chrooted into rootfd would see it: absolute links start again at rootfd,
 * ".." at the root stays there, magic links are refused.  Nothing outside is
 * ever touched, also while another process renames directories below the root.
 * Linux uses openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); where that is
 * missing (ENOSYS, or a build with -Dopenat2=false) and on FreeBSD a walker
 * opens one component at a time with O_NOFOLLOW and checks ".." against a
 * stack of held directories.
 */
#ifndef BASE_INROOT_H
#define BASE_INROOT_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

/* Opens path below rootfd; flags as open(2), O_CLOEXEC is added. Returns an fd. */
int inroot_open(int rootfd, const char *path, int flags, mode_t, struct err *) MUST_CHECK;
/*
 * Opens the directory that holds the last component and copies that component
 * (never ".", ".." or empty; those are E_INVAL) to last[256].
 */
int inroot_open_parent(int rootfd, const char *path, char last[static 256], struct err *) MUST_CHECK;
/* Makes all missing directories of path. Returns an fd (O_PATH-like, directory) of the last. */
int inroot_mkdirs(int rootfd, const char *path, mode_t, struct err *) MUST_CHECK;
/*
 * Opens path as the target of a mount, making parents and an empty file or
 * directory where nothing is. Links are followed in root; the result is
 * O_PATH, a directory exactly when want_dir.
 */
int inroot_mount_target(int rootfd, const char *path, bool want_dir, struct err *) MUST_CHECK;
/*
 * Reads a regular file of at most b->max bytes; FIFOs, devices and anything
 * else are E_INVAL at once (O_NONBLOCK). The last component may be a link.
 */
int inroot_read(int rootfd, const char *path, struct buf *, struct err *) MUST_CHECK;

#endif
