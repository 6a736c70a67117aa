/*
 * The overlay mechanism: plain directories and overlayfs, on any disk, nothing
 * to set up. This file has the operations and their repair; overlay.h says
 * what stands where, overlay_state.c reads and writes it, overlay_layers.c
 * counts layers, overlay_mount.c mounts.
 *
 * What each costs in waiting for the disk: create and clone one fsync on file
 * systems with one journal (ext4, xfs); removing a snapshot, and a snapshot of
 * an unchanged state, one replaced file; a snapshot of a changed one a syncfs
 * in addition, because what was written in a mount must be there after a power
 * cut; destroy and rename one fsync of a directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "storage/linux/overlay.h"

#define XFS_MAGIC 0x58465342 /* "XFSB"; not in linux/magic.h */

static struct ovl *
priv(struct stor *s)
{
	return s->priv;
}

static int
missing_tag(struct stor_fs fs, const char *tag, struct err *e)
{
	return err_set(e, E_NOENT, "%s %s: has no snapshot \"%s\"", ovl_kind_word(fs.kind), fs.name, tag);
}

static int
present(struct stor_fs fs, struct err *e)
{
	return err_set(e, E_EXIST, "%s %s: exists already", ovl_kind_word(fs.kind), fs.name);
}

/* --- making, freezing --- */

/* Everything of a new file system but its state. f->layers is filled; like: see ovl_upper_make. */
static int
make_parts(const struct ovl *o, struct ovl_fs *f, struct err *e)
{
	AUTO(fd) int like = -1;
	const char *top = ovl_fs_top(f);

	int rc = ovl_pending_set(f, "make", f->id, top != NULL ? top : OVL_NOTHING, e);
	fault_point("overlay.make.pending");
	if (rc == 0 && top != NULL)
		rc = ovl_ref_add(o, top, f->id, e);
	fault_point("overlay.make.held");
	if (rc == 0 && top != NULL && (like = ovl_layer_open(o, top, e)) < 0)
		rc = like;
	if (rc == 0)
		rc = ovl_upper_make(f->dir, "upper", like, e);
	fault_point("overlay.make.upper");
	if (rc == 0 && mkdirat(f->dir, "work", 0700) < 0)
		rc = err_sys(e, "%s/work", f->entry);
	fault_point("overlay.make.work");
	return rc;
}

int
ovl_make(
    const struct ovl *o, struct stor_fs fs, char *const *layers, size_t depth, bool durable, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct err ignored;
	int settled = 0;

	int rc = ovl_load_repaired(o, &f, fs, e);
	if (rc == 1)
		return present(fs, e);
	if (rc < 0)
		return rc;
	fd_close(take_fd(f.dir));
	for (size_t i = 0; i < depth; i++)
		strv_add(&f.layers, layers[i]);
	rc = strv_check(&f.layers, fs.name, e);
	if (rc < 0)
		return rc;
	ovl_new_id(f.id);
	if (mkdirat(o->fs, f.entry, 0700) < 0)
		return err_sys(e, "%s", f.entry);
	fault_point("overlay.make.dir");
	if ((f.dir = dir_open(o->fs, f.entry, e)) < 0)
		return f.dir;
	rc = make_parts(o, &f, e);
	if (rc == 0)
		rc = ovl_fs_commit_first(o, &f, durable, e);
	fault_point("overlay.make.committed");
	if (rc == 0)
		return ovl_pending_clear(&f, e);
	/* A state half written would be one that exists, damaged. */
	if (unlinkat(f.dir, "state", 0) == 0 || errno == ENOENT)
		settled = ovl_undo_make(o, &f, &ignored);
	/* If not, it has no state and does not exist: the next make of the name removes it. */
	(void)settled;
	return rc;
}

/*
 * After a failure: what stands on disk, not in memory, says how far it came.
 * What cannot be undone now (no space, no memory) the next operation undoes.
 */
static void
settle_again(const struct ovl *o, struct stor_fs fs)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct err ignored;

	if (ovl_fs_load(&f, o->fs, fs, &ignored) == 1 && ovl_settle(o, &f, &ignored) < 0)
		return;
}

