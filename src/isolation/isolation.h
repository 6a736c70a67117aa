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

#define ISO_CGROUP_MAX 640

/* Who runs: numbers only; model/passwd.h turned names into them. */
struct iso_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
};

/* setrlimit(2) of the main process and of executed commands. */
struct iso_rlimit {
	const char *name;    /* "nofile" */
	uint64_t soft, hard; /* ISO_RLIM_INFINITY: none */
};
#define ISO_RLIM_INFINITY UINT64_MAX

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

/* A device of the host in the pot's own /dev. */
struct iso_device {
	const char *path; /* below the pot's /dev: "fuse", "net/tun" */
	uint32_t mode;    /* type and permissions */
	uint64_t rdev;
};

/* An attribute that is a parameter of a FreeBSD jail (model/attr.h); Linux has no use for it. */
struct iso_attr {
	const char *name, *value;
};

/*
 * What separates the pot from the host, besides its namespaces. All zero is
 * the strictest: no capability at all, but no user namespace.
 */
struct iso_walls {
	int userns_fd;     /* from iso_userns; looked at only where ids is not 0 */
	uint32_t id_first; /* the host's id of the pot's root */
	uint32_t ids;      /* how many ids the pot has; 0: no user namespace, its ids are the host's */
	uint64_t
	    caps; /* bit N: capability number N; of root in the pot, and the bound of all its processes */
	bool new_privs;    /* setuid programs of the root may raise rights (up to caps) */
	bool unmasked;     /* /proc and /sys as the kernel gives them: nothing hidden, nothing read-only */
	bool read_only;    /* the root is mounted read-only (what is mounted into it is not) */
	uint64_t shm_size; /* of /dev/shm in bytes, 0: 64 MiB */
	const struct iso_device *devices;
	size_t ndevices;
	char *const *sysctls; /* "kernel/shmmax", "value", …, NULL; or NULL */
	/* System call filter: bytes of an array of struct sock_filter (seccomp/seccomp.h); NULL none. */
	const void *seccomp;
	size_t seccomp_len;
	bool seccomp_own; /* not the default one: it holds the command only, not what starts it */
	const struct iso_attr *attrs;
	size_t nattrs;
};

/* Whether this system knows user namespaces at all; a kernel that has them may still refuse. */
extern const bool iso_has_userns;
/*
 * A user namespace in which the ids 0 to count-1 are first to first+count-1 of
 * the host, as an fd; nobody is in it. E_NOTSUP where the kernel has none.
 */
int iso_userns(uint32_t first, uint32_t count, struct err *) MUST_CHECK;
/*
 * The same, and where `net` says so a network namespace with lo up that belongs to it, made meanwhile by a process
 * beside the caller. ids 0: no user namespace (*userns_fd -1), only the network.
 */
struct iso_ahead;
int iso_ahead(
    uint32_t first, uint32_t ids, bool net, struct iso_ahead **, int *userns_fd, struct err *) MUST_CHECK;
/* Waits for the network: the namespace and an rtnetlink socket in it, the caller's from now on. False: there is
   none, and a start that makes its own will say why. */
bool iso_ahead_net(struct iso_ahead *, int fds[static 2]);
void iso_ahead_free(struct iso_ahead *); /* NULL is fine */
/* Shows a detached mount's ids as that namespace has them. E_NOTSUP: its file system cannot be mapped. */
int iso_idmap(int mount_fd, int userns_fd, bool recursive, struct err *) MUST_CHECK;

