/*
 * Potfiles (and Dockerfiles): text to steps and stages. Variables stay in
 * the words until potfile_expand, as their values are known step by step.
 * Everything is owned by struct potfile; text is bounded at every point.
 */
#ifndef MODEL_POTFILE_H
#define MODEL_POTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/scope.h"

#define POTFILE_MAX (1024 * 1024)
#define POTFILE_STEPS_MAX 4096
#define POTFILE_WORDS_MAX 4096
#define POTFILE_HEREDOCS_MAX 64

enum potfile_op {
	POTFILE_FROM,
	POTFILE_ADD,
	POTFILE_ARG,
	POTFILE_CMD,
	POTFILE_COPY,
	POTFILE_ENTRYPOINT,
	POTFILE_ENV,
	POTFILE_EXPOSE,
	POTFILE_HEALTHCHECK,
	POTFILE_LABEL,
	POTFILE_MAINTAINER,
	POTFILE_ONBUILD,
	POTFILE_RUN,
	POTFILE_SHELL,
	POTFILE_STOPSIGNAL,
	POTFILE_USER,
	POTFILE_VOLUME,
	POTFILE_WORKDIR,
	/* pot's own */
	POTFILE_ATTRIBUTE,
	POTFILE_FLAVOUR,
	POTFILE_LIMIT,
	POTFILE_NAME,
	POTFILE_OPS
};

/* A place in the text; lines and columns count from 1, columns in bytes. line 0: none in particular. */
struct potfile_place {
	unsigned line, column;
};

struct potfile_word {
	char *text; /* NULL: "ARG NAME" has no value */
	size_t at;  /* offset in the file */
};
struct potfile_flag {
	const char *name; /* of the table: "from", without dashes */
	char *value;      /* NULL: given without "=" */
	size_t at;
};
struct potfile_heredoc {
	char *name;  /* the delimiter, without quotes: COPY's file name */
	char *body;  /* with its newlines; tabs in front are gone with "<<-" */
	bool expand; /* the delimiter was not quoted */
	size_t at;
};

/*
 * The words of a step:
 *   RUN CMD ENTRYPOINT SHELL HEALTHCHECK  exec: the arguments; else one, the command line
 *   ARG ENV LABEL                         NAME VALUE NAME VALUE …
 *   COPY ADD                              sources … destination; here-documents are no words
 *   FROM                                  image [stage]
 *   ATTRIBUTE LIMIT                       KEY VALUE
 *   others                                as they stand
 */
struct potfile_step {
	enum potfile_op op;
	size_t at;
	unsigned line;
	char *text; /* as written, in one line, without here-documents */
	struct potfile_word *words;
	size_t nwords;
	struct potfile_flag *flags;
	size_t nflags;
	struct potfile_heredoc *heredocs;
	size_t nheredocs;
	bool exec;                  /* the words came as JSON */
	bool none;                  /* HEALTHCHECK NONE */
	struct potfile_step *inner; /* ONBUILD */
};

enum potfile_source { POTFILE_SCRATCH, POTFILE_STAGE, POTFILE_BASE, POTFILE_IMAGE };
struct potfile_stage {
	char *name;       /* lower case, or NULL */
	size_t from, end; /* steps [from, end); from is FROM */
	size_t *needs;    /* earlier stages, each once; filled by potfile_resolve */
	size_t nneeds;
	enum potfile_source source; /* potfile_resolve: what FROM names … */
	size_t parent;              /* … POTFILE_STAGE: its index */
	char *image;                /* … POTFILE_BASE, POTFILE_IMAGE: the base's name, the reference */
	char *platform;             /* or NULL */
};

struct potfile_warning {
	struct potfile_place place;
	const char *text;
};

struct potfile {
	char *text; /* the file, for excerpts; kept also when parsing fails */
	size_t len;
	char *what; /* its name in messages */
	char escape;
	char *syntax, *check; /* directives, or NULL */
	struct potfile_step *steps;
	size_t nsteps;
	size_t nglobal; /* the first ones: ARG before FROM */
	struct potfile_stage *stages;
	size_t nstages;
	struct potfile_warning warnings[32];
	size_t nwarnings;
};

#define POTFILE_INIT           \
	{                      \
		.escape = '\\' \
	}

void potfile_fini(struct potfile *);
/*
 * Messages begin with "WHAT:LINE:COLUMN: "; *where (may be NULL) is the same, for potfile_excerpt. What has no
 * variable in it is checked whole.
 */
