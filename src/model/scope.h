/*
 * Which variables a Potfile's instruction sees: ARG before the first FROM,
 * ARG and ENV of a stage, --build-arg, the platform, and the few that need no
 * declaration.
 */
#ifndef MODEL_SCOPE_H
#define MODEL_SCOPE_H

#include <stdbool.h>
#include "model/substitute.h"

#define SCOPE_VARS_MAX 4096

struct scope_var {
	char *name, *value; /* value NULL: declared, without one */
	bool used;
};
struct scope_vars {
	struct scope_var *v;
	size_t n, cap;
};

/* Of one build. */
struct scope_build {
	struct scope_vars given;    /* --build-arg */
	struct scope_vars platform; /* TARGETOS …: seen by FROM, and in a stage after "ARG TARGETOS" */
	struct scope_vars global;   /* ARG before the first FROM */
};
/* Of one stage; build is borrowed. */
struct scope_stage {
	struct scope_build *build;
	struct scope_vars args, env;
};
#define SCOPE_BUILD_INIT                        \
	{                                       \
		{ NULL, 0, 0 }, { NULL, 0, 0 }, \
		{                               \
			NULL, 0, 0              \
		}                               \
	}
#define SCOPE_STAGE_INIT(build)          \
	{                                \
		(build), { NULL, 0, 0 }, \
		{                        \
			NULL, 0, 0       \
		}                        \
	}

void scope_build_fini(struct scope_build *);
void scope_stage_fini(struct scope_stage *);
/* "NAME=VALUE"; "NAME" alone takes the value from `value` (the caller's environment) or is without one when NULL. */
int scope_given(struct scope_build *, const char *assignment, const char *value, struct err *) MUST_CHECK;
/* "linux", "amd64", variant or "": sets TARGET* and BUILD*. */
int scope_platform(struct scope_build *, bool target, const char *os, const char *arch, const char *variant,
    struct err *) MUST_CHECK;
/* ARG NAME[=def] before the first FROM, and in a stage. What is given wins over def, def over all else. */
int scope_global_arg(struct scope_build *, const char *name, const char *def, struct err *) MUST_CHECK;
int scope_arg(struct scope_stage *, const char *name, const char *def, struct err *) MUST_CHECK;
int scope_env(struct scope_stage *, const char *name, const char *value, struct err *) MUST_CHECK;
/* FROM of another stage: its ARG and ENV are had from the beginning. */
int scope_inherit(struct scope_stage *, const struct scope_stage *parent, struct err *) MUST_CHECK;

/* What FROM and global ARGs see; what a stage sees (ENV wins over ARG). */
struct subst_lookup scope_build_lookup(struct scope_build *);
struct subst_lookup scope_stage_lookup(struct scope_stage *);
/*
 * The environment of RUN: ENV, then ARG, as NAME=value. `key` false adds what was given of the proxies
 * (HTTP_PROXY …), which are no part of a step's cache key.
 */
int scope_environ(const struct scope_stage *, bool key, struct strv *, struct err *) MUST_CHECK;
/* The next --build-arg that no ARG asked for, or NULL; *pos starts at 0. */
const char *scope_unused(const struct scope_build *, size_t *pos);

#endif
