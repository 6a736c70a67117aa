/*
 * One pot in hand, inside the engine: its directory, its lock, its state, its
 * configuration; repair of what a killed process left; hooks; the files made
 * for it at each start.
 */
#ifndef ENGINE_EPOT_H
#define ENGINE_EPOT_H

#include "engine/engine.h"
#include "model/port.h"

/* The network of a pot as network.c reads it; spec points into the rest. */
struct epot_net {
	struct net_spec spec;
	struct port_map *ports;
	struct strv names;
};
#define EPOT_NET_INIT                   \
	{                               \
		.names = STRV_INIT(256) \
	}

struct epot {
	struct eng *eng;
	char name[64];
	int dir_fd;  /* ROOT/pots/NAME */
	int lock_fd; /* -1: not locked */
	struct state state;
	struct potconf conf; /* loaded by epot_load_conf */
	bool conf_loaded;
	struct epot_net *net; /* by epot_net_start, or NULL */
};
#define EPOT_INIT                                                       \
	{                                                               \
		NULL, "", -1, -1, STATE_INIT, POTCONF_INIT, false, NULL \
	}

#define EPOT_STOP_LOCK "stop.lock" /* held by who stops the pot, while the pot's lock is free */
#define LOCK_WAIT_MS 60000         /* longer than any operation that holds a pot's lock */

enum epot_access {
	EPOT_READ,  /* no lock; repaired first when that is needed and possible */
	EPOT_WRITE, /* locked and repaired */
};

/* E_NOENT: no such pot. */
int epot_get(struct epot *, struct eng *, const char *name, enum epot_access, struct err *) MUST_CHECK;
/* The same, but of a damaged or half-made one too, without any repair (destroy). */
int epot_get_raw(struct epot *, struct eng *, const char *name, int lock_wait_ms, struct err *) MUST_CHECK;
/* As get_raw, but not before the shim of a run that has ended is gone, and its mounts with it. */
int epot_get_settled(struct epot *, struct eng *, const char *name, struct err *) MUST_CHECK;
void epot_unlock(struct epot *);
void epot_fini(struct epot *);
int epot_load_conf(struct epot *, struct err *) MUST_CHECK;
int epot_save_conf(struct epot *, struct err *) MUST_CHECK;
/* E_STATE "NAME is running" unless it does not run. For settings and storage operations. */
int epot_need_stopped(const struct epot *, const char *what, struct err *) MUST_CHECK;
int epot_need_running(const struct epot *, struct err *) MUST_CHECK;
struct iso_ref epot_ref(const struct epot *);
static inline struct stor_fs
epot_fs(const struct epot *p)
{
	return (struct stor_fs){ (p->state.rec.flags & STATE_BUILD) != 0 ? STOR_IMAGE : STOR_POT, p->name };
}

DEFINE_AUTO_FINI(epot, struct epot)

/* Does the state show something that a killed process left? Cheap, no lock. */
bool epot_is_broken(const struct eng *, const struct state *);
/* Is it a builder's, whose builder is dead? */
bool epot_is_abandoned(const struct epot *);
/* Ends and removes such a one; locked. E_NOENT when that is done. */
int epot_remove_abandoned(struct epot *, struct err *) MUST_CHECK;
/*
 * Brings a locked pot to a state that is true. 0 when the pot exists afterwards, E_NOENT when
 * what was left was a half-made or half-removed pot, now gone.
 */
int epot_reconcile(struct epot *, struct err *) MUST_CHECK;

/*
 * steps.c: walks back what the last run has up, newest step first, and ends in `final`. The exit
 * comes from the shim's record of this run; where there is none, `reason` says why.
 */
int epot_walk_back(struct epot *, enum pot_state final, const char *reason, struct err *) MUST_CHECK;
/* Ends what the journal says is under way; rc is how it went, and what is returned unless the writing fails. */
int epot_end_op(struct epot *, int rc, struct err *) MUST_CHECK;
void epot_exit_get(const struct epot *, struct pot_exit *);
/* Waits until the run that the state tells is over and cleaned up; E_TIMEOUT. The lock is not held. */
int epot_wait_run(struct epot *, int ms, struct err *) MUST_CHECK;
/* Waits until no shim holds the pot; E_TIMEOUT. */
int epot_wait_dead(struct epot *, int ms, struct err *) MUST_CHECK;

/* The steps of a start in order; their numbers are bits in the state's journal. */
enum step_id {
	STEP_HOOKS, /* prestart has run: poststop must */
	STEP_ROOT,  /* the root is mounted */
	STEP_FILES, /* pots/NAME/etc */
	STEP_CGROUP,
	STEP_PROCESS,
	STEP_NETWORK, /* also of names, whose file is made with STEP_FILES */
	STEP_COUNT
};

/* stop.c: ends a locked, active pot; locked, ended and cleaned up afterwards. timeout -1: the pot's own. */
int epot_end(struct epot *, int64_t timeout_ms, struct err *) MUST_CHECK;

