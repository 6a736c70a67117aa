/*
 * Inside of isolation/linux: what is made for a pot's walls by the caller,
 * while it still has the host's rights, and what a running pot's walls are.
 */
#ifndef ISOLATION_LINUX_WALLS_H
#define ISOLATION_LINUX_WALLS_H

#include "isolation/linux/cgroup.h"

#define WALL_NODES 6

/* /dev, a tmpfs of the pot's own. Where nodes cannot be made, binds[i] is a clone of the host's. */
struct wall_dev {
	int fd; /* detached */
	int binds[WALL_NODES];
};

/* The pot's own control groups, read-only, as they are to be seen below /sys/fs/cgroup. */
struct wall_groups {
	int top; /* the v2 group itself, or a directory of hierarchies; -1: none */
	int fds[CG_COUNT];
	char names[CG_COUNT][32]; /* below top */
	unsigned n;
};

struct walls {
	struct wall_dev dev;
	int sys_fd; /* detached sysfs of the host's network, or -1: the pot mounts its own */
	struct wall_groups groups;
};
#define WALLS_INIT                                                        \
	{                                                                 \
		{ -1, { -1, -1, -1, -1, -1, -1 } }, -1,                   \
		{                                                         \
			-1, { -1, -1, -1, -1, -1, -1, -1, -1 }, { "" }, 0 \
		}                                                         \
	}
extern const char *const wall_nodes[WALL_NODES]; /* their names below /dev */

int walls_make(struct walls *, const struct iso_spec *, struct err *) MUST_CHECK;
void walls_fini(struct walls *);
DEFINE_AUTO_FINI(walls, struct walls)

/* A running pot's walls as the kernel knows them: nobody can have changed what is told of them. */
struct wall_facts {
	bool userns; /* one that this process is not in */
	uint32_t first, ids;
	uint64_t caps;
	bool humble; /* no_new_privs */
};
/* Of a process that `id` names; E_STATE when it has ended. */
int walls_facts(const struct proc_id *, struct wall_facts *, struct err *) MUST_CHECK;
/* Only whose ids are which: cheaper. ids 0: the host's. */
int walls_ids(const struct proc_id *, uint32_t *first, uint32_t *ids, struct err *) MUST_CHECK;
/* Makes a process as likely to be killed for want of memory as any. Nothing is done where this process is. */
void walls_oom(pid_t);

#endif
