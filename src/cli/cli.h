/*
 * What every verb has at hand: the installation, the taste of the caller
 * (format, quiet, colour) and the ways to show something. Only this program
 * prints; stdout is for what was asked for, stderr for everything else.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>
#include <jansson.h>

#include <pot.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/cmd.h"

struct progress {
	int64_t since_ms, drawn_ms; /* 0: none under way */
	bool shown;
	char what[96];
};

struct cli {
	struct pot_ctx *ctx; /* NULL for verbs with CMD_NOCTX */
	char **argv;         /* of the program */
	bool json, quiet, colour;
	size_t verbose;
	bool err_tty; /* stderr is a terminal */
	bool told;    /* each_pot has printed the errors already */
	struct progress progress;
	/* Of verbs with several things under way at a time; NULL event: take the bars away, something else is told. */
	void (*bars)(struct cli *, const struct pot_event *);
	void *bars_arg;
};

#define EXIT_OWN_FAILURE 125 /* of exec, term and attached start */

/* ---- events.c: what the library tells while it works ------------------------ */

struct pot_events events_of(struct cli *);
void events_end(struct cli *); /* takes the progress bar away */
/* "pot: MSG (HINT)" on stderr. */
void print_error(struct cli *, const struct err *);

/* ---- signals.c --------------------------------------------------------------- */

/* INT, TERM and HUP set the flag that pot_open gets. */
void signals_catch(void);
const volatile bool *signals_cancel(void);
/* Where nothing is changed, so that nothing has to be undone: they end the program at once. */
void signals_die(void);
/*
 * From now on INT TERM HUP QUIT USR1 USR2 (and WINCH, CHLD, TSTP with tty) come as
 * bytes from the fd returned, one that came before included. < 0: error.
 */
int signals_to_fd(bool tty, struct err *) MUST_CHECK;
/* The end by this signal, as it would have been had it not been caught. Output is written first. */
void signals_end(int sig);
/* Or go straight to this child of ours; 0 stops that. */
void signals_to_child(pid_t);

/* ---- tty.c: the terminal of exec -t and term ----------------------------------- */

/*
 * Copies between our terminal and the pty until the process has ended, with
 * our terminal raw when stdin is one. Closes p->fd. *status as pot_exec_wait.
 */
int tty_run(struct pot_process *p, bool with_stdin, int *status, struct err *) MUST_CHECK;
/* Size of our terminal, 24 x 80 when there is none. */
void tty_size(unsigned short *rows, unsigned short *cols);

/* ---- out.c: tables -------------------------------------------------------------- */

enum colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_BOLD };

#define TABLE_COLUMNS 12
struct table {
	const char *heads[TABLE_COLUMNS]; /* "-SIZE": flush right */
	size_t ncols, ncells, cap;
	struct cell {
		char *text;
		enum colour colour;
	} * cells;
	bool failed;
};

/* heads: "NAME STATE -NET_I/O", separated by blanks; '_' shows as one. */
void table_init(struct table *, const char *heads);
void table_fini(struct table *);
/* Next cell, from the left; text is escaped. The width is unlimited. */
void table_add(struct table *, const char *text);
void table_colour(struct table *, const char *text, enum colour);
void table_fmt(struct table *, const char *fmt, ...) PRINTF(2, 3);
void table_size(struct table *, uint64_t bytes);
void table_time(struct table *, int64_t ns); /* RFC 3339, "-" for 0 */
/* Prints all with the heads; without them when quiet. */
int table_print(struct table *, const struct cli *, struct err *) MUST_CHECK;
int table_write(struct table *, const struct cli *, FILE *, struct err *) MUST_CHECK;
DEFINE_AUTO_FINI(table, struct table)

/* "KEY: VALUE" with the values aligned; key "": one more value of the key before. */
void field(const char *key, const char *fmt, ...) PRINTF(2, 3);
/* Text that may hold anything, on stdout, escaped. */
void put_text(const char *);
const char *colour_code(enum colour); /* COLOUR_NONE: back to normal */
enum colour state_colour(enum pot_state);
/* "3m12s" since then, "-" for 0. */
void age_print(int64_t since_ns, char out[static TEXT_AGE_LEN]);

/* ---- live.c: a text that is drawn over itself on a terminal ---------------------- */

