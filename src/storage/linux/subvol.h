/*
 * btrfs subvolumes by ioctl(2). One call here is one atomic change of the
 * file system; what makes it durable is said at each.
 *
 * libbtrfsutil wraps the same ioctls but reaches nested subvolumes by path,
 * which a pot that owns those paths can make too long, or read-only.
 */
#ifndef STORAGE_LINUX_SUBVOL_H
#define STORAGE_LINUX_SUBVOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SUBVOL_UUID_LEN 16

struct subvol_info {
	uint64_t id;       /* grows with every subvolume and is never used again */
	uint64_t otransid; /* transaction that made it */
	bool is_snapshot;
	int64_t created; /* ns since the epoch */
	/* Who it is in streams: of one that came by a stream, who it was there. */
	uint8_t identity[SUBVOL_UUID_LEN];
};

/* Is fd on a btrfs? 1, 0 or <0. */
int subvol_on_btrfs(int fd, struct err *) MUST_CHECK;
/* Makes an empty subvolume. Commits. */
int subvol_create(int dirfd, const char *name, struct err *) MUST_CHECK;
/* dirfd/name becomes a snapshot of the subvolume srcfd with all that is written to it by now. Commits. */
int subvol_snapshot(int srcfd, int dirfd, const char *name, bool ro, struct err *) MUST_CHECK;
/*
 * Removes a subvolume with all that are nested in it. Absent is fine. The name
 * is gone at once, its blocks later. Durable after subvol_commit.
 */
int subvol_delete(int dirfd, const char *name, struct err *) MUST_CHECK;
int subvol_get_info(int fd, struct subvol_info *, struct err *) MUST_CHECK;
/* Waits until all changes of metadata so far are on disk; does not write file data back. */
int subvol_commit(int fd, struct err *) MUST_CHECK;
/* Writes a read-only subvolume to out, as the difference to another one unless parent is 0. */
int subvol_send(int fd, uint64_t parent, int out, struct err *) MUST_CHECK;
/* Who fd, which can be written, was where its stream comes from; its read-only snapshots are that, too. */
int subvol_set_received(
    int fd, const uint8_t uuid[static SUBVOL_UUID_LEN], uint64_t transid, struct err *) MUST_CHECK;
/*
 * Sums the extents that the files of a subvolume refer to: in *own those made
 * after transaction `since`, in *shared the older ones. Reads the tree of the
 * subvolume, never a directory, so what a pot made of its names does not matter.
 */
int subvol_extents(
    int fd, uint64_t id, uint64_t since, uint64_t *own, uint64_t *shared, struct err *) MUST_CHECK;

#endif
