/*
 * Storage: where roots of bases and pots live. One struct of operations, one
 * file per mechanism, one row in stor_table. Callers use the stor_…()
 * functions below, which check names and capabilities once for all mechanisms.
 *
 * A file system is addressed by kind and name; a snapshot by its tag. Names
 * and tags obey [A-Za-z0-9][A-Za-z0-9_.-]{0,127}; anything else is E_INVAL
 * before any path or command is formed.
 *
 * Every operation is all or nothing, also when the process is killed inside
 * it: what it was making stands under a staging name derived from its target,
 * and the next make, destroy or stor_recover of that target removes it.
 * Calls on the same file system are serialised by the caller (the pot's lock);
 * calls on different ones may run in parallel from many processes.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/event.h"

#define STOR_NAME_MAX 128

enum stor_kind { STOR_BASE, STOR_POT, STOR_IMAGE };

struct stor_fs {
	enum stor_kind kind;
	const char *name;
};

struct stor_info {
	char name[STOR_NAME_MAX + 1];
	uint64_t own;    /* bytes only this one holds */
	uint64_t shared; /* bytes it shows but shares with others; 0 when not known */
	uint64_t quota;  /* bytes, 0 none */
	int64_t created; /* ns since the epoch */
};

struct stor_snap {
	char tag[STOR_NAME_MAX + 1];
	uint64_t size;   /* bytes freed by removing it, as far as the mechanism tells */
	int64_t created; /* ns since the epoch; lists are in this order, ties by order of making */
};

/* A snapshot, as what a stream is the difference to. */
struct stor_point {
	struct stor_fs fs;
	const char *tag;
};

/* How a part differs from what it will stand on, besides by what is in it. Paths as in an archive: "a/b", "" the root. */
struct stor_changes {
	const struct strv *gone;   /* names that are no more */
	const struct strv *opaque; /* directories in which nothing of what is below shows */
	const struct strv
	    *implied; /* directories of the part that take owner, mode and all else from below */
};

/* What a file system was cloned from. */
#define STOR_NOTE_LEN 384
struct stor_origin {
	enum stor_kind kind;
	char name[STOR_NAME_MAX + 1],
	    tag[STOR_NAME_MAX + 1]; /* "": removed, it lives on for its clones only */
	char note[STOR_NOTE_LEN];   /* see .note; "" none */
};

/* How a package is made. */
struct stor_packing {
	struct stor_fs
	    head; /* of the caller's, with what he put into it; he destroys it afterwards, however that ended */
	const char *name; /* of the snapshots in the package */
	bool layered;     /* as the difference to what the packed one was cloned from */
};

/* Who a snapshot is, in lower-case hexadecimal digits: the same wherever a stream brought it. */
#define STOR_ID_LEN 33

/* Where a stream comes from: up to n bytes, 0 at its end, <0 on failure. */
struct stor_source {
	ssize_t (*read)(void *arg, void *, size_t n, struct err *);
	void *arg;
};

/* Callbacks of lists: non-zero stops the walk and is returned. */
typedef int stor_info_fn(void *arg, const struct stor_info *);
typedef int stor_snap_fn(void *arg, const struct stor_snap *);

/* Capabilities. */
#define STOR_CAP_QUOTA 1u /* .quota works */
#define STOR_CAP_IDMAP 2u /* the root can be id-mapped */
#define STOR_CAP_SEND 4u  /* has native streams */
#define STOR_CAP_STACK 8u /* file systems can be made beside what they will stand on */

struct stor; /* an opened installation */

struct stor_params {
	const char *mechanism;  /* "zfs", "btrfs", "overlay", "copy", "fake" */
	const char *zfs_root;   /* zfs: parent dataset, e.g. "tank/pot"; else NULL */
	const char *btrfs_root; /* btrfs: directory on a btrfs, NULL: <root>/storage */
};

/*
 * How a root's ids are shown: those on the disk are 0 to ids-1, in the mount
 * they are first to first+ids-1. What is written through it is 0-based on the
 * disk again, so snapshots, clones and images never see the map.
 */
