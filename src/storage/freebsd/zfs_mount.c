/*
 * Mounting datasets on FreeBSD. There are no detached mounts: the fd is of
 * the mount point itself, and the mount stays until unmount. A mount is
 * read-only or writable as a whole, so the two exclude each other.
 */
#include <sys/param.h>
#include <sys/mount.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/auto.h"
#include "storage/zfs.h"

unsigned
zfs_os_caps(void)
{
	return 0;
}

bool
zfs_os_clone_mounts(void)
{
	return false;
}

bool
zfs_os_is_mounted(const char *path)
{
	struct statfs sf;

	return statfs(path, &sf) == 0 && strcmp(sf.f_mntonname, path) == 0;
}

static int
unmount_path(const char *path, int flags, struct err *e)
{
	if (unmount(path, flags) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(e, "unmounting %s", path);
	return 0;
}

int
zfs_os_mount(const char *dataset, const char *path, bool ro, const struct stor_idmap *map, struct err *e)
{
	(void)map; /* never given: there is no STOR_CAP_IDMAP here */
	struct statfs sf;
	int fd, rc = 0;

	if (zfs_os_is_mounted(path) && statfs(path, &sf) == 0 && ((sf.f_flags & MNT_RDONLY) != 0) != ro) {
		rc = unmount_path(path, 0, e);
		if (rc < 0)
			return err_wrap(e, "mounting %s %s", dataset, ro ? "read-only" : "writable");
	}
	if (!zfs_os_is_mounted(path))
		rc = zfs_run_patiently(e, "mount", "-o", ro ? "ro" : "rw", dataset, NULL);
	if (rc < 0 && !zfs_os_is_mounted(path))
		return rc;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "opening %s", path);
}

int
zfs_os_keep(const char *path)
{
	(void)path;
	return -1;
}

void
zfs_os_put_back(int fd, const char *path)
{
	(void)fd;
	(void)path;
}

int
zfs_os_unmount(const char *path, bool force, struct err *e)
{
	int rc = unmount_path(path, 0, e);

	/* What a removed jail held is let go of late; a forced unmount does not wait for it. */
	if (rc == -E_BUSY && force)
		rc = unmount_path(path, MNT_FORCE, e);
	return rc;
}
