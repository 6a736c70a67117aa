/*
 * Rates of what pots use: the last look at each is kept here until the next.
 * Looks come in the same order each time, with some pots gone and some new.
 */
#include <string.h>

#include "base/await.h"
#include "cli/cli.h"

void
rates_fini(struct rates *r)
{
	free(r->v);
	memset(r, 0, sizeof(*r));
}

int
rates_add(struct rates *r, const struct pot_stats *s)
{
	struct sample *to;

	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 64 : r->cap * 2;
		struct sample *v = reallocarray(r->v, cap, sizeof(*v));

		if (v == NULL)
			return -E_NOMEM;
		r->v = v;
		r->cap = cap;
	}
	to = &r->v[r->n++];
	memcpy(to->name, s->name, sizeof(to->name));
	to->started_ns = s->started_ns;
	to->clock_ns = s->clock_ns;
	to->cpu_ns = s->cpu_ns;
	return 0;
}

/* The look at the same run of this pot; mostly the one behind the last that was found. */
static const struct sample *
find(struct rates *r, const struct pot_stats *s)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct sample *v = &r->v[(r->next + i) % r->n];

		if (v->started_ns != s->started_ns || strcmp(v->name, s->name) != 0)
			continue;
		r->next = (size_t)(v - r->v) + 1;
		return v;
	}
	return NULL;
}

double
rates_cpu(struct rates *r, const struct pot_stats *s)
{
	const struct sample *last = find(r, s);
	int64_t time = s->time_ns - s->started_ns;
	uint64_t cpu = s->cpu_ns;

	if (s->cpu_ns == POT_UNKNOWN)
		return -1;
	if (last != NULL && last->cpu_ns != POT_UNKNOWN) {
		time = s->clock_ns - last->clock_ns;
		cpu = s->cpu_ns > last->cpu_ns ? s->cpu_ns - last->cpu_ns : 0;
	}
	return time > 0 ? (double)cpu * 100 / (double)time : 0;
}

double
stats_memory_percent(const struct pot_stats *s)
{
	if (s->memory == POT_UNKNOWN || s->memory_limit == POT_UNKNOWN || s->memory_limit == 0)
		return -1;
	return (double)s->memory * 100 / (double)s->memory_limit;
}

int
rates_wait(int64_t ms, struct err *e)
{
	int rc = await_fds(NULL, 0, (int)ms, signals_cancel(), e);

	return rc < 0 ? rc : 0;
}
