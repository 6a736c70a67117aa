/*
 * What the two halves of nomad-pot-driver say to each other.  The protocol
 * half (transport, gRPC, messages, plugin services) decodes what the agent
 * asks and calls struct drv_ops; the driver half (pots) answers a call, now or
 * in a later turn of the loop, by exactly one of the call_… functions.
 *
 * One thread, one loop (loop.h).  An operation returns within milliseconds;
 * what takes longer goes into a child process (nomad_fork) or waits for an
 * event.  Strings that come in are never NULL ("" when absent) and lists end in
 * NULL besides having a count.  Strings that go out are copied; what is not
 * UTF-8 in them is escaped on the way, as Go refuses it.
 *
 * Life of a call: an operation gets `struct call *c` and ends it exactly once,
 * by the reply that belongs to the operation or by call_fail, also when it has been
 * cancelled; the c and all that came in with it are valid until then and not
 * after.  When the agent gives a call up (cancel, reset, connection lost,
 * Shutdown) the function set by call_on_cancel runs, once, in a turn of the
 * loop; the driver then ends the call, soon, and nothing is sent.  Operations
 * with a `struct err *` answer at once.
 */
#ifndef NOMAD_DRIVER_H
#define NOMAD_DRIVER_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "nomad/log.h"
#include "nomad/loop.h"
#include "nomad/spec.h"
#include "nomad/value.h"

struct drv;   /* the driver half's own state */
struct nomad; /* the protocol half's */
struct call;  /* one call of the agent */

/* ---- what comes in ------------------------------------------------------ */

struct drv_kv {
	const char *key, *value;
};
struct drv_kvs { /* a map, in the order in which it came; keys are unique */
	size_t n;
	const struct drv_kv *v;
};
struct drv_strings {
	size_t n;
	const char *const *v; /* v[n] is NULL */
};
/* A label's port. */
struct drv_port {
	const char *label;
	int32_t value;       /* on the host */
	int32_t to;          /* in the pot; 0: the same */
	const char *host_ip; /* "" any */
};
/* The old form, from `network` of a task; to and host_ip unset. */
struct drv_task_network {
	const char *device, *cidr, *ip;
	int32_t mbits;
	size_t nreserved, ndynamic;
	const struct drv_port *reserved, *dynamic;
};
struct drv_resources {
	int64_t cpu_shares;               /* MHz */
	int64_t memory_mb, memory_max_mb; /* MiB; max 0: no oversubscription */
	size_t nnetworks, nports;
	const struct drv_task_network *networks; /* deprecated task-level networks */
	const struct drv_port *ports;            /* group-level ports */
	/* The agent's own reckoning for Linux: zeros elsewhere. */
	bool has_linux;
	int64_t cpu_period, cpu_quota, linux_cpu_shares, memory_limit_bytes, oom_score_adj;
	const char *cpuset_cpus, *cpuset_cgroup;
	double percent_ticks;
};
struct drv_mount {
	const char *task_path, *host_path, *propagation, *selinux_label, *request_name;
	bool read_only;
};
struct drv_device {
	const char *task_path, *host_path, *permissions;
};
struct drv_dns {
	struct drv_strings servers, searches, options;
};
enum drv_net_mode { DRV_NET_HOST, DRV_NET_GROUP, DRV_NET_TASK, DRV_NET_NONE };
struct drv_net_isolation {
	enum drv_net_mode mode;
	const char *path; /* of a network namespace, or "" */
	struct drv_kvs labels;
	const char *hostname, *address; /* of hostsConfig */
};
struct drv_task {
	const char *id, *name, *user, *alloc_dir, *stdout_path, *stderr_path;
	const char *group, *job_name, *job_id, *parent_job_id, *alloc_id, *namespace, *node_name, *node_id;
	/* The job's config {}: always a map, empty when none came (recovery after an agent restart). */
	const struct value *config;
	struct drv_kvs env, device_env;
	struct drv_resources resources;
	size_t nmounts, ndevices;
	const struct drv_mount *mounts;
	const struct drv_device *devices;
	const struct drv_net_isolation *net; /* NULL: none given */
	const struct drv_dns *dns;           /* NULL: none given */
};
/* What StartTask answered, given back for recovery. */
struct drv_handle {
	int32_t version;
	const struct drv_task *task; /* NULL when the agent kept none; config {} is empty after its restart */
	const void *state;
	size_t state_len;
};
/* The node as the agent counts it; zeros in the launches that only check the configuration. */
struct drv_core {
	uint32_t id, socket, node;
	bool efficiency, disabled;
	uint64_t base_mhz, max_mhz, guess_mhz;
};
struct drv_node {
	uint32_t min_port, max_port;
	uint64_t total_mhz; /* override, or the sum over cores of the best number of each */
	size_t ncores;
	const struct drv_core *cores;
};
struct drv_exec {
	const char *task_id;
	struct drv_strings argv;
	bool tty;
	bool has_stdin;     /* false: ExecTask, give it /dev/null */
	int64_t timeout_ms; /* 0: none. The protocol half keeps it: it cancels the call when it is over */
};

