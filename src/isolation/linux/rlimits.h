/* Inside of isolation/linux: limits of a process, ready for the kernel. */
#ifndef ISOLATION_LINUX_RLIMITS_H
#define ISOLATION_LINUX_RLIMITS_H

#include "isolation/isolation.h"

#define RLIMITS_COUNT 15

struct rlimits_row {
	int resource;
	bool asked;        /* somebody wants it; else the usual value */
	uint64_t value[2]; /* soft, hard: struct rlimit64 */
	uint64_t lower[2]; /* the usual value as far as this process may give it */
};
struct rlimits {
	struct rlimits_row v[RLIMITS_COUNT];
};

/* All of them: those listed, and the usual values. E_NOTSUP for an unknown name. */
int rlimits_get(struct rlimits *, const struct iso_rlimit *, size_t n, struct err *) MUST_CHECK;
int rlimits_set(pid_t, const struct rlimits *, struct err *) MUST_CHECK;

#endif
