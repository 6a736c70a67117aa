/* What tasks use: a sample for each TaskStats call at its interval, until the task ends. */
#include <string.h>

#include "base/host.h"
#include "nomad/driver_impl.h"

struct stats {
	struct stats *next, **prev;
	struct task *task;
	struct call *call;
	struct loop_timer *timer;
	int64_t interval_ms;
	bool has_last;
	int64_t clock_ns;
	uint64_t cpu_ns, user_ns, system_ns;
};

static void
stats_free(struct stats *s)
{
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	loop_timer_free(s->timer);
	free(s);
}

/* Percent of one processor over the time between two looks. */
static double
rate(uint64_t now, uint64_t last, int64_t ns)
{
	return ns <= 0 || now < last || now == POT_UNKNOWN ? 0 : (double)(now - last) / (double)ns * 100;
}

static double
mhz(const struct drv *d)
{
	return d->total_mhz > 0 && d->ncores > 0 ? (double)d->total_mhz / d->ncores : (double)host_cpu_mhz();
}

static int
on_look(void *arg, const struct pot_stats *p)
{
	struct stats *s = arg;
	int64_t ns = p->clock_ns - s->clock_ns;
	struct drv_stats out = {
		.time_ns = p->time_ns,
		.cpu_percent = s->has_last ? rate(p->cpu_ns, s->cpu_ns, ns) : 0,
		.cpu_user_percent = s->has_last ? rate(p->cpu_user_ns, s->user_ns, ns) : 0,
		.cpu_system_percent = s->has_last ? rate(p->cpu_system_ns, s->system_ns, ns) : 0,
		.throttled_periods = p->cpu_throttled,
		.throttled_ns = p->cpu_throttled_ns,
		.rss = p->memory,
		.usage = p->memory,
		.cache = p->cache,
		.max_usage = p->memory_peak,
		.swap = p->swap,
		.kernel = DRV_UNMEASURED,
		.kernel_max = DRV_UNMEASURED,
	};

	out.cpu_mhz = out.cpu_percent / 100 * mhz(s->task->d);
	s->has_last = true;
	s->clock_ns = p->clock_ns;
	s->cpu_ns = p->cpu_ns;
	s->user_ns = p->cpu_user_ns;
	s->system_ns = p->cpu_system_ns;
	call_stats(s->call, &out);
	return 0;
}

static void
on_timer(void *arg)
{
	struct stats *s = arg;
	const char *const names[] = { s->task->pot, NULL };
	struct err e = ERR_INIT;
	struct pot_ctx *ctx;
	int rc = drv_ctx(s->task->d, &ctx, &e);

	if (rc == 0)
		rc = pot_stats(ctx, names, POT_STATS_RUNNING, on_look, s, &e);
	if (rc < 0)
		log_debug(s->task->d->log, "%s: %s", s->task->pot, e.msg);
	loop_timer_set(s->timer, s->interval_ms);
}

static void
on_cancel(struct call *c, void *arg)
{
	stats_free(arg);
	call_done(c);
}

void
task_stats_end(struct task *t)
{
	while (t->stats != NULL) {
		struct call *c = t->stats->call;

		call_on_cancel(c, NULL, NULL);
		stats_free(t->stats);
		call_done(c);
	}
}

void
task_stats(struct drv *d, struct call *c, const char *id, int64_t interval_ms)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;
	struct stats *s;

	if (t == NULL) {
		(void)err_set(&e, E_NOENT, "task not found");
		call_fail(c, &e, false);
		return;
	}
	if (t->state == TASK_EXITED) {
		call_done(c);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		(void)err_nomem(&e);
		call_fail(c, &e, true);
		return;
	}
	s->task = t;
	s->call = c;
	s->interval_ms = interval_ms < 100 ? 1000 : interval_ms;
	s->prev = &t->stats;
	s->next = t->stats;
	if (s->next != NULL)
		s->next->prev = &s->next;
	t->stats = s;
	call_on_cancel(c, on_cancel, s);
	s->timer = loop_timer_new(d->loop, 0, on_timer, s);
	if (s->timer == NULL) {
		(void)err_nomem(&e);
		call_on_cancel(c, NULL, NULL);
		stats_free(s);
		call_fail(c, &e, true);
	}
}