struct live {
	size_t lines; /* on the screen from the last frame, above the cursor */
	bool anew;    /* the window has another size, or somebody else wrote: they cannot be counted on */
};
/* What does not fit the window is cut; the cursor stands below it. */
int live_draw(struct live *, const char *text, struct err *) MUST_CHECK;
int live_draw_to(struct live *, int fd, const char *text, struct err *) MUST_CHECK;

/* ---- json.c ------------------------------------------------------------------------ */

/* Setters never fail on their own: a NULL object stays NULL, json_put tells. */
json_t *js_string(const char *); /* also of bytes that are not UTF-8 (escaped); NULL is null */
json_t *js_time(int64_t ns);     /* RFC 3339, null for 0 */
json_t *js_known(uint64_t);      /* null for POT_UNKNOWN */
json_t *js_percent(double);      /* two digits behind the point; null for < 0 */
json_t *js_summary(const struct pot_summary *);
json_t *js_snapshot(const struct pot_snapshot_info *);
json_t *js_stats(const struct pot_stats *, double cpu_percent);
/* The whole of a pot, as inspect shows it. */
json_t *js_info(const struct pot_info *, bool sizes);
/* Prints and releases. NULL: out of memory. */
int js_print(json_t *, struct err *) MUST_CHECK;
int js_print_line(json_t *, struct err *) MUST_CHECK;

/* ---- rate.c: looks at what pots use, and the rates between two of them ------------ */

struct rates {
	struct sample {
		char name[64];
		int64_t started_ns, clock_ns;
		uint64_t cpu_ns;
	} * v;
	size_t n, cap, next; /* next: where the pot after the last one asked for is, most likely */
};
void rates_fini(struct rates *);
/* Used of what it may use; < 0: not known. */
double stats_memory_percent(const struct pot_stats *);
/* Notes a look; <0: out of memory. */
int rates_add(struct rates *, const struct pot_stats *);
/*
 * Percent of one processor since the look at the same run of this pot, or since its start when there was none;
 * < 0: not known.
 */
double rates_cpu(struct rates *, const struct pot_stats *);
/* Waits between two looks: 0, E_INTR by a signal that asked to end. */
int rates_wait(int64_t ms, struct err *) MUST_CHECK;
DEFINE_AUTO_FINI(rates, struct rates)

/* ---- usage.c: help from the rows ----------------------------------------------------- */

void usage_line(const struct cmd *, FILE *);
void usage_cmd(const struct cmd *, FILE *);
void usage_all(FILE *);
int usage_json(struct err *) MUST_CHECK;

/* ---- each.c: verbs that take several pots ---------------------------------------------- */

typedef int each_fn(struct cli *, const struct args *, const char *name, struct err *);
/*
 * Calls fn for each pot; a failure is printed and the others are still done.
 * Returns what the first failure was, already told.
 */
int each_pot(struct cli *, const struct args *, each_fn *, struct err *) MUST_CHECK;

/* ---- what two verbs share ---------------------------------------------------- */

/* stop.c: with the option "timeout". */
int stop_pot(struct cli *, const struct args *, const char *name, struct err *) MUST_CHECK;

/* inpot.c: runs it and copies its terminal, if any, until it ends; gives its exit status. */
int run_in_pot(struct cli *, const char *name, struct pot_exec_args *, bool with_stdin, bool detach,
    struct err *) MUST_CHECK;

/* change.c */
typedef int change_fn(struct pot_ctx *, const char *, enum pot_change, char *const *, struct err *);
int change_list(struct cli *, const struct args *, const char *value, change_fn *, struct err *) MUST_CHECK;

/*
 * A verb of images: pot hands over to the program pot-image (image_exec.c),
 * which has what they need (image/table.c).
 */
int image_verb(struct cli *, const struct args *, struct err *) MUST_CHECK;

/*
 * With -f, create and clone: pot hands over to pot-image, which has the builder. in is what the other options say.
 */
int create_flavoured(
    struct cli *, const struct args *, const struct pot_create_args *in, struct err *) MUST_CHECK;
