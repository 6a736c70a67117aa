/*
 * The mounts of a pot, made from inside by the child that becomes its PID 1
 * (or joins it).  Raw system calls only (child.h).  What is below the root is
 * hostile: links are followed as the pot would see them, one component at a
 * time on held fds, and never those of procfs, which could lead to an fd of
 * the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/linux/rawsys.h"
#include "isolation/linux/child.h"

#define MS_REC_PRIVATE ((1ul << 14) | (1ul << 18))
#define MNT_DETACH_FLAG 2
#define UMOUNT_NOFOLLOW_FLAG 8
#define LINKS_MAX 40
#define WALK_PATH 4096

struct walk {
	int root, dir;         /* O_PATH; dir may be root */
	unsigned links, tries; /* bounds against loops and against someone who keeps changing things */
	char rest[WALK_PATH];  /* what is still to go */
	char *last;            /* not NULL: stop before the last name and put it here */
};

static void
walk_enter(struct walk *w, int fd)
{
	if (w->dir != w->root)
		raw(__NR_close, w->dir);
	w->dir = fd;
}

/* Takes the next component off rest; its length, 0 at the end. */
static int
walk_next(struct walk *w, char name[static 256])
{
	unsigned from = 0, n = 0, to = 0;

	while (w->rest[from] == '/')
		from++;
	while (w->rest[from + n] != '\0' && w->rest[from + n] != '/') {
		if (n == 255)
			return -ENAMETOOLONG;
		name[n] = w->rest[from + n];
		n++;
	}
	name[n] = '\0';
	for (from += n; w->rest[from] == '/'; from++)
		;
	do
		w->rest[to++] = w->rest[from];
	while (w->rest[from++] != '\0');
	return (int)n;
}

