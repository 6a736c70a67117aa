/*
 * The parts of a pot's walls that are made outside of it, as detached mounts:
 * /dev with real device nodes, sysfs where the pot has the host's network,
 * and its control groups.  A pot's own user namespace could make none of them
 * as well.  mounts.c puts them where they belong.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/mount.h>

#include "base/ids.h"
#include "isolation/linux/walls.h"

#define QUIET (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

const char *const wall_nodes[WALL_NODES] = { "null", "zero", "full", "random", "urandom", "tty" };
static const struct {
	unsigned major, minor;
} numbers[WALL_NODES] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 }, { 5, 0 } };

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

/* options: key, value … NULL. */
static int
fs_make(const char *type, const char *const *options, unsigned attr, struct err *e)
{
	AUTO(fd) int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int fd = -1, r = fs < 0 ? -1 : 0;

	for (; r == 0 && options != NULL && *options != NULL; options += 2)
		r = (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0);
	if (r == 0)
		r = (int)syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (r == 0)
		fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr);
	return fd >= 0 ? fd : err_sys(e, "cannot make a %s for the pot", type);
}

/* Whatever the caller's umask is; that belongs to all of its threads. */
static int
dev_mode(int dev, const char *name, mode_t mode, struct err *e)
{
	return fchmodat(dev, name, mode & 07777, 0) == 0 ? 0 : err_sys(e, "cannot make /dev/%s", name);
}

static int
dev_node(struct wall_dev *d, unsigned i, struct err *e)
{
	char path[32];

	if (mknodat(d->fd, wall_nodes[i], S_IFCHR | 0666, makedev(numbers[i].major, numbers[i].minor)) == 0)
		return dev_mode(d->fd, wall_nodes[i], 0666, e);
	if (errno != EPERM)
		return err_sys(e, "cannot make /dev/%s", wall_nodes[i]);
	/* Pot itself runs where no device may be made. */
	snprintf(path, sizeof(path), "/dev/%s", wall_nodes[i]);
	d->binds[i] = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (d->binds[i] < 0 || mknodat(d->fd, wall_nodes[i], S_IFREG | 0666, 0) != 0)
		return err_sys(e, "cannot make /dev/%s", wall_nodes[i]);
	return 0;
}

/* Directories above a device's name; nothing here is anybody else's yet. */
static int
dev_parents(int dev, const char *path, struct err *e)
{
	char part[256];

	for (const char *s = strchr(path, '/'); s != NULL; s = strchr(s + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(s - path), path);
		if (mkdirat(dev, part, 0755) == 0) {
			if (dev_mode(dev, part, 0755, e) < 0)
				return -E_SYS;
		} else if (errno != EEXIST) {
			return err_sys(e, "cannot make /dev/%s", part);
		}
	}
	return 0;
}

static int
dev_extra(int dev, const struct iso_device *d, struct err *e)
{
	int r = dev_parents(dev, d->path, e);

	if (r < 0)
		return r;
	if (unlinkat(dev, d->path, 0) != 0 && errno != ENOENT)
		return err_sys(e, "cannot make the device /dev/%s", d->path);
	if (mknodat(dev, d->path, d->mode, d->rdev) != 0)
		return err_sys(e, "cannot make the device /dev/%s", d->path);
	return dev_mode(dev, d->path, d->mode, e);
}

static int
dev_fill(struct wall_dev *d, const struct iso_walls *w, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < WALL_NODES && r == 0; i++)
		r = dev_node(d, i, e);
	for (unsigned i = 0; i < ARRAY_LEN(links) && r == 0; i++)
		if (symlinkat(links[i].to, d->fd, links[i].name) != 0)
			r = err_sys(e, "cannot make /dev/%s", links[i].name);
	for (unsigned i = 0; i < ARRAY_LEN(dirs) && r == 0; i++)
		r = mkdirat(d->fd, dirs[i], 0755) == 0 ? dev_mode(d->fd, dirs[i], 0755, e)
						       : err_sys(e, "cannot make /dev/%s", dirs[i]);
	for (size_t i = 0; i < w->ndevices && r == 0; i++)
		r = dev_extra(d->fd, &w->devices[i], e);
	return r;
}

/* All of it belongs to the pot's root. */
static int
dev_make(struct wall_dev *d, const struct iso_walls *w, struct err *e)
{
	static const char *const options[] = { "mode", "755", "size", "64k", NULL };
	int r = w->ids != 0 ? ids_enter(w->id_first, e) : 0;

	if (r < 0)
		return r;
	r = d->fd = fs_make("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, e);
	if (r >= 0)
		r = dev_fill(d, w, e);
	if (w->ids != 0)
		ids_leave();
	return r < 0 ? r : 0;
}

/* The group of one hierarchy as a mount of its own. */
static int
group_open(const struct cg_tree *tree, const char *path, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | QUIET, .propagation = MS_PRIVATE };
	char full[PATH_MAX + ISO_CGROUP_MAX];
	AUTO(fd) int fd = -1;

	snprintf(full, sizeof(full), "%s%s", tree->mount, path);
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, full, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
		return err_sys(e, "cannot show the pot its control group \"%s\"", full);
	return take_fd(fd);
}

