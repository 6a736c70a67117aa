/* Putting a tree on the disk, for systems and mechanisms that have no call for a whole file system. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/tree.h"

static int
go_in(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	return 0;
}

static int
sync_entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	AUTO(fd) int fd = -1;

	if (type != DT_REG)
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open %s", name);
	return fsync(fd) == 0 || errno == EINVAL ? 0 : err_sys(e, "cannot write %s to the disk", name);
}

static int
sync_dir(void *arg, int fd, const char *name, struct err *e)
{
	return fsync(fd) == 0 || errno == EINVAL ? 0 : err_sys(e, "cannot write %s to the disk", name);
}

int
tree_sync(int dirfd, const char *name, struct err *e)
{
	static const struct tree_ops ops = { .enter = go_in, .entry = sync_entry, .leave = sync_dir };
	int fd = dir_open(dirfd, name, e);

	return fd < 0 ? fd : tree_walk(fd, name, &ops, NULL, e);
}
