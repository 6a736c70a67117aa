/*
 * Making a subvolume's content of a btrfs stream (version 1, the format of
 * btrfs-send(8)). The stream may come from anybody: nothing outside the
 * subvolume is reached, only read-only what it is the difference to.
 */
#ifndef STORAGE_LINUX_BTRFS_APPLY_H
#define STORAGE_LINUX_BTRFS_APPLY_H

#include "storage/linux/subvol.h"
#include "storage/storage.h"

/* The first command: which subvolume the stream makes, and of which. */
struct btrfs_stream_head {
	uint8_t uuid[SUBVOL_UUID_LEN], parent[SUBVOL_UUID_LEN];
	uint64_t transid;
	bool has_parent;
};

struct btrfs_stream; /* one being read */

int btrfs_stream_begin(
    struct btrfs_stream **, const struct stor_source *, struct btrfs_stream_head *, struct err *) MUST_CHECK;
/* Applies the rest to root; from, -1 for none, is what it is the difference to. */
int btrfs_stream_apply(struct btrfs_stream *, int root, int from, struct err *) MUST_CHECK;
void btrfs_stream_free(struct btrfs_stream *);

#endif