int
ovl_freeze_parts(
    const struct ovl *o, struct ovl_fs *f, const char *id, const char *parent, bool synced, struct err *e)
{
	char diff[OVL_ID_LEN + 16];

	int rc = ovl_layer_make(o, id, parent, f->id, e);
	if (rc < 0)
		return rc;
	AUTO(fd) int upper = dir_open(f->dir, "upper", e);
	if (upper < 0)
		return upper;
	rc = ovl_upper_make(f->dir, "upper.new", upper, e);
	if (rc < 0)
		return rc;
	fault_point("overlay.freeze.upper-made");
	snprintf(diff, sizeof(diff), "%s/diff", id);
	if (renameat(f->dir, "upper", o->layers, diff) < 0)
		return err_sys(e, "%s/upper", f->entry);
	fault_point("overlay.freeze.upper-moved");
	if (renameat(f->dir, "upper.new", f->dir, "upper") < 0)
		return err_sys(e, "%s/upper", f->entry);
	fault_point("overlay.freeze.upper-new");
	/* What was written in a mount, and all the moving above. */
	if (!synced && syncfs(o->layers) < 0)
		return err_sys(e, "%s: writing to disk", f->entry);
	fault_point("overlay.freeze.synced");
	return 0;
}

/* Makes the present of f its top layer. tag: also a snapshot of it, in the same commit; NULL: none. */
static int
freeze(const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, const char *tag, struct err *e)
{
	char id[OVL_ID_LEN + 1];
	struct ovl_pending p = { "freeze", "", OVL_NOTHING };
	size_t depth = f->layers.n;

	if (depth >= OVL_DEPTH_MAX) {
		err_set(e, E_LIMIT, "%s: stands on %d layers already", f->entry, OVL_DEPTH_MAX);
		return err_hint(e, "roll back to an earlier snapshot, or copy it into a new one");
	}
	ovl_new_id(id);
	snprintf(p.a, sizeof(p.a), "%s", id);
	if (depth > 0)
		snprintf(p.b, sizeof(p.b), "%s", ovl_fs_top(f));
	int rc = ovl_pending_set(f, p.op, p.a, p.b, e);
	fault_point("overlay.freeze.pending");
	if (rc < 0)
		return rc;
	rc = ovl_freeze_parts(o, f, id, ovl_fs_top(f), false, e);
	if (rc == 0) {
		strv_add(&f->layers, id);
		rc = strv_check(&f->layers, f->entry, e);
	}
	if (rc == 0 && tag != NULL)
		rc = ovl_snap_add(f, tag, e);
	if (rc == 0)
		rc = ovl_fs_commit(f, e);
	if (rc == 0)
		return ovl_settle(o, f, e);
	settle_again(o, fs);
	return rc;
}

/* --- the operations --- */

static int
overlay_create(struct stor *s, struct stor_fs fs, struct err *e)
{
	return ovl_make(priv(s), fs, NULL, 0, true, e);
}

static int
overlay_exists(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	return ovl_fs_load(&f, priv(s)->fs, fs, e);
}

static int
overlay_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = priv(s);

	int rc = ovl_load_repaired(o, &f, fs, e);
	if (rc <= 0)
		return rc;
	rc = ovl_refuse_mounted(o, &f, e);
	if (rc < 0)
		return rc;
	fault_point("overlay.destroy.begin");
	if (renameat(o->fs, f.entry, o->gone, f.entry) < 0)
		return err_sys(e, "%s", f.entry);
	fault_point("overlay.destroy.moved");
	rc = dir_sync(o->fs, "fs", e);
	return rc < 0 ? rc : ovl_finish_destroy(o, fs, e);
}

