/*
 * libpot: everything that acts on pots, as the command line, the supervisor
 * and the Nomad driver use it.
 *
 * Conventions: int functions return 0 (or a value >= 0) or a negative error
 * code with the error object filled (pot/err.h). The library never prints,
 * never exits and keeps no global state; facts go out through struct
 * pot_events. Strings passed in are borrowed; what is returned is released
 * with the function named beside it. A context may be used by one thread at a
 * time. Any number of processes may work on one installation.
 */
#ifndef POT_H
#define POT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pot/err.h>
#include <pot/event.h>

#define POT_VERSION "0.1.0"

/* ---- context ---------------------------------------------------------- */

struct pot_ctx;

struct pot_open_args {
	const char *root;   /* installation directory, NULL: POT_ROOT or the platform's own */
	const char *config; /* configuration file, NULL: POT_CONFIG, ROOT/pot.conf or the platform's own */
	struct pot_events events;    /* may be all zero */
	const volatile bool *cancel; /* set by a signal handler: long calls end with E_INTR; may be NULL */
};

/* Reads the configuration. The node need not be initialised yet. */
int pot_open(struct pot_ctx **, const struct pot_open_args *, struct err *);
void pot_close(struct pot_ctx *);
const char *pot_root(const struct pot_ctx *);

/* ---- node --------------------------------------------------------------- */

struct pot_init_args {
	const char *storage;  /* "auto" or NULL, "zfs", "btrfs", "overlay" */
	const char *zfs_root; /* zfs: parent dataset, made if its parent exists */
	/* Ranges of the public bridge; NULL: the configuration's, else chosen so that they clash with nothing. */
	const char *network, *network6;
	bool dry_run;
};
struct pot_init_report {
	char storage[16];
	char why[256];                  /* why this one */
	char network[48], network6[48]; /* ranges of the public bridge; "" with dry_run */
	bool was_there;                 /* nothing had to be done */
};
int pot_init(struct pot_ctx *, const struct pot_init_args *, struct pot_init_report *, struct err *);
/* Removes everything of this installation. E_BUSY naming running pots unless force (stops them). */
int pot_deinit(struct pot_ctx *, bool force, struct err *);

struct pot_config_item {
	const char *key, *value, *origin, *summary; /* borrowed from the context */
};
typedef int pot_config_fn(void *arg, const struct pot_config_item *);
/* All effective settings, then the facts: root, fs_root, storage_used, pot_prefix, zfs_root. */
int pot_config(struct pot_ctx *, pot_config_fn *, void *arg, struct err *);

enum pot_severity { POT_OK, POT_WARN, POT_FAIL };
struct pot_finding {
	enum pot_severity severity;
	const char *check;  /* "kernel: overlayfs" */
	const char *text;   /* what was found */
	const char *remedy; /* the command or line that fixes it, or "" */
};
typedef int pot_finding_fn(void *arg, const struct pot_finding *);
/* Returns the worst severity, or < 0. Works before init. */
int pot_doctor(struct pot_ctx *, pot_finding_fn *, void *arg, struct err *);

/* ---- bases ---------------------------------------------------------------- */

struct pot_base_args {
	const char *name;    /* NULL: made from the release or the file name */
	const char *release; /* "bookworm", "debian:bookworm"; or NULL with from */
	const char *from;    /* tarball, "-" (stdin), directory, or an image of this node */
	const char *mirror;  /* URL instead of the host's own sources */
	const char *include; /* with release: further packages, separated by commas; or NULL */
	uint64_t max_size;   /* bytes unpacked at most, 0: the default (64 GiB) */
	const char *source;  /* what its record says it was made from; NULL: from, or the release */
	/* For pot_base_release (pot/image.h) only. */
	bool pkgbase;  /* by pkg(8), from the packages of the base system */
	bool insecure; /* also plain HTTP that nothing vouches for, and a certificate that is not good */
};
struct pot_base_info {
	char name[128];
	char release[64]; /* "" when not known */
	char source[256]; /* what it was made from */
	int64_t created_ns;
	uint64_t size; /* bytes; 0 unless asked for */
	unsigned pots; /* how many use it */
};
typedef int pot_base_fn(void *arg, const struct pot_base_info *);
int pot_base_create(struct pot_ctx *, const struct pot_base_args *, struct err *);
int pot_base_list(struct pot_ctx *, bool sizes, pot_base_fn *, void *arg, struct err *);
/* E_BUSY naming the pots that use it, unless recursive (destroys them, E_BUSY when one runs). */
int pot_base_destroy(struct pot_ctx *, const char *name, bool recursive, struct err *);

