/*
 * Resolving paths below an untrusted root one component at a time.  Every
 * directory on the way is held open and was opened with O_NOFOLLOW from the
 * one above; a link is only read, its text goes in front of what is left of
 * the path; ".." goes back to a directory held, never to the kernel's "..".
 * So whatever is renamed meanwhile, nothing but the root and what was seen
 * below it is reached.  inroot_open() itself is in the systems' folders.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/inroot.h"
#include "base/inroot_walk.h"

#define LINKS_MAX 40 /* as in Linux and FreeBSD's kernels, about */
#define DEPTH_MAX 256
#define REST_MAX 65536u
#define TRIES_MAX 64 /* a component that changes its type under our eyes */

struct walker {
	int rootfd;
	int held[DEPTH_MAX]; /* directories below the root, the current one last */
	size_t depth;
	struct buf rest; /* of the path */
	size_t at;
	int links;
	bool make_dirs, make_file; /* what is missing */
	mode_t dir_mode;
};

static int
current(const struct walker *w)
{
	return w->depth > 0 ? w->held[w->depth - 1] : w->rootfd;
}

static void
up(struct walker *w)
{
	if (w->depth > 0)
		fd_close(w->held[--w->depth]);
}

static void
to_root(struct walker *w)
{
	while (w->depth > 0)
		up(w);
}

/* The functions from here to walk() return 0 or more, or a negative errno. */

/* Puts the target of the link in front of the rest. -EINVAL: it is no link. */
static int
follow(struct walker *w, const char *name)
{
	struct buf rest = BUF_INIT(REST_MAX);
	char target[PATH_MAX];
	ssize_t n;

	n = readlinkat(current(w), name, target, sizeof(target));
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENOENT;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	if (++w->links > LINKS_MAX || inroot_links_are_magic(current(w)))
		return -ELOOP;
	buf_add(&rest, target, (size_t)n);
	buf_str(&rest, buf_cstr(&w->rest) + w->at);
	if (rest.failed) {
		n = rest.nomem ? -ENOMEM : -ENAMETOOLONG;
		buf_fini(&rest);
		return (int)n;
	}
	buf_fini(&w->rest);
	w->rest = rest;
	w->at = 0;
	if (target[0] == '/')
		to_root(w);
	return 0;
}

static bool
may_be_link(int why)
{
	/* O_NOFOLLOW on a link: Linux ELOOP, FreeBSD EMLINK; with O_DIRECTORY ENOTDIR. */
	return why == ELOOP || why == EMLINK || why == ENOTDIR;
}

