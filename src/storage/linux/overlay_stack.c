/*
 * File systems of the overlay mechanism that are made beside each other: a
 * part is filled in its bare upper directory, and when what is below is known
 * gets what only an overlay can say: whiteouts, opaque directories, and the
 * looks of directories that it has only for what is in them. Then it is frozen
 * on top, as overlay.c freezes.
 *
 * Both trees may be anybody's, but nobody writes to them meanwhile. No link is
 * followed: where one stands in the way, making the part on top of the other
 * would have led elsewhere, and the caller has to do that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "storage/linux/detached.h"
#include "storage/linux/overlay.h"

#define OPAQUE "trusted.overlay.opaque"

/* Where the part's tree and the one below are. */
struct pair {
	int upper, lower;
};

static int
elsewhere(const char *path, struct err *e)
{
	return err_set(e, E_STATE, "%s: depends on what is below", path);
}

/* The directory at/name: its fd; -E_NOENT when there is none; -E_STATE when a link may lead to one. */
static int
enter(int at, const char *name, struct err *e)
{
	struct stat st;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return err_set(e, E_NOENT, "%s: no such directory", name);
	if (errno != ENOTDIR && errno != ELOOP)
		return err_sys(e, "%s", name);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", name);
	return S_ISLNK(st.st_mode) ? elsewhere(name, e) : err_set(e, E_NOENT, "%s: no directory", name);
}

/* Cuts the first component off *rest. NULL: none is left. */
static char *
next_name(char **rest)
{
	char *name;

	do
		name = strsep(rest, "/");
	while (name != NULL && name[0] == '\0');
	return name;
}

/* The directory of this path below root, which is borrowed; as enter(). */
static int
walk(int root, const char *path, struct err *e)
{
	AUTO_FREE char *copy = strdup(path);
	char *rest = copy, *name;

	if (copy == NULL)
		return err_nomem(e);
	AUTO(fd) int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, "%s", path);
	while ((name = next_name(&rest)) != NULL) {
		int next = enter(at, name, e);

		if (next < 0)
			return next;
		fd_close(at);
		at = next;
	}
	return take_fd(at);
}

static bool
is_opaque(int dir)
{
	char value[2];

	return fgetxattr(dir, OPAQUE, value, sizeof(value)) == 1 && value[0] == 'y';
}

/* What is made in a directory must not change its time. */
static int
keep_time(int dir, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	return futimens(dir, times) < 0 ? err_sys(e, "times of a directory") : 0;
}

/* The upper directory at/name, made like the lower one where it is missing. */
static int
enter_or_make(int at, const char *name, int like, struct err *e)
{
	struct stat st, there;
	int rc;

	if (fstatat(at, name, &there, AT_SYMLINK_NOFOLLOW) == 0)
		return enter(at, name, e);
	if (errno != ENOENT || fstat(at, &st) < 0)
		return err_sys(e, "%s", name);
	if ((rc = ovl_upper_make(at, name, like, e)) < 0 || (rc = keep_time(at, &st, e)) < 0)
		return rc;
	return enter(at, name, e);
}

/*
 * Opens the directory of this path in both, making what is missing above.
 * 1; 0 when nothing of below shows there anyway, and nothing is open.
 */
