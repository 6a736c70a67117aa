/*
 * inroot_open() on Linux: one openat2(2) where the kernel has it.  Where it
 * has not (before 5.6, or a seccomp filter that does not know it) each call
 * asks again and walks: asking costs less than remembering safely.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/inroot.h"
#include "base/inroot_walk.h"

#define PROC_ROOT_INO 1
#define TRIES_MAX 128

bool
inroot_links_are_magic(int dirfd)
{
	struct statfs fs;
	struct stat st;

	/* The links in the top directory of procfs (self, mounts, net) are plain; those below are not. */
	return fstatfs(dirfd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(dirfd, &st) == 0 &&
	    st.st_ino != PROC_ROOT_INO;
}

#ifdef POT_NO_OPENAT2
static int
open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	(void)rootfd;
	(void)path;
	(void)flags;
	(void)mode;
	errno = ENOSYS;
	return -1;
}
#else
static int
open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	/* The kernel refuses a mode without a file to make. */
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {
		.flags = (unsigned int)flags | O_CLOEXEC,
		.mode = makes ? mode & 07777 : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	/* EAGAIN: something was renamed or mounted meanwhile, and ".." could not be proven safe. */
	for (int i = 0; i < TRIES_MAX; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}
#endif

int
inroot_open(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = open_in_root(rootfd, path, flags, mode);

	if (fd >= 0)
		return fd;
	if (errno == ENOSYS || errno == EAGAIN)
		return inroot_walk_open(rootfd, path, flags, mode, e);
	return err_sys(e, "%s", path);
}
