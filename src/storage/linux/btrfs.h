/*
 * What the files of the btrfs mechanism share: the opened directories and the
 * operations that live outside btrfs.c. The layout on disk is told there.
 */
#ifndef STORAGE_LINUX_BTRFS_H
#define STORAGE_LINUX_BTRFS_H

#include "base/buf.h"
#include "storage/linux/qgroup.h"
#include "storage/storage.h"

#define BTRFS_KINDS 3
#define BTRFS_NAMES_MAX (1u << 20)
#define BTRFS_KEY_LEN (STOR_NAME_MAX + 8)

/* In staging/KIND.NAME during a rollback: the coming root, and "ID:TAG" once it is decided. */
#define BTRFS_NEW_ROOT "new"
#define BTRFS_GO "go"

struct btrfs_priv {
	int top, staging, kind[BTRFS_KINDS];
	enum qgroup_mode quota;
};

/* btrfs.c */
void btrfs_staging_name(struct stor_fs, char out[static BTRFS_KEY_LEN]);
int btrfs_no_fs(struct stor_fs, struct err *);
/* Returns an fd of the directory NAME and sets *rootfd; E_NOENT when there is no root. */
int btrfs_open_fs(const struct btrfs_priv *, struct stor_fs, int *rootfd, struct err *) MUST_CHECK;
int btrfs_snap_open(int dir, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
/* Adds the names in a directory, sorted. */
int btrfs_names(int dirfd, struct strv *, struct err *) MUST_CHECK;
/* Removes parent/name with every subvolume that can be in it. Absent is fine. */
int btrfs_remove_dir(int parent, const char *name, struct err *) MUST_CHECK;
/* The same on the way out of a failure: what stays is left to recovery. Returns rc. */
int btrfs_discard_dir(int parent, const char *name, int rc);

/* Makes and opens the directory that will hold root; E_EXIST when there is one already. */
int btrfs_make_dir(struct stor *, struct stor_fs, struct err *) MUST_CHECK;

/* btrfs_stream.c */
int btrfs_send(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from, int fd,
    struct err *) MUST_CHECK;
int btrfs_receive(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from,
    const struct stor_source *, struct err *) MUST_CHECK;
int btrfs_stream_id(
    struct stor *, struct stor_fs, const char *tag, char id[static STOR_ID_LEN], struct err *) MUST_CHECK;

/* btrfs_rollback.c */
int btrfs_rollback(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
int btrfs_recover(struct stor *, struct stor_fs, struct err *) MUST_CHECK;

/* btrfs_list.c */
/* The transaction after which an extent of this root belongs to it alone. */
int btrfs_origin(int dir, int rootfd, uint64_t *transid, struct err *) MUST_CHECK;
/* Keeps the origin over a change of root. */
int btrfs_set_origin(int dir, uint64_t transid, struct err *) MUST_CHECK;
int btrfs_snap_list(struct stor *, struct stor_fs, stor_snap_fn *, void *, struct err *) MUST_CHECK;
int btrfs_list(struct stor *, enum stor_kind, bool sizes, stor_info_fn *, void *, struct err *) MUST_CHECK;
int btrfs_usage(struct stor *, struct stor_fs, struct stor_info *, struct err *) MUST_CHECK;
int btrfs_quota(struct stor *, struct stor_fs, uint64_t bytes, struct err *) MUST_CHECK;

#endif
