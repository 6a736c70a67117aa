/* What Linux knows about files in trees: mount points, inode flags, reflinks, extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "base/tree.h"

int
tree_is_mount_root(int fd, bool *is)
{
	struct statx stx;

	/* A bind mount of the same file system has the same st_dev; this bit tells (Linux 5.8). */
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_TYPE, &stx) < 0)
		return -1;
	*is = (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	return 0;
}

static int
clear_flags(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -1;
	if ((flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0)
		return 0;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

int
tree_clear_flags(int dirfd, const char *name)
{
	AUTO(fd) int fd = -1;
	struct stat st;

	if (name == NULL)
		return clear_flags(dirfd);
	/* Only these two kinds carry the flags; opening a device could do anything. */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = EPERM;
		return -1;
	}
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -1 : clear_flags(fd);
}

int
tree_clone_data(int in, int out)
{
	return ioctl(out, FICLONE, in);
}

static bool
is_kept(const char *name)
{
	/* overlayfs mounted with "userxattr" takes these as its own orders. */
	if (strncmp(name, "user.overlay.", 13) == 0)
		return false;
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
	    strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

static int
copy_attr(int in, int out, const char *name, char *value, size_t size)
{
	ssize_t len = fgetxattr(in, name, value, size);

	if (len < 0)
		return errno == ENODATA ? 0 : -1;
	return fsetxattr(out, name, value, (size_t)len, 0);
}

int
tree_copy_attrs(int in, int out)
{
	char few[1024];
	AUTO_FREE char *many = NULL;
	AUTO_FREE char *value = NULL;
	char *names = few;
	ssize_t len;

	len = flistxattr(in, few, sizeof(few));
	if (len < 0 && errno == ERANGE) {
		names = many = malloc(XATTR_LIST_MAX);
		if (names == NULL)
			return -1;
		len = flistxattr(in, names, XATTR_LIST_MAX);
	}
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -1;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (!is_kept(name))
			continue;
		if (value == NULL)
			value = malloc(XATTR_SIZE_MAX);
		if (value == NULL || copy_attr(in, out, name, value, XATTR_SIZE_MAX) < 0)
			return -1;
	}
	return 0;
}