/* ---- making and removing pots ------------------------------------------- */

/*
 * One limit by its name and text, as options and Potfiles have it: memory, memory-swap, memory-reservation,
 * cpus, cpu-shares, cpu-quota, pids, ulimit, io-weight, io, disk, on-oom, restart (docs/limits.md).
 * value NULL or "default": none of its own.
 */
struct pot_limit {
	const char *name, *value;
};
struct pot_mount {
	const char *source, *target;
	bool read_only;
	bool idmap; /* its owners are shown as the pot's users; else as the host has them */
};
struct pot_create_args {
	const char *name;
	const char *base;  /* exactly one of base, image and from_pot */
	const char *image; /* a reference; E_NOENT: not on this node, E_STATE: not for this machine */
	const char *from_pot;
	const char *tag;     /* with from_pot: its snapshot; NULL: its last, E_NOENT when none
	                         unless snapshot is set */
	bool snapshot;       /* with from_pot: take one now */
	const char *type;    /* "single" (default) | "multi": recorded, every pot is copy-on-write */
	int level;           /* -1 default */
	const char *network; /* NULL: "public-bridge", "private-bridge" where bridges names one, or the source
	                        pot's unless addresses, ports, names or rates ask for a bridge */
	const char *stack;   /* NULL: configuration's */
	const char *dns;     /* "inherit" (default) | "pot" | "off" | "custom:FILE" */
	const char *command; /* NULL: none recorded */
	bool keep;           /* leave a half-made pot for inspection */
	/* NULL-terminated lists, or NULL. */
	const char *const
	    *addrs; /* "auto", "ADDRESS", "BRIDGE|ADDRESS"; alias: "[INTERFACE|]ADDRESS[/LEN]" */
	const char *const *bridges; /* eth0, eth1 … are on these */
	const char *const
	    *publish;             /* "[ADDRESS:][HOST]:PORT[/udp]"; NULL with from_pot: the source's ports */
	const char *const *names; /* further names by which others on its bridges find it */
	uint64_t net_in, net_out; /* bits per second to and from it; 0: no limit, or the source's */
	/* "NAME=VALUE": cap-add, cap-drop, device, privileged, read-only, seccomp, shm-size, sysctl, tmpfs,
	   userns as the options of pot create; cap-add, cap-drop, device, sysctl and tmpfs may repeat. */
	const char *const *walls;
	const char *const *env;  /* NAME=value on top of the image's or the source's */
	const char *const *args; /* with image: words behind its entry point, in place of its own command */
	const char *const *entrypoint;         /* with image: words in place of its entry point and command */
	const char *user, *workdir, *hostname; /* in place of the image's or the source's; or NULL */
	/* With network "inherit": a network namespace of the host to be in (a file); or NULL. Linux. */
	const char *netns;
	const char *const *labels; /* "NAME=value": notes that pot_info gives back */
	const char *const *hosts;  /* "NAME:ADDRESS" for its /etc/hosts */
	const char *const *attrs;  /* "NAME=VALUE", as pot_set_attribute */
	const struct pot_mount *mounts;
	size_t nmounts;
	const struct pot_limit *limits; /* on top of the source's */
	size_t nlimits;
};
int pot_create(struct pot_ctx *, const struct pot_create_args *, struct err *);
/* 1: pots can be made from this image here and now; 0: it is not on this node. E_STATE: not for this machine. */
int pot_image_exists(struct pot_ctx *, const char *image, struct err *);
/* Does the reference name a registry, so that it could be pulled? */
bool pot_image_is_remote(const char *image);
/* force: kills it first when it runs. Also repairs and removes damaged pots. */
int pot_destroy(struct pot_ctx *, const char *name, bool force, struct err *);
int pot_rename(struct pot_ctx *, const char *name, const char *newname, struct err *);

