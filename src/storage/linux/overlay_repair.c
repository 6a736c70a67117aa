/*
 * Repair in the overlay mechanism: brings a file system in which an operation
 * was killed to before or after that operation, by what its pending marker
 * says. Every step may itself be killed and is then done again. Opening with
 * repair is here as well, for the operations in overlay.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "storage/linux/overlay.h"

const char *
ovl_kind_word(enum stor_kind kind)
{
	static const char *const words[] = { "base", "pot", "image" };

	return words[kind];
}

int
ovl_missing(struct stor_fs fs, struct err *e)
{
	return err_set(e, E_NOENT, "%s %s: does not exist", ovl_kind_word(fs.kind), fs.name);
}

/* "make ID TOP": never got a state. Gives the reference back and removes the directory. */
int
ovl_undo_make(const struct ovl *o, struct ovl_fs *f, struct err *e)
{
	struct ovl_pending p;

	int rc = ovl_pending_get(f, &p, e);
	if (rc == 1 && strcmp(p.b, OVL_NOTHING) != 0)
		rc = ovl_layers_drop(o, p.b, p.a, e);
	fault_point("overlay.undo-make.dropped");
	return rc < 0 ? rc : tree_remove(o->fs, f->entry, e);
}

static bool
has_layer(const struct ovl_fs *f, const char *id)
{
	for (size_t i = 0; i < f->layers.n; i++)
		if (strcmp(f->layers.v[i], id) == 0)
			return true;
	return false;
}

/*
 * "freeze LAYER PARENT". Committed when the state has the layer: the reference
 * to the parent is the layer's now. Otherwise what was moved goes back, in
 * place of the empty upper that no mount has seen.
 */
static int
settle_freeze(const struct ovl *o, struct ovl_fs *f, const struct ovl_pending *p, struct err *e)
{
	char diff[OVL_ID_LEN + 16];

	if (has_layer(f, p->a))
		return strcmp(p->b, OVL_NOTHING) != 0 ? ovl_ref_drop(o, p->b, f->id, e) : 0;
	snprintf(diff, sizeof(diff), "%.*s/diff", OVL_ID_LEN, p->a);
	if (renameat(o->layers, diff, f->dir, "upper") < 0 && errno != ENOENT)
		return err_sys(e, "%s: putting its upper back", f->entry);
	fault_point("overlay.undo-freeze.back");
	int rc = tree_remove(f->dir, "upper.new", e);
	fault_point("overlay.undo-freeze.cleaned");
	return rc < 0 ? rc : ovl_layers_drop(o, p->a, f->id, e);
}

/* Only the top layer is held by the file system itself. */
static int
undo_rollback(const struct ovl *o, struct ovl_fs *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i + 1 < f->layers.n; i++)
		rc = ovl_ref_drop(o, f->layers.v[i], f->id, e);
	fault_point("overlay.undo-rollback.dropped");
	return rc < 0 ? rc : tree_remove(f->dir, "upper.new", e);
}

/*
 * "rollback GENERATION TOP", TOP being the layer on top before. Committed when
 * the state has reached the generation: then the new upper takes its place,
 * and what was cut off is dropped.
 */
static int
settle_rollback(const struct ovl *o, struct ovl_fs *f, const struct ovl_pending *p, struct err *e)
{
	if (strtoull(p->a, NULL, 10) > f->generation)
		return undo_rollback(o, f, e);
	if (faccessat(f->dir, "upper.new", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		if (renameat(f->dir, "upper", f->dir, "upper.old") < 0 && errno != ENOENT)
			return err_sys(e, "%s/upper", f->entry);
		fault_point("overlay.rollback.old-away");
		if (renameat(f->dir, "upper.new", f->dir, "upper") < 0)
			return err_sys(e, "%s/upper.new", f->entry);
		fault_point("overlay.rollback.new-in-place");
	}
	int rc = tree_remove(f->dir, "upper.old", e);
	fault_point("overlay.rollback.old-removed");
	if (rc == 0 && !has_layer(f, p->b))
		rc = ovl_layers_drop(o, p->b, f->id, e);
	return rc;
}

/* Brings an existing file system to before or after the operation that was killed in it. */
int
ovl_settle(const struct ovl *o, struct ovl_fs *f, struct err *e)
{
	struct ovl_pending p;

	int rc = ovl_pending_get(f, &p, e);
	if (rc <= 0)
		return rc;
	if (strcmp(p.op, "freeze") == 0)
		rc = settle_freeze(o, f, &p, e);
	else if (strcmp(p.op, "rollback") == 0)
		rc = settle_rollback(o, f, &p, e);
	else if (strcmp(p.op, "make") != 0)
		rc = err_set(e, E_NOTSUP, "%s/pending: \"%s\" is of a newer pot", f->entry, p.op);
	fault_point("overlay.settle.done");
	return rc < 0 ? rc : ovl_pending_clear(f, e);
}

/* Ends what destroy began when it moved the file system to gone/: gone for its name, not yet for the disk. */
int
ovl_finish_destroy(const struct ovl *o, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(ovl_fs) struct ovl_fs f = OVL_FS_INIT;

	int rc = ovl_fs_load(&f, o->gone, fs, e);
	if (rc < 0 || f.dir < 0)
		return rc;
	/* Without state, its layers were dropped already: the removal had begun. */
	if (rc == 1 && ovl_fs_top(&f) != NULL)
		rc = ovl_layers_drop(o, ovl_fs_top(&f), f.id, e);
	fault_point("overlay.destroy.dropped");
	return rc < 0 ? rc : tree_remove(o->gone, f.entry, e);
}

/*
 * Everything that a killed operation can have left for this name. f is loaded:
 * 1 it exists, 0 not (and its directory is free).
 */
int
ovl_load_repaired(const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, struct err *e)
{
	int rc = ovl_finish_destroy(o, fs, e);

	if (rc < 0)
		return rc;
	rc = ovl_fs_load(f, o->fs, fs, e);
	if (rc == 0 && f->dir >= 0)
		return ovl_undo_make(o, f, e);
	if (rc <= 0)
		return rc;
	rc = ovl_settle(o, f, e);
	return rc < 0 ? rc : 1;
}

/* Opens one that must exist. */
int
ovl_open_fs(const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, struct err *e)
{
	int rc = ovl_fs_load(f, o->fs, fs, e);

	if (rc == 1)
		return ovl_settle(o, f, e);
	return rc < 0 ? rc : ovl_missing(fs, e);
}

/* E_BUSY when a writable mount of it is alive. */
int
ovl_refuse_mounted(const struct ovl *o, const struct ovl_fs *f, struct err *e)
{
	if (faccessat(f->dir, "mounted", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* The mark may be of a process that was killed: the kernel knows. */
	int rc = ovl_in_use(o, f, e);
	if (rc == 1)
		return err_set(e, E_BUSY, "%s: is mounted", f->entry);
	if (rc == 0 && unlinkat(f->dir, "mounted", 0) < 0 && errno != ENOENT)
		rc = err_sys(e, "%s/mounted", f->entry);
	return rc;
}

int
ovl_open_unmounted(const struct ovl *o, struct ovl_fs *f, struct stor_fs fs, struct err *e)
{
	int rc = ovl_open_fs(o, f, fs, e);

	return rc < 0 ? rc : ovl_refuse_mounted(o, f, e);
}
