/*
 * Which walk (a stage, a recipe) can go on when. Pure. A walk is tried from
 * its beginning, as what is done costs nothing; it ends, is left to a worker,
 * or finds that it needs another one's end first.
 */
#ifndef BUILDER_PLAN_H
#define BUILDER_PLAN_H

#include <stdbool.h>
#include <stddef.h>

enum plan_state { PLAN_UNNEEDED, PLAN_READY, PLAN_LEFT, PLAN_BLOCKED, PLAN_DONE };
struct plan {
	struct plan_walk {
		enum plan_state state;
		size_t on; /* PLAN_BLOCKED: whose end it waits for */
	} * v;
	size_t n;
};

/* v has room for n; those not needed are not walked. */
void plan_init(struct plan *, struct plan_walk *v, size_t n, const bool *needed);
/* The first one that is ready: true and *index. */
bool plan_next(const struct plan *, size_t *index);
bool plan_is_done(const struct plan *, size_t index);
bool plan_is_finished(const struct plan *);
/* How a walk went. A blocked one is ready again at once when that end has come meanwhile. */
void plan_done(struct plan *, size_t index);
void plan_left(struct plan *, size_t index);
void plan_blocked(struct plan *, size_t index, size_t on);
/* Its worker has ended well: it is walked again, to its end or a step further. */
void plan_again(struct plan *, size_t index);
/* Nobody is at work, nobody is ready, and it is not finished: walks wait for each other. */
bool plan_is_stuck(const struct plan *);

#endif