/* Everything is borrowed until iso_spawn returns. */
struct iso_limits;
struct iso_spec {
	const char *name; /* of the pot; process titles, cgroup leaf */
	const char *hostname;
	int root_fd;                    /* detached mount of the root */
	const struct iso_mount *mounts; /* in this order, after /proc /sys /dev */
	size_t nmounts;
	/* Detached mounts that only the making of others needed, borrowed: they go with the host's root, for
	   closing one that was never attached waits for the kernel. */
	const int *spent;
	size_t nspent;
	char *const *argv; /* argv[0] without slash: PATH of envp, inside the root */
	char *const *envp;
	struct iso_user user;
	const char *workdir; /* absolute, inside; NULL "/" */
	bool own_net;        /* a network namespace with lo up and nothing else */
	const int *net_fd;   /* with own_net: that one, from iso_ahead_net; NULL: a new one */
	/* With net_fd, or NULL: fills that network while the two processes are being made, for which the caller
	   only waits. A failure of it fails iso_spawn. */
	int (*net_up)(void *net_arg, struct err *);
	void *net_arg;
	const int
	    *net_join;    /* without own_net: one of the caller's user namespace to be in; NULL: the host's */
	bool direct_init; /* argv runs as PID 1 itself (an init system) */
	bool persistent;  /* PID 1 stays when the main process has ended */
	const char *cgroup; /* from iso_cgroup_path and made, or NULL */
	const struct iso_rlimit *rlimits;
	size_t nrlimits; /* what is not listed gets the usual value, whatever the caller's is */
	const struct iso_limits
	    *limits; /* what iso_limits_apply was told: some need the jail first. NULL: none */
	struct iso_walls walls;

	enum iso_io io;
	int fds[3]; /* ISO_IO_FDS */

	/* For the shim. */
	const char *shim_path; /* the program */
	uint64_t run_id;
	int state_fd;              /* the state file, locked: the shim's copy keeps the lock (alive) */
	bool sync_state;           /* what is in that file is on the disk when iso_spawn returns */
	int log_dirfd;             /* where log, log.1 … stand (ISO_IO_LOG, ISO_IO_ATTACH) */
	uint64_t log_max;          /* bytes of one file */
	unsigned log_files;        /* how many, at least 1 */
	bool tied;                 /* ISO_IO_ATTACH: the end of the client is the end of the pot */
	char *const *cleanup_argv; /* executed by the shim at the end (absolute argv[0]) */
};

/* What iso_spawn made. */
struct iso_child {
	struct proc_id shim, init; /* as the host sees them */
	int gate_fd;               /* closing it without iso_release ends the pot */
	int status_fd;             /* set-up and exec failures come here */
	int client_fd;             /* ISO_IO_ATTACH: frames of model/shimproto.h; else -1 */
	void *kept;                /* of iso_spawn's own, until iso_child_fini */
};
#define ISO_CHILD_INIT                               \
	{                                            \
		{ 0, 0 }, { 0, 0 }, -1, -1, -1, NULL \
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
	const void *seccomp; /* as in iso_walls; capabilities and user namespace are the running pot's */
	size_t seccomp_len;
	const struct iso_rlimit *rlimits;
	size_t nrlimits; /* what is not listed gets the usual value, whatever the caller's is */
};
/* *pid is a child of the caller. E_NOCMD, E_NOEXEC, E_STATE when the pot has just ended. */
int iso_exec(
    const struct iso_ref *, const struct iso_exec_spec *, pid_t *pid, int *pty, struct err *) MUST_CHECK;

/* The root directory as the pot sees it (with its mounts), as an O_PATH fd. */
int iso_root(const struct iso_ref *, struct err *) MUST_CHECK;

/* What separates pots here, in the system's own words: "pid mount uts … net", "jail vnet". */
void iso_words(bool own_net, bool userns, struct buf *);
/* What else the kernel has of a running pot, in its own words, names and values in turn: FreeBSD "jid", "3" … */
int iso_facts(const struct iso_ref *, struct strv *, struct err *) MUST_CHECK;
/* Capabilities, system call filters and user namespaces are there. */
extern const bool iso_has_capabilities;

/* One process of a pot, for top. */
struct iso_task {
	int32_t pid; /* inside */
	int32_t host_pid;
	int32_t ppid; /* inside; 0 none */
	uint32_t uid; /* inside; one that the pot does not have is 65534 */
	char state;
	uint64_t cpu_ns, rss, vsize;
	int64_t start_ns; /* since the epoch */
	char comm[64];    /* escaped */
	char args[512];   /* escaped, blanks between, "" for a kernel-emptied line */
};
typedef int iso_task_fn(void *arg, const struct iso_task *);
int iso_tasks(const struct iso_ref *, iso_task_fn *, void *arg, struct err *) MUST_CHECK;

