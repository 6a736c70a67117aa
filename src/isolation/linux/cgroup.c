/*
 * A pot's groups of processes as directories: making, finding, entering and
 * removing them.  Where hierarchies are is found in cgtrees.c, the text that
 * names the groups is cgtext.c's; what is done to the processes in a group is
 * in cgprocs.c, what a group is limited to in limits.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "isolation/linux/cgroup.h"

#define VANISHED_TRIES 100
#define CONTROL_MAX (1u << 20)

int
cg_read(int dirfd, const char *file, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open \"%s\" of the control group", file);
	r = fd_read_all(fd, b, e);
	if (r == 0 && b->len > 0 && b->data[b->len - 1] == '\n')
		b->data[--b->len] = '\0';
	return r;
}

int
cg_write(int dirfd, const char *file, const char *text, struct err *e)
{
	AUTO(fd) int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return err_sys(e, "cannot write \"%s\" to \"%s\" of the control group", text, file);
	return 0;
}

static int
no_group(const char *cgroup, struct err *e)
{
	return err_set(e, E_INVAL, "\"%s\" does not name a control group", cgroup);
}

/* ---- the directories */

/* One hierarchy of the text: its directories. Of those mounted together only the first is visited. */
struct visit {
	const struct cg_trees *t;
	struct cg_iter it;
	unsigned seen[CG_COUNT], nseen;
	struct cg_part part;
	const struct cg_tree *tree;
	char prefix[2 * PATH_MAX]; /* mount and path without the last part */
	char leaf[2 * PATH_MAX];
};

static bool
seen_before(struct visit *v)
{
	for (unsigned i = 0; i < v->nseen; i++)
		if (v->tree->id != 0 && v->seen[i] == v->tree->id)
			return true;
	if (v->nseen < CG_COUNT)
		v->seen[v->nseen++] = v->tree->id;
	return false;
}

/* 1, or 0 at the end; E_NOENT: that hierarchy is not mounted, go on with the next. */
static int
visit_next(struct visit *v, struct err *e)
{
	int r;

	do {
		r = cg_next(&v->it, &v->part, e);
		if (r <= 0)
			return r;
		v->tree = &v->t->tree[v->part.id];
	} while (seen_before(v));
	if (v->tree->mount[0] == '\0')
		return err_set(e, E_NOENT, "the hierarchy of control group \"%s:%s\" is not mounted",
		    cg_names[v->part.id], v->part.path);
	snprintf(v->leaf, sizeof(v->leaf), "%s%s", v->tree->mount, v->part.path);
	snprintf(v->prefix, sizeof(v->prefix), "%s", v->leaf);
	*strrchr(v->prefix, '/') = '\0';
	return 1;
}

/* Large: allocated, freed with it. */
static struct visit *
visit_new(const struct cg_trees *t, const char *cgroup)
{
	struct visit *v = malloc(sizeof(*v));

	if (v != NULL) {
		v->t = t;
		v->it = (struct cg_iter){ cgroup };
		v->nseen = 0;
	}
	return v;
}

static int
open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "cannot open control group \"%s\"", path);
}

int
cg_open(const struct cg_trees *t, const char *cgroup, bool *v2, struct err *e)
{
	AUTO_FREE struct visit *v = visit_new(t, cgroup);
	int r = v == NULL ? err_nomem(e) : visit_next(v, e);

	if (r <= 0)
		return r < 0 ? r : no_group(cgroup, e);
	*v2 = v->part.id == CG_V2;
	return *v2 || v->part.id == CG_FREEZER ? open_dir(v->leaf, e) : no_group(cgroup, e);
}

/* Has this group of v2 the controller's files? Its processor time is counted without one. */
static bool
v2_controls(int dirfd, enum cg_id id)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	const char *name = id == CG_IO ? "io" : cg_names[id];

	if (id == CG_CPUACCT)
		return true;
	if (cg_read(dirfd, "cgroup.controllers", &b, NULL) < 0)
		return false;
	for (const char *s = buf_cstr(&b); *s != '\0'; s += strcspn(s, " "), s += *s == ' ')
		if (strcspn(s, " ") == strlen(name) && strncmp(s, name, strlen(name)) == 0)
			return true;
	return false;
}

