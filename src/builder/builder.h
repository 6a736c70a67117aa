/*
 * The builder: makes trees step by step, each on a clone of the one before,
 * and keeps every outcome. Potfiles (stage.c), flavours (flavour.c) and
 * whoever comes next hand their steps to one function, bld_step_do; cache,
 * pots, layers and progress are behind it and the same for all.
 *
 * A tree is an unpacked layer of the image store (image/unpack.h): the file
 * system STOR_IMAGE named by the hexadecimal digits of its chain id. A step
 * that changes nothing has its parent's tree. So the tree of a step, the layer
 * of an image and what pots are cloned from are one thing, stored once.
 *
 * What this looks like on the disk, below ROOT/build:
 *
 *   cache/HEX      what a step gave (cache.h); HEX is its key (key.h)
 *   cache/.lock-HEX   held while somebody makes it: one flight per key and node
 *   mounts/HEX/    data of RUN --mount=type=cache, with data/ and a lock
 *   tmp/NAME/      private files of a process at work (bld->tmp), with tmp/.lock-NAME
 *
 * A half-made tree is a file system STOR_IMAGE "build-NNN" whose lock
 * images/layers/.lock-build-NNN its maker holds: image prune, and the next
 * build, remove what a killed one left.
 */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include "base/kv.h"
#include "engine/engine.h"
#include "image/digest.h"
#include "image/store.h"
#include "model/potfile.h"

struct bld_crew;

enum bld_net { BLD_NET_DEFAULT, BLD_NET_NONE, BLD_NET_HOST };

/* ---- a process at work -------------------------------------------------------------------- */

/*
 * What everything in here gets. One process uses it (stages that build beside
 * each other are processes with one each).
 */
struct bld {
	struct eng *eng; /* storage is open: eng->stor; events: eng->events; eng->cancel may be NULL */
	struct img_store *store;
	int dir;        /* ROOT/build */
	int cache;      /* ROOT/build/cache */
	int tmp;        /* a directory of ours; gone with us, by whatever death */
	int64_t epoch;  /* SOURCE_DATE_EPOCH in seconds, or -1 */
	bool no_cache;  /* steps are done again, once in this build; what they give is kept */
	char build[24]; /* this build, in all its processes */
	int64_t begun_ns;
	enum bld_net network; /* of steps that say BLD_NET_DEFAULT */
	char tmp_name[24];
	int tmp_lock;
	pid_t owner; /* of tmp: who opened this, and not a copy of that process */
	/* The failed command's tree before it goes, or NULL: a shell in a pot on it. As pot_build_args.debug. */
	int (*debug)(void *arg, struct pot_process *, struct err *);
	void *debug_arg;
	unsigned short rows, cols;
	struct bld_crew *crew; /* who shares the work, or NULL: all is done here (crew.h) */
};

/* eng must outlive it; eng_need_storage is called. */
int bld_open(struct bld **, struct eng *, struct err *) MUST_CHECK;
void bld_close(struct bld *); /* NULL is allowed */
/* E_INTR when the user wants us to end; to be asked in every loop over files or bytes. */
int bld_check(const struct bld *, struct err *) MUST_CHECK;
DEFINE_AUTO(bld, struct bld *, NULL, bld_close)

/* ---- trees ---------------------------------------------------------------------------------- */

struct bld_tree {
	bool any;            /* false: the empty tree of "FROM scratch" */
	struct digest chain; /* else: of its uppermost layer */
};

/* Looking at a finished tree: any number at a time, also of the same. fd -1: the empty tree. */
struct bld_look;
int bld_look_begin(
    struct bld *, const struct bld_tree *, struct bld_look **, int *fd, struct err *) MUST_CHECK;
void bld_look_end(struct bld_look *); /* closes fd; NULL is allowed */
/* A base as a tree; its layer is made the first time (as by pot commit). */
int bld_tree_base(struct bld *, const char *base, struct bld_tree *, struct err *) MUST_CHECK;
/* dst (a pot's root, free) becomes a writable clone of the tree. For eng_create_from's make(). */
int bld_tree_clone(struct bld *, const struct bld_tree *, struct stor_fs dst, struct err *) MUST_CHECK;

/* ---- steps ---------------------------------------------------------------------------------- */

/* What is mounted while a command runs. Nothing of it ends up in the tree, mount points neither. */
enum bld_mount_kind {
	BLD_MOUNT_DIR,    /* host directory or file, by fd */
	BLD_MOUNT_TREE,   /* a directory or file of a tree; writable ones get a copy that is thrown away */
	BLD_MOUNT_CACHE,  /* kept between builds, by id */
	BLD_MOUNT_TMPFS,  /* empty, in memory */
	BLD_MOUNT_FILE,   /* a file with this content, read-only, in memory */
	BLD_MOUNT_SECRET, /* the same, but never part of a key, and only its owner may read it */
};
struct bld_mount {
	enum bld_mount_kind kind;
	const char *target;   /* absolute */
	int fd;               /* DIR: O_PATH or better, borrowed */
	struct bld_tree tree; /* TREE; CACHE: what it is filled with the first time (tree.any) */
	const char *path;     /* DIR, TREE, CACHE: below fd or the tree, "" or "/": all of it */
	bool rw;
	const char *id; /* CACHE, SECRET */
	enum potfile_sharing sharing;
	const void *data; /* FILE, SECRET */
	size_t len;
	unsigned mode;     /* FILE, SECRET, TMPFS, CACHE; 0: the usual */
	uint32_t uid, gid; /* FILE, SECRET, CACHE: in the pot */
	uint64_t size;     /* TMPFS */
	/* DIR: what the key has of its content, from bld_copy_digest or the like; all zero: nothing. */
	struct digest content;
};

