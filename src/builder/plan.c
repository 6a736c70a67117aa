/* The states of walks; see plan.h. */
#include "builder/plan.h"

void
plan_init(struct plan *p, struct plan_walk *v, size_t n, const bool *needed)
{
	p->v = v;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		v[i] = (struct plan_walk){ needed == NULL || needed[i] ? PLAN_READY : PLAN_UNNEEDED, 0 };
}

static bool
find(const struct plan *p, enum plan_state state, size_t *index)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].state == state) {
			*index = i;
			return true;
		}
	return false;
}

bool
plan_next(const struct plan *p, size_t *index)
{
	return find(p, PLAN_READY, index);
}

bool
plan_is_done(const struct plan *p, size_t index)
{
	return index < p->n && p->v[index].state == PLAN_DONE;
}

bool
plan_is_finished(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].state != PLAN_DONE && p->v[i].state != PLAN_UNNEEDED)
			return false;
	return true;
}

void
plan_done(struct plan *p, size_t index)
{
	p->v[index].state = PLAN_DONE;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].state == PLAN_BLOCKED && p->v[i].on == index)
			p->v[i].state = PLAN_READY;
}

void
plan_left(struct plan *p, size_t index)
{
	p->v[index].state = PLAN_LEFT;
}

void
plan_blocked(struct plan *p, size_t index, size_t on)
{
	p->v[index].state = plan_is_done(p, on) ? PLAN_READY : PLAN_BLOCKED;
	p->v[index].on = on;
}

void
plan_again(struct plan *p, size_t index)
{
	p->v[index].state = PLAN_READY;
}

bool
plan_is_stuck(const struct plan *p)
{
	size_t i;

	return !plan_is_finished(p) && !find(p, PLAN_READY, &i) && !find(p, PLAN_LEFT, &i);
}
