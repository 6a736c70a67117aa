/*
 * Which hierarchies of control groups this host has, where they are mounted,
 * and which group of each a process is in.  The unified one (v2) is preferred
 * wherever it is mounted, as the only one or beside v1; the controllers of v1
 * are hierarchies of their own, some of them mounted together.  What is made
 * in them is in cgroup.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/file.h"
#include "isolation/linux/cgroup.h"

#define PROC_FILE_MAX (16u << 20) /* mountinfo of a host with very many mounts */

const char *const cg_names[CG_COUNT] = {
	[CG_V2] = "v2",
	[CG_FREEZER] = "freezer",
	[CG_MEMORY] = "memory",
	[CG_PIDS] = "pids",
	[CG_CPUACCT] = "cpuacct",
	[CG_CPU] = "cpu",
	[CG_CPUSET] = "cpuset",
	[CG_IO] = "blkio",
};

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

/* The part of the hierarchy that a mount shows, noted until all lines are read. */
struct roots {
	char path[CG_COUNT][PATH_MAX];
};

/* One line: "id parent dev root mountpoint options [tags] - type source superoptions". */
static void
parse_mount(const char *line, struct cg_trees *t, struct roots *roots)
{
	const char *end = line + strcspn(line, "\n"), *dash = strstr(line, " - "), *at = line, *opts = NULL;
	const char *type = line;
	size_t n, typelen, optlen = 0;
	bool v2;

	if (dash == NULL || dash > end)
		return;
	typelen = field(dash + 3, 0, &type);
	v2 = typelen == 7 && memcmp(type, "cgroup2", 7) == 0;
	if (!v2 && (typelen != 6 || memcmp(type, "cgroup", 6) != 0))
		return;
	if (!v2)
		optlen = field(dash + 3, 2, &opts);
	for (enum cg_id id = 0; id < CG_COUNT; id++) {
		struct cg_tree *tree = &t->tree[id];

		if (tree->mount[0] != '\0' ||
		    (v2 ? id != CG_V2 : id == CG_V2 || !has_word(opts, optlen, cg_names[id])))
			continue;
		n = field(line, 4, &at);
		unescape(tree->mount, at, n);
		n = field(line, 3, &at);
		unescape(roots->path[id], at, n);
	}
}

