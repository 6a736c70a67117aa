/* The operations of copy.c, for the two mechanisms that are made of them. */
#ifndef STORAGE_COPY_H
#define STORAGE_COPY_H

#include "storage/storage.h"

int copy_probe(const char *dir, const struct stor_params *, struct buf *why, struct err *);
int copy_init(struct stor *, struct err *);
int copy_fini(struct stor *, struct err *);
int copy_open(struct stor *, struct err *);
void copy_close(struct stor *);
int copy_create(struct stor *, struct stor_fs, struct err *);
int copy_destroy(struct stor *, struct stor_fs, struct err *);
int copy_rename(struct stor *, struct stor_fs, const char *newname, struct err *);
int copy_exists(struct stor *, struct stor_fs, struct err *);
int copy_snapshot(struct stor *, struct stor_fs, const char *tag, struct err *);
int copy_snap_destroy(struct stor *, struct stor_fs, const char *tag, struct err *);
int copy_rollback(struct stor *, struct stor_fs, const char *tag, struct err *);
int copy_snap_list(struct stor *, struct stor_fs, stor_snap_fn *, void *arg, struct err *);
int copy_clone(struct stor *, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *);
int copy_list(struct stor *, enum stor_kind, bool sizes, stor_info_fn *, void *arg, struct err *);
int copy_usage(struct stor *, struct stor_fs, struct stor_info *, struct err *);
int copy_mount(struct stor *, struct stor_fs, bool ro, const struct stor_idmap *, struct err *);
int copy_recover(struct stor *, struct stor_fs, struct err *);

#define STOR_COPY_OPS(called, says)                                                                         \
	{                                                                                                   \
		.name = called, .summary = says, .probe = copy_probe, .init = copy_init, .fini = copy_fini, \
		.open = copy_open, .close = copy_close, .create = copy_create, .destroy = copy_destroy,     \
		.rename = copy_rename, .exists = copy_exists, .snapshot = copy_snapshot,                    \
		.snap_destroy = copy_snap_destroy, .rollback = copy_rollback, .snap_list = copy_snap_list,  \
		.clone = copy_clone, .list = copy_list, .usage = copy_usage, .mount = copy_mount,           \
		.recover = copy_recover,                                                                    \
	}

#endif
