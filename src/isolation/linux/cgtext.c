/*
 * The text that names a pot's groups, and where they belong in each hierarchy.
 * Makes nothing: the directories are cgroup.c's.  The first group, by which the
 * pot is counted, frozen and killed, is one of the unified hierarchy (v2)
 * wherever that is mounted: kill, freeze and events work there without
 * controllers (and on every kernel that has the mount calls pots need).  Else
 * it is one of the v1 freezer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "isolation/linux/cgroup.h"

#define CONTROL_MAX (1u << 20)

static int
no_group(const char *cgroup, struct err *e)
{
	return err_set(e, E_INVAL, "\"%s\" does not name a control group", cgroup);
}

int
cg_next(struct cg_iter *it, struct cg_part *p, struct err *e)
{
	size_t n = strcspn(it->at, ",: "), len;
	const char *path;

	if (*it->at == '\0')
		return 0;
	for (p->id = 0; p->id < CG_COUNT; p->id++)
		if (strlen(cg_names[p->id]) == n && memcmp(it->at, cg_names[p->id], n) == 0)
			break;
	path = it->at + strcspn(it->at, ": ");
	if (p->id == CG_COUNT || *path++ != ':' || *path != '/')
		return no_group(it->at, e);
	len = strcspn(path, " ");
	if (len < 2 || len >= sizeof(p->path))
		return no_group(it->at, e);
	memcpy(p->path, path, len);
	p->path[len] = '\0';
	if (strstr(p->path, "/..") != NULL || strrchr(p->path, '/') == p->path)
		return no_group(it->at, e);
	it->at = it->at[n] == ',' ? it->at + n + 1 : path + len + (path[len] == ' ');
	return 1;
}

bool
cg_names_v1(const char *cgroup, enum cg_id id)
{
	struct cg_iter it = { cgroup };
	struct cg_part p;

	while (cg_next(&it, &p, NULL) > 0)
		if (p.id == id)
			return true;
	return false;
}

static bool
plain_name(const char *s)
{
	return s[0] != '\0' && s[0] != '.' && strpbrk(s, "/ ,:") == NULL;
}

/* ---- where a pot's groups belong */

static bool
holds(const char *dir, const char *file, const char *text)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && cg_read(fd, file, &b, NULL) == 0 && strcmp(buf_cstr(&b), text) == 0;
}

bool
cg_has_controllers(const char *dir)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(CONTROL_MAX);
	AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && cg_read(fd, "cgroup.controllers", &b, NULL) == 0 && b.len > 0;
}

/* Does this group of v2 limit something by itself? A file that is missing does not. */
static bool
is_limited(const char *dir)
{
	static const struct {
		const char *file, *none;
	} rows[] = { { "memory.max", "max" }, { "memory.high", "max" }, { "memory.swap.max", "max" },
		{ "pids.max", "max" }, { "cpu.max", "max 100000" }, { "cpuset.cpus", "" }, { "io.max", "" } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char path[2 * PATH_MAX + 32];

		snprintf(path, sizeof(path), "%s/%s", dir, rows[i].file);
		if (access(path, F_OK) == 0 && !holds(dir, rows[i].file, rows[i].none))
			return true;
	}
	return false;
}

/*
 * A group of v2 that holds processes, as that of this process does, cannot
 * give controllers to groups below it. Where there are controllers and the group
 * limits nothing itself, beside it is as good: all limits above it hold there too.
 */
static void
v2_parent(const struct cg_tree *t, char out[static PATH_MAX])
{
	char dir[2 * PATH_MAX];
	char *slash;

	snprintf(out, PATH_MAX, "%s", t->own);
	snprintf(dir, sizeof(dir), "%s%s", t->mount, t->own);
	if (strcmp(out, "/") == 0 || !cg_has_controllers(dir) || is_limited(dir))
		return;
	slash = strrchr(out, '/');
	slash[slash == out] = '\0';
}

static int
add_word(char out[static ISO_CGROUP_MAX], const char *list, const char *path, struct err *e)
{
	size_t used = strlen(out);
	int n = snprintf(out + used, ISO_CGROUP_MAX - used, "%s%s:%s", used > 0 ? " " : "", list, path);

	if (n > 0 && (size_t)n < ISO_CGROUP_MAX - used)
		return 0;
	err_set(e, E_LIMIT, "the paths of the control groups are longer than %d bytes", ISO_CGROUP_MAX - 1);
	return err_hint(e, "set a shorter cgroup_parent in the configuration, or name the pot shorter");
}