/* What a pot uses. ISO_UNKNOWN: this host does not tell, or (limits) there is none. */
#define ISO_UNKNOWN UINT64_MAX
struct iso_stats {
	uint64_t cpu_ns, user_ns, system_ns; /* of all processes since the start */
	uint64_t throttled, throttled_ns;    /* how often and how long the CPU quota held it up */
	uint64_t memory;                   /* bytes charged, without page cache that the kernel drops first */
	uint64_t memory_limit;             /* its own limit, or all memory of the host when that is less */
	uint64_t memory_peak, cache, swap; /* peak and cache count all page cache */
	uint64_t pids, pids_limit;         /* processes and threads */
	uint64_t read_bytes, written_bytes, reads, writes; /* block devices */
	uint64_t oom_kills;
};
/* The host's groups, opened once for any number of looks at any number of pots. */
struct iso_meter;
int iso_meter_open(struct iso_meter **, struct err *) MUST_CHECK;
void iso_meter_close(struct iso_meter *);
/* A few small files, no process and no lock. E_STATE when the pot has ended. */
int iso_stats(struct iso_meter *, const struct iso_ref *, struct iso_stats *, struct err *) MUST_CHECK;

/*
 * The command by which a root's own system starts up, where it has one (*argv stays empty where not): Linux its init
 * as the pot's PID 1 (*direct), FreeBSD /etc/rc, which ends and leaves what it started (*stays: as if persistent).
 */
int iso_system_command(int root_fd, struct strv *argv, bool *direct, bool *stays, struct err *) MUST_CHECK;
/* A directory of the host to be read, without what is mounted below it where the system can leave that out. */
int iso_view(const char *path, struct err *) MUST_CHECK;

/*
 * Detached mounts. A file or a directory of the host; path "": what dirfd is open on. Where the system has none
 * (FreeBSD) the fd is the description of one, and iso_spawn and iso_mount_into make it.
 */
int iso_bind(int dirfd, const char *path, bool ro, bool recursive, struct err *) MUST_CHECK;
/* size 0: the kernel's default; owner: the host's id of whose its root directory is. */
int iso_tmpfs(uint64_t size, mode_t, uint32_t owner, struct err *) MUST_CHECK;
/*
 * A file with this content, in memory. Where the kernel needs a name for it (Linux before 6.15, FreeBSD), *named gets
 * its path, for iso_file_done when it is mounted, or never will be; else "".
 */
struct iso_file {
	const void *data;
	size_t len;
	mode_t mode;
	uint32_t uid, gid; /* as the host has them */
};
#define ISO_FILE_NAME 64
int iso_file(const struct iso_file *, char named[static ISO_FILE_NAME], struct err *) MUST_CHECK;
void iso_file_done(const char *named, bool mounted);
/* Narrows a detached mount. */
int iso_restrict(int mount_fd, bool ro, bool noexec, struct err *) MUST_CHECK;
/* A running pot's user namespace as an fd, and the host's id of its root; -1 and 0 when it has none of its own. */
int iso_userns_of(const struct iso_ref *, int *fd, uint32_t *first, uint32_t *ids, struct err *) MUST_CHECK;
/* Into a running pot / out of it. The target is resolved inside. */
int iso_mount_into(const struct iso_ref *, const struct iso_mount *, struct err *) MUST_CHECK;
int iso_unmount_from(const struct iso_ref *, const char *target, struct err *) MUST_CHECK;

/*
 * Control groups. A text names all groups of a pot and is all that later calls need, from any
 * process. It is blank-separated words HIERARCHIES:PATH, the path below what is mounted: on v2
 * "v2:/pot/web", with v1 beside or alone also the v1 groups, hierarchies of one path in one word:
 * "v2:/pot/web memory:/parent/pot/web pids,cpuacct:/pot/web". The first word's group is that by
 * which the pot is counted, frozen and killed: v2, or on v1 alone "freezer".
 *
 * It is told before the groups are made, so that the engine can journal it first.
 */
/* Controllers, of which a v1 host has a group only where asked for; v2 has one group for all. */
#define ISO_CG_MEMORY 1u
#define ISO_CG_PIDS 2u
#define ISO_CG_CPUACCT 4u
#define ISO_CG_CPU 8u
#define ISO_CG_CPUSET 16u
#define ISO_CG_IO 32u
#define ISO_CG_ALWAYS (ISO_CG_MEMORY | ISO_CG_PIDS | ISO_CG_CPUACCT) /* for limits, OOM and usage */