static int
groups_add(struct wall_groups *g, const struct cg_tree *tree, const struct cg_part *part, struct err *e)
{
	const char *name = strrchr(tree->mount, '/');
	int fd;

	name = name == NULL || name[1] == '\0' ? cg_names[part->id] : name + 1;
	for (unsigned i = 0; i < g->n; i++)
		if (strcmp(g->names[i], name) == 0)
			return 0; /* mounted together with one that is there */
	if (g->n == CG_COUNT)
		return 0;
	fd = group_open(tree, part->path, e);
	if (fd < 0)
		return fd;
	snprintf(g->names[g->n], sizeof(g->names[0]), "%s", name);
	g->fds[g->n++] = fd;
	return 0;
}

/* A directory for each hierarchy, as the host has them. */
static int
groups_top(struct wall_groups *g, struct err *e)
{
	static const char *const options[] = { "mode", "755", "size", "16k", NULL };
	struct mount_attr ro = { .attr_set = MOUNT_ATTR_RDONLY };

	g->top = fs_make("tmpfs", options, QUIET, e);
	if (g->top < 0)
		return g->top;
	for (unsigned i = 0; i < g->n; i++)
		if (mkdirat(g->top, g->names[i], 0555) != 0)
			return err_sys(e, "cannot make a directory for control groups");
	if (syscall(SYS_mount_setattr, g->top, "", AT_EMPTY_PATH, &ro, sizeof(ro)) != 0)
		return err_sys(e, "cannot make the directory of control groups read-only");
	return 0;
}

static int
groups_of(struct wall_groups *g, const struct cg_trees *t, const char *cgroup, struct err *e)
{
	struct cg_iter it = { .at = cgroup };
	struct cg_part part;
	int r;

	while ((r = cg_next(&it, &part, e)) == 1) {
		const struct cg_tree *tree = &t->tree[part.id];

		if (tree->mount[0] != '\0' && (r = groups_add(g, tree, &part, e)) < 0)
			return r;
	}
	if (r < 0 || g->n == 0)
		return r;
	if (g->n == 1 && strcmp(t->tree[CG_V2].mount, "/sys/fs/cgroup") == 0) {
		g->top = take_fd(g->fds[0]);
		g->n = 0;
		return 0;
	}
	return groups_top(g, e);
}

/*
 * Of the network that the calling thread is in, which belongs to no user namespace of the pot: what root of a network
 * of its own might do, any process of this one may. A kernel without such a file does without.
 */
static void
net_opened(void)
{
	static const struct {
		const char *path, *value;
	} rows[] = {
		{ "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0" },
		{ "/proc/sys/net/ipv4/ping_group_range", "0 2147483647" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(fd) int fd = open(rows[i].path, O_WRONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)!write(fd, rows[i].value, strlen(rows[i].value));
	}
}

/* It shows the network that the making thread is in. */
static int
sys_make(const struct iso_spec *s, unsigned attr, struct err *e)
{
	AUTO(fd) int home = -1;
	int r;

	if (s->net_join == NULL)
		return fs_make("sysfs", NULL, attr, e);
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || setns(*s->net_join, CLONE_NEWNET) != 0)
		return err_sys(e, "cannot enter the pot's network namespace");
	net_opened();
	r = fs_make("sysfs", NULL, attr, e);
	/* A caller that went on in a pot's network would do to it what is meant for the host's. */
	if (setns(home, CLONE_NEWNET) != 0)
		abort();
	return r;
}

int
walls_make(struct walls *w, const struct iso_spec *s, struct err *e)
{
	unsigned attr = QUIET | (s->walls.unmasked ? 0 : MOUNT_ATTR_RDONLY);
	int r = dev_make(&w->dev, &s->walls, e);

	/* Whose network it shows is decided by who mounts it, and of the host's it may be the host only. */
	if (r == 0 && s->walls.ids != 0 && !s->own_net)
		r = w->sys_fd = sys_make(s, attr, e);
	if (r < 0)
		return r;
	if (s->cgroup == NULL || s->cgroup[0] == '\0')
		return 0;
	return CG_WITH_NAMED(s->cgroup, groups_of(&w->groups, trees, s->cgroup, e));
}

void
walls_fini(struct walls *w)
{
	fd_close(w->dev.fd);
	for (unsigned i = 0; i < WALL_NODES; i++)
		fd_close(w->dev.binds[i]);
	fd_close(w->sys_fd);
	fd_close(w->groups.top);
	for (unsigned i = 0; i < CG_COUNT; i++)
		fd_close(w->groups.fds[i]);
	*w = (struct walls)WALLS_INIT;
}
