/*
 * Inside of isolation/linux: groups of processes as directories.  Functions
 * that take trees work on any directory, so that tests can give them one.
 */
#ifndef ISOLATION_LINUX_CGROUP_H
#define ISOLATION_LINUX_CGROUP_H

#include <limits.h>
#include "isolation/isolation.h"

/* Hierarchies that pots use: the unified one, then those of v1. */
enum cg_id { CG_V2, CG_FREEZER, CG_MEMORY, CG_PIDS, CG_CPUACCT, CG_CPU, CG_CPUSET, CG_IO, CG_COUNT };
extern const char *const cg_names[CG_COUNT]; /* as the kernel spells them */
/* The ISO_CG_… bit of a controller. */
static inline unsigned
cg_bit(enum cg_id id)
{
	return id >= CG_MEMORY ? 1u << (id - CG_MEMORY) : 0;
}

/* One hierarchy: where it is mounted and the group of this process below that. mount "": not there. */
struct cg_tree {
	char mount[PATH_MAX];
	char own[PATH_MAX];
	unsigned id; /* of the hierarchy: controllers of v1 that are mounted together have the same */
};
struct cg_trees {
	struct cg_tree tree[CG_COUNT];
};

/* From the text of /proc/PID/mountinfo and /proc/PID/cgroup. */
void cg_parse(const char *mountinfo, const char *self, struct cg_trees *);
/* Of this process, or of another one (what limits it, as this process sees it). */
int cg_find(struct cg_trees *, struct err *) MUST_CHECK;
int cg_find_of(pid_t, struct cg_trees *, struct err *) MUST_CHECK;
/* At least the hierarchies that the text names, of which nothing but the mount and the id may be known. */
int cg_find_named(const char *cgroup, struct cg_trees *, struct err *) MUST_CHECK;

/* One hierarchy of a text, and the path there. cg_next: 1, 0 at the end; E_INVAL. */
struct cg_part {
	enum cg_id id;
	char path[ISO_CGROUP_MAX];
};
struct cg_iter {
	const char *at; /* what is left */
};
int cg_next(struct cg_iter *, struct cg_part *, struct err *) MUST_CHECK;
/* Has the text a group of its own for this controller of v1? */
bool cg_names_v1(const char *cgroup, enum cg_id);

/* Does this group of v2 have controllers, to use or to give on? */
bool cg_has_controllers(const char *dir);

/* As the iso_cgroup_… of isolation.h. */
int cg_path(const struct cg_trees *, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *) MUST_CHECK;
int cg_extend(const struct cg_trees *, const char *cgroup, const char *parent, const char *prefix,
    const char *name, unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *) MUST_CHECK;
int cg_make(const struct cg_trees *, const char *cgroup, struct err *) MUST_CHECK;
int cg_join(const struct cg_trees *, const char *cgroup, bool make, struct err *) MUST_CHECK;
int cg_remove(const struct cg_trees *, const char *cgroup, struct err *) MUST_CHECK;

/* The directory of the first group: that for counting, freezing, killing. E_NOENT when it is gone. */
int cg_open(const struct cg_trees *, const char *cgroup, bool *v2, struct err *) MUST_CHECK;
/* The directory in which a controller's files of this pot are, on v1 or v2. E_NOTSUP: the pot has none. */
int cg_open_for(const struct cg_trees *, const char *cgroup, enum cg_id, bool *v2, struct err *) MUST_CHECK;

/* On an open group. */
int cg_freeze(int dirfd, bool v2, bool frozen, struct err *) MUST_CHECK;
int cg_kill(int dirfd, bool v2, struct err *) MUST_CHECK; /* waits until it is empty */
int cg_each(int dirfd, int (*fn)(void *, pid_t), void *arg, struct err *) MUST_CHECK; /* with sub-groups */
/* A control file: whole, without the last newline. */
int cg_read(int dirfd, const char *file, struct buf *, struct err *) MUST_CHECK;
int cg_write(int dirfd, const char *file, const char *text, struct err *) MUST_CHECK;

/* limits.c: as the iso_… without trees. */
int cg_limit(const struct cg_trees *, const char *cgroup, const struct iso_limits *have,
    const struct iso_limits *want, struct err *) MUST_CHECK;
int cg_used(
    const struct cg_trees *, const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *) MUST_CHECK;
int cg_oom_kills(const struct cg_trees *, const char *cgroup, uint64_t *kills, struct err *) MUST_CHECK;

/* For a process that is to be made in the groups: directory of the v2 one, open task lists of the v1 ones (and of
   the v2 one where the kernel makes none in it). */
struct cg_enter {
	int dir; /* or -1 */
	int tasks[CG_COUNT];
	unsigned ntasks;
};
#define CG_ENTER_INIT         \
	{                     \
		-1, { -1 }, 0 \
	}
int cg_enter(const char *cgroup, struct cg_enter *, struct err *) MUST_CHECK; /* cgroup NULL, "": none */
void cg_enter_fini(struct cg_enter *);
DEFINE_AUTO_FINI(cg_enter, struct cg_enter)

/* The trees are too large for every caller's stack. */
#define CG_WITH(find, call)                                      \
	__extension__({                                          \
		struct cg_trees *trees = malloc(sizeof(*trees)); \
		int ret = trees == NULL ? err_nomem(e) : (find); \
		if (ret == 0)                                    \
			ret = (call);                            \
		free(trees);                                     \
		ret;                                             \
	})
#define CG_WITH_TREES(call) CG_WITH(cg_find(trees, e), call)
#define CG_WITH_NAMED(cgroup, call) CG_WITH(cg_find_named(cgroup, trees, e), call)

#endif
