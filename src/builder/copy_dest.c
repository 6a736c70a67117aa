/*
 * Where copies go: dest as text, and places in the tree, which is hostile.
 * Only base/inroot.h goes below its root; what is at a place is looked at
 * without following, and replaced, never written to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/inroot.h"
#include "builder/copy_impl.h"

#define PATH_TEXT_MAX 65536u
#define LINKS_MAX 40

/* A new directory's owner and mode, whatever the umask. */
static int
dress(const struct copier *k, int fd, const char *path, struct err *e)
{
	if (fchown(fd, k->owner.uid, k->owner.gid) < 0 || fchmod(fd, 0755) < 0)
		return err_sys(e, "%s: owner and mode", path);
	return 0;
}

static int
in_the_way(int rc, const char *path, struct err *e)
{
	if (e == NULL || e->sys != ENOTDIR)
		return rc;
	return err_set(e, E_EXIST, "%.300s: a file of the image is in the way of the directory", path);
}

static int
make_dir(const struct copier *k, const char *path, struct err *e)
{
	AUTO(fd) int made = inroot_mkdirs(k->root, path, 0755, e);
	AUTO(fd) int fd = -1;
	int rc;

	if (made < 0)
		return in_the_way(take_fd(made), path, e);
	fd = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", path);
	rc = dress(k, fd, path, e);
	return rc < 0 ? rc : take_fd(fd);
}

int
place_dir(const struct copier *k, const char *path, struct err *e)
{
	AUTO_FINI(buf) struct buf part = BUF_INIT(PATH_TEXT_MAX);
	size_t at = 0;
	int fd, rc;

	fd = inroot_open(k->root, path, O_RDONLY | O_DIRECTORY, 0, e);
	if (fd >= 0)
		return fd;
	/* From the top on, so that each one that is made gets its owner. */
	for (;;) {
		at += strspn(path + at, "/");
		at += strcspn(path + at, "/");
		buf_reset(&part);
		buf_add(&part, path, at);
		if ((rc = buf_check(&part, "destination", e)) < 0)
			return rc;
		fd = inroot_open(k->root, part.data, O_RDONLY | O_DIRECTORY, 0, e);
		if (fd == -E_NOENT)
			fd = make_dir(k, part.data, e);
		if (fd < 0)
			return in_the_way(fd, part.data, e);
		if (path[at + strspn(path + at, "/")] == '\0')
			return fd;
		fd_close(fd);
	}
}

int
bld_make_dirs(int rootfd, const char *path, const char *user, struct err *e)
{
	struct copier k = { .root = rootfd };
	int rc = user != NULL ? copy_owner_find(rootfd, user, &k.owner, e) : 0, fd;

	/* What runs as a user that there is not yet will say so itself. */
	if (rc == -E_NOENT)
		k.owner = (struct copy_owner){ false, 0, 0 };
	else if (rc < 0)
		return err_wrap(e, "making %.300s", path);
	if ((fd = place_dir(&k, path, e)) < 0)
		return err_wrap(e, "making %.300s", path);
	fd_close(fd);
	return 0;
}

bool
place_is_dir(const struct copier *k, const char *path)
{
	AUTO(fd) int fd = inroot_open(k->root, path, O_PATH | O_DIRECTORY, 0, NULL);

	return fd >= 0;
}

/* "/a/b" with a link's target in the place of b. */
static int
follow(struct buf *path, const char *target, struct err *e)
{
	AUTO_FINI(buf) struct buf next = BUF_INIT(PATH_TEXT_MAX);
	const char *slash = strrchr(path->data, '/');

	if (target[0] != '/')
		buf_add(&next, path->data, (size_t)(slash - path->data) + 1);
	buf_str(&next, target);
	buf_reset(path);
	buf_str(path, buf_cstr(&next));
	return next.failed ? buf_check(&next, "path", e) : buf_check(path, "path", e);
}

/* dest is, or is to be, a file: through links that lead to where it is. */
static int
find_file(const struct copier *k, struct place *p, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_TEXT_MAX), parent = BUF_INIT(PATH_TEXT_MAX);
	char target[PATH_MAX];
	ssize_t n;
	int rc;

	buf_str(&path, k->dest.data);
	for (int i = 0; i < LINKS_MAX; i++) {
		const char *slash = strrchr(path.data, '/');

		if (strlen(slash + 1) >= sizeof(p->name))
			return err_sysno(e, ENAMETOOLONG, "%.100s", path.data);
		if (slash[1] == '\0' || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
			return err_set(e, E_EXIST, "%.300s: a directory is there", path.data);
		snprintf(p->name, sizeof(p->name), "%s", slash + 1);
		buf_reset(&parent);
		buf_add(&parent, path.data, (size_t)(slash - path.data) + 1);
		if ((rc = buf_check(&parent, "path", e)) < 0 ||
		    (rc = p->dir = place_dir(k, parent.data, e)) < 0)
			return rc;
		n = readlinkat(p->dir, p->name, target, sizeof(target) - 1);
		if (n < 0)
			return 0;
		fd_close(take_fd(p->dir));
		target[n] = '\0';
		if ((rc = follow(&path, target, e)) < 0)
			return rc;
	}
	return err_sysno(e, ELOOP, "%.300s", k->dest.data);
}

int
place_find(const struct copier *k, const char *name, struct place *p, struct err *e)
{
	p->dir = -1;
	if (!k->dest_dir && !place_is_dir(k, k->dest.data))
		return find_file(k, p, e);
	if (name[0] == '\0')
		return err_set(
		    e, E_INVAL, "the source has no name that it could have in %.300s", k->dest.data);
	if (strlen(name) >= sizeof(p->name))
		return err_sysno(e, ENAMETOOLONG, "%.100s", name);
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->dir = place_dir(k, k->dest.data, e);
	return p->dir < 0 ? p->dir : 0;
}

int
place_clear(int dir, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	if (S_ISDIR(st.st_mode))
		return err_set(e, E_EXIST, "%s: is a directory in the image, and the source is none", name);
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? err_sys(e, "%s: replace", name) : 0;
}
