/*
 * The difference between two trees as a layer: what is new or changed in one,
 * whiteouts for what it does not have of the other (image-spec, layer.md).
 *
 * Two passes. img_changes_find walks both trees side by side and lists what
 * goes into the layer; img_changes_write writes the list as a tar. Nobody
 * changes the trees meanwhile. Both are reached by fd only and no link is
 * followed. Order, and every byte, follow from the content alone: names are
 * sorted as bytes, a directory stands before what is in it, and the
 * directories above a change are always there, as other tools expect. Sockets
 * and devices are left out: a pot has its own /dev.
 */
#ifndef IMAGE_DIFF_H
#define IMAGE_DIFF_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "image/tarout.h"

enum change_kind { CHANGE_DIR, CHANGE_FILE, CHANGE_SYMLINK, CHANGE_FIFO, CHANGE_WHITEOUT };

#define CHANGE_NONE UINT32_MAX

struct change {
	char *name;      /* last component; "" for the root */
	uint32_t parent; /* index of its directory; CHANGE_NONE for the root */
	uint32_t link;   /* with several names: the first one of them in the layer, or CHANGE_NONE */
	uint8_t kind;    /* enum change_kind */
	bool emit;       /* goes into the layer; else it is only above, or beside, what might */
	uint32_t mode, uid, gid;
	uint64_t size, dev, ino;
	uint64_t nlink;
	struct timespec mtime;
};

struct changes {
	struct change *v;
	size_t n, cap;
	uint64_t bytes;             /* of files to be written */
	unsigned long long skipped; /* sockets and devices */
};

struct diff_args {
	int root;   /* the tree */
	int parent; /* what it is compared with; -1: everything is new */
	/*
	 * Paths, NULL-terminated, or NULL: an empty directory or file of this name that
	 * only the tree has is left out (mount points that starting a pot makes).
	 */
	const char *const *mount_points;
	const volatile bool *cancel; /* or NULL */
	/*
	 * Nothing is believed of who made the tree: no file is taken as the same because of its times, and what would
	 * be left out is E_NOTSUP.
	 */
	bool exact;
};

void changes_fini(struct changes *);
int img_changes_find(const struct diff_args *, struct changes *, struct err *) MUST_CHECK;
/* Inside: the last step of finding. */
int changes_settle(struct changes *, struct err *) MUST_CHECK;
/* Is there nothing in the layer? */
bool img_changes_empty(const struct changes *);

struct diff_write_args {
	int root;
	bool exact;    /* as in diff_args */
	int64_t epoch; /* no file is younger than this (SOURCE_DATE_EPOCH); < 0: times as they are */
	void (*progress)(void *arg, uint64_t done); /* bytes of files; or NULL */
	void *arg;
	const volatile bool *cancel;
};
/* The whole tar, its end included. E_STATE: a file changed meanwhile. */
int img_changes_write(
    const struct changes *, const struct diff_write_args *, struct tarout *, struct err *) MUST_CHECK;

/* The path of a change below the root, without slash at the end. */
int change_path(const struct changes *, uint32_t index, struct buf *, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(changes, struct changes)

#endif
