/*
 * Detached mounts by the mount API of Linux 5.12. Nothing here knows a
 * storage mechanism; the caller owns the fd that comes back.
 */
#include <sys/mount.h>
#include <errno.h>
#include <fcntl.h>

#include "base/auto.h"
#include "storage/linux/detached.h"

int
detached_mount(int dirfd, bool ro, const struct stor_idmap *map, const char *what, struct err *e)
{
	/*
	 * Of a shared mount, which most systems have, the clone is one more peer:
	 * pivot_root(2) refuses it, and what is mounted in a pot would appear outside.
	 */
	struct mount_attr attr = { .attr_set = ro ? MOUNT_ATTR_RDONLY : 0, .propagation = MS_PRIVATE };
	AUTO(fd) int fd = open_tree(dirfd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "mounting %s", what);
	if (map != NULL) {
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)map->userns_fd;
	}
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		if (map != NULL && (errno == EINVAL || errno == EPERM || errno == EOPNOTSUPP))
			return err_set(e, E_NOTSUP, "mounting %s: its file system cannot map user ids", what);
		return err_sys(e, "making the mount of %s private%s", what, ro ? " and read-only" : "");
	}
	return take_fd(fd);
}