int
cg_open_for(const struct cg_trees *t, const char *cgroup, enum cg_id id, bool *v2, struct err *e)
{
	struct cg_iter it = { cgroup };
	struct cg_part p;
	char path[2 * PATH_MAX];
	int r;

	while ((r = cg_next(&it, &p, e)) > 0 && p.id != id)
		;
	if (r < 0)
		return r;
	*v2 = false;
	if (r > 0 && t->tree[id].mount[0] != '\0') {
		snprintf(path, sizeof(path), "%s%s", t->tree[id].mount, p.path);
		return open_dir(path, e);
	}
	AUTO(fd) int fd = cg_open(t, cgroup, v2, e);
	if (fd < 0 || (*v2 && v2_controls(fd, id)))
		return take_fd(fd);
	return err_set(e, E_NOTSUP, "the pot has no control group with the controller %s",
	    *v2 && id == CG_IO ? "io" : cg_names[id]);
}

void
cg_enter_fini(struct cg_enter *cg)
{
	fd_close(cg->dir);
	for (unsigned i = 0; i < cg->ntasks; i++)
		fd_close(cg->tasks[i]);
	*cg = (struct cg_enter)CG_ENTER_INIT;
}

/* Without clone3 nobody is made in a group. */
static bool
can_be_made_in(void)
{
#ifdef POT_NO_CLONE3
	return false;
#else
	return syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS;
#endif
}

static int
enter(const struct cg_trees *t, const char *cgroup, struct cg_enter *cg, struct err *e)
{
	AUTO_FREE struct visit *v = visit_new(t, cgroup);
	int r = v == NULL ? err_nomem(e) : 1;

	while (r > 0 && (r = visit_next(v, e)) > 0) {
		AUTO(fd) int dir = open_dir(v->leaf, e), fd = -1;

		/* Named but not made: a change of limits was interrupted, and is about to be repaired. */
		if (dir == -E_NOENT && v->nseen > 1)
			continue;
		if (dir < 0)
			return dir;
		if (v->part.id == CG_V2 && can_be_made_in()) {
			cg->dir = take_fd(dir);
			continue;
		}
		fd = openat(dir, v->part.id == CG_V2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "cannot open the task list of control group \"%s\"", v->leaf);
		cg->tasks[cg->ntasks++] = take_fd(fd);
	}
	return r;
}

int
cg_enter(const char *cgroup, struct cg_enter *cg, struct err *e)
{
	int r;

	*cg = (struct cg_enter)CG_ENTER_INIT;
	if (cgroup == NULL || cgroup[0] == '\0')
		return 0;
	r = CG_WITH_NAMED(cgroup, enter(trees, cgroup, cg, e));
	if (r < 0)
		cg_enter_fini(cg);
	return r;
}

/* ---- making */

/* A group of cpuset takes no process before it says where that may run. */
static int
fill_cpuset(const char *path, const struct cg_tree *t, const char *file, struct err *e)
{
	AUTO_FINI(buf) struct buf own = BUF_INIT(CONTROL_MAX), above = BUF_INIT(CONTROL_MAX);
	AUTO(fd) int fd = -1, up = -1;
	char dir[2 * PATH_MAX];
	int r = fd = open_dir(path, e);

	if (r >= 0)
		r = cg_read(fd, file, &own, e);
	if (r < 0 || own.len > 0 || strcmp(path, t->mount) == 0)
		return r < 0 ? r : 0;
	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	r = fill_cpuset(dir, t, file, e);
	if (r == 0)
		r = up = open_dir(dir, e);
	if (r >= 0)
		r = cg_read(up, file, &above, e);
	return r < 0 ? r : cg_write(fd, file, buf_cstr(&above), e);
}

/* Lets the groups below this one have what this one has of the controllers. */
static void
enable_in(const char *dir)
{
	static const char *const wanted[] = { "memory", "pids", "cpu", "cpuset", "io" };
	AUTO_FINI(buf) struct buf there = BUF_INIT(CONTROL_MAX), given = BUF_INIT(CONTROL_MAX);
	AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char word[16];

	if (fd < 0 || cg_read(fd, "cgroup.controllers", &there, NULL) < 0 || there.len == 0 ||
	    cg_read(fd, "cgroup.subtree_control", &given, NULL) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		const char *list[2] = { buf_cstr(&there), buf_cstr(&given) };
		bool in[2] = { false, false };

		for (int k = 0; k < 2; k++)
			for (const char *s = list[k]; *s != '\0'; s += strcspn(s, " "), s += *s == ' ')
				in[k] = in[k] ||
				    (strcspn(s, " ") == strlen(wanted[i]) &&
					strncmp(s, wanted[i], strlen(wanted[i])) == 0);
		snprintf(word, sizeof(word), "+%s", wanted[i]);
		/* What may not be given is missed by who sets a limit (limits.c), not by everybody. */
		if (in[0] && !in[1])
			(void)!cg_write(fd, "cgroup.subtree_control", word, NULL);
	}
}