/*
 * A command in a pot of its own on the tree: /tmp, /var/tmp and the rest are
 * the tree's, /dev, /proc and /sys the pot's. stdin is empty, output goes to
 * the report. Status 0, or E_STATE with what it was.
 */
struct bld_run {
	const char *const *argv;     /* argv[0] without a slash: by PATH of env, in the tree */
	const char *const *env;      /* NAME=value, NULL-terminated: all of it, in the key */
	const char *const *env_more; /* the same, not in the key: proxies, secrets; never written down */
	const char *user;            /* "USER[:GROUP]" by the tree's passwd, NULL: root */
	const char *workdir;         /* absolute; NULL: "/"; made when it is missing */
	const struct bld_mount *mounts;
	size_t nmounts;
	enum bld_net network;
	bool insecure; /* all capabilities, no filter; the caller has checked that it is allowed */
	const struct pot_limit *limits; /* not in the key */
	size_t nlimits;
};

struct bld_copy; /* builder/copy.h */

enum bld_kind { BLD_RUN, BLD_COPY, BLD_MKDIR, BLD_SQUASH };
struct bld_step {
	enum bld_kind kind;
	const char *text;      /* for people: progress, history's created_by; never with a secret in it */
	char where[96];        /* "Potfile:12", "flavour nginx:3": for messages */
	struct bld_run run;    /* BLD_RUN */
	struct bld_copy *copy; /* BLD_COPY */
	const struct bld_tree *from; /* BLD_SQUASH: the layers upon this tree become one */
	const char *path;            /* BLD_MKDIR: absolute; what is missing is made, 0755 and run.user's */
};

/* What a step gave. */
struct bld_did {
	bool cached; /* nothing ran */
	bool layer;  /* false: the tree is the parent's */
	struct digest diff, blob;
	uint64_t size;      /* of the blob */
	int64_t created_ns; /* when it was really done; the epoch where there is one */
};

/*
 * Does the step on *tree, which becomes the outcome, or finds it done already.
 * All or nothing: a failed or killed step leaves *tree, the cache and the
 * storage as they were. Waits where another build is doing the very same.
 *
 * The key is over: the parent's chain id, the platform, the epoch, and
 *   BLD_RUN    argv, env, user, workdir, network, insecure, and of each mount kind, target, path, id,
 *              rw, the tree's chain id, FILE's data, DIR's content; of secrets only id and target
 *   BLD_COPY   what bld_copy_digest says
 *   BLD_MKDIR  the path and the user
 * text and where are not in it: the same command written in a flavour and in a Potfile is one entry.
 */
int bld_step_do(
    struct bld *, struct bld_tree *tree, const struct bld_step *, struct bld_did *, struct err *) MUST_CHECK;

/* ---- COPY and ADD: builder/copy.h implements, step.c calls ------------------------------------- */

/*
 * bld_copy_digest(b, copy, &d, e): everything that decides what apply makes (operation, destination,
 * names, content, owners, modes, exclusions, the epoch where it matters). Called before anything is
 * mounted; may fetch to b->tmp and keep that for apply.
 *
 * bld_copy_apply(b, copy, rootfd, e): rootfd is the root directory of a writable, detached mount of the
 * new tree: reached by nobody else, ids are those on the disk and those in the pot (0 is root; no map),
 * hostile content: only base/inroot.h goes below it. Names of --chown are looked up in its
 * /etc/passwd and /etc/group. No fd below it may be open when apply returns.
 */

/* ---- flavours: builder/flavour.h implements, stage.c and pot create -f call ------------------------ */

/*
 * What a flavour, or any other recipe, comes to: steps in order, and settings for the pot or image that
 * is made of the tree. What steps point to lives as long as the recipe.
 */
struct bld_recipe {
	struct bld_step *steps;
	size_t nsteps, cap;
	/*
	 * Keys of model/imgrecord.h: IMG_SET_ENV, IMG_SET_CMD, IMG_SET_USER, IMG_SET_WORKDIR, IMG_SET_EXPOSE
	 * …, IMG_SET_ATTR "NAME=VALUE"; and those below. A single-valued one, and the list IMG_SET_CMD as
	 * a whole, replaces what was set before; IMG_SET_ENV replaces by name; the others add.
	 */
	struct kv settings;
	void *arena;                               /* of flavour.c: frees what the steps point to */
	const struct bld_flavour_options *options; /* of the caller, before; or NULL */
};
#define BLD_SET_LIMIT "limit" /* repeated NAME=VALUE: struct pot_limit */
#define BLD_SET_PORT "port"   /* repeated, as pot export-ports takes it */
#define BLD_SET_MOUNT \
	"mount" /* repeated, text_join of SOURCE TARGET [ro]: pots only, an image cannot have it */

#define BLD_SET_DEPEND "depend" /* repeated: a pot that is to run before; pots only */

/* Applies settings of a recipe to those gathered so far, by the rules above: a new IMG_SET_CMD ends an entry point. */
int bld_settings_merge(struct kv *into, const struct kv *from, struct err *) MUST_CHECK;

#endif
