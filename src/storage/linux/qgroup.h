/*
 * Quota groups of btrfs: whether they are on, what a subvolume uses, its limit.
 * Turning them on or off concerns the whole file system and is never done here.
 */
#ifndef STORAGE_LINUX_QGROUP_H
#define STORAGE_LINUX_QGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum qgroup_mode {
	QGROUP_OFF,
	QGROUP_FULL,  /* referenced and exclusive bytes */
	QGROUP_SIMPLE /* bytes that the subvolume itself allocated (Linux 6.7) */
};

struct qgroup_use {
	uint64_t referenced, exclusive;
	uint64_t limit; /* of referenced bytes, 0 none */
};

enum qgroup_mode qgroup_mode(int fd);
/* Figures as of the last commit. */
int qgroup_use(int fd, uint64_t subvol_id, struct qgroup_use *, struct err *) MUST_CHECK;
/* Limits the referenced bytes of the subvolume fd; 0 removes the limit. */
int qgroup_limit(int fd, uint64_t bytes, struct err *) MUST_CHECK;

#endif