static int
overlay_rename(struct stor *s, struct stor_fs fs, const char *newname, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs from = OVL_FS_INIT;
	AUTO_FINI(ovl_fs) struct ovl_fs to = OVL_FS_INIT;
	const struct stor_fs target = { fs.kind, newname };
	struct ovl *o = priv(s);

	int rc = ovl_open_unmounted(o, &from, fs, e);
	if (rc < 0)
		return rc;
	rc = strcmp(fs.name, newname) == 0 ? 1 : ovl_load_repaired(o, &to, target, e);
	if (rc == 1)
		return present(target, e);
	if (rc < 0)
		return rc;
	fault_point("overlay.rename.begin");
	/* Its holder id goes with it: no reference changes. */
	if (renameat2(o->fs, from.entry, o->fs, to.entry, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? present(target, e) : err_sys(e, "renaming %s", from.entry);
	fault_point("overlay.rename.done");
	return dir_sync(o->fs, "fs", e);
}

static int
overlay_snapshot(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = priv(s);

	int rc = ovl_open_unmounted(o, &f, fs, e);
	if (rc < 0)
		return rc;
	if (ovl_snap_find(&f, tag) != NULL)
		return err_set(
		    e, E_EXIST, "%s %s: has a snapshot \"%s\" already", ovl_kind_word(fs.kind), fs.name, tag);
	rc = ovl_upper_changed(o, &f, e);
	if (rc != 0)
		return rc < 0 ? rc : freeze(o, &f, fs, tag, e);
	/* Nothing was written since the top layer was frozen: it is this snapshot, too. */
	rc = ovl_snap_add(&f, tag, e);
	return rc < 0 ? rc : ovl_fs_commit(&f, e);
}

static int
overlay_snap_destroy(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_open_fs(priv(s), &f, fs, e);
	if (rc < 0)
		return rc;
	struct ovl_snap *snap = ovl_snap_find(&f, tag);
	if (snap == NULL)
		return missing_tag(fs, tag, e);
	memmove(snap, snap + 1, (size_t)(f.snaps + f.nsnaps - (snap + 1)) * sizeof(*snap));
	f.nsnaps--;
	return ovl_fs_commit(&f, e);
}

/* Cuts f's state at snap; the new upper is made, the rest is settle_rollback's. */
static int
rollback_to(
    const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, const struct ovl_snap *snap, struct err *e)
{
	char generation[24];
	const char *newtop = f->layers.v[snap->depth - 1];

	snprintf(generation, sizeof(generation), "%" PRIu64, f->generation + 1);
	int rc = ovl_pending_set(f, "rollback", generation, ovl_fs_top(f), e);
	fault_point("overlay.rollback.pending");
	if (rc < 0)
		return rc;
	AUTO(fd) int like = ovl_layer_open(o, newtop, e);
	rc = like < 0 ? like : ovl_upper_make(f->dir, "upper.new", like, e);
	fault_point("overlay.rollback.upper-made");
	/* Held by the layer above it until now; there is no harm in holding it twice. */
	if (rc == 0)
		rc = ovl_ref_add(o, newtop, f->id, e);
	fault_point("overlay.rollback.held");
	if (rc == 0) {
		while (f->layers.n > snap->depth)
			strv_remove(&f->layers, f->layers.n - 1);
		f->nsnaps = (size_t)(snap - f->snaps) + 1;
		rc = ovl_fs_commit(f, e);
	}
	if (rc == 0)
		return ovl_settle(o, f, e);
	settle_again(o, fs);
	return rc;
}

static int
overlay_rollback(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = priv(s);

	int rc = ovl_open_unmounted(o, &f, fs, e);
	if (rc < 0)
		return rc;
	const struct ovl_snap *snap = ovl_snap_find(&f, tag);
	return snap == NULL ? missing_tag(fs, tag, e) : rollback_to(o, &f, fs, snap, e);
}

/* The layers that a clone of the present shall stand on: those of f after what was written is frozen. */
static int
freeze_present(const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, size_t *depth, struct err *e)
{
	int rc = ovl_open_unmounted(o, f, fs, e);

	if (rc < 0)
		return rc;
	rc = ovl_upper_changed(o, f, e);
	if (rc == 1)
		rc = freeze(o, f, fs, NULL, e);
	*depth = f->layers.n;
	return rc;
}

static int
overlay_clone(struct stor *s, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = priv(s);
	size_t depth = 0;

	/* The source is only read, not repaired: others may be cloning it, and a snapshot in the state stands. */
	int rc = ovl_fs_load(&f, o->fs, src, e);
	if (rc <= 0)
		return rc < 0 ? rc : ovl_missing(src, e);
	const struct ovl_snap *snap = tag != NULL ? ovl_snap_find(&f, tag) : NULL;
	if (tag != NULL && snap == NULL)
		return missing_tag(src, tag, e);
	rc = overlay_exists(s, dst, e);
	if (rc != 0)
		return rc < 0 ? rc : present(dst, e);
	if (snap != NULL) {
		depth = snap->depth;
	} else {
		ovl_fs_fini(&f);
		f = (struct ovl_fs)OVL_FS_INIT;
		rc = freeze_present(o, &f, src, &depth, e);
		if (rc < 0)
			return rc;
	}
	return ovl_make(o, dst, f.layers.v, depth, true, e);
}

static int
overlay_snap_list(struct stor *s, struct stor_fs fs, stor_snap_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_fs_load(&f, priv(s)->fs, fs, e);
	if (rc <= 0)
		return rc < 0 ? rc : ovl_missing(fs, e);
	rc = 0;
	for (size_t i = 0; rc == 0 && i < f.nsnaps; i++) {
		/* size 0: its layers stay below the present when a snapshot is removed. */
		struct stor_snap snap = { .created = f.snaps[i].created };
		memcpy(snap.tag, f.snaps[i].tag, sizeof(snap.tag));
		rc = fn(arg, &snap);
	}
	return rc;
}

static int
measure(const struct ovl *o, const struct ovl_fs *f, struct stor_info *info, struct err *e)
{
	uint64_t bytes;
	size_t shared;

	int rc = tree_usage(f->dir, "upper", &info->own, e);
	if (rc == 0)
		rc = ovl_layers_shared(o, f, &shared, e);
	for (size_t i = 0; rc == 0 && i < f->layers.n; i++) {
		rc = ovl_layer_size(o, f->layers.v[i], &bytes, e);
		if (rc == 0)
			*(i < shared ? &info->shared : &info->own) += bytes;
	}
	return rc;
}

static void
fill_info(const struct ovl_fs *f, const char *name, struct stor_info *info)
{
	memset(info, 0, sizeof(*info));
	snprintf(info->name, sizeof(info->name), "%s", name);
	info->created = f->created;
}

static int
overlay_usage(struct stor *s, struct stor_fs fs, struct stor_info *info, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_open_fs(priv(s), &f, fs, e);
	if (rc < 0)
		return rc;
	fill_info(&f, fs.name, info);
	return measure(priv(s), &f, info, e);
}

/* Fills info about one entry of a list: 1, or 0 when it is not there any more, or not yet. */
static int
list_one(const struct ovl *o, struct stor_fs fs, bool sizes, struct stor_info *info, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_fs_load(&f, o->fs, fs, e);
	if (rc <= 0)
		return rc;
	fill_info(&f, fs.name, info);
	if (sizes)
		rc = measure(o, &f, info, e);
	/* Destroyed or renamed while it was measured. */
	if (rc == -E_NOENT && faccessat(o->fs, f.entry, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return rc < 0 ? rc : 1;
}

static int
overlay_list(struct stor *s, enum stor_kind kind, bool sizes, stor_info_fn *fn, void *arg, struct err *e)
{
	struct dirent *d;
	struct stor_info info;
	size_t prefix = strlen(ovl_kind_word(kind));
	int rc = 0;

	int fd = openat(priv(s)->fs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "fs");
	AUTO(dir) DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd_close(fd);
		return err_sys(e, "fs");
	}
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, ovl_kind_word(kind), prefix) != 0 || d->d_name[prefix] != '.')
			continue;
		rc = list_one(priv(s), (struct stor_fs){ kind, d->d_name + prefix + 1 }, sizes, &info, e);
		if (rc == 1)
			rc = fn(arg, &info);
	}
	return rc;
}

