/*
 * Inside of the overlay mechanism, shared by its files.
 *
 * <root>/storage/overlay/
 *   layers/ID/        diff/: a frozen tree. refs/: one empty file per holder: a
 *                     file system's id, or "=ID" of the layer above. parent:
 *                     symlink whose text is the id of the layer below. size:
 *                     symlink, bytes of diff once somebody asked.
 *   fs/KIND.NAME/     upper/ work/: what overlayfs needs. state: id, layers,
 *                     snapshots (see overlay_state.c). pending: symlink whose
 *                     text says what is being done. mounted: a writable mount
 *                     was made and not yet given back.
 *   gone/             KIND.NAME destroyed, =ID layers without holders; on their
 *                     way to removal.
 *   empty/            the layer below a file system that has no other.
 *
 * A file system exists from the moment that its state is not empty. All that
 * must be together (layers and snapshots) is in the one state file, replaced
 * in one step: that is the commit of every operation on an existing one.
 *
 * A layer never changes and never moves until its refs/ can be removed, which
 * the kernel refuses while one is in it: so counting needs no lock, and a
 * reference to a layer that is going away fails with ENOENT. A file system
 * holds its top layer, a layer holds its parent: a clone is one reference,
 * however deep.
 */
#ifndef STORAGE_LINUX_OVERLAY_H
#define STORAGE_LINUX_OVERLAY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "storage/storage.h"

/*
 * Layers below one file system. The kernel takes 500, but before Linux 6.7
 * all their names must fit in one page: 22 bytes each.
 */
#define OVL_DEPTH_MAX 128
#define OVL_ID_LEN 16
#define OVL_ENTRY_LEN (STOR_NAME_MAX + 8)

struct ovl {
	int top, layers, fs, gone; /* directories */
	bool ordered;              /* one journal: a later fsync makes all earlier changes durable */
};

struct ovl_snap {
	char tag[STOR_NAME_MAX + 1];
	size_t depth; /* its layers: this many from the bottom; at least 1 */
	int64_t created;
};

struct ovl_fs {
	int dir; /* fs/KIND.NAME, or -1 */
	char entry[OVL_ENTRY_LEN];
	char id[OVL_ID_LEN + 1];
	int64_t created;
	uint64_t generation; /* counts changes of the state */
	struct strv layers;  /* ids, bottom first */
	struct ovl_snap *snaps;
	size_t nsnaps;
};

#define OVL_FS_INIT                                                 \
	{                                                           \
		-1, "", "", 0, 0, STRV_INIT(OVL_DEPTH_MAX), NULL, 0 \
	}

struct ovl_path {
	char text[PATH_MAX];
};

/* --- overlay_state.c: what a file system's directory says --- */
void ovl_fs_fini(struct ovl_fs *);
void ovl_entry(struct stor_fs, char out[static OVL_ENTRY_LEN]);
void ovl_new_id(char out[static OVL_ID_LEN + 1]);
/* Opens at/KIND.NAME. 1: it exists and is read; 0: it has no state (dir may be -1 or not); <0. */
int ovl_fs_load(struct ovl_fs *, int at, struct stor_fs, struct err *) MUST_CHECK;
/* Replaces the state of an existing one. */
int ovl_fs_commit(struct ovl_fs *, struct err *) MUST_CHECK;
/* Writes the first state of a new one; durable: with all that was made before it. */
int ovl_fs_commit_first(const struct ovl *, struct ovl_fs *, bool durable, struct err *) MUST_CHECK;
/* The snapshot of this tag, or NULL. */
struct ovl_snap *ovl_snap_find(const struct ovl_fs *, const char *tag);
int ovl_snap_add(struct ovl_fs *, const char *tag, struct err *) MUST_CHECK;
/* Top layer's id, or NULL when there is none. */
const char *ovl_fs_top(const struct ovl_fs *);
/* The marker of what is being done. Reading: up to three words; 1 there is one, 0 none. */
#define OVL_NOTHING "-" /* a word that is not used */
struct ovl_pending {
	char op[16], a[24], b[24];
};
int ovl_pending_set(
    const struct ovl_fs *, const char *op, const char *a, const char *b, struct err *) MUST_CHECK;
int ovl_pending_get(const struct ovl_fs *, struct ovl_pending *, struct err *) MUST_CHECK;
int ovl_pending_clear(const struct ovl_fs *, struct err *) MUST_CHECK;

static inline void
auto_fini_ovl_fs(struct ovl_fs *f)
{
	ovl_fs_fini(f);
}

