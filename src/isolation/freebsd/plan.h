/*
 * Inside of isolation/freebsd: what is done to the kernel for a pot, as a list
 * of operations in order, and their undo. Pure: the operations themselves are
 * functions of a struct kern, FreeBSD's own (kernel.c) or a test's.
 */
#ifndef ISOLATION_FREEBSD_PLAN_H
#define ISOLATION_FREEBSD_PLAN_H

#include "isolation/freebsd/params.h"

/* One mount below the pot's root. */
struct plan_mount {
	const char *fstype; /* "nullfs", "tmpfs", "devfs", "fdescfs", "procfs", "linprocfs" */
	const char *target; /* inside the root */
	bool dir;
	int from_fd;      /* nullfs: an fd on what is shown; else -1 */
	const char *from; /* nullfs: its path, for people; borrowed */
	bool ro, noexec, nosuid;
	uint64_t size;    /* tmpfs, 0 none */
	unsigned mode;    /* tmpfs */
	unsigned ruleset; /* devfs */
};

/* What must be known to take a pot down in another process: kept in a file from before the first change on. */
struct plan_record {
	char jail[JAIL_NAME_MAX];
	char root[1024];  /* path of its root on the host: all mounts under it are the pot's */
	unsigned ruleset; /* made by pot; 0: none */
	bool covered;     /* root is a read-only view of the pot's root, mounted by pot */
};

/*
 * Each is all or nothing, and its undo is fine with nothing being there. jail: the name; root: the host's path.
 */
struct kern {
	void *arg;
	int (*record)(void *arg, const struct plan_record *, struct err *);
	int (*forget)(void *arg, const char *jail, struct err *);
	/* Hides all devices but the usual ones and these (NULL-terminated paths below /dev). */
	int (*ruleset_make)(void *arg, unsigned ruleset, char *const *devices, struct err *);
	int (*ruleset_drop)(void *arg, unsigned ruleset, struct err *);
	/* root: where a read-only view of root_fd is mounted and what the mount belongs into; NULL: root_fd itself. */
	int (*mount)(void *arg, int root_fd, const char *root, const struct plan_mount *, struct err *);
	/* A read-only view of root_fd, at root, which is made. */
	int (*cover)(void *arg, int root_fd, const char *root, struct err *);
	/* What is mounted below root, the last first; covered: also the view that root is. */
	int (*unmount_all)(void *arg, const char *root, bool covered, struct err *);
	int (*jail_make)(void *arg, const struct params *, struct err *);
	/* Ends its processes and waits for them; what it was given goes back. */
	int (*jail_drop)(void *arg, const char *jail, struct err *);
	/* Shared memory that its processes left; root: the jail's. */
	int (*shm_drop)(void *arg, const char *root, struct err *);
	int (*dataset)(void *arg, const char *jail, const char *dataset, struct err *);
	int (*loopback)(void *arg, const char *jail, struct err *);
	int (*cpus)(void *arg, const char *jail, const char *list, struct err *);
	int (*rule_add)(void *arg, const char *rule, struct err *);
	/* Every rule that begins so: "jail:web:" is all of a pot's. */
	int (*rule_drop)(void *arg, const char *filter, struct err *);
	/* Of a pot that runs (verbs.c). known: E_NOENT, pot made no jail of this name. */
	int (*known)(void *arg, const char *jail, struct err *);
	/* SIGSTOP and the like to all in the jail at once. E_STATE: it has ended. */
	int (*signal_all)(void *arg, const char *jail, int sig, struct err *);
	/* How many of its processes are not stopped. */
	int (*running)(void *arg, const char *jail, unsigned *n, struct err *);
	int (*root_open)(void *arg, const char *jail, struct err *); /* an fd */
	void (*root_close)(void *arg, int root_fd);
	int (*unmount)(void *arg, int root_fd, const char *target, struct err *);
};

enum plan_kind {
	PLAN_RECORD,
	PLAN_RULESET,
	PLAN_COVER,
	PLAN_MOUNT,
	PLAN_JAIL,
	PLAN_DATASET,
	PLAN_LOOPBACK,
	PLAN_CPUS
};

#define PLAN_OPS_MAX 288
struct plan {
	struct plan_record record;
	struct params params;
	int root_fd;
	char *const *devices; /* for the ruleset */
	const char *cpus;
	struct plan_op {
		enum plan_kind kind;
		struct plan_mount mount;
		const char *dataset; /* borrowed */
	} ops[PLAN_OPS_MAX];
	size_t nops;
};

/* What the caller has found out for a start; the names must outlive the plan. */
struct plan_input {
	const struct plan_record *record;
	const char *osrelease;           /* of the root, "" none */
	const struct plan_mount *mounts; /* the spec's, as descriptions */
	size_t nmounts;
	char *const *devices, *const *datasets; /* NULL-terminated */
};
/* All that stands before the first process of a pot. */
int plan_start(struct plan *, const struct iso_spec *, const struct plan_input *, struct err *) MUST_CHECK;
/* In order; on failure what was done is undone, the last first, and the first failure is told. */
int plan_up(const struct plan *, const struct kern *, struct err *) MUST_CHECK;
/* All of it back, by the record alone, from any process. Goes on after a failure and tells the first. */
int plan_down(const struct plan_record *, const struct kern *, struct err *) MUST_CHECK;

/* ---- verbs.c: with a pot that runs */

int verb_freeze(const struct kern *, const char *jail, bool frozen, struct err *) MUST_CHECK;
int verb_kill(const struct kern *, const char *jail, struct err *) MUST_CHECK;
int verb_mount_in(const struct kern *, const char *jail, const struct plan_mount *, struct err *) MUST_CHECK;
int verb_mount_out(const struct kern *, const char *jail, const char *target, struct err *) MUST_CHECK;

/* How a process becomes a command of the pot: each 0 or an errno. */
struct entry {
	void *arg;
	int (*untraceable)(void *arg); /* before it is where others could look at it */
	int (*attach)(void *arg);
	int (*terminal)(void *arg); /* NULL: it has been given its fds */
	int (*change_dir)(void *arg);
	int (*identity)(void *arg);
	void (*signals)(void *arg);
	int (*execute)(void *arg); /* returns only when it failed */
};
/* Walks it; returns when something failed: what, as a SHIM_STEP_… of model/shimproto.h, and its errno. */
uint32_t entry_walk(const struct entry *, int *sys);
/* What a failed set-up or exec means. */
struct shim_failure;
int entry_failure(const struct shim_failure *, struct err *);

/* ---- limits: rules of rctl(8) */

/* "jail:web:maxproc:deny=100" … E_NOTSUP naming a limit that jails do not have. */
int rules_check(const struct iso_limits *, struct err *) MUST_CHECK;
int rules_make(const char *jail, const struct iso_limits *, struct strv *, struct err *) MUST_CHECK;
/* From the rules `have` (NULL: none) to `want`, all or nothing: as before after a failure. */
int rules_change(const struct kern *, const char *jail, const struct iso_limits *have,
    const struct iso_limits *want, struct err *) MUST_CHECK;

/* The text of a record, and what it says; E_CORRUPT. */
void plan_record_text(const struct plan_record *, struct buf *);
int plan_record_parse(const char *text, struct plan_record *, struct err *) MUST_CHECK;

#endif