struct place {
	const char *parent, *prefix, *name;
};

static int
path_in(
    const struct cg_trees *t, enum cg_id id, const struct place *at, char out[static PATH_MAX], struct err *e)
{
	char base[PATH_MAX];
	int n;

	if (at->parent != NULL)
		snprintf(base, sizeof(base), "%s", at->parent);
	else if (id == CG_V2)
		v2_parent(&t->tree[id], base);
	else
		snprintf(base, sizeof(base), "%s", t->tree[id].own);
	if (base[0] != '/' || strstr(base, "/..") != NULL || strchr(base, ' ') != NULL)
		return err_set(
		    e, E_INVAL, "control group \"%s\" is not an absolute path without blanks", base);
	n = snprintf(out, PATH_MAX, "%s/%s/%s", strcmp(base, "/") == 0 ? "" : base, at->prefix, at->name);
	return n < PATH_MAX ? 0 : err_set(e, E_LIMIT, "the path of a control group is too long");
}

/* Words for the controllers in the set that the host has on v1, those of one path together. */
static int
add_controllers(const struct cg_trees *t, unsigned set, const struct place *at,
    char out[static ISO_CGROUP_MAX], struct err *e)
{
	char path[PATH_MAX], other[PATH_MAX], list[128];
	int r = 0;

	for (enum cg_id id = CG_MEMORY; id < CG_COUNT && r == 0; id++) {
		if ((set & cg_bit(id)) == 0 || t->tree[id].mount[0] == '\0')
			continue;
		r = path_in(t, id, at, path, e);
		snprintf(list, sizeof(list), "%s", cg_names[id]);
		for (enum cg_id more = id + 1; more < CG_COUNT && r == 0; more++) {
			if ((set & cg_bit(more)) == 0 || t->tree[more].mount[0] == '\0')
				continue;
			r = path_in(t, more, at, other, e);
			if (r < 0 || strcmp(path, other) != 0)
				continue;
			set &= ~cg_bit(more);
			snprintf(list + strlen(list), sizeof(list) - strlen(list), ",%s", cg_names[more]);
		}
		if (r == 0)
			r = add_word(out, list, path, e);
	}
	return r;
}

int
cg_path(const struct cg_trees *t, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *e)
{
	const struct place at = { parent, prefix, name };
	enum cg_id first = t->tree[CG_V2].mount[0] != '\0' ? CG_V2 : CG_FREEZER;
	char path[PATH_MAX];
	int r;

	out[0] = '\0';
	if (t->tree[first].mount[0] == '\0') {
		err_set(e, E_NOTSUP, "no control groups: neither cgroup2 nor the v1 freezer is mounted");
		return err_hint(e, "mount it: mount -t cgroup2 none /sys/fs/cgroup");
	}
	if (!plain_name(prefix) || !plain_name(name))
		return err_set(e, E_INVAL, "\"%s/%s\" cannot name a control group", prefix, name);
	r = path_in(t, first, &at, path, e);
	if (r == 0)
		r = add_word(out, cg_names[first], path, e);
	return r < 0 ? r : add_controllers(t, controllers, &at, out, e);
}

int
cg_extend(const struct cg_trees *t, const char *cgroup, const char *parent, const char *prefix,
    const char *name, unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *e)
{
	const struct place at = { parent, prefix, name };

	for (enum cg_id id = CG_MEMORY; id < CG_COUNT; id++)
		if (cg_names_v1(cgroup, id))
			controllers &= ~cg_bit(id);
	snprintf(out, ISO_CGROUP_MAX, "%s", cgroup);
	return add_controllers(t, controllers, &at, out, e);
}

int
iso_cgroup_path(const char *parent, const char *prefix, const char *name, unsigned controllers,
    char out[static ISO_CGROUP_MAX], struct err *e)
{
	return CG_WITH_TREES(cg_path(trees, parent, prefix, name, controllers, out, e));
}

/* Below the groups that the pot was started in, not those of whoever changes its limits now. */
int
iso_cgroup_extend(const struct iso_ref *ref, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *e)
{
	AUTO_FREE struct cg_trees *t = malloc(sizeof(*t));
	int r = t == NULL ? err_nomem(e) : cg_find_of(ref->init.pid, t, e);

	if (r == 0 && !proc_id_alive(&ref->init))
		r = err_set(e, E_STATE, "the pot has ended");
	return r < 0 ? r : cg_extend(t, ref->cgroup, parent, prefix, name, controllers, out, e);
}
