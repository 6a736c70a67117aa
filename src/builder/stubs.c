/*
 * What starting a command makes in a root for its mounts, taken away again, so
 * that a tree has only what the command itself left. Names are hostile: below
 * the roots only by fd, and links are not followed at the end of a path.
 */
#include "builder/half.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/inroot.h"
#include "base/tree.h"

#define PATH_BYTES 4096

static bool
is_in(int root, const char *path)
{
	int fd = root < 0 ? -1 : inroot_open(root, path, O_PATH | O_NOFOLLOW, 0, NULL);

	fd_close(fd);
	return fd >= 0;
}

static bool
is_stub(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	/* A directory that is not empty refuses to go. */
	return S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 1);
}

/* Where a directory is as the parent has it but for its times, it gets those as well. */
static void
restore_times(int root, int parent, const char *path)
{
	AUTO(fd) int was = parent < 0 ? -1 : inroot_open(parent, path, O_RDONLY | O_DIRECTORY, 0, NULL);
	AUTO(fd) int now = was < 0 ? -1 : inroot_open(root, path, O_RDONLY | O_DIRECTORY, 0, NULL);
	struct stat a, b;

	if (now < 0 || fstat(was, &a) != 0 || fstat(now, &b) != 0 || a.st_nlink != b.st_nlink ||
	    a.st_size != b.st_size)
		return;
	const struct timespec times[2] = { a.st_atim, a.st_mtim };
	(void)futimens(now, times);
}

/* 1: it was one, and is gone. path keeps its directory. */
static int
remove_one(int root, int parent, char *path, struct err *e)
{
	char last[256];

	if (is_in(parent, path))
		return 0;
	AUTO(fd) int dir = inroot_open_parent(root, path, last, NULL);
	if (dir < 0 || !is_stub(dir, last))
		return 0;
	if (unlinkat(dir, last, 0) != 0 &&
	    (!tree_unlink_met_dir(dir, last) || unlinkat(dir, last, AT_REMOVEDIR) != 0)) {
		if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
			return 0;
		return err_sys(e, "removing the mount point %s", path);
	}
	*strrchr(path, '/') = '\0';
	restore_times(root, parent, path[0] != '\0' ? path : "/");
	return 1;
}

int
bld_stubs_remove(int root, int parent, const char *const *paths, size_t n, struct err *e)
{
	int rc = 0;

	/* The last made first: it may be in another one. */
	for (size_t i = n; i-- > 0 && rc >= 0;) {
		char path[PATH_BYTES];
		size_t len = strlen(paths[i]);

		if (len >= sizeof(path) || paths[i][0] != '/')
			continue;
		memcpy(path, paths[i], len + 1);
		while (len > 1 && path[len - 1] == '/')
			path[--len] = '\0';
		do
			rc = strlen(path) > 1 ? remove_one(root, parent, path, e) : 0;
		while (rc == 1);
	}
	return rc < 0 ? rc : 0;
}
