/*
 * Copying trees.  Both sides are walked by descriptor, one component at a
 * time, with O_NOFOLLOW; a copy is given its owner, mode, attributes and
 * times through the descriptor that made it.  Directories get theirs on the
 * way back, when no entry can change them any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/tree.h"

#define COPY_CHUNK (1u << 30)
#define PATHS_MAX (256u << 20)

struct copy {
	unsigned flags;
	const struct tree_ids *ids;
	int dst_dirfd;
	const char *dst_name; /* of the tree's root */
	struct dir_stack dst;
	dev_t root_dev; /* of the copy itself, not to be copied when it lies in the source */
	ino_t root_ino;
	bool made_root;
	struct strv way;         /* names from the copy's root to the current directory */
	struct inode_map linked; /* source files with several names: where their path starts in paths */
	struct buf paths;        /* below the copy's root, each with its NUL */
};

/* Hole to hole, so that what was sparse stays sparse. */
static int
copy_range(int in, int out, off_t at, off_t end)
{
	AUTO_FREE char *chunk = NULL;
	off_t in_at = at, out_at = at;
	ssize_t n;

	while (in_at < end) {
		size_t want = end - in_at > (off_t)COPY_CHUNK ? COPY_CHUNK : (size_t)(end - in_at);

		n = copy_file_range(in, &in_at, out, &out_at, want, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return 0; /* the source became shorter */
		if (n < 0)
			break;
	}
	if (in_at >= end)
		return 0;
	if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM &&
	    errno != ETXTBSY)
		return -1;
	chunk = malloc(1u << 17);
	if (chunk == NULL)
		return -1;
	while (in_at < end) {
		size_t want = end - in_at > (1 << 17) ? 1u << 17 : (size_t)(end - in_at);

		n = pread(in, chunk, want, in_at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		in_at += n;
		for (char *s = chunk; n > 0;) {
			ssize_t done = pwrite(out, s, (size_t)n, out_at);

			if (done < 0 && errno == EINTR)
				continue;
			if (done < 0)
				return -1;
			s += done;
			n -= done;
			out_at += done;
		}
	}
	return 0;
}

int
tree_copy_data(int in, int out, off_t size)
{
	off_t data = 0, hole;

	if (size == 0 || tree_clone_data(in, out) == 0)
		return 0;
	while (data < size) {
		data = lseek(in, data, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* a hole up to the end */
		if (data < 0 && (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOTTY))
			return copy_range(in, out, 0, size);
		hole = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
		if (hole < 0)
			return -1;
		if (hole > size)
			hole = size;
		if (data < hole && copy_range(in, out, data, hole) < 0)
			return -1;
		data = hole;
	}
	return ftruncate(out, size);
}

static void
times_of(const struct stat *st, struct timespec times[static 2])
{
	times[0] = st->st_atim;
	times[1] = st->st_mtim;
}

#define NOBODY 65534

static uint32_t
other_id(const struct tree_ids *ids, uint32_t id)
{
	if (ids == NULL)
		return id;
	if (id - ids->src_first < ids->count)
		return id - ids->src_first + ids->dst_first;
	return ids->closed ? ids->dst_first + NOBODY : id;
}

/* An unprivileged copy belongs to who made it; then the bits that lend the owner's rights go as well. */
static int
set_owner(int fd, const struct stat *st, const struct tree_ids *ids, mode_t *mode)
{
	*mode = st->st_mode & 07777;
	if (fchown(fd, other_id(ids, st->st_uid), other_id(ids, st->st_gid)) == 0)
		return 0;
	if (errno != EPERM || geteuid() == 0)
		return -1;
	*mode &= ~(mode_t)(S_ISUID | S_ISGID);
	return 0;
}

/* The order matters: a change of owner clears capabilities and setuid, an ACL changes the mode. */
static int
set_meta(int in, int out, const struct stat *st, const struct tree_ids *ids)
{
	struct timespec times[2];
	mode_t mode;

	times_of(st, times);
	if (set_owner(out, st, ids, &mode) < 0 || fchmod(out, mode) < 0 || tree_copy_attrs(in, out) < 0)
		return -1;
	return futimens(out, times);
}

static int
set_meta_at(int dirfd, const char *name, const struct stat *st, const struct tree_ids *ids)
{
	struct timespec times[2];
	mode_t mode = st->st_mode & 07777;

	times_of(st, times);
	if (fchownat(dirfd, name, other_id(ids, st->st_uid), other_id(ids, st->st_gid), AT_SYMLINK_NOFOLLOW) <
	    0) {
		if (errno != EPERM || geteuid() == 0)
			return -1;
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if (!S_ISLNK(st->st_mode) && fchmodat(dirfd, name, mode, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW);
}

/* Before a file is made: what it replaces goes, unless that is a directory. */
static int
make_room(const struct copy *c, int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	if ((c->flags & TREE_COPY_MERGE) == 0)
		return err_set(e, E_EXIST, "%s: exists already", name);
	if (S_ISDIR(st.st_mode))
		return err_set(e, E_EXIST, "%s: is a directory, and the source is not", name);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s: replace", name);
	return 0;
}

static int
copy_file(const struct copy *c, int src, const char *name, int dst, const char *dst_name, struct err *e)
{
	AUTO(fd) int in = -1;
	AUTO(fd) int out = -1;
	struct stat st;
	int rc = 0;

	in = openat(src, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_BUSY, "%s: was replaced while it was copied", name);
	out = openat(dst, dst_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(e, "%s: create", dst_name);
	if (tree_copy_data(in, out, st.st_size) < 0)
		rc = err_sys(e, "%s: copy", name);
	else if (set_meta(in, out, &st, c->ids) < 0)
		rc = err_sys(e, "%s: owner, mode or attributes", dst_name);
	if (rc < 0)
		unlinkat(dst, dst_name, 0);
	return rc;
}

static int
copy_link(const struct copy *c, int src, const char *name, const struct stat *st, int dst,
    const char *dst_name, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(src, name, target, sizeof(target));

	if (n < 0 || (size_t)n == sizeof(target)) {
		if (n >= 0)
			errno = ENAMETOOLONG;
		return err_sys(e, "%s: read link", name);
	}
	target[n] = '\0';
	if (symlinkat(target, dst, dst_name) < 0)
		return err_sys(e, "%s: create", dst_name);
	return set_meta_at(dst, dst_name, st, c->ids) < 0 ? err_sys(e, "%s: owner or times", dst_name) : 0;
}

static int
copy_node(const struct copy *c, const struct stat *st, int dst, const char *dst_name, struct err *e)
{
	if (mknodat(dst, dst_name, (st->st_mode & S_IFMT) | 0600, S_ISFIFO(st->st_mode) ? 0 : st->st_rdev) <
	    0)
		return err_sys(e, "%s: create", dst_name);
	return set_meta_at(dst, dst_name, st, c->ids) < 0 ? err_sys(e, "%s: owner or mode", dst_name) : 0;
}

static bool
is_left_out(const struct copy *c, mode_t mode)
{
	return S_ISSOCK(mode) || ((S_ISCHR(mode) || S_ISBLK(mode)) && (c->flags & TREE_COPY_DEVICES) == 0);
}

static int
copy_entry(const struct copy *c, int src, const char *name, const struct stat *st, int dst,
    const char *dst_name, struct err *e)
{
	int rc = make_room(c, dst, dst_name, e);

	if (rc < 0)
		return rc;
	if (S_ISREG(st->st_mode))
		return copy_file(c, src, name, dst, dst_name, e);
	if (S_ISLNK(st->st_mode))
		return copy_link(c, src, name, st, dst, dst_name, e);
	return copy_node(c, st, dst, dst_name, e);
}

/* Opens the directory of the first copy, from the copy's root down; it may have been tampered with. */
static int
open_holder(const struct copy *c, const char *path, const char **last)
{
	int fd = openat(c->dst_dirfd, c->dst_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), next;
	char name[NAME_MAX + 1];
	const char *slash;

	while (fd >= 0 && (slash = strchr(path, '/')) != NULL) {
		memcpy(name, path, (size_t)(slash - path));
		name[slash - path] = '\0';
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_close(fd);
		fd = next;
		path = slash + 1;
	}
	*last = path;
	return fd;
}

static bool
same_content(const struct stat *a, const struct stat *b)
{
	return S_ISREG(b->st_mode) == S_ISREG(a->st_mode) && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* 1 when name became another name of the first copy at paths[at]; 0 when that is not possible. */
static int
link_to_first(
    const struct copy *c, size_t at, const struct stat *st, int dst, const char *name, struct err *e)
{
	AUTO(fd) int holder = -1;
	const char *last;
	struct stat first;
	int rc;

	holder = open_holder(c, c->paths.data + at, &last);
	if (holder < 0 || fstatat(holder, last, &first, AT_SYMLINK_NOFOLLOW) < 0 || !same_content(st, &first))
		return 0;
	rc = make_room(c, dst, name, e);
	if (rc < 0)
		return rc;
	return linkat(holder, last, dst, name, 0) == 0;
}

static void
remember_path(struct copy *c, const char *name)
{
	for (size_t i = 0; i < c->way.n; i++) {
		buf_str(&c->paths, c->way.v[i]);
		buf_add(&c->paths, "/", 1);
	}
	buf_add(&c->paths, name, strlen(name) + 1);
}

static int
copy_visit(void *arg, int src, const char *name, unsigned char type, struct err *e)
{
	struct copy *c = arg;
	int dst = dir_stack_fd(&c->dst), rc;
	size_t at = c->paths.len;
	struct stat st;

	(void)type;
	if (fstatat(src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	if (S_ISDIR(st.st_mode))
		return 1;
	if (is_left_out(c, st.st_mode))
		return 0;
	if (st.st_nlink > 1 && S_ISREG(st.st_mode)) {
		rc = inode_map_put(&c->linked, &st, &at, e);
		if (rc == 0) {
			remember_path(c, name);
			rc = buf_check(&c->paths, "paths of files with several names", e);
		} else if (rc == 1) {
			rc = link_to_first(c, at, &st, dst, name, e);
		}
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return copy_entry(c, src, name, &st, dst, name, e);
}

/* Makes dirfd/name, or opens it when it may be merged into; never through a link. */
static int
make_dir(const struct copy *c, int dirfd, const char *name, bool *made, struct err *e)
{
	*made = mkdirat(dirfd, name, 0700) == 0;
	if (!*made && (errno != EEXIST || (c->flags & TREE_COPY_MERGE) == 0))
		return err_sys(e, "%s: make directory", name);
	return dir_open(dirfd, name, e);
}

static int
copy_enter(void *arg, int src, const char *name, const struct stat *st, struct err *e)
{
	struct copy *c = arg;
	bool first = c->dst.n == 0, made;
	struct stat root;
	int fd;

	(void)src;
	/* The copy may lie in what is copied. */
	if (!first && st->st_dev == c->root_dev && st->st_ino == c->root_ino)
		return 1;
	fd = make_dir(c, first ? c->dst_dirfd : dir_stack_fd(&c->dst), first ? c->dst_name : name, &made, e);
	if (fd < 0)
		return fd;
	if (first) {
		c->made_root = made;
		if (fstat(fd, &root) < 0) {
			fd_close(fd);
			return err_sys(e, "%s", c->dst_name);
		}
		c->root_dev = root.st_dev;
		c->root_ino = root.st_ino;
	} else {
		strv_add(&c->way, name);
		if (c->way.failed) {
			fd_close(fd);
			return strv_check(&c->way, "depth of the tree", e);
		}
	}
	return dir_stack_push(&c->dst, fd, e);
}

static int
copy_leave(void *arg, int src, const char *name, struct err *e)
{
	struct copy *c = arg;
	struct stat st;

	if (fstat(src, &st) < 0)
		return err_sys(e, "%s", name);
	if (set_meta(src, dir_stack_fd(&c->dst), &st, c->ids) < 0)
		return err_sys(e, "%s: owner, mode or attributes", name);
	if (c->way.n > 0)
		strv_remove(&c->way, c->way.n - 1);
	return dir_stack_pop(&c->dst, e);
}

static const struct tree_ops copy_ops = { copy_enter, copy_visit, copy_leave, NULL, false };

static int
copy_tree(int src_dirfd, const char *src_name, struct copy *c, struct err *e)
{
	int fd, rc;

	fd = dir_open(src_dirfd, src_name, e);
	if (fd < 0)
		return fd;
	rc = tree_walk(fd, src_name, &copy_ops, c, e);
	dir_stack_fini(&c->dst);
	strv_fini(&c->way);
	inode_map_fini(&c->linked);
	buf_fini(&c->paths);
	/* All or nothing, where all of it was ours. */
	if (rc < 0 && c->made_root && (c->flags & TREE_COPY_MERGE) == 0 &&
	    tree_remove(c->dst_dirfd, c->dst_name, NULL) < 0)
		err_hint(e, "remove the incomplete copy %s", c->dst_name);
	return rc;
}

int
tree_copy_ids(int src_dirfd, const char *src_name, int dst_dirfd, const char *dst_name, unsigned flags,
    const struct tree_ids *ids, struct err *e)
{
	struct copy c = {
		.flags = flags,
		.ids = ids,
		.dst_dirfd = dst_dirfd,
		.dst_name = dst_name,
		.dst = DIR_STACK_INIT,
		.way = STRV_INIT(SIZE_MAX),
		.linked = INODE_MAP_INIT,
		.paths = BUF_INIT(PATHS_MAX),
	};
	struct stat st;

	if (fstatat(src_dirfd, src_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", src_name);
	if (S_ISDIR(st.st_mode))
		return copy_tree(src_dirfd, src_name, &c, e);
	if (S_ISSOCK(st.st_mode))
		return err_set(e, E_INVAL, "%s: is a socket", src_name);
	if (is_left_out(&c, st.st_mode))
		return err_set(e, E_INVAL, "%s: is a device", src_name);
	return copy_entry(&c, src_dirfd, src_name, &st, dst_dirfd, dst_name, e);
}

int
tree_copy(
    int src_dirfd, const char *src_name, int dst_dirfd, const char *dst_name, unsigned flags, struct err *e)
{
	return tree_copy_ids(src_dirfd, src_name, dst_dirfd, dst_name, flags, NULL, e);
}