struct stor_idmap {
	int userns_fd; /* a user namespace with exactly this map */
	uint32_t first;
	/* NULL, or where to leave a mount that only the making of the root needed (else it stays as it is): the
	   kernel takes its time when such a one is closed, and the caller may know when that does no harm. */
	int *spent;
};

/*
 * The contract of a mechanism. `s` is open; names are valid; fs exists unless
 * said otherwise is NOT guaranteed: a missing source is E_NOENT naming it, an
 * existing target E_EXIST. All are synchronous and durable when they return
 * (a power cut afterwards keeps the result).
 */
struct stor_ops {
	const char *name;
	const char *summary; /* one line for `pot init` and doctor */

	/* Can this be used for an installation at dir (which need not exist)? Never
	   changes the machine. 1 yes, 0 no with why filled (one line), <0 error. */
	int (*probe)(const char *dir, const struct stor_params *, struct buf *why, struct err *);
	/* Makes / removes what the mechanism needs; both may be repeated. */
	int (*init)(struct stor *, struct err *);
	int (*fini)(struct stor *, struct err *);
	/* Opens for use; sets s->priv and s->caps. close releases both. */
	int (*open)(struct stor *, struct err *);
	void (*close)(struct stor *);

	int (*create)(struct stor *, struct stor_fs, struct err *);
	/* Removes fs with its snapshots. A clone made of them goes on unharmed. Absent is fine (0). */
	int (*destroy)(struct stor *, struct stor_fs, struct err *);
	int (*rename)(struct stor *, struct stor_fs, const char *newname, struct err *);
	/* 1 exists, 0 not. */
	int (*exists)(struct stor *, struct stor_fs, struct err *);

	int (*snapshot)(struct stor *, struct stor_fs, const char *tag, struct err *);
	int (*snap_destroy)(struct stor *, struct stor_fs, const char *tag, struct err *);
	/* Content becomes that of tag; later snapshots are removed. Their clones go on unharmed. */
	int (*rollback)(struct stor *, struct stor_fs, const char *tag, struct err *);
	int (*snap_list)(struct stor *, struct stor_fs, stor_snap_fn *, void *arg, struct err *);
	/* dst becomes a writable copy of src@tag (tag NULL: of a read-only state of src
	   as it is now, taken for the purpose and not listed). Cost does not grow with size. */
	int (*clone)(struct stor *, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *);
	/* dst becomes a writable copy of something of the mechanism's that is not the installation's, as it is now;
	   that stays as it is. NULL: it has no such things. */
	int (*adopt)(struct stor *, const char *foreign, struct stor_fs dst, struct err *);

	int (*list)(struct stor *, enum stor_kind, bool sizes, stor_info_fn *, void *arg, struct err *);
	int (*usage)(struct stor *, struct stor_fs, struct stor_info *, struct err *);
	/* NULL when the mechanism has none; without STOR_CAP_QUOTA it says E_NOTSUP and why.
	   bytes 0 removes. E_INVAL naming the use when it is more. */
	int (*quota)(struct stor *, struct stor_fs, uint64_t bytes, struct err *);

