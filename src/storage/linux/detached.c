/*
 * Detached mounts by the mount API of Linux 5.12. Nothing here knows a
 * storage mechanism; the caller owns the fd that comes back.
 */
#include <sys/mount.h>
#include <fcntl.h>

#include "base/auto.h"
#include "storage/linux/detached.h"

int
detached_mount(int dirfd, bool ro, const char *what, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	AUTO(fd) int fd = open_tree(dirfd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "mounting %s", what);
	if (ro && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(e, "making the mount of %s read-only", what);
	return take_fd(fd);
}
