/*
 * Quota groups of btrfs, read from sysfs (Linux 5.9) and set by ioctl. Where
 * sysfs does not tell, quotas count as off. Each subvolume has the group
 * 0/<its id>, which the kernel makes and removes together with it.
 */
#include <sys/ioctl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/btrfs.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "storage/linux/qgroup.h"

#define SYSFS_VALUE_MAX 64

/* Opens /sys/fs/btrfs/<uuid of the file system>/qgroups[/sub]; -1 when it is not there. */
static int
open_sysfs(int fd, const char *sub)
{
	struct btrfs_ioctl_fs_info_args a = { 0 };
	char path[160];
	int n;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &a) < 0)
		return -1;
	n = snprintf(path, sizeof(path), "/sys/fs/btrfs/");
	for (size_t i = 0; i < sizeof(a.fsid); i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%s%02x",
		    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", a.fsid[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, "/qgroups/%s", sub);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The text of a sysfs file without its newline; "" when it cannot be read. */
static void
read_value(int dirfd, const char *name, char out[static SYSFS_VALUE_MAX])
{
	AUTO(fd) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, SYSFS_VALUE_MAX - 1);

	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

enum qgroup_mode
qgroup_mode(int fd)
{
	AUTO(fd) int dir = open_sysfs(fd, "");
	char v[SYSFS_VALUE_MAX];

	if (dir < 0)
		return QGROUP_OFF;
	read_value(dir, "enabled", v);
	if (strcmp(v, "1") != 0)
		return QGROUP_OFF;
	read_value(dir, "mode", v);
	return strcmp(v, "squota") == 0 ? QGROUP_SIMPLE : QGROUP_FULL;
}

static int
read_number(int dirfd, const char *name, uint64_t *n, struct err *e)
{
	char v[SYSFS_VALUE_MAX];

	read_value(dirfd, name, v);
	return text_uint(v, 0, UINT64_MAX, n, name, e);
}

int
qgroup_use(int fd, uint64_t id, struct qgroup_use *u, struct err *e)
{
	char sub[32], flags[SYSFS_VALUE_MAX];
	AUTO(fd) int dir = -1;
	int rc;

	snprintf(sub, sizeof(sub), "0_%llu", (unsigned long long)id);
	dir = open_sysfs(fd, sub);
	if (dir < 0)
		return err_sys(e, "btrfs: reading quota group 0/%llu", (unsigned long long)id);
	rc = read_number(dir, "referenced", &u->referenced, e);
	if (rc == 0)
		rc = read_number(dir, "exclusive", &u->exclusive, e);
	if (rc == 0)
		rc = read_number(dir, "max_referenced", &u->limit, e);
	if (rc < 0)
		return err_wrap(e, "btrfs: reading quota group 0/%llu", (unsigned long long)id);
	read_value(dir, "limit_flags", flags);
	if ((strtoull(flags, NULL, 0) & BTRFS_QGROUP_LIMIT_MAX_RFER) == 0)
		u->limit = 0;
	return 0;
}

int
qgroup_limit(int fd, uint64_t bytes, struct err *e)
{
	struct btrfs_ioctl_qgroup_limit_args a = { .qgroupid = 0 }; /* 0: the subvolume of fd */

	a.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
	a.lim.max_rfer = bytes == 0 ? UINT64_MAX : bytes; /* all ones clears the limit */
	if (ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &a) < 0)
		return err_sys(e, "btrfs: setting a quota");
	return 0;
}