static int
enter_both(const struct pair *p, const char *path, int *upper, int *lower, struct err *e)
{
	AUTO_FREE char *copy = strdup(path);
	char *rest = copy, *name;
	AUTO(fd) int low = -1, up = -1;

	if (copy == NULL)
		return err_nomem(e);
	/* All of it first: nothing is made above for what is not there. */
	AUTO(fd) int end = walk(p->lower, path, e);
	if (end < 0)
		return end == -E_NOENT ? 0 : end;
	low = openat(p->lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	up = openat(p->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (low < 0 || up < 0)
		return err_sys(e, "%s", path);
	while ((name = next_name(&rest)) != NULL) {
		int next = enter(low, name, e);

		if (next < 0)
			return next;
		fd_close(low);
		low = next;
		next = enter_or_make(up, name, low, e);
		if (next < 0) /* a file of the part stands there */
			return next == -E_NOENT ? 0 : next;
		fd_close(up);
		up = next;
		if (is_opaque(up))
			return 0;
	}
	*upper = take_fd(up);
	*lower = take_fd(low);
	return 1;
}

static int
make_opaque(const struct pair *p, const char *path, struct err *e)
{
	AUTO(fd) int upper = -1, lower = -1;
	int rc;

	/* The kernel does not look at the mark of a root. */
	if (path[0] == '\0')
		return elsewhere("/", e);
	rc = enter_both(p, path, &upper, &lower, e);
	if (rc == 1 && fsetxattr(upper, OPAQUE, "y", 1, 0) < 0)
		rc = err_sys(e, "%s", path);
	return rc < 0 ? rc : 0;
}

static int
make_whiteout(const struct pair *p, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	AUTO(fd) int upper = -1, lower = -1;
	struct stat st, dir;

	AUTO_FREE char *above = strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
	if (above == NULL)
		return err_nomem(e);
	/* Where nothing is below, a whiteout would be seen as the file that it is. */
	AUTO(fd) int there = walk(p->lower, above, e);
	if (there < 0)
		return there == -E_NOENT ? 0 : there;
	if (fstatat(there, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", path);
	int rc = enter_both(p, above, &upper, &lower, e);
	if (rc <= 0)
		return rc;
	/* Taken away and put there by the same layer: then it matters what is whose. */
	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return elsewhere(path, e);
	if (fstat(upper, &dir) < 0 || mknodat(upper, name, S_IFCHR, makedev(0, 0)) < 0)
		return err_sys(e, "%s", path);
	return keep_time(upper, &dir, e);
}

/* Is a directory above this one in the part opaque? 1, 0, <0. */
static int
is_below_opaque(const struct pair *p, const char *path, struct err *e)
{
	AUTO_FREE char *copy = strdup(path);
	char *rest = copy, *name;

	if (copy == NULL)
		return err_nomem(e);
	AUTO(fd) int at = openat(p->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_sys(e, "%s", path);
	while ((name = next_name(&rest)) != NULL && rest != NULL) {
		int next = enter(at, name, e);

		if (next < 0)
			return next == -E_NOENT ? 0 : next;
		fd_close(at);
		at = next;
		if (is_opaque(at))
			return 1;
	}
	return 0;
}

static int
make_alike(const struct pair *p, const char *path, struct err *e)
{
	AUTO(fd) int lower = walk(p->lower, path, e);

	if (lower < 0)
		return lower == -E_NOENT ? 0 : lower;
	AUTO(fd) int upper = walk(p->upper, path, e);
	if (upper < 0)
		return upper == -E_NOENT ? 0 : upper;
	int rc = is_below_opaque(p, path, e);
	if (rc != 0)
		return rc < 0 ? rc : elsewhere(path, e);
	return ovl_dir_like(upper, lower, e);
}

static int
each(const struct pair *p, const struct strv *v, int (*fn)(const struct pair *, const char *, struct err *),
    struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < v->n; i++)
		rc = fn(p, v->v[i], e);
	return rc;
}

/* Is there below what cannot be a directory there, though the part has one of that name only implied? */
static int
check_implied(const struct pair *p, const char *path, struct err *e)
{
	struct stat st;
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	if (path[0] == '\0')
		return 0;
	AUTO_FREE char *above = strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
	if (above == NULL)
		return err_nomem(e);
	AUTO(fd) int dir = walk(p->lower, above, e);
	if (dir < 0)
		return dir == -E_NOENT ? 0 : dir;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", path);
	return S_ISDIR(st.st_mode) ? 0 : elsewhere(path, e);
}

static int
adapt(const struct ovl *o, const struct ovl_fs *f, const struct ovl_fs *below, const struct stor_changes *c,
    struct err *e)
{
	AUTO(fd) int lower = ovl_mount(o, below, true, NULL, e);
	if (lower < 0)
		return lower;
	AUTO(fd) int upper = dir_open(f->dir, "upper", e);
	if (upper < 0)
		return upper;
	const struct pair p = { upper, lower };
	int rc = each(&p, c->implied, check_implied, e);
	if (rc == 0)
		rc = each(&p, c->opaque, make_opaque, e);
	if (rc == 0)
		rc = each(&p, c->implied, make_alike, e);
	fault_point("overlay.stack.alike");
	return rc < 0 ? rc : each(&p, c->gone, make_whiteout, e);
}

/* Freezes f on top of the layers that it has got. */
static int
freeze_on(const struct ovl *o, struct ovl_fs *f, const char *tag, struct err *e)
{
	char id[OVL_ID_LEN + 1];

	if (f->layers.n >= OVL_DEPTH_MAX)
		return err_set(e, E_LIMIT, "%s: stands on %d layers already", f->entry, OVL_DEPTH_MAX);
	ovl_new_id(id);
	/* The layer below is held by the new one alone. */
	int rc = ovl_pending_set(f, "freeze", id, OVL_NOTHING, e);
	fault_point("overlay.stack.pending");
	if (rc == 0)
		rc = ovl_freeze_parts(o, f, id, ovl_fs_top(f), o->ordered, e);
	if (rc < 0)
		return rc;
	strv_add(&f->layers, id);
	rc = strv_check(&f->layers, f->entry, e);
	if (rc == 0)
		rc = ovl_snap_add(f, tag, e);
	if (rc == 0)
		rc = ovl_fs_commit(f, e);
	return rc < 0 ? rc : ovl_settle(o, f, e);
}

static int
load_below(const struct ovl *o, struct ovl_fs *below, const struct stor_point *p, struct err *e)
{
	int rc = ovl_fs_load(below, o->fs, p->fs, e);

	if (rc <= 0)
		return rc < 0 ? rc : ovl_missing(p->fs, e);
	const struct ovl_snap *snap = ovl_snap_find(below, p->tag);
	/* Of one that went on after the snapshot, the mount would show the present. */
	if (snap == NULL || snap->depth != below->layers.n)
		return err_set(e, E_NOENT, "%s: its present is no snapshot \"%s\"", p->fs.name, p->tag);
	return 0;
}

int
ovl_part(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = s->priv;

	int rc = ovl_make(o, fs, NULL, 0, !o->ordered, e);
	if (rc < 0 || (rc = ovl_open_fs(o, &f, fs, e)) < 0)
		return rc;
	AUTO(fd) int upper = dir_open(f.dir, "upper", e);
	return upper < 0 ? upper : detached_mount(upper, false, NULL, f.entry, e);
}

int
ovl_sync(struct stor *s, struct err *e)
{
	const struct ovl *o = s->priv;

	return syncfs(o->layers) < 0 ? err_sys(e, "overlay: writing to disk") : 0;
}

/*
 * After sync: what is done here changes names and attributes only, which the
 * fsync of the state takes along where the file system below has one journal.
 */
int
ovl_stack(struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *on,
    const struct stor_changes *c, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	AUTO_FINI(ovl_fs) struct ovl_fs below = OVL_FS_INIT;
	struct ovl *o = s->priv;

	int rc = ovl_open_unmounted(o, &f, fs, e);
	if (rc < 0)
		return rc;
	if (f.layers.n > 0)
		return err_set(e, E_INVAL, "%s: is no part", fs.name);
	if (on != NULL) {
		if ((rc = load_below(o, &below, on, e)) < 0 || (rc = adapt(o, &f, &below, c, e)) < 0)
			return rc;
		for (size_t i = 0; i < below.layers.n; i++)
			strv_add(&f.layers, below.layers.v[i]);
		if ((rc = strv_check(&f.layers, fs.name, e)) < 0)
			return rc;
	}
	fault_point("overlay.stack.adapted");
	return freeze_on(o, &f, tag, e);
}