/* Goes into the directory, or follows the link. */
static int
step(struct walker *w, const char *name)
{
	int fd, rc = 0;

	for (int i = 0; i < TRIES_MAX; i++) {
		fd = openat(current(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && w->depth == DEPTH_MAX) {
			fd_close(fd);
			return -ENAMETOOLONG;
		}
		if (fd >= 0) {
			w->held[w->depth++] = fd;
			return 0;
		}
		if (errno == ENOENT && w->make_dirs) {
			if (mkdirat(current(w), name, w->dir_mode) < 0 && errno != EEXIST)
				return -errno;
			continue;
		}
		if (!may_be_link(errno))
			return -errno;
		rc = follow(w, name);
		if (rc != -EINVAL)
			return rc;
	}
	return -ENOTDIR;
}

static int
make_file(struct walker *w, const char *name)
{
	int fd = openat(current(w), name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 && errno != EEXIST)
		return -errno;
	fd_close(fd);
	return 0;
}

static bool
is_link(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* Opens the last component: 0 and *out, or 1 when it was a link and is followed. */
static int
open_last(struct walker *w, const char *name, int flags, mode_t mode, int *out)
{
	bool nofollow = (flags & O_NOFOLLOW) != 0 || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	int fd, why, rc;

	for (int i = 0; i < TRIES_MAX; i++) {
		fd = openat(current(w), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		why = fd < 0 ? errno : ELOOP;
		if (fd >= 0 && (nofollow || (flags & O_PATH) == 0 || !is_link(fd))) {
			*out = fd;
			return 0;
		}
		fd_close(fd);
		if (why == ENOENT && w->make_file) {
			rc = make_file(w, name);
			if (rc < 0)
				return rc;
			continue;
		}
		if (nofollow || !may_be_link(why))
			return -why;
		rc = follow(w, name);
		if (rc == 0)
			return 1;
		if (rc != -EINVAL)
			return rc;
		if (why == ENOTDIR)
			return -ENOTDIR;
	}
	return -EAGAIN;
}

/* The path ended in a directory already held ("/", ".", "..", a slash). */
static int
open_current(const struct walker *w, int flags, mode_t mode, int *out)
{
	*out = openat(current(w), ".", (flags & ~O_NOFOLLOW) | O_CLOEXEC, mode);
	return *out < 0 ? -errno : 0;
}

/* Copies the next component; 1 when there is one. */
static int
next(struct walker *w, char name[static NAME_MAX + 1])
{
	const char *s = buf_cstr(&w->rest) + w->at;
	size_t slashes = strspn(s, "/"), len = strcspn(s + slashes, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, s + slashes, len);
	name[len] = '\0';
	w->at += slashes + len;
	return len > 0;
}

static int
resolve(struct walker *w, int flags, mode_t mode, int *out)
{
	char name[NAME_MAX + 1];
	int rc;

	for (;;) {
		rc = next(w, name);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return open_current(w, flags, mode, out);
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			up(w);
			continue;
		}
		if (w->rest.data[w->at] == '\0') {
			rc = open_last(w, name, flags, mode, out);
			if (rc <= 0)
				return rc;
		} else {
			rc = step(w, name);
			if (rc < 0)
				return rc;
		}
	}
}

/* An fd, or the code; errno is set as well, for callers that look for one. */
static int
walk(struct walker *w, const char *path, const char *suffix, int flags, mode_t mode, struct err *e)
{
	int fd = -1, rc;

	buf_init(&w->rest, REST_MAX);
	buf_str(&w->rest, path);
	buf_str(&w->rest, suffix);
	rc = w->rest.failed ? (w->rest.nomem ? -ENOMEM : -ENAMETOOLONG) : 0;
	if (path[0] == '\0')
		rc = -ENOENT;
	if (rc == 0)
		rc = resolve(w, flags, mode, &fd);
	to_root(w);
	buf_fini(&w->rest);
	errno = -rc;
	return rc < 0 ? err_sysno(e, -rc, "%s", path) : fd;
}

int
inroot_walk_open(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	struct walker w = { .rootfd = rootfd };

	return walk(&w, path, "", flags, mode, e);
}

int
inroot_open_parent(int rootfd, const char *path, char last[static 256], struct err *e)
{
	struct buf parent = BUF_INIT(REST_MAX);
	size_t end = strlen(path), start;
	int fd;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/';)
		start--;
	if (end - start > NAME_MAX)
		return err_sysno(e, ENAMETOOLONG, "%s", path);
	memcpy(last, path + start, end - start);
	last[end - start] = '\0';
	if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return err_set(e, E_INVAL, "\"%s\": does not end in a name", path);
	buf_add(&parent, path, start);
	if (start == 0)
		buf_str(&parent, "/");
	fd = buf_check(&parent, "path", e);
	if (fd == 0)
		fd = inroot_open(rootfd, buf_cstr(&parent), O_PATH | O_DIRECTORY, 0, e);
	buf_fini(&parent);
	return fd;
}

int
inroot_mkdirs(int rootfd, const char *path, mode_t mode, struct err *e)
{
	struct walker w = { .rootfd = rootfd, .make_dirs = true, .dir_mode = mode };
	int fd;

	fd = inroot_open(rootfd, path, O_PATH | O_DIRECTORY, 0, NULL);
	if (fd >= 0)
		return fd;
	/* The slash makes a directory of the last component as well. */
	return walk(&w, path, path[0] == '\0' ? "" : "/", O_PATH | O_DIRECTORY, 0, e);
}

int
inroot_mount_target(int rootfd, const char *path, bool want_dir, struct err *e)
{
	struct walker w = { .rootfd = rootfd, .make_dirs = true, .make_file = true, .dir_mode = 0755 };
	AUTO(fd) int fd = -1;
	struct stat st;
	int rc;

	if (want_dir)
		return inroot_mkdirs(rootfd, path, 0755, e);
	rc = inroot_open(rootfd, path, O_PATH, 0, NULL);
	if (rc < 0)
		rc = walk(&w, path, "", O_PATH, 0, e);
	if (rc < 0)
		return rc;
	fd = rc;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, E_INVAL, "%s: is a directory", path);
	return take_fd(fd);
}

static int
check_regular(int fd, const char *path, size_t max, struct stat *st, struct err *e)
{
	if (fstat(fd, st) < 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st->st_mode))
		return err_set(e, E_INVAL, "%s: not a regular file", path);
	if (st->st_size > 0 && (uint64_t)st->st_size > max)
		return err_set(e, E_LIMIT, "%s: larger than the %zu bytes allowed", path, max);
	return 0;
}

int
inroot_read(int rootfd, const char *path, struct buf *b, struct err *e)
{
	AUTO(fd) int look = -1;
	AUTO(fd) int fd = -1;
	struct stat before, st;
	int rc;

	/* Looked at before it is opened: opening some devices does things. */
	look = inroot_open(rootfd, path, O_PATH, 0, e);
	if (look < 0)
		return take_fd(look);
	rc = check_regular(look, path, b->max, &before, e);
	if (rc < 0)
		return rc;
	fd = inroot_open(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
	if (fd < 0)
		return fd;
	rc = check_regular(fd, path, b->max, &st, e);
	if (rc == 0)
		rc = fd_read_all(fd, b, e);
	if (rc < 0)
		err_wrap(e, "%s", path);
	return rc;
}