typedef int pot_name_fn(void *arg, const char *name);
struct pot_prune_args {
	bool dry_run; /* only call fn */
	bool grace;   /* pass over pots that ended less than a minute ago */
};
/* Removes stopped pots marked prunable that have run, and repairs whatever was interrupted. */
int pot_prune(struct pot_ctx *, const struct pot_prune_args *, pot_name_fn *, void *arg, struct err *);

/* ---- running --------------------------------------------------------------- */

enum pot_state { POT_CREATED, POT_STARTING, POT_RUNNING, POT_PAUSED, POT_STOPPING, POT_STOPPED, POT_FAILED };
const char *pot_state_name(enum pot_state);

struct pot_start_args {
	bool attach;
	bool snapshot;  /* take one first */
	const int *fds; /* three fds for the command (no log), or NULL */
};
/* A started process that the caller watches; all fds are the caller's. */
struct pot_process {
	pid_t pid; /* exec: child of the caller; attach: 0 */
	int fd;    /* exec with tty: pty master; attach: client socket; else -1 */
};
/*
 * Returns when the command has been executed and poststart has run. With
 * attach, *proc is to be given to pot_attach. E_EXIST when it runs already,
 * E_NOCMD (127) / E_NOEXEC (126) naming the path: undone.
 */
int pot_start(struct pot_ctx *, const char *name, const struct pot_start_args *, struct pot_process *proc,
    struct err *);
/*
 * Copies the output of an attached pot to out_fd and err_fd until it has
 * ended and is cleaned up; *status is its exit status (128+signal). Signal
 * numbers (bytes) read from signal_fd are sent to the pot; -1: none.
 */
int pot_attach(struct pot_ctx *, const char *name, struct pot_process *, int out_fd, int err_fd,
    int signal_fd, int *status, struct err *);

#define POT_TIMEOUT_DEFAULT (-1)
/* Returns when it is stopped and cleaned up. timeout_ms until SIGKILL. E_STATE when not running. */
int pot_stop(struct pot_ctx *, const char *name, int64_t timeout_ms, struct err *);
int pot_kill(struct pot_ctx *, const char *name, int sig, struct err *);
int pot_pause(struct pot_ctx *, const char *name, bool pause, struct err *);

struct pot_exit {
	bool known; /* has it ever run to an end? */
	int status; /* exit status, or 128 + signal */
	int signal; /* 0: it exited */
	int64_t time_ns;
	char reason[192];   /* "" or why it failed / was interrupted */
	unsigned oom_kills; /* of its processes killed for want of memory */
};
/* Blocks until it does not run, then tells the last end. E_NOENT; known false: never ran. */
int pot_wait(struct pot_ctx *, const char *name, struct pot_exit *, struct err *);
/*
 * For programs with a loop of their own: the process of the host with whose end the present run is over and
 * cleaned up, by its pid and its start time as the kernel counts it. 1, or 0 when the pot does not run. E_NOENT.
 */
int pot_runner(struct pot_ctx *, const char *name, int32_t *pid, uint64_t *start, struct err *);
/* The last end, without waiting. */
int pot_last_exit(struct pot_ctx *, const char *name, struct pot_exit *, struct err *);

struct pot_exec_args {
	char *const *argv;
	char *const *env;    /* NAME=value on top of the pot's environment, NULL-terminated or NULL */
	const char *user;    /* "USER[:GROUP]" of the pot, NULL root */
	const char *workdir; /* NULL "/" */
	bool tty, login;     /* login: argv NULL: the user's shell from the pot's passwd, else /bin/sh */
	unsigned short rows, cols;
	int fds[3]; /* without tty */
};
int pot_exec(
    struct pot_ctx *, const char *name, const struct pot_exec_args *, struct pot_process *, struct err *);
/* Waits for an exec'ed process: *status 0..255 or 128+signal. */
int pot_exec_wait(struct pot_process *, int *status, struct err *);

/* ---- networks ----------------------------------------------------------- */

