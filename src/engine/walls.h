/*
 * The walls of one pot: what pot.conf says about them, as isolation and
 * storage want it; and the ranges of user ids that pots have.
 */
#ifndef ENGINE_WALLS_H
#define ENGINE_WALLS_H

#include "engine/epot.h"
#include "model/walls.h"

#define IDS_PER_POT 65536u

/* ids.c: the host's id of a pot's root; the first time, the pot gets a range. E_LIMIT when there is none left. */
int ids_get(struct eng *, const char *pot_id, uint32_t *first, struct err *) MUST_CHECK;
/* 1 and *first when it has one, 0 else. */
int ids_find(struct eng *, const char *pot_id, uint32_t *first);
int ids_release(struct eng *, const char *pot_id, struct err *) MUST_CHECK; /* absent is fine */
/* Takes back what pots have that are no more. */
int ids_reclaim(struct eng *, struct err *) MUST_CHECK;

#define WALLS_DEVICES_MAX 32

#define WALLS_ATTRS_MAX 32
struct epot_walls {
	struct iso_walls iso; /* borrows from what follows */
	struct stor_idmap map;
	struct iso_ahead *ahead; /* NULL: nothing is made ahead */
	int spent;               /* a mount that is not needed any more, or -1 */
	struct iso_device devices[WALLS_DEVICES_MAX];
	struct iso_attr attrs[WALLS_ATTRS_MAX];
	struct strv device_paths, sysctls;
	struct buf filter;
};
#define EPOT_WALLS_INIT                                                               \
	{                                                                             \
		.map = { -1, 0, NULL }, .spent = -1, .device_paths = STRV_INIT(4096), \
		.sysctls = STRV_INIT(4096), .filter = BUF_INIT(64 * 1024),            \
	}

/* For a start of a locked pot with its conf loaded; the storage is open. iso.ids 0: no user namespace. */
int walls_open(struct epot *, struct epot_walls *, struct err *) MUST_CHECK;
void walls_close(struct epot_walls *);
/* The pot's root, mapped; where that turns out to be impossible and was not demanded, without a user namespace. */
int walls_mount_root(struct epot *, struct epot_walls *, struct err *) MUST_CHECK;
/* Shows a mount's ids as the pot's; where its file system cannot, they stay as they are. */
int walls_map(const struct epot_walls *, int mount_fd, struct err *) MUST_CHECK;
/* The filter of executed commands: static bytes, or in *own. len 0: none. */
int walls_filter(
    struct epot *, struct buf *own, const void **prog, size_t *len, bool *is_own, struct err *) MUST_CHECK;
/* Why a pot that is to be started would have no user namespace: "" it has one. */
const char *walls_no_userns(struct epot *);

/* Settings as options have them, "NAME=VALUE", NULL-terminated; into pot.conf and the files beside it. */
int walls_change(struct epot *, const char *const *settings, struct err *) MUST_CHECK;
/* Compiles the pot's filter where it has one of its own. After a change of capabilities or profile. */
int walls_compile(struct epot *, struct err *) MUST_CHECK;
#define WALLS_PROFILE "seccomp.json"
#define WALLS_PROGRAM "seccomp.bpf"

#endif
