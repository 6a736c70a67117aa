/*
 * Mounting datasets on Linux. The dataset is mounted by the zfs command, so
 * that every implementation does it its own way (zfs-fuse's daemon mounts);
 * what goes out is a detached clone of that mount.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "storage/linux/detached.h"
#include "storage/zfs.h"

unsigned
zfs_os_caps(void)
{
	/* Id-mapped mounts came with OpenZFS 2.2; zfs-fuse has no module. */
	AUTO_FINI(buf) struct buf version = BUF_INIT(128);
	struct err ignored;
	unsigned major, minor;

	if (file_read(AT_FDCWD, "/sys/module/zfs/version", &version, &ignored) < 0 ||
	    sscanf(buf_cstr(&version), "%u.%u", &major, &minor) != 2)
		return 0;
	return major > 2 || (major == 2 && minor >= 2) ? STOR_CAP_IDMAP : 0;
}

bool
zfs_os_clone_mounts(void)
{
	return access("/dev/zfs", F_OK) < 0; /* zfs-fuse */
}

bool
zfs_os_is_mounted(const char *path)
{
	struct statx sx;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &sx) == 0 &&
	    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int
zfs_os_mount(const char *dataset, const char *path, bool ro, struct err *e)
{
	AUTO(fd) int dir = -1;
	struct statfs sf;
	int rc = 0;

	if (!zfs_os_is_mounted(path)) {
		rc = zfs_run_patiently(e, "mount", dataset, NULL);
		/* zfs-fuse loses a mount that ends before its first request. */
		if (rc == 0 && statfs(path, &sf) < 0)
			return err_sys(e, "asking about %s", path);
	}
	if (rc < 0 && !zfs_os_is_mounted(path)) /* else somebody was faster */
		return rc;
	dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "opening %s", path);
	if (!zfs_os_is_mounted(path)) {
		err_set(e, E_STATE, "zfs: %s was mounted, but not where this process can see it", dataset);
		return err_hint(e, "run in the mount namespace of the zfs daemon");
	}
	return detached_mount(dir, ro, path, e);
}

int
zfs_os_unmount(const char *path, bool force, struct err *e)
{
	/*
	 * Never by force: over FUSE that cuts off every other mount of the
	 * dataset, and detached mounts do not keep this one busy.
	 */
	if (umount2(path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(e, "unmounting %s", path);
	return 0;
}
