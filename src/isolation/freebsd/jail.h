/*
 * Inside of isolation/freebsd: the jail system calls, mounts, devfs rules and
 * limits, each as one function; and processes that work inside of a jail.
 */
#ifndef ISOLATION_FREEBSD_JAIL_H
#define ISOLATION_FREEBSD_JAIL_H

#include "isolation/freebsd/plan.h"

/* FreeBSD's own operations. */
extern const struct kern kern_freebsd;

/* ---- jail.c */

/* The jid of a jail that lives; E_NOENT. */
int jail_find(const char *name, struct err *) MUST_CHECK;
/* Its root on the host. */
int jail_path(int jid, char *out, size_t size, struct err *) MUST_CHECK;
int jail_make(const struct params *, struct err *) MUST_CHECK;
/*
 * A descriptor that owns the jail: when its last copy is closed, by any kind of death, the kernel ends the jail and all in
 * it. -1 where the kernel has none (before 15).
 */
int jail_own(int jid);
/* Ends all its processes and waits until they are gone. Nothing there is fine. */
int jail_drop(const char *name, struct err *) MUST_CHECK;
/* The next one above this jid, also a dying one; negative: there is none. */
int jail_next(int jid, char *name, size_t size);
/* Removed, but something still holds it. */
bool jail_is_dying(int jid);

/*
 * Runs fn in a process of its own inside the jail, which nobody in there can trace: 0 or an errno, and what it says is
 * what fn returned. E_STATE: the jail has ended. fn may only make system calls.
 */
int jail_inside(int jid, int (*fn)(void *arg), void *arg, int *answer, struct err *) MUST_CHECK;

/* ---- procs.c: all processes of a jail, or (jid 0) of the host and all jails. */
struct kinfo_proc;
int procs_each(int jid, int (*fn)(void *arg, const struct kinfo_proc *), void *arg, struct err *) MUST_CHECK;

/* ---- mount.c */

/* What an fd of iso_bind and iso_tmpfs stands for (isolation.h calls it a detached mount). */
struct mount_wish {
	struct plan_mount mount; /* from points into path */
	char path[1024];
};
int mount_wish_get(int fd, struct mount_wish *, struct err *) MUST_CHECK;
/* root: a read-only view of root_fd, which the mount is made in; NULL: root_fd itself. */
int mount_make(int root_fd, const char *root, const struct plan_mount *, struct err *) MUST_CHECK;
int mount_cover(int root_fd, const char *root, struct err *) MUST_CHECK;
int mount_drop_all(const char *root, bool covered, struct err *) MUST_CHECK;
/* The one that is on this path of the host. */
int mount_drop_one(const char *path, struct err *) MUST_CHECK;

/* ---- leftovers.c: POSIX shared memory that was made below this root, which is a jail's */
int shm_drop(const char *root, struct err *) MUST_CHECK;

/* ---- dataset.c. E_STATE: it is not marked as a jail's. */
int dataset_give(int jid, const char *dataset, struct err *) MUST_CHECK;

/* ---- devfs.c */
/* A number that no ruleset has, kept by a file in the directory of records until ruleset_drop. */
int ruleset_take(unsigned *, struct err *) MUST_CHECK;
int ruleset_make(unsigned, char *const *devices, struct err *) MUST_CHECK;
int ruleset_drop(unsigned, struct err *) MUST_CHECK;

/* ---- records.c: what stands in /var/run/pot */
/* A file for iso_file. */
void record_file(unsigned number, char out[static ISO_FILE_NAME]);
bool record_is_file(const char *path); /* such a file's? */
/* Where the read-only view of a pot's root is mounted. */
void record_view(const char *jail, char out[static 1024]);
int record_dir(struct err *) MUST_CHECK;
int record_write(const struct plan_record *, struct err *) MUST_CHECK;
int record_read(const char *jail, struct plan_record *, struct err *) MUST_CHECK; /* E_NOENT */
int record_drop(const char *jail, struct err *) MUST_CHECK; /* with its count of kills */
/* The file that kills are counted in. */
#define RECORD_NAME_MAX (JAIL_NAME_MAX + 8)
void record_kills(const char *jail, char out[static RECORD_NAME_MAX]);

/* ---- kills.c */
/* What the kernel tells of rules that are hit, for pot-shim; -1 where it does not. */
int kills_listen(void);
/* The count, at 0, to be added to. */
int kills_open(const char *jail, struct err *) MUST_CHECK;

/* ---- limits.c */
/* Is resource accounting on? Every limit says so where not. */
bool racct_is_on(void);
int racct_off(const char *what, struct err *);

struct rlimits_given;
/* setrlimit(2) of another process: what is listed, and the usual values for the rest. */
int rlimits_check(const struct iso_rlimit *, size_t n, struct err *) MUST_CHECK;
int rlimits_give(pid_t, const struct iso_rlimit *, size_t n, struct err *) MUST_CHECK;

#endif