	/*
	 * Gives the root as a directory fd on a *detached* mount (Linux: a mount of its
	 * own that is in no namespace; closing the fd unmounts), writable unless ro.
	 * Not more than one writable mount of a file system at a time (caller's lock).
	 * Nothing appears in the host's mount table except where the mechanism cannot
	 * do without (zfs: the dataset's own mount point below the installation).
	 * With a map (only where STOR_CAP_IDMAP): E_NOTSUP when this kernel or the file
	 * system below cannot after all.
	 */
	int (*mount)(struct stor *, struct stor_fs, bool ro, const struct stor_idmap *, struct err *);
	/* Called when no mount of it is used any more; NULL when nothing is to do. */
	int (*unmount)(struct stor *, struct stor_fs, struct err *);
	/*
	 * Streams; all three NULL where the mechanism has none. send writes fs@tag to fd, as the
	 * difference to from where that is not NULL, which fs descends from by cloning.
	 *
	 * receive makes dst of such a stream, with the snapshot tag of what it holds; the root is the
	 * same and can be written. from must be the snapshot that the stream was made against, known
	 * by its id, and NULL for a whole one: else E_CORRUPT. The stream may come from anybody: it
	 * changes nothing but dst, only content is taken from it and no setting, whatever is not one
	 * plain file system is refused, and what is wrong with it is E_CORRUPT or E_NOTSUP.
	 */
	int (*send)(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from, int fd,
	    struct err *);
	int (*receive)(struct stor *, struct stor_fs dst, const char *tag, const struct stor_point *from,
	    const struct stor_source *, struct err *);
	int (*stream_id)(
	    struct stor *, struct stor_fs, const char *tag, char id[static STOR_ID_LEN], struct err *);
	/*
	 * The next three are NULL where the mechanism has no packages. pack writes fs@tag to fd as one that
	 * stor_package_open reads: head, and fs below it.
	 */
	int (*pack)(struct stor *, struct stor_fs fs, const char *tag, const struct stor_packing *, int fd,
	    struct err *);
	/* 1: fs was cloned from this, which may be gone by its name; 0: from nothing of this installation. */
	int (*origin)(struct stor *, struct stor_fs, struct stor_origin *, struct err *);
	/* Leaves a text with a snapshot, in place of an earlier one, until that goes. */
	int (*note)(struct stor *, struct stor_fs, const char *tag, const char *text, struct err *);
	/*
	 * Parts: file systems that are made beside each other and put one on the other afterwards; all
	 * three NULL where the mechanism can only clone. part makes an empty one and gives its root, to be filled
	 * without any whiteouts; durable is nothing of it before sync, which is for all of the installation.
	 * stack then makes fs what a clone of below (NULL: of nothing) would have become, with the snapshot tag.
	 * E_STATE: it cannot be told without the one below (a link there leads elsewhere, say); then fs is to be
	 * destroyed and made as a clone.
	 */
	int (*part)(struct stor *, struct stor_fs, struct err *);
	int (*sync)(struct stor *, struct err *);
	int (*stack)(struct stor *, struct stor_fs, const char *tag, const struct stor_point *below,
	    const struct stor_changes *, struct err *);
	/* Removes what a killed operation left for this name; NULL when nothing can be left. */
	int (*recover)(struct stor *, struct stor_fs, struct err *);
};

struct stor {
	const struct stor_ops *ops;
	char *dir; /* the installation's directory */
	int dirfd; /* <root>/storage, made by stor_init */
	unsigned caps;
	char *zfs_root;
	char *btrfs_root;
	void *priv;
};

extern const struct stor_ops *const stor_table[]; /* best first, NULL at the end; fake only in tests */
extern const struct stor_ops stor_zfs, stor_btrfs, stor_overlay, stor_copy, stor_fake;

/* NULL when no such mechanism is built in. */
const struct stor_ops *stor_find(const char *mechanism);

/* rootdir: the installation (POT_ROOT). init also opens. */
int stor_init(struct stor **, const char *rootdir, const struct stor_params *, struct err *) MUST_CHECK;
int stor_open(struct stor **, const char *rootdir, const struct stor_params *, struct err *) MUST_CHECK;
void stor_close(struct stor *);
/* Removes everything, staging included. The caller made sure that nothing is used. */
int stor_fini(struct stor *, struct err *) MUST_CHECK;