/* The link `fd` takes the place of what was its name. */
static int
walk_link(struct walk *w, int fd)
{
	struct statfs fs;
	char text[WALK_PATH];
	unsigned n = 0;
	long len;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (raw(__NR_fstatfs, fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
		return -ELOOP;
	len = raw(__NR_readlinkat, fd, "", text, sizeof(text));
	if (len <= 0)
		return len < 0 ? (int)len : -ENOENT;
	while (w->rest[n] != '\0')
		n++;
	if ((unsigned long)len + 1 + n + 1 > sizeof(w->rest))
		return -ENAMETOOLONG;
	for (unsigned i = n + 1; i-- > 0;)
		w->rest[(unsigned)len + 1 + i] = w->rest[i];
	w->rest[len] = '/';
	__builtin_memcpy(w->rest, text, (unsigned)len);
	if (text[0] == '/')
		walk_enter(w, w->root);
	return 0;
}

/* One component: 0 gone on, or -errno. */
static int
walk_step(struct walk *w, const char *name, bool make, bool dir)
{
	struct stat st;
	long fd = raw(__NR_openat, w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), r;

	while (fd == -ENOENT && make && ++w->tries < 100) {
		if (dir || w->rest[0] != '\0')
			r = raw(__NR_mkdirat, w->dir, name, 0755);
		else
			r = raw(__NR_mknodat, w->dir, name, S_IFREG | 0644, 0);
		if (r < 0 && r != -EEXIST)
			return (int)r;
		fd = raw(__NR_openat, w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return (int)fd;
	r = raw(__NR_fstat, fd, &st);
	if (r == 0 && S_ISLNK(st.st_mode)) {
		r = walk_link(w, (int)fd);
		raw(__NR_close, fd);
		return (int)r;
	}
	if (r == 0 && w->rest[0] != '\0' && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	else if (r == 0 && w->rest[0] == '\0' && w->last == NULL && dir != S_ISDIR(st.st_mode))
		r = dir ? -ENOTDIR : -EISDIR;
	if (r == 0 && w->rest[0] == '\0' && w->last != NULL)
		__builtin_memcpy(w->last, name, strlen(name) + 1);
	if (r < 0 || (w->rest[0] == '\0' && w->last != NULL)) {
		raw(__NR_close, fd);
		return (int)r;
	}
	walk_enter(w, (int)fd);
	return 0;
}

static int
walk_all(struct walk *w, bool make, bool dir)
{
	char name[256];
	int r, n;

	while ((n = walk_next(w, name)) > 0) {
		if (name[0] == '.' && name[1] == '\0')
			continue;
		r = walk_step(w, name, make, dir || (name[0] == '.' && name[1] == '.' && name[2] == '\0'));
		if (r < 0)
			return r;
	}
	return n;
}

/* The root itself is not a mount point: what is mounted there would hide nothing. */
static bool
walk_is_root(const struct walk *w)
{
	struct stat root, dir;

	return w->dir == w->root || raw(__NR_fstat, w->root, &root) < 0 ||
	    raw(__NR_fstat, w->dir, &dir) < 0 || (root.st_dev == dir.st_dev && root.st_ino == dir.st_ino);
}

static int
walk_start(struct walk *w, const char *path)
{
	unsigned long n = strlen(path);
	long root;

	w->links = w->tries = 0;
	w->last = NULL;
	if (n >= sizeof(w->rest))
		return -ENAMETOOLONG;
	__builtin_memcpy(w->rest, path, n + 1);
	root = raw(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->root = w->dir = (int)root;
	return root < 0 ? (int)root : 0;
}

/* An O_PATH fd of a mount point, made where missing. */
static int
walk_target(const char *path, bool dir)
{
	struct walk w;
	int r = walk_start(&w, path);

	if (r < 0)
		return r;
	r = walk_all(&w, true, dir);
	if (r == 0 && walk_is_root(&w))
		r = -EBUSY;
	if (r < 0 && w.dir != w.root)
		raw(__NR_close, w.dir);
	raw(__NR_close, w.root);
	return r < 0 ? r : w.dir;
}

int
child_unmount_at(const char *target, struct child_fail *f)
{
	struct walk w;
	char last[256] = "";
	long r = walk_start(&w, target);

	if (r == 0) {
		w.last = last;
		r = walk_all(&w, false, false);
	}
	if (r == 0 && (last[0] == '\0' || (last[0] == '.' && last[1] == '.' && last[2] == '\0')))
		r = -EINVAL;
	if (r < 0)
		return child_failed(f, STEP_TARGET, r, target);
	/* By the directory above it: an fd of the mount itself would keep it busy. */
	r = raw(__NR_fchdir, w.dir);
	if (r == 0)
		r = raw(__NR_umount2, last, UMOUNT_NOFOLLOW_FLAG);
	return r < 0 ? child_failed(f, STEP_UMOUNT, r, target) : 0;
}

int
child_mount_at(int mount_fd, const char *target, bool dir, struct child_fail *f)
{
	int t = walk_target(target, dir);
	long r;

	if (t < 0)
		return child_failed(f, STEP_TARGET, t, target);
	r = raw(__NR_move_mount, mount_fd, "", t, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	raw(__NR_close, t);
	return r < 0 ? child_failed(f, STEP_MOUNT, r, target) : 0;
}

/* options: key, value, key, value … NULL; a key with value NULL is a flag. fd or -errno. */
static int
fs_new(const char *type, const char *const *options, unsigned attr)
{
	long fs = raw(__NR_fsopen, type, FSOPEN_CLOEXEC), r = 0;

	if (fs < 0)
		return (int)fs;
	for (; options != NULL && *options != NULL && r == 0; options += 2) {
		r = raw(__NR_fsconfig, fs, options[1] != NULL ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
		    options[0], options[1], 0);
	}
	if (r == 0)
		r = raw(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
	if (r == 0)
		r = raw(__NR_fsmount, fs, FSMOUNT_CLOEXEC, attr);
	raw(__NR_close, fs);
	return (int)r;
}

/* Mounts a new file system of the kernel at a path of the pot. */
static int
fs_mount(const char *type, unsigned attr, const char *target, struct child_fail *f)
{
	int fd = fs_new(type, NULL, attr), r;

	if (fd < 0)
		return child_failed(f, STEP_MOUNT, fd, target);
	r = child_mount_at(fd, target, true, f);
	raw(__NR_close, fd);
	return r;
}

static const struct node {
	const char *name, *host;
	unsigned major, minor;
} nodes[] = {
	{ "null", "/dev/null", 1, 3 },
	{ "zero", "/dev/zero", 1, 5 },
	{ "full", "/dev/full", 1, 7 },
	{ "random", "/dev/random", 1, 8 },
	{ "urandom", "/dev/urandom", 1, 9 },
	{ "tty", "/dev/tty", 5, 0 },
};
#define NNODES (sizeof(nodes) / sizeof(nodes[0]))

static const struct {
	const char *name, *to;
} links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "core", "/proc/kcore" },
	{ "ptmx", "pts/ptmx" },
};

static const char *const dirs[] = { "pts", "shm", "mqueue" };

/* /dev, detached, made while the host's is still in sight: binds[i] is a clone where mknod may not. */
struct dev {
	int fd;
	int binds[NNODES];
};

static int
dev_node(struct dev *d, unsigned i)
{
	long r =
	    raw(__NR_mknodat, d->fd, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor));

	d->binds[i] = -1;
	if (r != -EPERM)
		return (int)r;
	r = raw(__NR_mknodat, d->fd, nodes[i].name, S_IFREG | 0666, 0);
	if (r == 0)
		r = raw(__NR_open_tree, AT_FDCWD, nodes[i].host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (r < 0)
		return (int)r;
	d->binds[i] = (int)r;
	return 0;
}

static int
dev_new(struct dev *d, struct child_fail *f)
{
	static const char *const options[] = { "mode", "755", "size", "64k", NULL };
	long r;

	d->fd = fs_new("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (d->fd < 0)
		return child_failed(f, STEP_DEV, d->fd, "/dev");
	for (unsigned i = 0; i < NNODES; i++) {
		r = dev_node(d, i);
		if (r < 0)
			return child_failed(f, STEP_NODE, r, nodes[i].host);
	}
	for (unsigned i = 0; i < ARRAY_LEN(links); i++) {
		r = raw(__NR_symlinkat, links[i].to, d->fd, links[i].name);
		if (r < 0)
			return child_failed(f, STEP_DEV, r, links[i].name);
	}
	for (unsigned i = 0; i < ARRAY_LEN(dirs); i++) {
		r = raw(__NR_mkdirat, d->fd, dirs[i], 0755);
		if (r < 0)
			return child_failed(f, STEP_DEV, r, dirs[i]);
	}
	return 0;
}

/* Below /dev nothing is hostile yet: the tmpfs is ours and no process has run in it. */
static int
dev_below(struct dev *d, const char *name, int fd, const char *what, struct child_fail *f)
{
	long r = fd;

	if (r >= 0) {
		r = raw(__NR_move_mount, fd, "", d->fd, name, MOVE_MOUNT_F_EMPTY_PATH);
		raw(__NR_close, fd);
	}
	return r < 0 ? child_failed(f, STEP_MOUNT, r, what) : 0;
}

static int
dev_attach(struct dev *d, struct child_fail *f)
{
	static const char *const pts[] = { "newinstance", NULL, "ptmxmode", "0666", "mode", "620", "gid", "5",
		NULL };
	static const char *const shm[] = { "mode", "1777", NULL };
	const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	if (child_mount_at(d->fd, "/dev", true, f) < 0)
		return -1;
	for (unsigned i = 0; i < NNODES; i++) {
		if (d->binds[i] >= 0 && dev_below(d, nodes[i].name, d->binds[i], nodes[i].host, f) < 0)
			return -1;
	}
	if (dev_below(d, "pts", fs_new("devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "/dev/pts", f) <
		0 ||
	    dev_below(d, "shm", fs_new("tmpfs", shm, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "/dev/shm", f) <
		0 ||
	    dev_below(d, "mqueue", fs_new("mqueue", NULL, quiet), "/dev/mqueue", f) < 0)
		return -1;
	return 0;
}

/* The pot's root becomes the only thing that this process can see. */
static int
root_enter(const struct iso_spec *spec, struct child_fail *f)
{
	long r = raw(__NR_mount, 0, "/", 0, MS_REC_PRIVATE, 0);

	if (r < 0)
		return child_failed(f, STEP_PRIVATE, r, "/");
	/* Any directory will do to attach it; this one exists wherever a process can be told apart. */
	r = raw(__NR_move_mount, spec->root_fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH);
	if (r == 0)
		r = raw(__NR_fchdir, spec->root_fd);
	if (r < 0)
		return child_failed(f, STEP_ROOT, r, "/");
	/* Both names the same: the old root ends up on top of the new one and is taken off there. */
	r = raw(__NR_pivot_root, ".", ".");
	if (r < 0)
		return child_failed(f, STEP_PIVOT, r, "/");
	r = raw(__NR_umount2, ".", MNT_DETACH_FLAG);
	if (r == 0)
		r = raw(__NR_chdir, "/");
	return r < 0 ? child_failed(f, STEP_OLDROOT, r, "/") : 0;
}

int
child_root(const struct spawn_ctx *ctx, struct child_fail *f)
{
	const struct iso_spec *spec = ctx->spec;
	const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	struct dev d = { .fd = -1 };

	if (dev_new(&d, f) < 0 || root_enter(spec, f) < 0 || fs_mount("proc", quiet, "/proc", f) < 0 ||
	    fs_mount("sysfs", quiet | MOUNT_ATTR_RDONLY, "/sys", f) < 0 || dev_attach(&d, f) < 0)
		return -1;
	raw(__NR_close, d.fd);
	for (size_t i = 0; i < spec->nmounts; i++) {
		const struct iso_mount *m = &spec->mounts[i];

		if (child_mount_at(m->fd, m->target, m->dir, f) < 0)
			return -1;
	}
	return 0;
}