/* create.c: pot_create, or that. */
int create_pot(struct cli *, const struct args *, const struct pot_create_args *in, struct err *) MUST_CHECK;
#define FLAVOUR_OPTS                                                                                   \
	{ "flavour", 'f', "FLAVOUR", OPT_MANY, "apply this flavour: NAME or NAME?PARAMETER=VALUE" },   \
	    { "flavour-arg", 0, "NAME.PARAMETER=VALUE", OPT_MANY, "set a parameter of a flavour" },    \
	    { "flavour-dir", 0, "DIR", OPT_DIR | OPT_MANY,                                             \
		    "look for flavours here before all other places" },                                \
	    { "flavour-network", 0, "default|none|host", 0,                                            \
		    "network of flavours' scripts, where it is not the pot's" },                       \
	{                                                                                              \
		"no-cache", 0, NULL, 0, "with -f: apply flavours again, also when nothing has changed" \
	}

/* network.c: the options that create and clone share. */
struct network_args {
	char **addrs, **bridges, **publish, **names;
};
/* Into *in; what it points to is in the other, for network_args_fini. */
int network_args_get(
    const struct args *, struct pot_create_args *in, struct network_args *, struct err *) MUST_CHECK;
void network_args_fini(struct network_args *);
DEFINE_AUTO_FINI(network_args, struct network_args)
/* list.c and network.c: bridges as rows or objects. */
int list_bridges(struct cli *, json_t **list, struct err *) MUST_CHECK;
/* One of them; E_NOENT. */
int show_bridge(struct cli *, const char *name, struct err *) MUST_CHECK;
/* limits.c: the options that create, clone and update share, in the order given. */
struct limit_args {
	struct pot_limit *v;
	size_t n;
};
int limit_args_get(const struct args *, struct limit_args *, struct err *) MUST_CHECK;
void limit_args_fini(struct limit_args *);
DEFINE_AUTO_FINI(limit_args, struct limit_args)
void show_limits(const struct pot_limits *);
json_t *js_limits(const struct pot_limits *);
/* Their names are those of limits. */
#define LIMIT_OPTS                                                                                           \
	{ "memory", 'M', "SIZE", 0, "memory at most: 64m, 1g" },                                             \
	    { "memory-swap", 0, "SIZE", 0, "memory and swap together; without it, memory is all there is" }, \
	    { "memory-reservation", 0, "SIZE", 0, "memory that it keeps when the host is short of it" },     \
	    { "cpus", 'C', "CPUS", 0, "pin it to so many CPUs, those least used" },                          \
	    { "cpu-shares", 0, "N", 0, "weight when CPUs are short, 2 to 262144; 1024 is usual" },           \
	    { "cpu-quota", 0, "PERCENT", 0,                                                                  \
		    "processor time at most: 50 is half a CPU, 150 one and a half" },                        \
	    { "pids", 0, "N", 0, "processes and threads at most; 0: any number" },                           \
	    { "ulimit", 0, "NAME=SOFT[:HARD]", OPT_MANY, "limit of each process: nofile=1024:4096" },        \
	    { "io-weight", 0, "N", 0, "weight when a disk is busy, 1 to 1000; 100 is usual" },               \
	    { "io", 0, "[DEVICE:]RATES", OPT_MANY, "rbps=SIZE,wbps=SIZE,riops=N,wiops=N of a disk" },        \
	    { "disk", 0, "SIZE", 0, "quota of its files, where the storage has quotas" },                    \
	    { "on-oom", 0, "kill|restart|stop", 0,                                                           \
		    "when its memory is used up; restart: by the supervisor" },                              \
	{                                                                                                    \
		"restart", 0, "POLICY", 0, "for the supervisor: no, always, on-failure[:N], unless-stopped"  \
	}
#define NETWORK_OPTS NETWORK_OPTS_AS('i', 'd')
/* For verbs that have other uses for the two letters. */
#define NETWORK_OPTS_AS(ip_letter, dns_letter)                                                             \
	{ "network", 'N', "TYPE", 0, "public-bridge (default), private-bridge, alias, inherit or none" },  \
	    { "ip", ip_letter, "ADDRESS", OPT_MANY,                                                        \
		    "address: auto, ADDRESS, BRIDGE|ADDRESS; alias: [INTERFACE|]ADDRESS/LEN" },            \
	    { "bridge", 'B', "BRIDGE", OPT_MANY | OPT_BRIDGE, "put it on this bridge" },                   \
	    { "stack", 'S', "ipv4|ipv6|dual", 0, "network stack" },                                        \
	    { "dns", dns_letter, "DNS", 0,                                                                 \
		    "inherit: the host's name servers; pot: only names of pots; off; custom:FILE" },       \
	    { "publish", 0, "PORT", OPT_MANY, "publish a port: [ADDRESS:][HOST]:PORT[/tcp|udp]" },         \
	    { "net-in", 0, "RATE", 0, "limit what it receives, in bits per second: 10m" },                 \
	    { "net-out", 0, "RATE", 0, "limit what it sends" },                                            \
	{                                                                                                  \
		"alias-name", 0, "NAME", OPT_MANY, "a further name by which others on its bridges find it" \
	}

