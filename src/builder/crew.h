/*
 * Who does the work. The caller's process walks through the steps as long as
 * they are in the cache; where something is to be done it makes a worker, a
 * copy of itself that goes on from there, and walks elsewhere meanwhile. When
 * a worker has ended, what it did is in the cache, and the walk is made again.
 * So there is one description of a walk, nothing is handed back but progress,
 * and a build of cached steps makes no process.
 */
#ifndef BUILDER_CREW_H
#define BUILDER_CREW_H

#include <pot/build.h>

#include "builder/builder.h"
#include "builder/plan.h"

/* Not of enum err_code: ways of a walk to end, passed through; the error object says nothing. */
#define BLD_LEFT (-1000)    /* a worker goes on */
#define BLD_BLOCKED (-1001) /* crew_needs: not yet */

struct bld_crew_args {
	size_t n;                 /* walks */
	const bool *needed;       /* or NULL: all */
	const char *const *names; /* of the walks, or NULL */
	const unsigned *steps;    /* of each, for people, or NULL */
	unsigned jobs;            /* steps under way at a time, 0: by the processors */
	/* Walk number `index` from its beginning. */
	int (*walk)(void *arg, struct bld *, size_t index, struct err *);
	void *arg;
	pot_build_fn *fn; /* is told of every step once, however often it is walked; or NULL */
	void *fn_arg;
	unsigned *nsteps, *ncached; /* are counted here */
};
int bld_crew_run(struct bld *, const struct bld_crew_args *, struct err *) MUST_CHECK;

/* ---- for those who walk; without a crew (b->crew NULL) all is done in place ---- */

/* Something that takes time comes now: 0 go on, BLD_LEFT. May be called again and again. */
int crew_work(struct bld *, struct err *) MUST_CHECK;
/* This walk needs that one's end: 0 it is there, BLD_BLOCKED. */
int crew_needs(struct bld *, size_t index) MUST_CHECK;
/* Around each step, cached or not. */
void crew_step_begin(struct bld *, const char *text, const char *where);
void crew_step_end(struct bld *, const struct bld_did *, bool failed);
/* One of the steps that may be under way at a time. Nothing else is waited for while it is held. */
int crew_token_take(struct bld *, struct err *) MUST_CHECK;
void crew_token_give(struct bld *);
/*
 * A worker dies with its parent: to be said again after all that may have changed who we are for the kernel,
 * which forgets it then. Does not return where the parent is gone.
 */
void crew_bind(struct bld *);
/* Where the output of commands goes. */
int crew_out(const struct bld *);

#endif
