/*
 * Isolation: making the processes of a pot, joining them, signalling,
 * freezing and counting them. linux/ does it with namespaces and cgroups,
 * freebsd/ with jails, fake/ with plain children for tests of the engine.
 * Nothing here writes state, knows storage or network, or prints.
 */
#ifndef ISOLATION_ISOLATION_H
#define ISOLATION_ISOLATION_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/proc.h"

#define ISO_CGROUP_MAX 192

/* Who runs: numbers only; model/passwd.h turned names into them. */
struct iso_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
};

/* Where stdin, stdout and stderr of the main process go. */
enum iso_io {
	ISO_IO_LOG,    /* stdin /dev/null; one pipe for both to the shim's log: exact order */
	ISO_IO_ATTACH, /* stdin /dev/null; two pipes to the shim: log and client socket */
	ISO_IO_FDS     /* the three fds given, no log, the shim never touches the data */
};

/*
 * A mount into the pot: `fd` is a detached mount (iso_bind, iso_tmpfs, a
 * storage's mount), borrowed; target is resolved inside the root, made when
 * missing; dir says whether it is a directory.
 */
struct iso_mount {
	int fd;
	const char *target;
	bool dir;
};

/* Everything is borrowed until iso_spawn returns. */
struct iso_spec {
	const char *name; /* of the pot; process titles, cgroup leaf */
	const char *hostname;
	int root_fd;                    /* detached mount of the root */
	const struct iso_mount *mounts; /* in this order, after /proc /sys /dev */
	size_t nmounts;
	char *const *argv; /* argv[0] without slash: PATH of envp, inside the root */
	char *const *envp;
	struct iso_user user;
	const char *workdir; /* absolute, inside; NULL "/" */
	bool own_net;        /* a network namespace with lo up and nothing else */
	bool direct_init;    /* argv runs as PID 1 itself (an init system) */
	bool persistent;     /* PID 1 stays when the main process has ended */
	const char *cgroup;  /* from iso_cgroup_path and made, or NULL */
	/* System call filter: bytes of an array of struct sock_filter (seccomp/seccomp.h); NULL none. */
	const void *seccomp;
	size_t seccomp_len;

	enum iso_io io;
	int fds[3]; /* ISO_IO_FDS */

	/* For the shim. */
	const char *shim_path; /* the program */
	uint64_t run_id;
	int state_fd;              /* the state file, locked: the shim's copy keeps the lock (alive) */
	int log_dirfd;             /* where log, log.1 … stand (ISO_IO_LOG, ISO_IO_ATTACH) */
	uint64_t log_max;          /* bytes of one file */
	unsigned log_files;        /* how many, at least 1 */
	char *const *cleanup_argv; /* executed by the shim at the end (absolute argv[0]) */
};

/* What iso_spawn made. */
struct iso_child {
	struct proc_id shim, init; /* as the host sees them */
	int gate_fd;               /* closing it without iso_release ends the pot */
	int status_fd;             /* set-up and exec failures come here */
	int client_fd;             /* ISO_IO_ATTACH: frames of model/shimproto.h; else -1 */
};
#define ISO_CHILD_INIT                         \
	{                                      \
		{ 0, 0 }, { 0, 0 }, -1, -1, -1 \
	}

/*
 * Makes shim and PID 1 with everything set up and the command not yet
 * executed. All or nothing: on failure no process, mount or group remains.
 * Errors name the step and the path: E_NOTSUP for a missing kernel feature.
 */
int iso_spawn(const struct iso_spec *, struct iso_child *, struct err *) MUST_CHECK;
/* Opens the gate and waits until the command is executed. E_NOCMD, E_NOEXEC: not; the
   shim then ends by itself, without clean-up verb. Closes gate_fd and status_fd. */
int iso_release(struct iso_child *, struct err *) MUST_CHECK;
/* Ends everything of a child that was not released and waits for its end. */
void iso_abort(struct iso_child *);
void iso_child_fini(struct iso_child *); /* closes fds only */