/* walls.c: the options about what separates a pot from the host. */
struct walls_args {
	struct strv settings;
};
#define WALLS_ARGS_INIT        \
	{                      \
		STRV_INIT(256) \
	}
/* *out: as pot_create_args.walls, or left alone; it is in the other, for walls_args_fini. */
int walls_args_get(
    const struct args *, struct walls_args *, const char *const **out, struct err *) MUST_CHECK;
void walls_args_fini(struct walls_args *);
DEFINE_AUTO_FINI(walls_args, struct walls_args)
#define WALLS_OPTS                                                                                        \
	{ "cap-add", 0, "CAP", OPT_MANY, "give its root this capability; all: every one" },               \
	    { "cap-drop", 0, "CAP", OPT_MANY, "take it away; all: every one that is not added" },         \
	    { "device", 0, "HOST[:TARGET]", OPT_MANY, "put a device of the host into its /dev" },         \
	    { "sysctl", 0, "NAME=VALUE", OPT_MANY, "set a kernel parameter of its own" },                 \
	    { "tmpfs", 0, "PATH[:OPTIONS]", OPT_MANY, "mount a tmpfs: size=, mode=, ro, exec" },          \
	    { "shm-size", 0, "SIZE", 0, "size of its /dev/shm (64M)" },                                   \
	    { "read-only", 0, NULL, 0, "it cannot write to its root" },                                   \
	    { "seccomp", 0, "FILE", OPT_FILE,                                                             \
		    "system calls that it may make: default, unconfined or a profile" },                  \
	    { "userns", 0, "auto|on|off|host", 0, "user ids of its own; auto: where its storage can" },   \
	{                                                                                                 \
		"privileged", 0, NULL, 0, "all capabilities, no filter, nothing of /proc and /sys hidden" \
	}

/* Rows' texts. */
#define COPY_TEXT                                                                                          \
	"Copies as cp -a: owner, mode, times, links and attributes stay. Into an existing directory the\n" \
	"source keeps its name. Works on running and stopped pots and never follows a link out of the pot."

/* The keys that js_summary and js_info write. */
#define JSON_SUMMARY                                                                             \
	"name: the pot\n"                                                                        \
	"state: created, starting, running, paused, stopping, stopped or failed\n"               \
	"base: the base it was made from\n"                                                      \
	"network: type of its network\n"                                                         \
	"pid: process id of its first process as the host sees it, or null\n"                    \
	"started_at: time of the last start, or null\n"                                          \
	"stopped_at: time of the last end, or null\n"                                            \
	"exit_status: status of the last end, or null\n"                                         \
	"ip: array of its addresses\n"                                                           \
	"ports: array of its published ports as --publish takes them (the first of very many)\n" \
	"oom_killed: true when the last run that ended was short of memory\n"
