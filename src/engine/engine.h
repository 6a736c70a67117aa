/*
 * The engine: the life of pots as ordered steps with undo, on top of storage
 * and isolation. The only place that combines them. Functions mirror those of
 * include/pot.h; names were checked by lib/ before.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <limits.h>
#include <stdbool.h>

#include <pot.h>
#include "base/buf.h"
#include "base/event.h"
#include "engine/state.h"
#include "model/config.h"
#include "model/potconf.h"
#include "network/network.h"
#include "storage/storage.h"

/* An opened installation. */
struct eng {
	char *root; /* absolute */
	char *conf_path;
	bool conf_default; /* conf_path was not named by the user */
	int root_fd;       /* -1: the directory does not exist */
	int pots_fd;       /* -1: not initialised */
	struct config *conf;
	struct kv node;          /* ROOT/node, empty before init */
	struct stor *stor;       /* opened by eng_need_storage */
	struct net *net;         /* opened by eng_need_net */
	struct iso_meter *meter; /* opened by eng_stats */
	struct pot_events events;
	const volatile bool *cancel;
	char self[PATH_MAX]; /* the pot program, for the shim's clean-up */
	char shim[PATH_MAX];
};

int eng_open(struct eng **, const struct pot_open_args *, struct err *) MUST_CHECK;
void eng_close(struct eng *);
/* E_STATE with "run pot init" when there is no node. */
int eng_need_node(struct eng *, struct err *) MUST_CHECK;
int eng_need_storage(struct eng *, struct err *) MUST_CHECK;
int eng_need_net(struct eng *, struct err *) MUST_CHECK;
/* Finds what a start needs: self and shim. */
int eng_need_programs(struct eng *, struct err *) MUST_CHECK;
int eng_find_unpack(char out[static PATH_MAX], struct err *) MUST_CHECK;
bool eng_cancelled(const struct eng *);

/* node.c */
int eng_init(struct eng *, const struct pot_init_args *, struct pot_init_report *, struct err *) MUST_CHECK;
int eng_deinit(struct eng *, bool force, struct err *) MUST_CHECK;
int eng_config(struct eng *, pot_config_fn *, void *, struct err *) MUST_CHECK;
int eng_doctor(struct eng *, pot_finding_fn *, void *, struct err *) MUST_CHECK;

/* base.c */
int eng_base_create(struct eng *, const struct pot_base_args *, struct err *) MUST_CHECK;
int eng_base_list(struct eng *, bool sizes, pot_base_fn *, void *, struct err *) MUST_CHECK;
int eng_base_destroy(struct eng *, const char *name, bool recursive, struct err *) MUST_CHECK;
/* Removes what interrupted create-base runs left. */
int eng_base_recover(struct eng *, struct err *) MUST_CHECK;
/* 1: this base exists and is whole, 0: not. */
int eng_base_exists(struct eng *, const char *name, struct err *) MUST_CHECK;
#define ENG_BASE_TAG "base" /* the snapshot of a base that pots are cloned from */

/* create.c */
int eng_create(struct eng *, const struct pot_create_args *, struct err *) MUST_CHECK;
/*
 * A pot whose root somebody else makes: make() is called with the file system's
 * name, which is free, and makes all of it or nothing; what it adds to settings
 * (keys IMG_SET_*, model/imgrecord.h) is treated as an image's. args names no source, unless a layer
 * is given: then the pot is as if it were made from that source, but for its files.
 */
struct eng_maker {
	int (*make)(void *arg, struct stor *, struct stor_fs, struct kv *settings, struct err *);
	void *arg;
	bool build;        /* a builder's (STATE_BUILD): its root is STOR_IMAGE, and lists do not show it */
	const char *layer; /* name of the layer that make() clones, kept as long as the pot; or NULL */
};
int eng_create_from(
    struct eng *, const struct pot_create_args *, const struct eng_maker *, struct err *) MUST_CHECK;
