/*
 * Inside of isolation/linux: reading what a pot uses. The trees may be any
 * directories, so that tests can give theirs.
 */
#ifndef ISOLATION_LINUX_METER_H
#define ISOLATION_LINUX_METER_H

#include "isolation/linux/cgroup.h"

struct iso_meter {
	int trees[CG_COUNT];   /* what is mounted, -1: not there */
	bool inside[CG_COUNT]; /* is this controller in v2? */
	uint64_t host_memory;
};

/* Takes the fds. Looks at what v2 has. */
void meter_init(struct iso_meter *, const int trees[static CG_COUNT], uint64_t host_memory);
void meter_fini(struct iso_meter *);
/* What the files of these groups tell; what none tells is ISO_UNKNOWN. Returns how many files there were. */
unsigned meter_groups(const struct iso_meter *, const char *cgroup, struct iso_stats *);

#endif