struct pot_bridge_info {
	char name[64]; /* "public" or a private bridge's */
	char interface[16];
	char network[48], gateway[48];   /* IPv4; "": none */
	char network6[48], gateway6[48]; /* IPv6; "": none */
	bool is_public, nat6;            /* nat6: IPv6 leaves behind NAT66, else the range is routed */
	unsigned pots;                   /* that have an address on it */
};
typedef int pot_bridge_fn(void *arg, const struct pot_bridge_info *);
/* A private bridge for so many pots (2 to 65534). E_EXIST; E_LIMIT: no range is free. */
int pot_bridge_create(struct pot_ctx *, const char *name, unsigned hosts, struct err *);
/* E_BUSY naming a pot that has an address on it. */
int pot_bridge_destroy(struct pot_ctx *, const char *name, struct err *);
/* The public one first. */
int pot_bridge_list(struct pot_ctx *, pot_bridge_fn *, void *arg, struct err *);
/* Makes it exist on the host now, with rules and forwarding; a start does so by itself. name NULL: public. */
int pot_bridge_up(struct pot_ctx *, const char *name, struct err *);

/* ---- looking ------------------------------------------------------------ */

/* What ps needs, from one small read a pot. */
struct pot_summary {
	char name[64];
	enum pot_state state;
	char base[128];
	char network[24];
	int32_t pid;                    /* host pid of the pot's PID 1 while running, else 0 */
	int64_t started_ns, stopped_ns; /* 0: never */
	int status;                     /* of the last end, -1 none */
	char ip[120];                   /* its addresses, separated by blanks */
	char ports[512]; /* as --publish takes them, separated by ", "; "…" at the end: not all */
	bool oom_killed; /* the last run that ended was short of memory */
};
typedef int pot_summary_fn(void *arg, const struct pot_summary *);
/* In order of names. Pots that a killed command left are repaired or left out on the way. */
int pot_list(struct pot_ctx *, pot_summary_fn *, void *arg, struct err *);

struct pot_address {
	char where[64];   /* the bridge, or of an alias the interface, "" : that of the default route */
	char address[48]; /* of an alias with its length */
};
struct pot_port {
	const char *protocol; /* "tcp", "udp" */
	char address[48];     /* of the host, "": any */
	unsigned short host, pot;
};
/* An interface of a running pot. */
struct pot_interface {
	char name[16];
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_errors, tx_errors;
};
/* What a pot may use. 0: no limit. */
struct pot_ulimit {
	const char *name;
	uint64_t soft, hard; /* POT_UNLIMITED */
};
#define POT_UNLIMITED UINT64_MAX
struct pot_io_limit {
	const char *device;                              /* NULL: the disk on which the installation is */
	uint64_t read_bytes, write_bytes, reads, writes; /* a second */
};
struct pot_limits {
	uint64_t memory, memory_swap, memory_reservation, disk; /* bytes; memory_swap counts both */
	uint64_t cpus, cpu_shares, cpu_quota; /* pinned to so many; 1024 is one share; thousandths of a CPU */
	uint64_t pids, io_weight;
	bool pids_default;    /* pids is the configuration's pids_limit */
	const char *cpu_list; /* of a running pot: the CPUs that it is pinned to, "0-1,4", or "" */
	const char *on_oom;   /* "kill", "restart", "stop" */
	const char *restart;  /* "no", "always", "on-failure", "on-failure:N", "unless-stopped" */
	const struct pot_ulimit *ulimits;
	size_t nulimits;
	const struct pot_io_limit *io;
	size_t nio;
};
struct pot_setting {
	const char *name, *value;
	bool is_default;
};
struct pot_snapshot_info {
	char tag[128];
	int64_t created_ns;
	uint64_t size;
};
struct pot_info {
	struct pot_summary summary;
	char id[17];
	char type[8], parent[64], hostname[65], dns[16], stack[8], storage[16];
	char image[256],
	    image_id[136]; /* it was made from, and the digest that the name meant then; "": none */
	char user[256], workdir[256]; /* of its command; "": root, "/" */
	int level;
	int64_t created_ns;
	char command[1024];
	char root_fs[256];   /* where its files are, for people ("overlay pots/web") */
	char cgroup[640];    /* its groups: HIERARCHIES:PATH, separated by blanks */
	char isolation[128]; /* "pid mount uts ipc cgroup net user", "jail vnet" */
	/* What else the kernel has of it while it runs, in its own words (FreeBSD: "jid", "devfs ruleset" …). */
	size_t nfacts;
	const struct pot_setting *facts; /* not is_default */
	bool has_capabilities;           /* this system knows user ids of a pot, capabilities and filters */
	/* User ids of the host that are the pot's 0 and following; 0 ids: none of its own, and why. */
	uint32_t userns_first, userns_ids;
	char userns_why[96];
	char capabilities[1024]; /* of its root, separated by blanks */
	char seccomp[16];        /* "default", "unconfined", "custom" */
	bool privileged, read_only, no_new_privs;
	size_t nwalls;
	const struct pot_setting *walls; /* what was set besides, as in pot_create_args: not is_default */
	struct pot_exit last;
	unsigned long long runs;
	uint64_t own_bytes, shared_bytes, quota_bytes; /* only with POT_INFO_SIZES */
	size_t nenv, nhosts, nmounts, nattrs, nhooks, nsnapshots;
	const char *const *env, *const *hosts, *const *hooks; /* hooks: names of those set */
	const struct pot_mount *mounts;
	const struct pot_setting *attrs;
	const struct pot_snapshot_info *snapshots;
	char netns[256]; /* the network namespace that it joins, "" */
	size_t nlabels;
	const char *const *labels;
	size_t naddresses, nbridges, nports, nnames, ninterfaces;
	const struct pot_address *addresses;
	const char *const *bridges, *const *names;
	const struct pot_port *ports; /* as set */
	const struct pot_interface *interfaces;
	uint64_t net_in, net_out; /* bits per second, 0: no limit */
	struct pot_limits limits;
	uint64_t oom_kills; /* of this run, or of the last */
};
#define POT_INFO_SIZES 1u
int pot_info(struct pot_ctx *, const char *name, unsigned flags, struct pot_info **, struct err *);
void pot_info_free(struct pot_info *);
/* 1 exists, 0 not. */
int pot_exists(struct pot_ctx *, const char *name, struct err *);