#define JSON_INFO                                                                                   \
	JSON_SUMMARY                                                                                \
	"id: identity, 16 hexadecimal digits, kept by rename\n"                                     \
	"type: single or multi\n"                                                                   \
	"level: level of a multi pot\n"                                                             \
	"parent: the pot it was cloned from, or null\n"                                             \
	"hostname: its host name\n"                                                                 \
	"image: the image it was made from, or null\n"                                              \
	"image_id: digest that this name meant then, or null\n"                                     \
	"user: USER[:GROUP] that its command runs as, or null: root\n"                              \
	"workdir: directory in which its command starts, or null: /\n"                              \
	"dns: inherit, pot, off or custom\n"                                                        \
	"stack: ipv4, ipv6 or dual\n"                                                               \
	"storage: zfs, btrfs or overlay\n"                                                          \
	"root_fs: where its files are, for people\n"                                                \
	"created_at: when it was made\n"                                                            \
	"command: the command that start runs, or null\n"                                           \
	"cgroup: its control groups while running, as HIERARCHIES:PATH, or null\n"                  \
	"isolation: namespaces, separated by blanks; or jail\n"                                     \
	"kernel: what else the kernel has of it, by its own names (FreeBSD: jid and others)\n"      \
	"user_namespace: object with first (id of the host) and ids, or null\n"                     \
	"user_namespace_why: why it has none, or null\n"                                            \
	"capabilities: array of what its root may, or null where there are none\n"                  \
	"seccomp: default, unconfined or custom, or null\n"                                         \
	"no_new_privs: whether setuid programs raise no rights\n"                                   \
	"privileged: true or false\n"                                                               \
	"read_only: whether its root is\n"                                                          \
	"walls: array of objects with name, value: what was set with create or update\n"            \
	"runs: how often it was started\n"                                                          \
	"last_exit: null, or the last end: status, signal, time, reason, oom_killed, oom_kills\n"   \
	"own_bytes: bytes of its own, null unless asked for (inspect, info -v)\n"                   \
	"shared_bytes: bytes shared with its base or snapshots, null unless asked for\n"            \
	"quota_bytes: quota, or null\n"                                                             \
	"env: array of NAME=value\n"                                                                \
	"hosts: array of host entries\n"                                                            \
	"hooks: array of the hooks that are set\n"                                                  \
	"mounts: array of objects with source, target, read_only, idmap\n"                          \
	"attributes: object of attribute and value\n"                                               \
	"snapshots: array of objects with tag, created_at, size_bytes\n"                            \
	"addresses: array of objects with bridge (or interface), address\n"                         \
	"bridges: array of its bridges\n"                                                           \
	"published: array of objects with protocol, address, host_port, pot_port\n"                 \
	"names: array of further names by which others on its bridges find it\n"                    \
	"interfaces: of a running pot: array of objects with name, rx_bytes, tx_bytes,\n"           \
	"rx_packets, tx_packets, rx_errors, tx_errors\n"                                            \
	"net_in: limit of what it receives in bits per second, or null\n"                           \
	"net_out: limit of what it sends, or null\n"                                                \
	"limits: object with memory, memory_swap, memory_reservation, cpus, cpu_list, cpu_shares, " \
	"cpu_quota\n"                                                                               \
	"(percent of a CPU), pids, pids_default, ulimits, io_weight, io, disk, on_oom, restart;\n"  \
	"null is no limit\n"                                                                        \
	"oom_killed: true when the kernel killed in this run, or the last, for want of memory\n"    \
	"oom_kills: how many of its processes\n"

/* The keys of an image. */
#define JSON_IMAGE                                                                      \
	"name: the image, as a reference\n"                                             \
	"id: digest of its manifest\n"                                                  \
	"digest: digest that the name names: the id, or that of an index\n"             \
	"os: operating system that it is for\n"                                         \
	"architecture: processor that it is for\n"                                      \
	"created_at: when it was made, or null\n"                                       \
	"named_at: when it got this name here\n"                                        \
	"layers: how many layers it has\n"                                              \
	"pots: how many pots were made from it\n"                                       \
	"size_bytes: bytes of its blobs, compressed\n"                                  \
	"own_bytes: bytes of those that no other image here has\n"                      \
	"shared_bytes: bytes of those that others have as well\n"                       \
	"unpacked_bytes: bytes of the files of all its layers, or null: not unpacked\n" \
	"ready: can pots be made from it?\n"

/* The keys of a bridge. */
#define JSON_BRIDGE                                                           \
	"name: the bridge; public is the one of all pots\n"                   \
	"interface: its name on the host\n"                                   \
	"network: its IPv4 range, or null\n"                                  \
	"gateway: its IPv4 address, or null\n"                                \
	"network6: its IPv6 range, or null\n"                                 \
	"gateway6: its IPv6 address, or null\n"                               \
	"public: true for the bridge of all pots\n"                           \
	"nat6: true when IPv6 leaves behind NAT66, false when it is routed\n" \
	"pots: how many pots have an address on it\n"

#endif