int stor_create(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int stor_destroy(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int stor_rename(struct stor *, struct stor_fs, const char *newname, struct err *) MUST_CHECK;
int stor_exists(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int stor_snapshot(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
int stor_snap_destroy(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
int stor_rollback(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
int stor_snap_list(struct stor *, struct stor_fs, stor_snap_fn *, void *, struct err *) MUST_CHECK;
/* A dataset of the same pool that is not ours (zfs); E_NOTSUP on others. It gets a snapshot that dst stands on. */
int stor_adopt(struct stor *, const char *foreign, struct stor_fs dst, struct err *) MUST_CHECK;
int stor_clone(
    struct stor *, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *) MUST_CHECK;
int stor_list(struct stor *, enum stor_kind, bool sizes, stor_info_fn *, void *, struct err *) MUST_CHECK;
int stor_usage(struct stor *, struct stor_fs, struct stor_info *, struct err *) MUST_CHECK;
int stor_quota(struct stor *, struct stor_fs, uint64_t bytes, struct err *) MUST_CHECK;
int stor_mount(struct stor *, struct stor_fs, bool ro, struct err *) MUST_CHECK;
/* The same with a map, which may be NULL; E_NOTSUP without STOR_CAP_IDMAP. */
int stor_mount_mapped(
    struct stor *, struct stor_fs, bool ro, const struct stor_idmap *, struct err *) MUST_CHECK;
int stor_unmount(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int stor_recover(struct stor *, struct stor_fs, struct err *) MUST_CHECK;

/* Parts; E_NOTSUP without STOR_CAP_STACK. */
int stor_part(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int stor_sync(struct stor *, struct err *) MUST_CHECK;
int stor_stack(struct stor *, struct stor_fs, const char *tag, const struct stor_point *below,
    const struct stor_changes *, struct err *) MUST_CHECK;

/* Streams; E_NOTSUP without STOR_CAP_SEND. from may be NULL. fd may be a pipe or a file. */
int stor_send(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from, int fd,
    struct err *) MUST_CHECK;
int stor_receive(struct stor *, struct stor_fs dst, const char *tag, const struct stor_point *from,
    const struct stor_source *, struct err *) MUST_CHECK;
int stor_stream_id(
    struct stor *, struct stor_fs, const char *tag, char id[static STOR_ID_LEN], struct err *) MUST_CHECK;
/* A source that reads a descriptor, which stays the caller's. */
struct stor_source stor_source_fd(int *fd);
/* Reads n bytes; E_CORRUPT when the source ends before. For mechanisms. */
int stor_source_fill(const struct stor_source *, void *, size_t n, struct err *) MUST_CHECK;

/*
 * A package of `zfs send -R`, as classic images are, read stream by stream on
 * any system. The streams in it are plain ones for stor_receive; the package's
 * own list of properties, snapshots and mount points goes nowhere.
 */
struct stor_package;
struct stor_package_part {
	char snapshot[257];     /* "POOL/…/NAME@TAG", as the sender called it; any bytes but NUL */
	char id[STOR_ID_LEN];   /* as stor_stream_id() will say */
	char from[STOR_ID_LEN]; /* what it is the difference to; "": whole */
};
/* E_CORRUPT for anything but a package. The source must last as long as the package. */
int stor_package_open(struct stor_package **, const struct stor_source *, struct err *) MUST_CHECK;
/* 1: the next stream is this; 0: there is none. What of the last was not read is passed over. */
int stor_package_next(struct stor_package *, struct stor_package_part *, struct err *) MUST_CHECK;
/* Reads the stream that next told of. */
struct stor_source stor_package_source(struct stor_package *);
void stor_package_free(struct stor_package *);
DEFINE_AUTO(stor_package, struct stor_package *, NULL, stor_package_free)

/* These three: E_NOTSUP where there is no .pack. */
int stor_pack(struct stor *, struct stor_fs fs, const char *tag, const struct stor_packing *, int fd,
    struct err *) MUST_CHECK;
int stor_origin(struct stor *, struct stor_fs, struct stor_origin *, struct err *) MUST_CHECK;
/* [A-Za-z0-9_.:@-]*, shorter than STOR_NOTE_LEN; else E_INVAL. */
int stor_note(struct stor *, struct stor_fs, const char *tag, const char *text, struct err *) MUST_CHECK;

/* Looking at the present of one that nobody writes to: any number of processes at a time. */
struct stor_look {
	int root; /* read-only */
	int lock;
};
#define STOR_LOOK_INIT \
	{              \
		-1, -1 \
	}
int stor_look_begin(struct stor *, struct stor_fs, struct stor_look *, struct err *) MUST_CHECK;
void stor_look_end(struct stor *, struct stor_fs, struct stor_look *);

#endif