struct pot_task {
	int32_t pid, host_pid, ppid;
	uint32_t uid;
	char user[64];
	char state;
	uint64_t cpu_ns, rss, vsize;
	int64_t start_ns;
	const char *comm, *args;
};
typedef int pot_task_fn(void *arg, const struct pot_task *);
int pot_top(struct pot_ctx *, const char *name, pot_task_fn *, void *arg, struct err *);

/* What a running pot uses. POT_UNKNOWN: this host does not tell, or (limits) there is none. */
#define POT_UNKNOWN UINT64_MAX
struct pot_stats {
	char name[64];
	enum pot_state state;
	int64_t started_ns;
	int64_t time_ns;                             /* of the look, since the epoch */
	int64_t clock_ns;                            /* the same on a clock that nobody sets: for rates */
	uint64_t cpu_ns, cpu_user_ns, cpu_system_ns; /* of all its processors together, since its start */
	uint64_t cpu_throttled, cpu_throttled_ns;    /* how often and how long its quota held it up */
	uint64_t memory;                   /* bytes charged, without page cache that the kernel drops first */
	uint64_t memory_limit;             /* its own, or all memory of the host when that is less */
	uint64_t memory_peak, cache, swap; /* peak and cache count all page cache */
	uint64_t pids, pids_limit;         /* processes and threads */
	uint64_t read_bytes, written_bytes, reads, writes; /* block devices */
	uint64_t oom_kills;
	bool own_network; /* false: it shares the host's, and nothing is counted */
	size_t ninterfaces;
	const struct pot_interface *interfaces; /* rx is what the pot received */
};
typedef int pot_stats_fn(void *arg, const struct pot_stats *);
#define POT_STATS_RUNNING 1u /* of the names given, those that run: no E_NOENT, no E_STATE */
/*
 * All running pots in order of names, or these (NULL-terminated) in order: E_NOENT, E_STATE for one that
 * does not run. One pass over a few small files; no pot is locked or held up. fn: non-zero ends it.
 */
