/*
 * A pot's group of processes: making, finding and removing the directory.
 * The unified hierarchy (v2) is preferred wherever it is mounted, as the only
 * one or beside v1: kill, freeze and events work there without controllers (and
 * on every kernel that has the mount calls pots need).  Else the v1 freezer.
 * What is done to the processes in a group is in cgprocs.c.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/file.h"
#include "isolation/linux/cgroup.h"

#define PROC_FILE_MAX (16u << 20) /* mountinfo of a host with very many mounts */
#define VANISHED_TRIES 100

/* The nth (from 0) blank-separated field of a line; its length, 0 when missing. */
static size_t
field(const char *line, unsigned n, const char **at)
{
	while (n-- > 0) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return 0;
		line++;
	}
	*at = line;
	return strcspn(line, " \n");
}

/* mountinfo writes blanks and the like as \ooo. */
static void
unescape(char out[static PATH_MAX], const char *s, size_t n)
{
	size_t o = 0;

	for (size_t i = 0; i < n && o < PATH_MAX - 1; i++) {
		if (s[i] == '\\' && i + 3 < n) {
			out[o++] = (char)((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 + (s[i + 3] - '0'));
			i += 3;
		} else {
			out[o++] = s[i];
		}
	}
	out[o] = '\0';
}

/* Is `word` one of the comma-separated words? */
static bool
has_word(const char *list, size_t n, const char *word)
{
	size_t len = strlen(word);

	while (n > 0) {
		size_t k = 0;

		while (k < n && list[k] != ',')
			k++;
		if (k == len && memcmp(list, word, len) == 0)
			return true;
		list += k < n ? k + 1 : k;
		n -= k < n ? k + 1 : k;
	}
	return false;
}

/* One line: "id parent dev root mountpoint options [tags] - type source superoptions". */
static void
parse_mount(const char *line, struct cg_trees *t, struct cg_tree *roots)
{
	const char *end = line + strcspn(line, "\n"), *dash = strstr(line, " - "), *at = line, *type = line;
	size_t n, typelen;
	bool v2;

	if (dash == NULL || dash > end)
		return;
	typelen = field(dash + 3, 0, &type);
	v2 = typelen == 7 && memcmp(type, "cgroup2", 7) == 0;
	if (!v2) {
		if (typelen != 6 || memcmp(type, "cgroup", 6) != 0)
			return;
		n = field(dash + 3, 2, &at);
		if (n == 0 || !has_word(at, n, "freezer"))
			return;
	}
	struct cg_tree *tree = v2 ? &t->v2 : &t->freezer;
	if (tree->mount[0] != '\0')
		return;
	n = field(line, 4, &at);
	unescape(tree->mount, at, n);
	n = field(line, 3, &at);
	unescape((v2 ? &roots[0] : &roots[1])->mount, at, n);
}

/* One line of /proc/self/cgroup: "id:controllers:path". */
static void
parse_own(const char *line, struct cg_trees *t)
{
	const char *a = strchr(line, ':'), *b = a == NULL ? NULL : strchr(a + 1, ':');
	struct cg_tree *tree = NULL;
	size_t n;

	if (b == NULL)
		return;
	if (strncmp(line, "0::", 3) == 0)
		tree = &t->v2;
	else if (has_word(a + 1, (size_t)(b - a - 1), "freezer"))
		tree = &t->freezer;
	n = strcspn(b + 1, "\n");
	if (tree == NULL || n >= sizeof(tree->own))
		return;
	memcpy(tree->own, b + 1, n);
	tree->own[n] = '\0';
}

/* A mount may show only a part of the hierarchy: paths are told relative to what it shows. */
static void
relate(struct cg_tree *t, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") != 0 && strncmp(t->own, root, n) == 0 &&
	    (t->own[n] == '/' || t->own[n] == '\0'))
		memmove(t->own, t->own + n, strlen(t->own + n) + 1);
	if (t->own[0] != '/')
		memcpy(t->own, "/", sizeof("/"));
}