/* ---- what goes out ------------------------------------------------------ */

struct drv_capabilities {
	bool send_signals, exec;
	enum { DRV_FS_NONE, DRV_FS_CHROOT, DRV_FS_IMAGE, DRV_FS_UNVEIL } fs;
	size_t nmodes;
	enum drv_net_mode modes[4];
	bool must_create_network, no_mounts, disable_log_collection, dynamic_workload_users;
};
enum drv_health { DRV_UNDETECTED, DRV_UNHEALTHY, DRV_HEALTHY };
enum drv_attr_type { DRV_STRING, DRV_BOOL, DRV_INT, DRV_FLOAT };
struct drv_attr {
	const char *name; /* "driver.pot.version" */
	enum drv_attr_type type;
	const char *s;
	bool b;
	int64_t i;
	double f;
	const char *unit; /* of a number: "MiB", "MHz", …; NULL none */
};
struct drv_fingerprint {
	enum drv_health health;
	const char *description;
	size_t nattrs;
	const struct drv_attr *attrs;
};
/* The address under which services of the task are registered. */
struct drv_net_override {
	const char *addr;
	bool auto_advertise;
	size_t nports;
	const struct drv_port *ports; /* label and value */
};
struct drv_started {
	int32_t version; /* of state, 1 or more */
	const void *state;
	size_t state_len;
	const struct drv_net_override *net; /* NULL: none */
};
struct drv_exit {
	int32_t code, signal;
	bool oom_killed;
	const char *error; /* NULL or "": none. Why the result is not that of the command */
};
enum drv_task_state { DRV_TASK_UNKNOWN, DRV_TASK_RUNNING, DRV_TASK_EXITED };
struct drv_status {
	const char *id, *name;
	enum drv_task_state state;
	int64_t started_ns, completed_ns; /* since the epoch, 0: not yet */
	struct drv_exit exit;
	struct drv_kvs attributes;
	const struct drv_net_override *net;
};
/* DRV_UNMEASURED: not told by this host. */
#define DRV_UNMEASURED UINT64_MAX
struct drv_stats {
	int64_t time_ns; /* 0: now */
	/* Percent of one core (100 = one core busy); negative: not measured. */
	double cpu_percent, cpu_user_percent, cpu_system_percent;
	double cpu_mhz; /* "total ticks"; negative: not measured */
	uint64_t throttled_periods, throttled_ns;
	uint64_t rss, cache, usage, max_usage, swap, kernel, kernel_max; /* bytes */
};
struct drv_event {
	const char *task_id, *alloc_id, *task_name, *message;
	struct drv_kvs annotations;
};
struct drv_created_network {
	struct drv_net_isolation spec;
	bool created; /* false: it was there */
};
/*
 * Where an executed command is reached; the fds become the protocol half's,
 * which makes them non-blocking, pumps and closes them. With tty `out` is the
 * master (in and err -1).
 */
struct drv_exec_fds {
	int in, out, err; /* -1: none */
};

/* ---- the driver --------------------------------------------------------- */

struct drv_ops {
	const char *name, *version; /* "pot", semantic version */
	/* Schemas of plugin "…" { config {…} } and of a task's config {…}. */
	const struct spec *config_spec, *task_spec; /* rows until a name of NULL */