int pot_stats(
    struct pot_ctx *, const char *const *names, unsigned flags, pot_stats_fn *, void *arg, struct err *);

struct pot_log_line {
	int64_t time_ns;
	char stream; /* 'o', 'e' */
	bool whole;  /* false: no newline follows */
	const char *text;
	size_t len;
};
struct pot_logs_args {
	bool follow;      /* until the pot has ended and everything was given */
	int64_t lines;    /* last lines only, -1 all */
	int64_t since_ns; /* 0 all */
};
typedef int pot_log_fn(void *arg, const struct pot_log_line *);
int pot_logs(
    struct pot_ctx *, const char *name, const struct pot_logs_args *, pot_log_fn *, void *arg, struct err *);

/* ---- snapshots ------------------------------------------------------------- */

/* tag NULL: the time in seconds, made unique. *made (may be NULL) gets it. Stopped pots only. */
int pot_snapshot(struct pot_ctx *, const char *name, const char *tag, char made[128], struct err *);
/* tag NULL: the last. */
int pot_rollback(struct pot_ctx *, const char *name, const char *tag, struct err *);
/* Removes all but the last, or all; calls fn (may be NULL) for each. */
int pot_purge_snapshots(struct pot_ctx *, const char *name, bool all, pot_name_fn *, void *arg, struct err *);

/* ---- settings; they take effect at the next start ----------------------- */

enum pot_change { POT_ADD, POT_REMOVE, POT_REPLACE, POT_CLEAR }; /* CLEAR ignores the list */

int pot_set_command(struct pot_ctx *, const char *name, const char *command, struct err *); /* NULL clears */
int pot_set_env(struct pot_ctx *, const char *name, enum pot_change, char *const *assignments, struct err *);
int pot_set_hosts(struct pot_ctx *, const char *name, enum pot_change, char *const *entries, struct err *);
/*
 * Published ports, "[[ADDRESS:][HOST]:]PORT[/udp]": host ports are chosen where not given, and reserved now. E_BUSY
 * naming the pot or process that has one. A running pot gets them at its next start.
 */
int pot_set_ports(struct pot_ctx *, const char *name, enum pot_change, char *const *specs, struct err *);
/*
 * Changes limits: of a running pot at once, and for its next starts. All or none. E_LIMIT when it uses more
 * now or the host has less, E_NOTSUP when the host cannot limit it; the message tells what would do.
 * Here net-in and net-out are limits like the others: bits per second to and from the pot, "10m".
 */
int pot_update(struct pot_ctx *, const char *name, const struct pot_limit *limits, size_t n, struct err *);
/* point: "prestart", "poststart", "prestop", "poststop"; file NULL removes. Copied. */
int pot_set_hook(struct pot_ctx *, const char *name, const char *point, const char *file, struct err *);
int pot_set_attribute(struct pot_ctx *, const char *name, const char *attr, const char *value, struct err *);
/* *value is malloc'ed. */
int pot_get_attribute(struct pot_ctx *, const char *name, const char *attr, char **value, struct err *);
/* A running pot gets it (loses it) at once as well. */
int pot_mount_in(struct pot_ctx *, const char *name, const struct pot_mount *, struct err *);
int pot_mount_out(struct pot_ctx *, const char *name, const char *target, struct err *);

/* ---- files ---------------------------------------------------------------- */

#define POT_COPY_PARENTS 1u /* make missing directories of the destination */
/*
 * As cp -a: into an existing directory the source keeps its name, else it
 * gets the destination's. Never follows a link out of the pot. Works on
 * running and stopped pots.
 */
int pot_copy_in(
    struct pot_ctx *, const char *name, const char *host_src, const char *dst, unsigned flags, struct err *);
int pot_copy_out(
    struct pot_ctx *, const char *name, const char *src, const char *host_dst, unsigned flags, struct err *);

/* ---- for the shim and the supervisor --------------------------------------- */

/* Walks back what the run `run_id` of a pot left (0: whatever). Idempotent. */
int pot_cleanup(struct pot_ctx *, const char *name, uint64_t run_id, struct err *);

#endif
