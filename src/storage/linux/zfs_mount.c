/*
 * Mounting datasets on Linux. The dataset is mounted by the zfs command, so
 * that every implementation does it its own way (zfs-fuse's daemon mounts);
 * what goes out is a detached clone of that mount.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "storage/linux/detached.h"
#include "storage/zfs.h"

#define SETTLE_MS 5000

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
zfs_os_mount(const char *dataset, const char *path, bool ro, const struct stor_idmap *map, struct err *e)
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
	return detached_mount(dir, ro, map, path, e);
}

int
zfs_os_keep(const char *path)
{
	if (!zfs_os_is_mounted(path))
		return -1;
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
}

void
zfs_os_put_back(int fd, const char *path)
{
	/* What fails leaves the clone as a kill would: mounted by its user only. */
	if (fd >= 0 && !zfs_os_is_mounted(path) && (mkdir(path, 0700) == 0 || errno == EEXIST))
		(void)move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
	fd_close(fd);
}

/* The directory of all FUSE connections. A mount of our own: it need not be mounted where it belongs. */
static int
open_connections(void)
{
	AUTO(fd) int fs = fsopen("fusectl", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

/* Does the daemon still have requests to answer? A count is read once only for each time it is opened. */
static bool
is_waiting(int connections, const struct statx *sx)
{
	char text[48];

	snprintf(text, sizeof(text), "%u/waiting", (unsigned)sx->stx_dev_minor);
	AUTO(fd) int fd = openat(connections, text, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strcmp(text, "0\n") != 0;
}

/*
 * Waits until zfs-fuse has seen the end of all files that were closed. The
 * kernel tells it in the background and, when the last mount ends, drops what
 * it has not told yet; the daemon then waits for ever for files that nobody
 * has open, and answers for no dataset any more.
 */
static int
settle(const char *path, struct err *e)
{
	int64_t end = text_monotonic_ms() + SETTLE_MS;
	struct statfs sf;
	struct statx sx;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &sx) < 0 ||
	    statfs(path, &sf) < 0 || sf.f_type != FUSE_SUPER_MAGIC)
		return 0;
	AUTO(fd) int connections = open_connections();
	/* Each statfs() is answered after what was sent before it, so this loop waits. */
	while (connections >= 0 && is_waiting(connections, &sx) && statfs(path, &sf) == 0)
		if (text_monotonic_ms() >= end)
			return err_set(e, E_BUSY, "unmounting %s: files of it are in use", path);
	return 0;
}

int
zfs_os_unmount(const char *path, bool force, struct err *e)
{
	int rc = settle(path, e);

	/*
	 * Never by force: over FUSE that cuts off every other mount of the
	 * dataset, and detached mounts do not keep this one busy.
	 */
	(void)force;
	if (rc == 0 && umount2(path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		rc = err_sys(e, "unmounting %s", path);
	return rc;
}