	/* Makes the state; no effect on the node: the agent starts the plugin twice only to look at it. */
	int (*new)(struct nomad *, struct drv **, struct err *);
	/* The process ends: frees. Running tasks go on. */
	void (*free)(struct drv *);
	/*
	 * Checks and takes the plugin's configuration, without effects on the node; config is
	 * always a map. node NULL: only a check. May come more than once, or not at all (re-attach).
	 */
	int (*set_config)(
	    struct drv *, const struct value *config, const struct drv_node *node, struct err *);
	/* Work begins (again: after each re-attach). */
	int (*init)(struct drv *, struct err *);
	void (*capabilities)(struct drv *, struct drv_capabilities *);
	/* Somebody wants the fingerprint: nomad_fingerprint soon, and at every change from now on. */
	void (*fingerprint)(struct drv *);
	/* The agent leaves. Calls are cancelled after it; free follows. */
	void (*shutdown)(struct drv *);

	/* call_started. The task is valid until then. */
	void (*start)(struct drv *, struct call *, const struct drv_task *);
	/* call_done */
	void (*recover)(struct drv *, struct call *, const struct drv_handle *);
	/* call_exited, when it ends, or at once. */
	void (*wait)(struct drv *, struct call *, const char *task_id);
	/* call_done when it is dead, and when it is not known. signal "": the default's. */
	void (*stop)(
	    struct drv *, struct call *, const char *task_id, int64_t timeout_ms, const char *signal);
	/* call_done. Works from the id alone. */
	void (*destroy)(struct drv *, struct call *, const char *task_id, bool force);
	/* call_status */
	void (*inspect)(struct drv *, struct call *, const char *task_id);
	/* call_done */
	void (*signal)(struct drv *, struct call *, const char *task_id, const char *signal);
	/* call_stats any number of times, about every interval; call_done when the task has ended. */
	void (*stats)(struct drv *, struct call *, const char *task_id, int64_t interval_ms);
	/*
	 * call_exec_fds once it runs, then call_exec_exited. Cancelled (the agent went away, or the timeout is over): kill it
	 * and all that it started, then end the call as if nothing had happened.
	 */
	void (*exec)(struct drv *, struct call *, const struct drv_exec *);
	/* call_network */
	void (*create_network)(struct drv *, struct call *, const char *alloc_id, const char *hostname);
	/* call_done; spec NULL: the agent does not know it any more. */
	void (*destroy_network)(
	    struct drv *, struct call *, const char *alloc_id, const struct drv_net_isolation *spec);
};

/* The one that this program is about. */
extern const struct drv_ops pot_driver;

/* ---- what the protocol half offers ----------------------------------------- */

/* The driver's pointer for the time of a call. */
void call_set_arg(struct call *, void *arg);
void *call_arg(const struct call *);
/* fn runs once if the agent gives the call up before it is ended; NULL takes it back. Not from within this function. */
void call_on_cancel(struct call *, void (*fn)(struct call *, void *arg), void *arg);
bool call_is_cancelled(const struct call *);

/* Each of these ends the call. */
void call_done(struct call *);
/*
 * The message and, in parentheses, the hint are what the user sees. recoverable: the
 * job's restart policy may try again (registry down, address in use); else the
 * task has failed for good. For StartTask; it does no harm elsewhere.
 */
void call_fail(struct call *, const struct err *, bool recoverable);
void call_started(struct call *, const struct drv_started *);
void call_exited(struct call *, const struct drv_exit *);
void call_status(struct call *, const struct drv_status *);
void call_network(struct call *, const struct drv_created_network *);
/* Sends what is still to be read of the output, then the result. */
void call_exec_exited(struct call *, const struct drv_exit *);

/* These do not. */
/* A sample for the agent; dropped when it has not taken the last one yet. */
void call_stats(struct call *, const struct drv_stats *);
void call_exec_fds(struct call *, const struct drv_exec_fds *);

/* For all who listen, now or later: the last one is kept. What it does not name any more the agent is told to forget. */
void nomad_fingerprint(struct nomad *, const struct drv_fingerprint *);
/* A line in the task's history ("Pulling image 40 %"). Kept, bounded, while nobody listens. */
void nomad_event(struct nomad *, const struct drv_event *);

struct loop *nomad_loop(struct nomad *);
struct log *nomad_log(struct nomad *);
/*
 * fork() for work that takes longer. The child keeps fds 0, 1, 2 and those in keep (up to n, may be NULL) and
 * none else, has default signals, and must end by _exit or exec; watch it with loop_child_new. -1 with errno.
 */
pid_t nomad_fork(struct nomad *, const int *keep, size_t n);

#endif