/* From the top down: a group can only pass on what it was given. */
static void
enable_controllers(const struct cg_tree *t, const char *prefix)
{
	char dir[2 * PATH_MAX];
	size_t n = strlen(t->mount);

	if (!cg_has_controllers(t->mount))
		return;
	snprintf(dir, sizeof(dir), "%s", prefix);
	for (;;) {
		char was = dir[n];

		dir[n] = '\0';
		enable_in(dir);
		dir[n] = was;
		if (was == '\0')
			break;
		n += 1 + strcspn(dir + n + 1, "/");
	}
}

/* mkdir of the group. A leftover without processes is made anew: its state and counts are another run's. */
static int
make_leaf(const char *path)
{
	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno == EEXIST && rmdir(path) == 0 && mkdir(path, 0755) == 0)
		return 0;
	return -errno;
}

/* A configured parent may not exist in every hierarchy; it is made there and stays. */
static int
make_above(const char *mount, const char *path)
{
	char dir[2 * PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *s = dir + strlen(mount) + 1; (s = strchr(s, '/')) != NULL; *s++ = '/') {
		*s = '\0';
		if (mkdir(dir, 0755) != 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int
make_prefix(const struct cg_tree *t, const char *path, struct err *e)
{
	int r = 0;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT && (r = make_above(t->mount, path)) == 0 && mkdir(path, 0755) == 0)
		return 0;
	return err_sysno(e, r < 0 ? -r : errno, "cannot make control group \"%s\"", path);
}

/* prefix group, then the pot's; another process may remove the empty prefix in between. */
static int
make_both(struct visit *v, bool fresh, struct err *e)
{
	int r = -ENOENT, ready = 0;

	for (int i = 0; i < VANISHED_TRIES && r == -ENOENT; i++) {
		if ((r = make_prefix(v->tree, v->prefix, e)) < 0)
			return r;
		if (v->part.id == CG_V2)
			enable_controllers(v->tree, v->prefix);
		r = fresh ? make_leaf(v->leaf) : mkdir(v->leaf, 0755) == 0 || errno == EEXIST ? 0 : -errno;
		if (r < 0 || v->part.id != CG_CPUSET)
			continue;
		ready = fill_cpuset(v->leaf, v->tree, "cpuset.cpus", e);
		if (ready == 0)
			ready = fill_cpuset(v->leaf, v->tree, "cpuset.mems", e);
	}
	return r < 0 ? err_sysno(e, -r, "cannot make control group \"%s\"", v->leaf) : ready;
}

int
cg_make(const struct cg_trees *t, const char *cgroup, struct err *e)
{
	AUTO_FREE struct visit *v = visit_new(t, cgroup);
	int r = v == NULL ? err_nomem(e) : 1;

	while (r > 0 && (r = visit_next(v, e)) > 0) {
		int made = make_both(v, true, e);

		if (made < 0)
			return made;
	}
	return r;
}

/* ---- a running pot into further groups */

struct pids {
	pid_t *v;
	size_t n, cap;
};

static int
pids_add(void *arg, pid_t pid)
{
	struct pids *p = arg;

	if (p->n == p->cap) {
		size_t cap = p->cap == 0 ? 256 : 2 * p->cap;
		pid_t *v = reallocarray(p->v, cap, sizeof(*v));

		if (v == NULL)
			return -E_NOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = pid;
	return 0;
}

static int
pids_order(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* Those in the one group that are not in the other are moved there. How many these were. */
static int
move_missing(int from, int to, struct pids *all, struct pids *there, struct err *e)
{
	int missing = 0, r;

	/* In this order: one that is born meanwhile is moved once too often, never forgotten. */
	all->n = there->n = 0;
	r = cg_each(to, pids_add, there, e);
	if (r == 0)
		r = cg_each(from, pids_add, all, e);
	if (r < 0)
		return r;
	if (there->n > 0)
		qsort(there->v, there->n, sizeof(*there->v), pids_order);
	for (size_t i = 0; i < all->n; i++) {
		char text[16];

		/* 0: of another pid namespace. */
		if (all->v[i] <= 0 ||
		    (there->n > 0 &&
			bsearch(&all->v[i], there->v, there->n, sizeof(*there->v), pids_order) != NULL))
			continue;
		snprintf(text, sizeof(text), "%d", (int)all->v[i]);
		/* One that has ended meanwhile needs no group. */
		(void)!cg_write(to, "cgroup.procs", text, NULL);
		missing++;
	}
	return missing;
}

/* Until all are there: children of what was moved are born there. */
static int
move_all(int from, int to, struct err *e)
{
	struct pids all = { NULL, 0, 0 }, there = { NULL, 0, 0 };
	int r = 1;

	for (int i = 0; i < VANISHED_TRIES && r > 0; i++)
		r = move_missing(from, to, &all, &there, e);
	free(all.v);
	free(there.v);
	if (r == -E_NOMEM)
		return err_nomem(e);
	if (r <= 0)
		return r;
	return err_set(e, E_BUSY, "the pot makes processes faster than they can be moved to a control group");
}

int
cg_join(const struct cg_trees *t, const char *cgroup, bool make, struct err *e)
{
	AUTO_FREE struct visit *v = visit_new(t, cgroup);
	bool v2;
	AUTO(fd) int from = cg_open(t, cgroup, &v2, e);
	int r = from < 0 ? from : v == NULL ? err_nomem(e) : visit_next(v, e);

	while (r > 0 && (r = visit_next(v, e)) > 0) {
		AUTO(fd) int to = -1;
		int done = make ? make_both(v, false, e) : 0;

		if (done == 0)
			done = to = open_dir(v->leaf, make ? e : NULL);
		if (done == -E_NOENT && !make)
			continue;
		if (done >= 0)
			done = move_all(from, to, e);
		if (done < 0)
			return done;
	}
	return r;
}

/* ---- removing */

/* Groups that the pot made in its own; depth is bounded by the kernel's path limit. */
static int
remove_tree(int parent, const char *name, unsigned depth)
{
	AUTO(fd) int fd = -1;
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if ((errno != EBUSY && errno != ENOTEMPTY) || depth == 0)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	d = fdopendir(fd);
	if (d == NULL)
		return -errno;
	(void)take_fd(fd);
	while ((de = readdir(d)) != NULL) {
		if (de->d_type == DT_DIR && de->d_name[0] != '.')
			(void)!remove_tree(dirfd(d), de->d_name, depth - 1);
	}
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int
remove_one(const struct visit *v, struct err *e)
{
	AUTO(fd) int fd = open(v->prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open control group \"%s\"", v->prefix);
	r = remove_tree(fd, strrchr(v->leaf, '/') + 1, 64);
	if (r < 0)
		return err_sysno(e, -r, "cannot remove control group \"%s\"", v->leaf);
	/* The last pot takes the installation's group with it; with others in it this fails, as it should. */
	(void)!rmdir(v->prefix);
	return 0;
}

int
cg_remove(const struct cg_trees *t, const char *cgroup, struct err *e)
{
	AUTO_FREE struct visit *v = visit_new(t, cgroup);
	int r = v == NULL ? err_nomem(e) : 1, failed = 0;

	/* A failure in one hierarchy leaves nothing behind in the others. */
	while (r > 0 || r == -E_NOENT) {
		r = visit_next(v, failed < 0 ? NULL : e);
		if (r > 0) {
			int done = remove_one(v, failed < 0 ? NULL : e);

			failed = failed < 0 ? failed : done;
		}
	}
	return failed < 0 ? failed : r;
}

int
iso_cgroup_make(const char *cgroup, struct err *e)
{
	return CG_WITH_NAMED(cgroup, cg_make(trees, cgroup, e));
}

int
iso_cgroup_join(const char *cgroup, struct err *e)
{
	return CG_WITH_NAMED(cgroup, cg_join(trees, cgroup, true, e));
}

int
iso_cgroup_follow(const char *cgroup, struct err *e)
{
	int r = CG_WITH_NAMED(cgroup, cg_join(trees, cgroup, false, e));

	return r == -E_NOENT ? 0 : r;
}

int
iso_cgroup_remove(const char *cgroup, struct err *e)
{
	return CG_WITH_NAMED(cgroup, cg_remove(trees, cgroup, e));
}
