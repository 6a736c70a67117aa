/*
 * Inside of isolation/linux: groups of processes as directories.  Functions
 * that take trees work on any directory, so that tests can give them one.
 */
#ifndef ISOLATION_LINUX_CGROUP_H
#define ISOLATION_LINUX_CGROUP_H

#include <limits.h>
#include "isolation/isolation.h"

/* One hierarchy: where it is mounted and the group of this process below that. mount "": not there. */
struct cg_tree {
	char mount[PATH_MAX];
	char own[PATH_MAX];
};
struct cg_trees {
	struct cg_tree v2, freezer;
};

/* From the text of /proc/self/mountinfo and /proc/self/cgroup. */
void cg_parse(const char *mountinfo, const char *self, struct cg_trees *);
int cg_find(struct cg_trees *, struct err *) MUST_CHECK;

/* As the iso_cgroup_… of isolation.h. */
int cg_path(const struct cg_trees *, const char *parent, const char *prefix, const char *name,
    char out[static ISO_CGROUP_MAX], struct err *) MUST_CHECK;
int cg_make(const struct cg_trees *, const char *cgroup, struct err *) MUST_CHECK;
int cg_remove(const struct cg_trees *, const char *cgroup, struct err *) MUST_CHECK;
/* The group's directory. E_NOENT when it is gone. */
int cg_open(const struct cg_trees *, const char *cgroup, bool *v2, struct err *) MUST_CHECK;

/* On an open group. */
int cg_freeze(int dirfd, bool v2, bool frozen, struct err *) MUST_CHECK;
int cg_kill(int dirfd, bool v2, struct err *) MUST_CHECK; /* waits until it is empty */
int cg_each(int dirfd, int (*fn)(void *, pid_t), void *arg, struct err *) MUST_CHECK; /* with sub-groups */

/* For a process that is to be made in the group: its directory (v2) or its open task list (v1). */
int cg_enter_fd(const char *cgroup, bool *v2, struct err *) MUST_CHECK;

#endif