/* --- overlay_layers.c: layers and who holds them --- */
/* A new empty layer held by holder; its diff/ is for the caller to move in. parent may be NULL. */
int ovl_layer_make(
    const struct ovl *, const char *id, const char *parent, const char *holder, struct err *) MUST_CHECK;
/* E_NOENT when the layer is gone, or going. Durable only after a commit on an ordered file system. */
int ovl_ref_add(const struct ovl *, const char *id, const char *holder, struct err *) MUST_CHECK;
int ovl_ref_drop(const struct ovl *, const char *id, const char *holder, struct err *) MUST_CHECK;
/* Drops the reference and removes all layers that nobody holds any more. May be repeated after a kill. */
int ovl_layers_drop(const struct ovl *, const char *id, const char *holder, struct err *) MUST_CHECK;
/* Layers of f from the bottom that others hold as well. */
int ovl_layers_shared(const struct ovl *, const struct ovl_fs *, size_t *, struct err *) MUST_CHECK;
int ovl_layer_size(const struct ovl *, const char *id, uint64_t *, struct err *) MUST_CHECK;
/* Makes at/name a directory with owner, mode, times and attributes of `like` (-1: 0755, the caller's). */
int ovl_upper_make(int at, const char *name, int like, struct err *) MUST_CHECK;
/* Gives a directory owner, mode, times and attributes of another. */
int ovl_dir_like(int dir, int like, struct err *) MUST_CHECK;
/* Opens diff/ of a layer. */
int ovl_layer_open(const struct ovl *, const char *id, struct err *) MUST_CHECK;
/* Does upper differ from what the top layer shows? 1, 0, <0. */
int ovl_upper_changed(const struct ovl *, const struct ovl_fs *, struct err *) MUST_CHECK;

/* --- overlay.c: making --- */
/* Makes fs on the given layers (bottom first; borrowed). */
int ovl_make(const struct ovl *, struct stor_fs, char *const *layers, size_t depth, bool durable,
    struct err *) MUST_CHECK;
/* Everything of a freeze of f into the layer id, on parent (or NULL), up to its commit. */
int ovl_freeze_parts(const struct ovl *, struct ovl_fs *, const char *id, const char *parent, bool synced,
    struct err *) MUST_CHECK;

/* --- overlay_stack.c: parts --- */
int ovl_part(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int ovl_sync(struct stor *, struct err *) MUST_CHECK;
int ovl_stack(struct stor *, struct stor_fs, const char *tag, const struct stor_point *below,
    const struct stor_changes *, struct err *) MUST_CHECK;

/* --- overlay_repair.c: after a kill --- */
const char *ovl_kind_word(enum stor_kind);
int ovl_missing(struct stor_fs, struct err *);
/* Removes a file system that never got a state. */
int ovl_undo_make(const struct ovl *, struct ovl_fs *, struct err *) MUST_CHECK;
/* Brings an existing one to before or after its pending operation; nothing to do is fine. */
int ovl_settle(const struct ovl *, struct ovl_fs *, struct err *) MUST_CHECK;
/* Ends what destroy began when it moved the file system to gone/: gone for its name, not yet for the disk. */
int ovl_finish_destroy(const struct ovl *, struct stor_fs, struct err *) MUST_CHECK;
/* Loads after removing all that a killed operation can have left for the name: 1 exists, 0 not, <0. */
int ovl_load_repaired(const struct ovl *, struct ovl_fs *, struct stor_fs, struct err *) MUST_CHECK;
/* Opens one that must exist, settled. */
int ovl_open_fs(const struct ovl *, struct ovl_fs *, struct stor_fs, struct err *) MUST_CHECK;
/* E_BUSY when a writable mount of it is alive. */
int ovl_refuse_mounted(const struct ovl *, const struct ovl_fs *, struct err *) MUST_CHECK;
int ovl_open_unmounted(const struct ovl *, struct ovl_fs *, struct stor_fs, struct err *) MUST_CHECK;

/* --- overlay_mount.c: from directories to a mount --- */
int ovl_mount(
    const struct ovl *, const struct ovl_fs *, bool ro, const struct stor_idmap *, struct err *) MUST_CHECK;
/* Is upper of f under a mount anywhere on this machine? 1, 0, <0. */
int ovl_in_use(const struct ovl *, const struct ovl_fs *, struct err *) MUST_CHECK;
/* As the mechanism's probe, with dir an existing directory. */
int ovl_probe(const char *dir, struct buf *why, struct err *) MUST_CHECK;

#endif