/*
 * parent: configured path, or NULL: in each hierarchy the group this process is in, so that no pot
 * escapes what pot itself was limited to (v2 with controllers: docs/limits.md).
 * prefix: the installation's own group below it ("pot", "pot-1a2b3c4d").
 * controllers: those the host lacks are left out. E_LIMIT when the text is longer than ISO_CGROUP_MAX.
 */
int iso_cgroup_path(const char *parent, const char *prefix, const char *name, unsigned controllers,
    char out[static ISO_CGROUP_MAX], struct err *) MUST_CHECK;
/* Makes them and the prefix groups; existing empty ones are fine. */
int iso_cgroup_make(const char *cgroup, struct err *) MUST_CHECK;
/* Removes the groups and the prefix groups when those are empty. Absent is fine. */
int iso_cgroup_remove(const char *cgroup, struct err *) MUST_CHECK;
/* The text with further controllers; journal it, then iso_cgroup_join makes those groups for the running pot
   and moves its processes there. */
int iso_cgroup_extend(const struct iso_ref *, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *) MUST_CHECK;
int iso_cgroup_join(const char *cgroup, struct err *) MUST_CHECK;
/*
 * The same with the groups that are there already, for who has put a process into the groups of an older text:
 * whoever makes further ones either sees that process or has made them before. The pot may have ended.
 */
int iso_cgroup_follow(const char *cgroup, struct err *) MUST_CHECK;

/* Bytes and operations per second of one block device, 0: no limit. */
struct iso_io_limit {
	unsigned major, minor;
	uint64_t rbps, wbps, riops, wiops;
};
/* What a pot's groups limit. All zero is no limit. */
struct iso_limits {
	uint64_t memory;      /* bytes */
	uint64_t memory_swap; /* memory and swap together; 0: no limit, must be >= memory */
	bool swap_wanted;     /* memory_swap was asked for: E_NOTSUP where the kernel cannot, else left out */
	uint64_t reservation; /* bytes that it keeps when the host is short */
	uint64_t pids;        /* processes and threads */
	bool pids_wanted;     /* as swap_wanted */
	uint64_t cpu_shares;  /* 2 to 262144, 1024 is one share */
	uint64_t cpu_quota;   /* thousandths of a CPU */
	const char *cpus;     /* "0-1,4", or NULL */
	uint64_t io_weight;   /* 1 to 1000, 100 is usual */
	bool oom_group;       /* out of memory ends all of the pot (v2 only) */
	const struct iso_io_limit *io;
	size_t nio;
};
/* Controllers that these limits need. */
unsigned iso_limits_controllers(const struct iso_limits *);
/* E_NOTSUP for what no kernel of this system can limit, whatever it is configured for. */
int iso_limits_check(const struct iso_limits *, struct err *) MUST_CHECK;
/*
 * Makes the groups limit to `want`. have: what they limit to now, or NULL: just made. All or nothing: what
 * was changed before a failure is changed back to `have`. E_NOTSUP naming the missing controller or file.
 */
int iso_limits_apply(const char *cgroup, const struct iso_limits *have, const struct iso_limits *want,
    struct err *) MUST_CHECK;
/* Bytes in use that the kernel cannot drop, and processes. */
int iso_limits_used(const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *) MUST_CHECK;
/* How often the kernel killed in the pot for want of memory; 0 where it does not count. */
int iso_oom_kills(const char *cgroup, uint64_t *kills, struct err *) MUST_CHECK;
/* What this host has; 0: not known. */
struct iso_host {
	uint64_t memory, pids, nofile; /* nofile: the most that one process may open */
};
void iso_host(struct iso_host *);
/* The disk that a path is (a block device) or is on. E_NOTSUP: its file system is not on one disk. */
int iso_block_device(const char *path, unsigned *major, unsigned *minor, struct err *) MUST_CHECK;
/* Which CPUs this process may use, in order: *n of at most `max`. */
int iso_cpus_allowed(unsigned *cpus, size_t max, size_t *n, struct err *) MUST_CHECK;

/*
 * One row per kernel feature for doctor: 1 there (why may say more), 0 missing (why filled). needed_for NULL:
 * nothing is missing then, and why says all.
 */
struct iso_feature {
	const char *name, *needed_for, *remedy;
	bool required;
	int (*probe)(struct buf *why);
};
extern const struct iso_feature iso_features[];
extern const size_t iso_nfeatures;

#endif
