/*
 * What the files of the zfs mechanism share. Layout and meaning are told in
 * zfs.c. The three functions of the system stand in linux/ and freebsd/.
 */
#ifndef STORAGE_ZFS_H
#define STORAGE_ZFS_H

#include "base/buf.h"
#include "storage/storage.h"

#define ZFS_NAME_LEN 256 /* of a dataset or snapshot with its NUL (ZFS_MAX_DATASET_NAME_LEN) */
#define ZFS_ROOT_MAX 64  /* so that the longest names of ours fit below it */
#define ZFS_KEY_LEN (STOR_NAME_MAX + 16)
#define ZFS_WORK_LEN (ZFS_NAME_LEN + 16)
#define ZFS_KINDS 3

/* Failures that ask for another way; never leave the mechanism. Beyond enum err_code. */
#define ZFS_HAS_CLONES (E_COUNT + 1)
#define ZFS_HAS_LATER (E_COUNT + 2)
#define ZFS_CANMOUNT_OFF (E_COUNT + 3)

struct zfs_priv {
	int top;     /* <root>/storage/zfs */
	int staging; /* its staging: one link per unfinished operation */
	int kind[ZFS_KINDS];
};

/* One value of `zfs get`; strings are borrowed. Non-zero stops. */
struct zfs_value {
	const char *dataset, *prop, *value;
	bool local; /* set on the dataset itself */
};
typedef int zfs_value_fn(void *arg, const struct zfs_value *);

/* zfs_command.c: runs zfs with the words given, NULL at the end. */
int zfs_run(struct buf *out, struct err *, ...) MUST_CHECK __attribute__((sentinel));
/* The same, again and again while the dataset is busy, for a few seconds at most. */
int zfs_run_patiently(struct err *, ...) MUST_CHECK __attribute__((sentinel));
/* Renames a dataset or snapshot, as patiently. */
int zfs_run_rename(const char *from, const char *to, struct err *) MUST_CHECK;
/* The same, fed by head and then the source; what the source says goes before what zfs says. */
int zfs_run_fed(const void *head, size_t len, const struct stor_source *, struct err *, ...) MUST_CHECK
    __attribute__((sentinel));
/* The same with its output going to a descriptor, for as long as it takes. */
int zfs_run_to(int fd, struct err *, ...) MUST_CHECK __attribute__((sentinel));
/* depth NULL: only the dataset itself; "1": with its snapshots and children. */
int zfs_get(const char *dataset, const char *depth, const char *props, zfs_value_fn *, void *arg,
    struct err *) MUST_CHECK;
/* One value of one property. */
int zfs_get_one(const char *dataset, const char *prop, struct buf *value, struct err *) MUST_CHECK;

/* zfs.c */
extern const char *const zfs_kind_names[ZFS_KINDS];
void zfs_dataset(const struct stor *, struct stor_fs, char out[static ZFS_NAME_LEN]);
void zfs_snapshot_name(const struct stor *, struct stor_fs, const char *tag, char out[static ZFS_NAME_LEN]);
void zfs_mountpoint(const struct stor *, struct stor_fs, struct buf *);
/* How the hidden snapshots of src (a dataset) begin that were taken for a clone dst. */
void zfs_hidden_prefix(const char *src, struct stor_fs dst, char out[static ZFS_NAME_LEN]);
/* Ends the dataset's own mount, if there is one, and takes its directory away. */
int zfs_detach(struct stor *, struct stor_fs, bool force, struct err *) MUST_CHECK;

const char *zfs_created_option(char out[static 48]); /* "pot:created=<now>": ZFS itself keeps whole seconds */
/* Must the tag be kept in a property, since it does not fit into the snapshot's name? */
bool zfs_tag_is_long(const char *tag);

/* zfs_pack.c, zfs_origin.c */
int zfs_pack(struct stor *, struct stor_fs, const char *tag, const struct stor_packing *, int fd,
    struct err *) MUST_CHECK;
int zfs_origin(struct stor *, struct stor_fs, struct stor_origin *, struct err *) MUST_CHECK;
int zfs_note(struct stor *, struct stor_fs, const char *tag, const char *text, struct err *) MUST_CHECK;

/* zfs_stream.c */
int zfs_send(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from, int fd,
    struct err *) MUST_CHECK;
int zfs_receive(struct stor *, struct stor_fs, const char *tag, const struct stor_point *from,
    const struct stor_source *, struct err *) MUST_CHECK;
int zfs_stream_id(
    struct stor *, struct stor_fs, const char *tag, char id[static STOR_ID_LEN], struct err *) MUST_CHECK;

/* zfs_life.c: destroying, rolling back and what killed operations left. */
int zfs_work_begin(struct stor *, struct stor_fs, const char *what, struct err *) MUST_CHECK;
int zfs_work_end(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
void zfs_staging_name(const struct stor *, struct stor_fs, char out[static ZFS_NAME_LEN]);
int zfs_recover(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int zfs_destroy(struct stor *, struct stor_fs, struct err *) MUST_CHECK;
int zfs_snap_destroy(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;
int zfs_rollback(struct stor *, struct stor_fs, const char *tag, struct err *) MUST_CHECK;

/* zfs_rename.c: the link of fs must be there, since a kill can leave hidden snapshots of its clones. */
int zfs_rename_dataset(
    struct stor *, struct stor_fs, const char *from, const char *to, struct err *) MUST_CHECK;
int zfs_drop_holds(struct stor *, struct stor_fs, struct err *) MUST_CHECK;

/* zfs_list.c */
int zfs_snap_list(struct stor *, struct stor_fs, stor_snap_fn *, void *, struct err *) MUST_CHECK;
int zfs_list(struct stor *, enum stor_kind, bool sizes, stor_info_fn *, void *, struct err *) MUST_CHECK;
int zfs_usage(struct stor *, struct stor_fs, struct stor_info *, struct err *) MUST_CHECK;
int zfs_quota(struct stor *, struct stor_fs, uint64_t bytes, struct err *) MUST_CHECK;

/* linux/zfs_mount.c, freebsd/zfs_mount.c */
unsigned zfs_os_caps(void);
/* Does `zfs clone` mount the clone, canmount=noauto or not? */
bool zfs_os_clone_mounts(void);
/* Is something mounted on this directory? */
bool zfs_os_is_mounted(const char *path);
int zfs_os_mount(
    const char *dataset, const char *path, bool ro, const struct stor_idmap *, struct err *) MUST_CHECK;
/* Keeps what is mounted on path; -1 when nothing is. put_back mounts it there again, if it is not, and closes. */
int zfs_os_keep(const char *path);
void zfs_os_put_back(int fd, const char *path);
int zfs_os_unmount(const char *path, bool force, struct err *) MUST_CHECK;

#endif