/* network.c: the network of a pot. */
void epot_net_fini(struct epot_net *);
DEFINE_AUTO_FINI(epot_net, struct epot_net)
/* Does a pot with this type of network have a namespace of its own / links to bridges? */
bool network_is_own(const char *network);
bool network_is_bridged(const char *network);
/* Names of its bridges, eth0's first. */
int epot_bridges(const struct epot *, struct strv *, struct err *) MUST_CHECK;
/* "[WHERE|]ADDRESS[/LEN]" taken apart; where "" when it is not there. */
int network_address(const char *text, char where[static 64], struct ip_prefix *, struct err *) MUST_CHECK;
/* As pot.conf and the leases say it; running: with the ports that it was started with. */
int epot_net_get(struct epot *, struct epot_net *, bool running, struct err *) MUST_CHECK;
/* The same for a start, read once; it lives as long as the pot is in hand. */
int epot_net_start(struct epot *, const struct net_spec **, struct err *) MUST_CHECK;
/* Into a new pot's pot.conf what was asked for, and what of it was then given. */
int epot_net_create(struct epot *, const struct pot_create_args *, struct err *) MUST_CHECK;
/* inside: the network namespace and a socket in it, where they are made already, else -1. */
int epot_net_up(struct epot *, const int inside[static 2], struct err *) MUST_CHECK;
int epot_net_down(struct epot *, struct err *) MUST_CHECK;
/* Addresses and ports of a pot that ceases to be. */
int epot_net_release(struct epot *, struct err *) MUST_CHECK;

/* publish.c: ports. *v has room for PORT_MAPS_MAX. */
int epot_ports_new(struct port_map **v, struct err *) MUST_CHECK;
int epot_ports_get(const struct epot *, struct port_map *v, size_t *n, struct err *) MUST_CHECK;
/* Chooses and reserves; into pot.conf. */
int epot_ports_set(struct epot *, struct port_map *v, size_t n, struct err *) MUST_CHECK;
/* The ports that a run was started with: pots/NAME/etc/published. */
int epot_ports_record(struct epot *, const struct port_map *v, size_t n, struct err *) MUST_CHECK;
int epot_ports_recorded(const struct epot *, struct port_map *v, size_t *n, struct err *) MUST_CHECK;
/* Gives back what neither pot.conf nor the record lists: after a run, or an interrupted change. */
int epot_ports_settle(struct epot *, struct err *) MUST_CHECK;
/* ip and ports of the state, from pot.conf. */
void epot_net_texts(struct epot *);

/* hooks.c */
enum hook_point { HOOK_PRESTART, HOOK_POSTSTART, HOOK_PRESTOP, HOOK_POSTSTOP, HOOK_COUNT };
extern const char *const hook_names[HOOK_COUNT];
bool hook_is_set(const struct epot *, enum hook_point);
/*
 * Runs the hook of this point, if there is one, with the pot's facts in its environment
 * (_POT_NAME, _POT_HOOK, _POT_STATE, _POT_ROOT, _POT_IP, _POT_IP6, _POT_BRIDGE, _POT_PORTS, _POT_EXIT_STATUS); E_TIMEOUT after hook_timeout.
 */
int hook_run(struct epot *, enum hook_point, struct err *) MUST_CHECK;
/* file NULL removes (absent is fine). */
int hook_set(struct epot *, enum hook_point, const char *file, struct err *) MUST_CHECK;
/* E_INVAL for an unknown name. */
int hook_find(const char *name, struct err *) MUST_CHECK;

/* etc.c: hosts, hostname and resolv.conf below pots/NAME/etc, as detached mounts. */
#define ETC_DIR "etc"
#define ETC_FILES 3
struct etc_files {
	struct iso_mount m[ETC_FILES];
	size_t n;
};
int etc_make(struct epot *, struct err *) MUST_CHECK;
struct epot_walls;
int etc_mounts(struct epot *, const struct epot_walls *, struct etc_files *, struct err *) MUST_CHECK;
void etc_files_fini(struct etc_files *);

/* Environment of the main process and of exec: system part, the pot's, extra (may be NULL). */
int epot_environment(
    struct epot *, const char *home, char *const *extra, struct strv *, struct err *) MUST_CHECK;

/* settings.c: the value an attribute has, default or not; borrowed. */
const char *epot_attr(const struct epot *, const struct attr *);
/* Into the configuration in hand; E_INVAL, E_PERM. */
int epot_put_attribute(struct epot *, const char *attr, const char *value, struct err *) MUST_CHECK;
/* What a mount shows: its path without links (the caller's, also on failure), and whether it is a directory. */
int epot_mount_source(const struct pot_mount *, char **source, bool *dir, struct err *) MUST_CHECK;
/* given.c: into a new pot's configuration, when its network is there already. */
int epot_given(struct epot *, const struct pot_create_args *, struct err *) MUST_CHECK;
/* Repairs an interrupted mount-in or mount-out: what pot.conf lists counts. */
int epot_finish_mount(struct epot *, struct err *) MUST_CHECK;
/* snapshot.c: of a locked, stopped pot. */
int epot_take_snapshot(struct epot *, const char *tag, struct err *) MUST_CHECK;
/* A tag that it does not have: seconds since the epoch. */
int epot_free_tag(struct epot *, char out[static 128], struct err *) MUST_CHECK;

/* Walks ROOT/pots in order of names. `fn` gets the name; non-zero stops. */
int epot_each(
    struct eng *, int (*fn)(void *arg, const char *name, struct err *), void *arg, struct err *) MUST_CHECK;

#endif