int potfile_parse(struct potfile *, const char *text, size_t len, const char *what,
    struct potfile_place *where, struct err *) MUST_CHECK;
/* An image's ONBUILD triggers: steps without FROM. */
int potfile_parse_triggers(struct potfile *, const char *text, size_t len, const char *what,
    struct potfile_place *where, struct err *) MUST_CHECK;
struct potfile_place potfile_where(const struct potfile *, size_t at);
/* The line and a caret under the column, each with a newline; control characters escaped, long lines cut. */
void potfile_excerpt(const struct potfile *, struct potfile_place, struct buf *);
const char *potfile_op_name(enum potfile_op); /* "RUN" */

/* ---- stages --------------------------------------------------------------- */

/* Runs the global ARGs, substitutes the FROMs and finds who needs whom. */
int potfile_resolve(
    struct potfile *, struct scope_build *, struct potfile_place *where, struct err *) MUST_CHECK;
/* By name or number; NULL: the last. E_NOENT with the nearest as hint. */
int potfile_target(const struct potfile *, const char *name, size_t *index, struct err *) MUST_CHECK;
/* Sets needed[i] (nstages of them) for the target and all that it needs. Stages stand in an order that works. */
void potfile_needed(const struct potfile *, size_t target, bool *needed);
/* The stage that COPY --from or --mount=from= in stage `self` names, or -1: an image. */
long potfile_find_stage(const struct potfile *, size_t self, const char *name);

/* ---- steps ------------------------------------------------------------------ */

/*
 * A copy with variables put in and quotes taken away, checked. What the shell expands (RUN, CMD …) stays
 * as it is but for its flags. Release with potfile_step_fini.
 */
int potfile_expand(const struct potfile *, const struct potfile_step *, const struct subst_lookup *,
    struct potfile_step *out, struct potfile_place *where, struct err *) MUST_CHECK;
void potfile_step_fini(struct potfile_step *);
/* Value of a flag, "" when given without; NULL when not given. Repeated ones: *pos starts at 0. */
const char *potfile_flag(const struct potfile_step *, const char *name);
const char *potfile_flag_next(const struct potfile_step *, const char *name, size_t *pos);
bool potfile_flag_is(const struct potfile_step *, const char *name); /* "", "true", "1" */
/*
 * What RUN gives the shell: the command line with its here-documents behind it, or, where a
 * here-document is all there is, its body (*script then; "#!" names its interpreter).
 */
int potfile_command(const struct potfile_step *, struct buf *, bool *script, struct err *) MUST_CHECK;
/* The step as a Potfile would have it, here-documents included: what ONBUILD keeps in an image. */
int potfile_print(const struct potfile_step *, struct buf *, struct err *) MUST_CHECK;

enum potfile_mount_type {
	POTFILE_MOUNT_BIND,
	POTFILE_MOUNT_CACHE,
	POTFILE_MOUNT_TMPFS,
	POTFILE_MOUNT_SECRET,
	POTFILE_MOUNT_SSH
};
enum potfile_sharing { POTFILE_SHARED, POTFILE_PRIVATE, POTFILE_LOCKED };
/* Strings point into text. */
struct potfile_mount {
	enum potfile_mount_type type;
	char *text;
	const char *target, *source, *from, *id, *env; /* NULL: not given */
	bool rw;                                       /* cache, tmpfs: unless ro */
	bool required;
	enum potfile_sharing sharing;
	unsigned mode; /* 0: not given */
	uint32_t uid, gid;
	uint64_t size; /* tmpfs, bytes; 0: not given */
};
int potfile_mount_parse(const char *value, struct potfile_mount *, struct err *) MUST_CHECK;
void potfile_mount_fini(struct potfile_mount *);

struct potfile_health {
	bool none;
	int64_t interval_ms, timeout_ms, start_period_ms, start_interval_ms; /* defaults where not given */
	unsigned retries;
};
int potfile_health(const struct potfile_step *, struct potfile_health *, struct err *) MUST_CHECK;

struct potfile_ports {
	uint16_t first, last;
	char proto[5]; /* tcp, udp, sctp */
};
int potfile_ports_parse(const char *, struct potfile_ports *, struct err *) MUST_CHECK;
/* "1m30s", "500ms"; a number needs its unit but for 0. */
int potfile_duration_parse(const char *, int64_t *ms, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(potfile, struct potfile)
DEFINE_AUTO_FINI(potfile_step, struct potfile_step)
DEFINE_AUTO_FINI(potfile_mount, struct potfile_mount)

#endif