void
cg_parse(const char *mountinfo, const char *self, struct cg_trees *t)
{
	struct cg_tree roots[2];

	memset(t, 0, sizeof(*t));
	memset(roots, 0, sizeof(roots));
	for (const char *l = mountinfo; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		parse_mount(l, t, roots);
	for (const char *l = self; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		parse_own(l, t);
	relate(&t->v2, roots[0].mount);
	relate(&t->freezer, roots[1].mount);
}

/* file_read is for regular files that have a size; those of procfs say 0. */
static int
read_proc(const char *path, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open \"%s\"", path);
	return fd_read_all(fd, b, e);
}

static bool
is_mounted_at(const char *path, unsigned long magic, struct cg_tree *tree)
{
	struct statfs fs;

	if (statfs(path, &fs) != 0 || (unsigned long)fs.f_type != magic)
		return false;
	snprintf(tree->mount, sizeof(tree->mount), "%s", path);
	return true;
}

/*
 * The places where every distribution has them, without reading the mount
 * table, which the kernel writes anew for each reader.  False when a hierarchy
 * is elsewhere, or shows another part of the groups than this process is in.
 */
static bool
find_quickly(struct cg_trees *t, const char *self)
{
	char own[2 * PATH_MAX];

	t->v2.mount[0] = t->v2.own[0] = t->freezer.mount[0] = t->freezer.own[0] = '\0';
	if (!is_mounted_at("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, &t->v2) &&
	    !is_mounted_at("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC, &t->v2))
		return false;
	(void)is_mounted_at("/sys/fs/cgroup/freezer", CGROUP_SUPER_MAGIC, &t->freezer);
	for (const char *l = self; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		parse_own(l, t);
	if (t->v2.own[0] != '/' || strncmp(t->v2.own, "/..", 3) == 0)
		return false;
	snprintf(own, sizeof(own), "%s%s", t->v2.mount, t->v2.own);
	return access(own, F_OK) == 0;
}

int
cg_find(struct cg_trees *t, struct err *e)
{
	AUTO_FINI(buf) struct buf mounts = BUF_INIT(PROC_FILE_MAX), self = BUF_INIT(65536);
	int r = read_proc("/proc/self/cgroup", &self, e);

	if (r < 0 || find_quickly(t, buf_cstr(&self)))
		return r;
	r = read_proc("/proc/self/mountinfo", &mounts, e);
	if (r == 0)
		cg_parse(buf_cstr(&mounts), buf_cstr(&self), t);
	return r;
}

/* "v2:/a/b" → tree and path. */
static const struct cg_tree *
split(const struct cg_trees *t, const char *cgroup, const char **path, bool *v2)
{
	*v2 = strncmp(cgroup, "v2:/", 4) == 0;
	if (!*v2 && strncmp(cgroup, "freezer:/", 9) != 0)
		return NULL;
	*path = strchr(cgroup, '/');
	return *v2 ? &t->v2 : &t->freezer;
}

int
cg_open(const struct cg_trees *t, const char *cgroup, bool *v2, struct err *e)
{
	const char *path;
	const struct cg_tree *tree = split(t, cgroup, &path, v2);
	char full[2 * PATH_MAX];
	int fd;

	if (tree == NULL)
		return err_set(e, E_INVAL, "\"%s\" does not name a control group", cgroup);
	if (tree->mount[0] == '\0')
		return err_set(e, E_NOENT, "the hierarchy of control group \"%s\" is not mounted", cgroup);
	snprintf(full, sizeof(full), "%s%s", tree->mount, path);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open control group \"%s\"", full);
}

int
cg_enter_fd(const char *cgroup, bool *v2, struct err *e)
{
	AUTO(fd) int dir = -1;
	struct cg_trees *t = malloc(sizeof(*t));
	int r, fd;

	if (t == NULL)
		return err_nomem(e);
	r = cg_find(t, e);
	if (r == 0)
		r = dir = cg_open(t, cgroup, v2, e);
	free(t);
	if (r < 0)
		return r;
	if (*v2)
		return take_fd(dir);
	fd = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open the task list of control group \"%s\"", cgroup);
}

static bool
plain_name(const char *s)
{
	return s[0] != '\0' && s[0] != '.' && strchr(s, '/') == NULL;
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

/* prefix group, then the pot's; another process may remove the empty prefix in between. */
static int
make_both(const char *prefix_path, const char *path, struct err *e)
{
	int r = -ENOENT;

	for (int i = 0; i < VANISHED_TRIES && r == -ENOENT; i++) {
		if (mkdir(prefix_path, 0755) != 0 && errno != EEXIST)
			return err_sys(e, "cannot make control group \"%s\"", prefix_path);
		r = make_leaf(path);
	}
	return r < 0 ? err_sysno(e, -r, "cannot make control group \"%s\"", path) : 0;
}

int
cg_path(const struct cg_trees *t, const char *parent, const char *prefix, const char *name,
    char out[static ISO_CGROUP_MAX], struct err *e)
{
	bool v2 = t->v2.mount[0] != '\0';
	const struct cg_tree *tree = v2 ? &t->v2 : &t->freezer;
	const char *base = parent != NULL ? parent : tree->own;
	int n;

	if (tree->mount[0] == '\0') {
		n = err_set(e, E_NOTSUP, "no control groups: neither cgroup2 nor the v1 freezer is mounted");
		err_hint(e, "mount it: mount -t cgroup2 none /sys/fs/cgroup");
		return n;
	}
	if (!plain_name(prefix) || !plain_name(name))
		return err_set(e, E_INVAL, "\"%s/%s\" cannot name a control group", prefix, name);
	if (base[0] != '/' || strstr(base, "/..") != NULL)
		return err_set(e, E_INVAL, "control group \"%s\" is not an absolute path", base);
	if (strcmp(base, "/") == 0)
		base = "";
	n = snprintf(out, ISO_CGROUP_MAX, "%s:%s/%s/%s", v2 ? "v2" : "freezer", base, prefix, name);
	if (n < 0 || n >= ISO_CGROUP_MAX)
		return err_set(
		    e, E_LIMIT, "the path of control group \"%s/%s/%s\" is too long", base, prefix, name);
	return 0;
}

/* The full path of a group, cut at its last slash: *dir holds the part before it, *leaf the rest. */
static int
locate(
    const struct cg_trees *t, const char *cgroup, char dir[static 2 * PATH_MAX], char **leaf, struct err *e)
{
	const char *path;
	bool v2;
	const struct cg_tree *tree = split(t, cgroup, &path, &v2);

	if (tree == NULL || strstr(path, "/..") != NULL || strlen(path) >= PATH_MAX)
		return err_set(e, E_INVAL, "\"%s\" does not name a control group", cgroup);
	if (tree->mount[0] == '\0')
		return err_set(e, E_NOENT, "the hierarchy of control group \"%s\" is not mounted", cgroup);
	snprintf(dir, 2 * PATH_MAX, "%s%s", tree->mount, path);
	*leaf = strrchr(dir, '/');
	*(*leaf)++ = '\0';
	return 0;
}

int
cg_make(const struct cg_trees *t, const char *cgroup, struct err *e)
{
	char dir[2 * PATH_MAX], path[2 * PATH_MAX + 256], *leaf;
	int r = locate(t, cgroup, dir, &leaf, e);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return make_both(dir, path, e);
}

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

int
cg_remove(const struct cg_trees *t, const char *cgroup, struct err *e)
{
	char dir[2 * PATH_MAX], *leaf;
	AUTO(fd) int fd = -1;
	int r = locate(t, cgroup, dir, &leaf, e);

	if (r < 0)
		return r == -E_NOENT ? 0 : r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot open control group \"%s\"", dir);
	r = remove_tree(fd, leaf, 64);
	if (r < 0)
		return err_sysno(e, -r, "cannot remove control group \"%s\"", cgroup);
	/* The last pot takes the installation's group with it; with others in it this fails, as it should. */
	(void)!rmdir(dir);
	return 0;
}

/* The trees are too large for every caller's stack. */
#define WITH_TREES(call)                                                    \
	__extension__({                                                     \
		struct cg_trees *trees = malloc(sizeof(*trees));            \
		int ret = trees == NULL ? err_nomem(e) : cg_find(trees, e); \
		if (ret == 0)                                               \
			ret = (call);                                       \
		free(trees);                                                \
		ret;                                                        \
	})

int
iso_cgroup_path(
    const char *parent, const char *prefix, const char *name, char out[static ISO_CGROUP_MAX], struct err *e)
{
	return WITH_TREES(cg_path(trees, parent, prefix, name, out, e));
}

int
iso_cgroup_make(const char *cgroup, struct err *e)
{
	return WITH_TREES(cg_make(trees, cgroup, e));
}

int
iso_cgroup_remove(const char *cgroup, struct err *e)
{
	return WITH_TREES(cg_remove(trees, cgroup, e));
}