int eng_destroy(struct eng *, const char *name, bool force, struct err *) MUST_CHECK;
int eng_rename(struct eng *, const char *name, const char *newname, struct err *) MUST_CHECK;
int eng_prune(struct eng *, const struct pot_prune_args *, pot_name_fn *, void *, struct err *) MUST_CHECK;
/* Names of the pots made from this base. */
int eng_base_users(struct eng *, const char *base, struct strv *users, struct err *) MUST_CHECK;

/* start.c, stop.c */
int eng_start(struct eng *, const char *name, const struct pot_start_args *, struct pot_process *,
    struct err *) MUST_CHECK;
/*
 * A command instead of the pot's own, with mounts of its own, none of which is written down. The pot's end is the
 * caller's: it is attached, and killed when the descriptor in *proc is closed, by whatever death.
 */
enum eng_mount_kind { ENG_MOUNT_BIND, ENG_MOUNT_FS, ENG_MOUNT_TMPFS, ENG_MOUNT_FILE };
struct eng_mount {
	enum eng_mount_kind kind;
	const char *target; /* absolute */
	bool read_only;
	int fd; /* BIND: what is mounted; its owners are shown as the pot's users where that can be */
	struct stor_fs fs; /* FS: mounted by nobody else */
	const char *path;  /* FS: below its root, NULL or "": all of it */
	const void *data;  /* FILE: in memory, read-only */
	size_t len;
	unsigned mode;     /* FILE, TMPFS */
	uint32_t uid, gid; /* FILE: in the pot */
	uint64_t size;     /* TMPFS */
};
struct eng_command {
	char *const *argv, *const *env; /* NULL-terminated */
	const char *user, *workdir;     /* NULL: root, "/" */
	const struct eng_mount *mounts;
	size_t nmounts;
};
/* An interrupt (eng->cancel) then kills it where eng_attach has no signal_fd: E_INTR, and it is cleaned up. */
int eng_start_command(struct eng *, const char *name, const struct eng_command *, struct pot_process *,
    struct err *) MUST_CHECK;
int eng_attach(struct eng *, const char *name, struct pot_process *, int out_fd, int err_fd, int signal_fd,
    int *status, struct err *) MUST_CHECK;
int eng_stop(struct eng *, const char *name, int64_t timeout_ms, struct err *) MUST_CHECK;
int eng_kill(struct eng *, const char *name, int sig, struct err *) MUST_CHECK;
int eng_pause(struct eng *, const char *name, bool pause, struct err *) MUST_CHECK;
int eng_wait(struct eng *, const char *name, struct pot_exit *, struct err *) MUST_CHECK;
int eng_last_exit(struct eng *, const char *name, struct pot_exit *, struct err *) MUST_CHECK;
int eng_exec(struct eng *, const char *name, const struct pot_exec_args *, struct pot_process *,
    struct err *) MUST_CHECK;
int eng_cleanup(struct eng *, const char *name, uint64_t run_id, struct err *) MUST_CHECK;

/* look.c, logs.c */
int eng_list(struct eng *, pot_summary_fn *, void *, struct err *) MUST_CHECK;
int eng_runner(struct eng *, const char *name, struct proc_id *, struct err *) MUST_CHECK;
int eng_info(struct eng *, const char *name, unsigned flags, struct pot_info **, struct err *) MUST_CHECK;
int eng_exists(struct eng *, const char *name, struct err *) MUST_CHECK;
int eng_top(struct eng *, const char *name, pot_task_fn *, void *, struct err *) MUST_CHECK;
int eng_logs(struct eng *, const char *name, const struct pot_logs_args *, pot_log_fn *, void *,
    struct err *) MUST_CHECK;

/* stats.c */
int eng_stats(
    struct eng *, const char *const *names, unsigned flags, pot_stats_fn *, void *, struct err *) MUST_CHECK;

