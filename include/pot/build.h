/*
 * libpot's third part: building images of Potfiles, and the cache of steps
 * that builds and flavours share. The conventions are those of pot.h. The
 * processor's share of the work is done in child processes of the caller,
 * which must not have threads of its own while pot_build runs.
 */
#ifndef POT_BUILD_H
#define POT_BUILD_H

#include <pot/image.h>

enum pot_build_event_kind {
	POT_BUILD_STEP,     /* a step begins */
	POT_BUILD_OUTPUT,   /* what its command writes */
	POT_BUILD_STEP_END, /* it is done, or has failed */
};
/* Strings are borrowed for the call. Steps of different stages mix. */
struct pot_build_event {
	enum pot_build_event_kind kind;
	unsigned stage, stages; /* from 0 */
	const char *stage_name; /* "" when it has none */
	unsigned step, steps;   /* from 1 in its stage; steps 0: not known */
	const char *text;       /* the instruction, in one line */
	const char *where;      /* "Potfile:12" */
	/* POT_BUILD_STEP_END */
	bool cached, failed;
	bool layer; /* it made one, of `size` bytes */
	uint64_t size;
	int64_t ms; /* that it took */
	/* POT_BUILD_OUTPUT */
	const char *data;
	size_t len;
};
typedef void pot_build_fn(void *arg, const struct pot_build_event *);

/* --secret */
struct pot_build_secret {
	const char *id;
	const void *data;
	size_t len;
};

struct pot_build_args {
	const char *context;       /* a directory, or "-": an archive or a Potfile on stdin */
	const char *potfile;       /* -f; NULL: found in the context; "-": stdin */
	const char *const *names;  /* of the image, NULL-terminated; may be empty */
	const char *const *args;   /* --build-arg NAME=VALUE, or NAME: of our environment */
	const char *target;        /* stage, or NULL: the last */
	const char *platform;      /* "OS/ARCH[/VARIANT]"; NULL: ours, and no other can be built yet */
	const char *const *labels; /* NAME=VALUE, on top of the Potfile's */
	const struct pot_build_secret *secrets;
	size_t nsecrets;
	const char *network; /* of RUN where it does not say: "default" (or NULL), "none", "host" */
	const char *const
	    *allow; /* "insecure" (RUN --security=insecure), "host" (RUN --network=host); or NULL */
	const char *const *flavour_dirs, *const *flavour_args; /* as of pot create; or NULL */
	bool no_cache, squash;
	unsigned jobs;      /* steps under way at a time; 0: as many as there are processors */
	bool verify;        /* of pulled images, as pot pull --verify */
	struct pot_net net; /* how registries are reached for FROM */
	pot_build_fn *fn;   /* or NULL */
	void *arg;
	/*
	 * The failed step's tree, before it goes: a process in a pot on it, with the step's mounts and
	 * environment. NULL: no such look.
	 */
	int (*debug)(void *arg, struct pot_process *, struct err *);
	unsigned short rows, cols; /* of its terminal */
	/* What is wrong in the Potfile, with the line and a caret; more than a message has room for. Or NULL. */
	void (*excerpt)(void *arg, const char *text);
};
struct pot_build_result {
	char id[POT_DIGEST_LEN]; /* digest of the image */
	unsigned steps, cached;  /* of all stages that were needed */
	unsigned layers;         /* of the image */
	uint64_t size;           /* of its blobs */
	char name[POT_REF_LEN];  /* the first one it got, "" */
};
/* id is the same again where nothing changed. E_INTR leaves nothing behind but what whole steps gave. */
int pot_build(struct pot_ctx *, const struct pot_build_args *, struct pot_build_result *, struct err *);

struct pot_build_prune_args {
	bool all;          /* also what is used: all steps, caches of RUN --mount, fetched files */
	uint64_t keep;     /* the latest used up to so many bytes; UINT64_MAX: no matter */
	int64_t before_ns; /* only what was not used since then; 0: no matter */
	bool dry_run;
};
struct pot_build_pruned {
	unsigned steps, mounts; /* removed */
	uint64_t bytes;         /* of files in layers, of mounts' data and fetched files */
};
/* Then what no image, pot and step needs any more goes as by pot image prune. */
int pot_build_prune(
    struct pot_ctx *, const struct pot_build_prune_args *, struct pot_build_pruned *, struct err *);

#endif