/* A running pot, for the calls below: from the pot's state. */
struct iso_ref {
	struct proc_id init;
	const char *cgroup; /* or NULL */
};

int iso_signal(const struct iso_ref *, int sig, struct err *) MUST_CHECK;
/* SIGKILL to PID 1 and everything in the group; waits until all are gone. Nothing there is fine. */
int iso_kill_all(const struct iso_ref *, struct err *) MUST_CHECK;
int iso_freeze(const struct iso_ref *, bool frozen, struct err *) MUST_CHECK; /* returns when frozen */

/* Join. tty: a pty is made inside the pot's devpts, *pty is its master (else fds are used). */
struct iso_exec_spec {
	char *const *argv;
	char *const *envp;
	struct iso_user user;
	const char *workdir; /* NULL "/" */
	bool tty;
	unsigned short rows, cols; /* with tty, 0 leaves the default */
	int fds[3];
	const void *seccomp; /* as in iso_spec: that of the running pot */
	size_t seccomp_len;
};
/* *pid is a child of the caller. E_NOCMD, E_NOEXEC, E_STATE when the pot has just ended. */
int iso_exec(
    const struct iso_ref *, const struct iso_exec_spec *, pid_t *pid, int *pty, struct err *) MUST_CHECK;

/* The root directory as the pot sees it (with its mounts), as an O_PATH fd. */
int iso_root(const struct iso_ref *, struct err *) MUST_CHECK;

/* One process of a pot, for top. */
struct iso_task {
	int32_t pid; /* inside */
	int32_t host_pid;
	int32_t ppid; /* inside; 0 none */
	uint32_t uid; /* inside */
	char state;
	uint64_t cpu_ns, rss;
	int64_t start_ns; /* since the epoch */
	char comm[64];    /* escaped */
	char args[512];   /* escaped, blanks between, "" for a kernel-emptied line */
};
typedef int iso_task_fn(void *arg, const struct iso_task *);
int iso_tasks(const struct iso_ref *, iso_task_fn *, void *arg, struct err *) MUST_CHECK;

/* Detached mounts. A file or a directory of the host; path "": what dirfd is open on. */
int iso_bind(int dirfd, const char *path, bool ro, bool recursive, struct err *) MUST_CHECK;
int iso_tmpfs(uint64_t size, mode_t, struct err *) MUST_CHECK; /* size 0: the kernel's default */
/* Into a running pot / out of it. The target is resolved inside. */
int iso_mount_into(const struct iso_ref *, const struct iso_mount *, struct err *) MUST_CHECK;
int iso_unmount_from(const struct iso_ref *, const char *target, struct err *) MUST_CHECK;

/*
 * cgroups. The path names hierarchy and group ("v2:/pot/web", "freezer:/pot/web")
 * and is all that later calls need, from any process. It is told before the
 * group is made, so that the engine can journal it first.
 * parent: configured path, or NULL: the group this process is in.
 * prefix: the installation's own group below it ("pot", "pot-1a2b3c4d").
 * E_LIMIT when it is longer than ISO_CGROUP_MAX.
 */
int iso_cgroup_path(const char *parent, const char *prefix, const char *name, char out[static ISO_CGROUP_MAX],
    struct err *) MUST_CHECK;
/* Makes it and the prefix group; an existing empty one is fine. */
int iso_cgroup_make(const char *cgroup, struct err *) MUST_CHECK;
/* Removes the group and the prefix group when that is empty. Absent is fine. */
int iso_cgroup_remove(const char *cgroup, struct err *) MUST_CHECK;

/* One row per kernel feature for doctor: 1 there, 0 missing (why filled). */
struct iso_feature {
	const char *name, *needed_for, *remedy;
	bool required;
	int (*probe)(struct buf *why);
};
extern const struct iso_feature iso_features[];
extern const size_t iso_nfeatures;

#endif