/* snapshot.c */
int eng_snapshot(struct eng *, const char *name, const char *tag, char made[128], struct err *) MUST_CHECK;
int eng_rollback(struct eng *, const char *name, const char *tag, struct err *) MUST_CHECK;
int eng_purge_snapshots(
    struct eng *, const char *name, bool all, pot_name_fn *, void *, struct err *) MUST_CHECK;

/* settings.c */
int eng_set_command(struct eng *, const char *name, const char *command, struct err *) MUST_CHECK;
int eng_set_env(struct eng *, const char *name, enum pot_change, char *const *, struct err *) MUST_CHECK;
int eng_set_hosts(struct eng *, const char *name, enum pot_change, char *const *, struct err *) MUST_CHECK;
int eng_set_hook(
    struct eng *, const char *name, const char *point, const char *file, struct err *) MUST_CHECK;
int eng_set_attribute(
    struct eng *, const char *name, const char *attr, const char *value, struct err *) MUST_CHECK;
int eng_get_attribute(
    struct eng *, const char *name, const char *attr, char **value, struct err *) MUST_CHECK;
int eng_mount_in(struct eng *, const char *name, const struct pot_mount *, struct err *) MUST_CHECK;
int eng_mount_out(struct eng *, const char *name, const char *target, struct err *) MUST_CHECK;

/* limit.c */
int eng_update(struct eng *, const char *name, const struct pot_limit *, size_t n, struct err *) MUST_CHECK;

/* publish.c */
int eng_set_ports(struct eng *, const char *name, enum pot_change, char *const *, struct err *) MUST_CHECK;

/* bridges.c */
int eng_net_init(
    struct eng *, const struct pot_init_args *, struct pot_init_report *, struct err *) MUST_CHECK;
int eng_bridge_create(struct eng *, const char *name, unsigned hosts, struct err *) MUST_CHECK;
int eng_bridge_destroy(struct eng *, const char *name, struct err *) MUST_CHECK;
int eng_bridge_list(struct eng *, pot_bridge_fn *, void *, struct err *) MUST_CHECK;
int eng_bridge_up(struct eng *, const char *name, struct err *) MUST_CHECK;
/* Brings back for all running pots what somebody else took away: 1 there was something, 0 not. */
int eng_net_repair(struct eng *, struct err *) MUST_CHECK;
/* Gives back what pots that are no more have. */
int eng_net_reclaim(struct eng *, struct err *) MUST_CHECK;

/* image.c */
/* The image's layer that a pot stands on, and its manifest ("" not known). */
typedef int eng_image_user_fn(void *arg, const char *pot, const char *fs, const char *manifest, struct err *);
int eng_image_users(struct eng *, eng_image_user_fn *, void *arg, struct err *) MUST_CHECK;
/* 1: pots can be made from it; 0: it is not on this node. E_STATE: it cannot run here. */
int eng_image_exists(struct eng *, const char *name, struct err *) MUST_CHECK;
/* A pot as what an image is made of. */
struct eng_tree {
	int root, parent;               /* read-only roots: the pot's, and of what it was made from */
	const char *base;               /* it was made from, "" */
	const char *image, *image_name; /* manifest and name of the image it was made from, "" */
	struct kv *settings;            /* IMG_SET_* (model/imgrecord.h) */
};
typedef int eng_tree_fn(void *arg, const struct eng_tree *, struct err *);
/* Of a stopped pot, which is locked meanwhile, or of a snapshot of any. */
int eng_image_tree(
    struct eng *, const char *pot, const char *tag, eng_tree_fn *, void *arg, struct err *) MUST_CHECK;
/* Only its settings (root and parent are -1), and the lock; of any pot. */
int eng_image_settings(struct eng *, const char *pot, eng_tree_fn *, void *arg, struct err *) MUST_CHECK;

/* copy.c */
int eng_copy_in(struct eng *, const char *name, const char *host_src, const char *dst, unsigned flags,
    struct err *) MUST_CHECK;
int eng_copy_out(struct eng *, const char *name, const char *src, const char *host_dst, unsigned flags,
    struct err *) MUST_CHECK;

#endif
