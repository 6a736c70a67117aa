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

#define SHM_SIZE (64u << 20)
#define MS_REC_PRIVATE ((1ul << 14) | (1ul << 18))
#define UMOUNT_NOFOLLOW_FLAG 8
#define LINKS_MAX 40
#define WALK_PATH 4096

struct walk {
	int root, dir;         /* O_PATH; dir may be root */
	unsigned links, tries; /* bounds against loops and against someone who keeps changing things */
	bool user;             /* the way must not lead through the kernel's file systems */
	char rest[WALK_PATH];  /* what is still to go */
	char *last;            /* not NULL: stop before the last name and put it here */
};

/* Is it of /proc, /sys or the control groups? Behind the walls' back nothing can be hidden there. */
static bool
is_kernels(int fd)
{
	struct statfs fs;

	return raw(__NR_fstatfs, fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
	    fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC;
}

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
	if (w->user && is_kernels((int)fd)) {
		raw(__NR_close, fd);
		return -EPERM;
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
	w->user = false;
	if (n >= sizeof(w->rest))
		return -ENAMETOOLONG;
	__builtin_memcpy(w->rest, path, n + 1);
	root = raw(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	w->root = w->dir = (int)root;
	return root < 0 ? (int)root : 0;
}

/* An O_PATH fd of a mount point, made where missing. */
static int
walk_target(const char *path, bool dir, bool user)
{
	struct walk w;
	int r = walk_start(&w, path);

	if (r < 0)
		return r;
	w.user = user;
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

/* Attaches a mount; a user's never in or over what is the kernel's. */
static int
mount_at(int mount_fd, const char *target, bool dir, bool user, struct child_fail *f)
{
	int t = walk_target(target, dir, user);
	long r;

	if (t < 0)
		return child_failed(f, STEP_TARGET, t, target);
	r = raw(__NR_move_mount, mount_fd, "", t, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	raw(__NR_close, t);
	return r < 0 ? child_failed(f, STEP_MOUNT, r, target) : 0;
}

int
child_mount_at(int mount_fd, const char *target, bool dir, struct child_fail *f)
{
	return mount_at(mount_fd, target, dir, false, f);
}

int
child_mount_user(const struct iso_mount *m, struct child_fail *f)
{
	return mount_at(m->fd, m->target, m->dir, true, f);
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

/* Below /dev nothing is hostile yet: the tmpfs is ours and no process has run in it. */
static int
dev_below(int dev, const char *name, int fd, const char *what, struct child_fail *f)
{
	long r = fd;

	if (r >= 0) {
		r = raw(__NR_move_mount, fd, "", dev, name, MOVE_MOUNT_F_EMPTY_PATH);
		raw(__NR_close, fd);
	}
	return r < 0 ? child_failed(f, STEP_MOUNT, r, what) : 0;
}

/* Decimal digits of v at the end of out; where they begin. */
static const char *
digits(char out[static 24], uint64_t v)
{
	char *s = out + 23;

	*s = '\0';
	do
		*--s = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	return s;
}

/* The kernel's file systems of a pot, detached; or -errno. */
struct kernels {
	int proc, sys, pts, shm, mqueue;
};

/* What is made without a look at any path. */
static void
kernel_more(const struct spawn_ctx *ctx, struct kernels *k)
{
	static const char *const pts[] = { "newinstance", NULL, "ptmxmode", "0666", "mode", "620", "gid", "5",
		NULL };
	const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	uint64_t size = ctx->spec->walls.shm_size;
	char number[24];
	const char *shm[] = { "mode", "1777", "size", digits(number, size != 0 ? size : SHM_SIZE), NULL };

	k->pts = fs_new("devpts", pts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	k->shm = fs_new("tmpfs", shm, quiet);
	k->mqueue = fs_new("mqueue", NULL, quiet);
}

static int
dev_attach(const struct spawn_ctx *ctx, const struct kernels *k, struct child_fail *f)
{
	const struct wall_dev *d = &ctx->walls->dev;

	if (child_mount_at(d->fd, "/dev", true, f) < 0)
		return -1;
	for (unsigned i = 0; i < WALL_NODES; i++) {
		if (d->binds[i] >= 0 && dev_below(d->fd, wall_nodes[i], d->binds[i], wall_nodes[i], f) < 0)
			return -1;
	}
	if (dev_below(d->fd, "pts", k->pts, "/dev/pts", f) < 0)
		return -1;
	return dev_below(d->fd, "shm", k->shm, "/dev/shm", f);
}

/* What of the kernel's file systems is nobody's business in a pot. */
static const struct {
	const char *proc, *sys; /* one of them; below /proc, below /sys */
	bool dir;
} masks[] = {
	{ "kcore", NULL, false },
	{ "keys", NULL, false },
	{ "latency_stats", NULL, false },
	{ "timer_list", NULL, false },
	{ "timer_stats", NULL, false },
	{ "sched_debug", NULL, false },
	{ "interrupts", NULL, false },
	{ "acpi", NULL, true },
	{ "asound", NULL, true },
	{ "scsi", NULL, true },
	{ NULL, "firmware", true },
	{ NULL, "fs/selinux", true },
	{ NULL, "dev/block", true },
	{ NULL, "devices/virtual/powercap", true },
};
static const char *const proc_ro[] = { "bus", "fs", "irq", "sys", "sysrq-trigger" };

/* A mount of the empty directory on which mqueue is mounted later: it is nowhere else to be seen. */
static long
mask_dir(int dev)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	long fd = raw(__NR_open_tree, dev, "mqueue", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), r = fd;

	if (fd >= 0)
		r = raw(__NR_mount_setattr, fd, "", AT_EMPTY_PATH, &ro, sizeof(ro));
	return r < 0 ? r : fd;
}

/*
 * Over each of them an empty directory that cannot be written to, or the pot's
 * /dev/null. The targets are below fds of the kernel's own file systems, where
 * nobody else has names. Nothing is cloned that is not attached then: the kernel
 * waits for a grace period when the fd of such a mount is closed.
 */
static int
mask_all(int proc, int sys, int dev, struct child_fail *f)
{
	long dir = -1, r = 0; /* the first of the directories, of which the others are clones */

	for (unsigned i = 0; i < sizeof(masks) / sizeof(masks[0]) && r >= 0; i++) {
		const char *at = masks[i].proc != NULL ? masks[i].proc : masks[i].sys;
		int above = masks[i].proc != NULL ? proc : sys;
		long fd;

		if (raw(__NR_faccessat, above, at, F_OK) == -ENOENT)
			continue; /* this kernel has no such thing */
		if (!masks[i].dir)
			fd = raw(__NR_open_tree, dev, "null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		else if (dir < 0)
			fd = dir = mask_dir(dev);
		else
			fd =
			    raw(__NR_open_tree, dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		r = fd < 0 ? fd : raw(__NR_move_mount, fd, "", above, at, MOVE_MOUNT_F_EMPTY_PATH);
		if (r < 0)
			child_failed(f, STEP_MASK, r, at);
		if (fd >= 0 && fd != dir)
			raw(__NR_close, fd);
	}
	if (dir >= 0)
		raw(__NR_close, dir);
	return r < 0 ? -1 : 0;
}

/* A part of /proc becomes a mount of its own, read-only. */
static int
proc_read_only(int proc, const char *name, struct child_fail *f)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	long fd = raw(__NR_open_tree, proc, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), r;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return child_failed(f, STEP_READONLY, fd, name);
	r = raw(__NR_mount_setattr, fd, "", AT_EMPTY_PATH, &ro, sizeof(ro));
	if (r == 0)
		r = raw(__NR_move_mount, fd, "", proc, name, MOVE_MOUNT_F_EMPTY_PATH);
	raw(__NR_close, fd);
	return r < 0 ? child_failed(f, STEP_READONLY, r, name) : 0;
}

static int
mask_paths(const struct spawn_ctx *ctx, int proc, int sys, struct child_fail *f)
{
	int r = mask_all(proc, sys, ctx->walls->dev.fd, f);

	for (unsigned i = 0; i < sizeof(proc_ro) / sizeof(proc_ro[0]) && r == 0; i++)
		r = proc_read_only(proc, proc_ro[i], f);
	return r;
}

/* The pot's own control groups, and no others. */
static int
groups_attach(const struct wall_groups *g, int sys, struct child_fail *f)
{
	long r;

	if (g->top < 0)
		return 0;
	r = raw(__NR_move_mount, g->top, "", sys, "fs/cgroup", MOVE_MOUNT_F_EMPTY_PATH);
	if (r == -ENOENT)
		return 0; /* they are mounted elsewhere than where everybody looks for them */
	for (unsigned i = 0; i < g->n && r >= 0; i++)
		r = raw(__NR_move_mount, g->fds[i], "", g->top, g->names[i], MOVE_MOUNT_F_EMPTY_PATH);
	return r < 0 ? child_failed(f, STEP_MOUNT, r, "/sys/fs/cgroup") : 0;
}

static int
sysctl_write(int proc, const char *key, const char *value)
{
	char path[256] = "sys/";
	unsigned long n = strlen(key), len = strlen(value);
	long fd, r;

	if (n + 5 > sizeof(path))
		return -ENAMETOOLONG;
	__builtin_memcpy(path + 4, key, n + 1);
	fd = raw(__NR_openat, proc, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	r = raw(__NR_write, fd, value, len);
	raw(__NR_close, fd);
	return r < 0 ? (int)r : 0;
}

/* Before /proc/sys becomes read-only. */
static int
sysctls(const struct spawn_ctx *ctx, int proc, struct child_fail *f)
{
	char *const *s = ctx->spec->walls.sysctls;
	int r;

	/* So that ping works without a capability; a kernel without it has no such file. */
	if (ctx->spec->own_net)
		sysctl_write(proc, "net/ipv4/ping_group_range",
		    ctx->spec->walls.ids != 0 ? "0 65535" : "0 2147483647");
	for (; s != NULL && s[0] != NULL; s += 2) {
		r = sysctl_write(proc, s[0], s[1]);
		if (r < 0)
			return child_failed(f, STEP_SYSCTL, r, s[0]);
	}
	return 0;
}

/* Is what the pot will find at `path` this mount, and not something on top of or beside it? */
static int
is_seen(int fd, const char *path, struct child_fail *f)
{
	struct statx a, b;
	long r = raw(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &a);

	if (r == 0)
		r = raw(__NR_statx, AT_FDCWD, path, 0, STATX_MNT_ID | STATX_INO, &b);
	if (r == 0 && (a.stx_mnt_id != b.stx_mnt_id || a.stx_ino != b.stx_ino))
		r = -EBUSY;
	return r < 0 ? child_failed(f, STEP_PROCSYS, r, path) : 0;
}

/* The pot's root becomes the only thing that this process can see, as soon as the old root is taken off. */
static int
root_enter(const struct spawn_ctx *ctx, struct child_fail *f)
{
	const struct iso_spec *spec = ctx->spec;
	long r = raw(__NR_mount, 0, "/", 0, MS_REC_PRIVATE, 0);

	if (r < 0)
		return child_failed(f, STEP_PRIVATE, r, "/");
	old_root_leave(ctx);
	/* Any directory will do to attach it; this one exists wherever a process can be told apart. */
	r = raw(__NR_move_mount, spec->root_fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH);
	if (r == 0)
		r = raw(__NR_fchdir, spec->root_fd);
	if (r < 0)
		return child_failed(f, STEP_ROOT, r, "/");
	/* Both names the same: the old root ends up on top of the new one and is taken off there. */
	r = raw(__NR_pivot_root, ".", ".");
	return r < 0 ? child_failed(f, STEP_PIVOT, r, "/") : 0;
}

/* The kernel's file systems are made while the host's are in sight: without those the kernel gives a
   user namespace none. */
static int
kernel_new(const struct spawn_ctx *ctx, struct kernels *k, struct child_fail *f)
{
	const unsigned quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

	k->proc = fs_new("proc", NULL, quiet);
	if (k->proc < 0)
		return child_failed(f, STEP_MOUNT, k->proc, "/proc");
	k->sys = ctx->walls->sys_fd;
	if (k->sys < 0)
		k->sys = fs_new("sysfs", NULL, quiet | (ctx->spec->walls.unmasked ? 0 : MOUNT_ATTR_RDONLY));
	return k->sys < 0 ? child_failed(f, STEP_MOUNT, k->sys, "/sys") : 0;
}

static int
kernel_attach(const struct spawn_ctx *ctx, const struct kernels *k, struct child_fail *f)
{
	const struct iso_walls *w = &ctx->spec->walls;

	if (child_mount_at(k->proc, "/proc", true, f) < 0 || child_mount_at(k->sys, "/sys", true, f) < 0 ||
	    dev_attach(ctx, k, f) < 0 || sysctls(ctx, k->proc, f) < 0)
		return -1;
	if (!w->unmasked && mask_paths(ctx, k->proc, k->sys, f) < 0)
		return -1;
	if (dev_below(ctx->walls->dev.fd, "mqueue", k->mqueue, "/dev/mqueue", f) < 0)
		return -1;
	return groups_attach(&ctx->walls->groups, k->sys, f);
}

static int
root_read_only(struct child_fail *f)
{
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };
	long r = raw(__NR_mount_setattr, AT_FDCWD, "/", 0, &ro, sizeof(ro));

	return r < 0 ? child_failed(f, STEP_READONLY, r, "/") : 0;
}

int
child_root(struct spawn_ctx *ctx, struct child_fail *f)
{
	const struct iso_spec *spec = ctx->spec;
	struct kernels k = { -1, -1, -1, -1, -1 };

	if (kernel_new(ctx, &k, f) < 0 || root_enter(ctx, f) < 0)
		return -1;
	old_root_begin(ctx);
	kernel_more(ctx, &k);
	if (!old_root_gone() && old_root_end(ctx, f) < 0)
		return -1;
	raw(__NR_chdir, "/");
	if (kernel_attach(ctx, &k, f) < 0)
		return -1;
	for (size_t i = 0; i < spec->nmounts; i++)
		if (child_mount_user(&spec->mounts[i], f) < 0)
			return -1;
	/* A root may lead these names elsewhere, and a mount may have come above them. */
	if (is_seen(k.proc, "/proc", f) < 0 || is_seen(k.sys, "/sys", f) < 0)
		return -1;
	raw(__NR_close, k.proc);
	raw(__NR_close, k.sys);
	return spec->walls.read_only ? root_read_only(f) : 0;
}