/* One line of /proc/self/cgroup: "id:controllers:path". */
static void
parse_own(const char *line, struct cg_trees *t)
{
	const char *a = strchr(line, ':'), *b = a == NULL ? NULL : strchr(a + 1, ':');
	size_t n;

	if (b == NULL)
		return;
	n = strcspn(b + 1, "\n");
	for (enum cg_id id = 0; id < CG_COUNT; id++) {
		struct cg_tree *tree = &t->tree[id];

		if (n >= sizeof(tree->own) ||
		    (id == CG_V2 ? strncmp(line, "0::", 3) != 0
				 : !has_word(a + 1, (size_t)(b - a - 1), cg_names[id])))
			continue;
		memcpy(tree->own, b + 1, n);
		tree->own[n] = '\0';
		tree->id = (unsigned)strtoul(line, NULL, 10);
	}
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

static void
clear(struct cg_trees *t)
{
	for (enum cg_id id = 0; id < CG_COUNT; id++) {
		t->tree[id].mount[0] = t->tree[id].own[0] = '\0';
		t->tree[id].id = 0;
	}
}

static void
parse_all_own(const char *self, struct cg_trees *t)
{
	for (const char *l = self; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		parse_own(l, t);
}

void
cg_parse(const char *mountinfo, const char *self, struct cg_trees *t)
{
	struct roots *roots = calloc(1, sizeof(*roots));

	clear(t);
	if (roots == NULL)
		return; /* as if nothing were mounted: callers say so */
	for (const char *l = mountinfo; *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n')
		parse_mount(l, t, roots);
	parse_all_own(self, t);
	for (enum cg_id id = 0; id < CG_COUNT; id++)
		relate(&t->tree[id], roots->path[id]);
	free(roots);
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
	unsigned id[2];

	if (statfs(path, &fs) != 0 || (unsigned long)fs.f_type != magic)
		return false;
	snprintf(tree->mount, sizeof(tree->mount), "%s", path);
	/* As good as the number that /proc/self/cgroup gives: those mounted together have the same. */
	_Static_assert(sizeof(id) == sizeof(fs.f_fsid), "what statfs tells of a file system");
	memcpy(id, &fs.f_fsid, sizeof(id));
	if (id[0] != 0)
		tree->id = id[0];
	return true;
}

/* Where every distribution has it. */
static bool
find_place(enum cg_id id, struct cg_tree *tree)
{
	char path[64];

	if (id == CG_V2)
		return is_mounted_at("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC, tree) ||
		    is_mounted_at("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC, tree);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", cg_names[id]);
	return is_mounted_at(path, CGROUP_SUPER_MAGIC, tree);
}

/* Does the mount show the group that the process is in? */
static bool
shows_own(const struct cg_tree *tree)
{
	char own[2 * PATH_MAX];

	if (tree->own[0] != '/' || strncmp(tree->own, "/..", 3) == 0)
		return false;
	snprintf(own, sizeof(own), "%s%s", tree->mount, tree->own);
	return access(own, F_OK) == 0;
}

/*
 * The places where every distribution has them, without reading the mount
 * table, which the kernel writes anew for each reader.  False when a hierarchy
 * is elsewhere, or shows another part of the groups than this process is in.
 */
static bool
find_quickly(struct cg_trees *t, const char *self)
{
	clear(t);
	parse_all_own(self, t);
	for (enum cg_id id = 0; id < CG_COUNT; id++) {
		struct cg_tree *tree = &t->tree[id];

		if (tree->own[0] == '\0' && id != CG_V2)
			continue; /* not a hierarchy of v1 */
		if (!find_place(id, tree) || !shows_own(tree))
			return false;
	}
	return true;
}

int
cg_find_of(pid_t pid, struct cg_trees *t, struct err *e)
{
	AUTO_FINI(buf) struct buf mounts = BUF_INIT(PROC_FILE_MAX), self = BUF_INIT(65536);
	char path[40] = "/proc/self/cgroup";
	int r;

	if (pid != 0)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = read_proc(path, &self, e);
	if (r < 0 || find_quickly(t, buf_cstr(&self)))
		return r;
	r = read_proc("/proc/self/mountinfo", &mounts, e);
	if (r == 0)
		cg_parse(buf_cstr(&mounts), buf_cstr(&self), t);
	return r;
}

int
cg_find(struct cg_trees *t, struct err *e)
{
	return cg_find_of(0, t, e);
}

/* Does the mount show what is above the group PARENT/INSTALLATION/POT? */
static bool
shows_above(const struct cg_tree *tree, const char *path)
{
	char above[PATH_MAX + ISO_CGROUP_MAX];
	char *last;

	snprintf(above, sizeof(above), "%s%s", tree->mount, path);
	for (int i = 0; i < 2; i++) {
		last = strrchr(above + strlen(tree->mount), '/');
		if (last == NULL)
			return false;
		*last = '\0';
	}
	return path[0] == '/' && access(above, F_OK) == 0;
}

/* Only these hierarchies, and not which group of each this process is in: a third of the system calls. */
static bool
find_named(struct cg_trees *t, const char *cgroup)
{
	struct cg_iter it = { cgroup };
	struct cg_part part;
	int r;

	clear(t);
	while ((r = cg_next(&it, &part, NULL)) > 0) {
		struct cg_tree *tree = &t->tree[part.id];

		if (!find_place(part.id, tree) || tree->id == 0 || !shows_above(tree, part.path))
			return false;
	}
	return r == 0;
}

int
cg_find_named(const char *cgroup, struct cg_trees *t, struct err *e)
{
	return cgroup != NULL && find_named(t, cgroup) ? 0 : cg_find(t, e);
}
