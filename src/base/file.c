/*
 * Files that pot owns itself: whole reads and writes, atomic replacement,
 * directories.  Trees are in tree.c, locks in the systems' folders, files
 * below a pot's root in inroot.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"

void
fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
}

int
fd_read_all(int fd, struct buf *b, struct err *e)
{
	char chunk[16384];
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		if (n == 0)
			return 0;
		buf_add(b, chunk, (size_t)n);
		if (b->failed)
			return buf_check(b, "read", e);
	}
}

int
file_read(int dirfd, const char *name, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = -1;
	struct stat st;
	int rc;

	/* O_NONBLOCK: a FIFO put in the file's place must not hold us here. */
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "%s: not a regular file", name);
	rc = fd_read_all(fd, b, e);
	if (rc < 0)
		err_wrap(e, "%s", name);
	return rc;
}

int
fd_write_all(int fd, const void *data, size_t len, const char *what, struct err *e)
{
	const char *s = data;
	ssize_t n;

	while (len > 0) {
		n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", what);
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

int
dir_sync(int dirfd, const char *what, struct err *e)
{
	/* File systems that cannot sync a directory say EINVAL; there is nothing more to do there. */
	if (fsync(dirfd) < 0 && errno != EINVAL)
		return err_sys(e, "%s: fsync", what);
	return 0;
}

static int
temporary_name(const char *name, char tmp[static NAME_MAX + 1], struct err *e)
{
	int n = -1;

	if (name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strchr(name, '/') == NULL)
		n = snprintf(tmp, NAME_MAX + 1, ".%s.tmp", name);
	if (n < 0 || n > NAME_MAX)
		return err_set(e, E_INVAL, "\"%s\": not a name for a file", name);
	return 0;
}

static int
write_synced(
    int dirfd, const char *tmp, mode_t mode, const void *data, size_t len, const char *name, struct err *e)
{
	AUTO(fd) int fd = -1;
	int rc;

	/* Removed and made anew: what a crash left may be a link, or be open elsewhere. */
	if (unlinkat(dirfd, tmp, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s: remove %s", name, tmp);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "%s: create", name);
	if (fchmod(fd, mode) < 0)
		return err_sys(e, "%s: chmod", name);
	rc = fd_write_all(fd, data, len, name, e);
	if (rc < 0)
		return rc;
	if (fsync(fd) < 0)
		return err_sys(e, "%s: fsync", name);
	/* The last chance of a network file system to report a failed write. */
	if (close(take_fd(fd)) < 0 && errno != EINTR)
		return err_sys(e, "%s: close", name);
	return 0;
}

int
file_write_atomic(int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *e)
{
	AUTO(fd) int dir = -1;
	char tmp[NAME_MAX + 1];
	int rc;

	rc = temporary_name(name, tmp, e);
	if (rc < 0)
		return rc;
	/* fsync needs a real descriptor; the caller's may be AT_FDCWD or O_PATH. */
	dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "%s: directory", name);
	rc = write_synced(dir, tmp, mode, data, len, name, e);
	fault_point("file.written");
	if (rc == 0 && renameat(dir, tmp, dir, name) < 0)
		rc = err_sys(e, "%s: rename", name);
	if (rc < 0) {
		unlinkat(dir, tmp, 0);
		return rc;
	}
	fault_point("file.renamed");
	return dir_sync(dir, name, e);
}

int
dir_open(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "%s", name) : fd;
}

int
dir_make(int dirfd, const char *name, mode_t mode, struct err *e)
{
	if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, "%s: make directory", name);
	return dir_open(dirfd, name, e);
}

int
dir_make_path(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path), end = 0;
	struct stat st;
	int why;

	if (path[0] != '/' || len >= sizeof(part))
		return err_set(e, E_INVAL, "%s: not an absolute path, or too long", path);
	while (path[end] != '\0') {
		end += strspn(path + end, "/");
		end += strcspn(path + end, "/");
		memcpy(part, path, end);
		part[end] = '\0';
		if (mkdir(part, mode) == 0 || errno == EEXIST)
			continue;
		/* On a read-only file system an existing directory may give another error. */
		why = errno;
		if (stat(part, &st) < 0)
			return err_sysno(e, why, "%s: make directory", part);
	}
	if (stat(path, &st) < 0)
		return err_sys(e, "%s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(e, E_EXIST, "%s: exists and is not a directory", path);
}