static int
overlay_mount(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;
	struct ovl *o = priv(s);

	int rc = ro ? ovl_open_fs(o, &f, fs, e) : ovl_open_unmounted(o, &f, fs, e);
	if (rc < 0)
		return rc;
	if (!ro) {
		AUTO(fd)
		int mark = openat(f.dir, "mounted", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (mark < 0)
			return err_sys(e, "%s/mounted", f.entry);
	}
	return ovl_mount(o, &f, ro, map, e);
}

static int
overlay_unmount(struct stor *s, struct stor_fs fs, struct err *e)
{
	char mark[OVL_ENTRY_LEN + 16], entry[OVL_ENTRY_LEN];

	ovl_entry(fs, entry);
	snprintf(mark, sizeof(mark), "%s/mounted", entry);
	if (unlinkat(priv(s)->fs, mark, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s", mark);
	return 0;
}

static int
overlay_recover(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_load_repaired(priv(s), &f, fs, e);
	return rc < 0 ? rc : 0;
}

static int
overlay_init(struct stor *s, struct err *e)
{
	static const char *const parts[] = { "layers", "fs", "gone", "empty" };

	AUTO(fd) int top = dir_make(s->dirfd, "overlay", 0700, e);
	if (top < 0)
		return top;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO(fd) int part = dir_make(top, parts[i], 0700, e);
		if (part < 0)
			return part;
	}
	int rc = dir_sync(top, "overlay", e);
	return rc < 0 ? rc : dir_sync(s->dirfd, "storage", e);
}

static int
overlay_fini(struct stor *s, struct err *e)
{
	return tree_remove(s->dirfd, "overlay", e);
}

static void
overlay_close(struct stor *s)
{
	struct ovl *o = take_ptr(s->priv);

	if (o == NULL)
		return;
	fd_close(o->top);
	fd_close(o->layers);
	fd_close(o->fs);
	fd_close(o->gone);
	free(o);
}

/* Does an fsync of one file take all earlier changes of others along? */
static bool
is_ordered(int dir)
{
	struct statfs sfs;

	return fstatfs(dir, &sfs) == 0 && (sfs.f_type == EXT4_SUPER_MAGIC || sfs.f_type == XFS_MAGIC);
}

static int
overlay_open(struct stor *s, struct err *e)
{
	struct ovl *o = malloc(sizeof(*o));

	if (o == NULL)
		return err_nomem(e);
	*o = (struct ovl){ -1, -1, -1, -1, false };
	s->priv = o;
	s->caps = STOR_CAP_IDMAP | STOR_CAP_STACK;
	int rc = o->top = dir_open(s->dirfd, "overlay", e);
	if (rc >= 0)
		rc = o->layers = dir_open(o->top, "layers", e);
	if (rc >= 0)
		rc = o->fs = dir_open(o->top, "fs", e);
	if (rc >= 0)
		rc = o->gone = dir_open(o->top, "gone", e);
	if (rc >= 0) {
		o->ordered = is_ordered(o->top);
		return 0;
	}
	overlay_close(s);
	err_wrap(e, "storage of %s", s->dir);
	err_hint(e, "run pot init");
	return rc;
}

/* The nearest directory above dir, or dir itself, that is there. */
static int
overlay_probe(const char *dir, const struct stor_params *par, struct buf *why, struct err *e)
{
	struct stat st;

	(void)par;
	AUTO_FREE char *path = strdup(dir);
	if (path == NULL)
		return err_nomem(e);
	while (stat(path, &st) < 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');
		if (slash == NULL)
			return ovl_probe(".", why, e);
		if (slash == path)
			return ovl_probe("/", why, e);
		*slash = '\0';
	}
	return ovl_probe(path, why, e);
}

const struct stor_ops stor_overlay = {
	.name = "overlay",
	.summary = "plain directories and overlayfs; works on any disk, nothing to set up",
	.probe = overlay_probe,
	.init = overlay_init,
	.fini = overlay_fini,
	.open = overlay_open,
	.close = overlay_close,
	.create = overlay_create,
	.destroy = overlay_destroy,
	.rename = overlay_rename,
	.exists = overlay_exists,
	.snapshot = overlay_snapshot,
	.snap_destroy = overlay_snap_destroy,
	.rollback = overlay_rollback,
	.snap_list = overlay_snap_list,
	.clone = overlay_clone,
	.list = overlay_list,
	.usage = overlay_usage,
	.mount = overlay_mount,
	.unmount = overlay_unmount,
	.part = ovl_part,
	.sync = ovl_sync,
	.stack = ovl_stack,
	.recover = overlay_recover,
};
