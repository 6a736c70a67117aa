/*
 * What nobody needs any more: images some time after their last task, and pots
 * and bridges that a killed driver or agent left. A pot is taken for ours only
 * by its labels, and only when they name this node.
 */
#include <string.h>

#include "base/host.h"
#include "base/proc.h"
#include "base/text.h"
#include "nomad/agent_group.h"
#include "nomad/driver_impl.h"

#define LIST_MAX 100000

struct old_image {
	struct old_image *next;
	struct drv *d;
	struct loop_timer *timer;
	char name[];
};

struct gc {
	struct loop_timer *timer;
	struct work *work;
	struct old_image *images;
	struct strv known; /* pots of the tasks that there are while a child looks */
};

/* ---- pots and bridges, in a child ------------------------------------------------------------ */

struct sweep {
	struct drv *d;
	struct pot_ctx *ctx;
	struct say *say;
	struct strv pots, tasks, bridges; /* tasks: of the pots, by the same index */
};

static const char *
label(const struct pot_info *i, const char *name)
{
	size_t len = strlen(name);

	for (size_t k = 0; k < i->nlabels; k++)
		if (strncmp(i->labels[k], name, len) == 0 && i->labels[k][len] == '=')
			return i->labels[k] + len + 1;
	return NULL;
}

static bool
is_known(const struct drv *d, const char *pot)
{
	for (size_t i = 0; i < d->gc->known.n; i++)
		if (strcmp(d->gc->known.v[i], pot) == 0)
			return true;
	return false;
}

static int
on_pot(void *arg, const struct pot_summary *p)
{
	struct sweep *s = arg;
	struct pot_info *info = NULL;
	const char *node, *task, *prunable = "NO";

	if (is_known(s->d, p->name) || pot_info(s->ctx, p->name, 0, &info, NULL) < 0)
		return 0;
	node = label(info, "io.pot.nomad.node_id");
	task = label(info, "io.pot.nomad.task_id");
	for (size_t i = 0; i < info->nattrs; i++)
		if (strcmp(info->attrs[i].name, "prunable") == 0)
			prunable = info->attrs[i].value;
	/* One that is kept for a look is pot prune's. */
	if (task != NULL && node != NULL && strcmp(node, s->d->node_id) == 0 &&
	    strcmp(prunable, "YES") != 0 &&
	    text_now_ns() - info->created_ns > s->d->conf.gc.grace_ms * 1000000) {
		strv_add(&s->pots, p->name);
		strv_add(&s->tasks, task);
	}
	pot_info_free(info);
	return 0;
}

static int
on_bridge(void *arg, const struct pot_bridge_info *b)
{
	struct sweep *s = arg;

	if (net_bridge_is_ours(b->name) && b->pots == 0)
		strv_add(&s->bridges, b->name);
	return 0;
}

static int
sweep_run(void *arg, struct say *say, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	struct sweep s = { arg, ctx, say, STRV_INIT(LIST_MAX), STRV_INIT(LIST_MAX), STRV_INIT(LIST_MAX) };
	struct err own = ERR_INIT;
	int rc = pot_list(ctx, on_pot, &s, e);

	(void)out;
	for (size_t i = 0; i < s.pots.n && rc >= 0; i++) {
		say_text(say, "removing pot %s, which no task has", s.pots.v[i]);
		if (pot_destroy(ctx, s.pots.v[i], true, &own) < 0)
			say_text(say, "%s", own.msg);
		else if (i < s.tasks.n)
			agent_group_remove(s.tasks.v[i]);
	}
	if (rc >= 0)
		rc = pot_bridge_list(ctx, on_bridge, &s, e);
	/* A start that has just made one makes it again. */
	for (size_t i = 0; i < s.bridges.n && rc >= 0; i++)
		net_bridge_release(ctx, s.bridges.v[i]);
	strv_fini(&s.pots);
	strv_fini(&s.tasks);
	strv_fini(&s.bridges);
	return rc < 0 ? rc : 0;
}

static void
sweep_told(void *arg, const char *text, int fd)
{
	struct drv *d = arg;

	fd_close(fd);
	log_info(d->log, "%s", text);
}

static void
sweep_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct drv *d = arg;

	(void)out;
	d->gc->work = NULL;
	if (rc < 0)
		log_debug(d->log, "left pots cannot be looked for: %s", e->msg);
	loop_timer_set(d->gc->timer, d->conf.gc.period_ms);
}

static const struct work_ops sweep_ops = { sweep_run, sweep_told, sweep_done };

static void
on_timer(void *arg)
{
	struct drv *d = arg;
	struct err e = ERR_INIT;

	strv_clear(&d->gc->known);
	for (const struct task *t = d->tasks; t != NULL; t = t->next)
		strv_add(&d->gc->known, t->pot);
	for (const struct starting *s = d->starting; s != NULL; s = s->next)
		strv_add(&d->gc->known, s->pot);
	/* Which node this is, the first task tells. */
	if (d->node_id == NULL || d->gc->known.failed || d->gc->work != NULL ||
	    work_new(d, &sweep_ops, d, &d->gc->work, &e) < 0)
		loop_timer_set(d->gc->timer, d->conf.gc.period_ms);
}

/* ---- images ----------------------------------------------------------------------------------- */

static bool
is_used(const struct drv *d, const char *image)
{
	for (const struct task *t = d->tasks; t != NULL; t = t->next)
		if (t->image != NULL && strcmp(t->image, image) == 0)
			return true;
	for (const struct starting *s = d->starting; s != NULL; s = s->next)
		if (strcmp(s->image, image) == 0)
			return true;
	return false;
}

static void
old_free(struct old_image *o)
{
	struct old_image **at = &o->d->gc->images;

	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	loop_timer_free(o->timer);
	free(o);
}

static int
remove_run(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	const struct old_image *o = arg;
	char program[4096];
	const char *argv[] = { program, "--root", pot_root(ctx), "--quiet", "rmi", o->name, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	int rc = host_find_program("pot-image", host_libexec(), program, sizeof(program), e);

	(void)s;
	(void)out;
	spec.argv = argv;
	/* A pot of somebody else's may stand on it, and then it stays. */
	return rc < 0 ? rc : proc_run(&spec, NULL, e);
}

static void
remove_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct old_image *o = arg;

	(void)out;
	if (rc < 0)
		log_debug(o->d->log, "image %s stays: %s", o->name, e->msg);
	else
		log_info(o->d->log, "image %s removed: no task has it", o->name);
	old_free(o);
}

static const struct work_ops remove_ops = { remove_run, NULL, remove_done };

static void
on_old(void *arg)
{
	struct old_image *o = arg;
	struct err e = ERR_INIT;

	if (is_used(o->d, o->name) || work_new(o->d, &remove_ops, o, NULL, &e) < 0)
		old_free(o);
}

void
gc_image(struct drv *d, const char *image)
{
	struct old_image *o;

	if (!d->conf.gc.image || d->gc == NULL)
		return;
	for (o = d->gc->images; o != NULL; o = o->next)
		if (strcmp(o->name, image) == 0) {
			loop_timer_set(o->timer, d->conf.gc.image_delay_ms);
			return;
		}
	o = calloc(1, sizeof(*o) + strlen(image) + 1);
	if (o == NULL)
		return;
	o->d = d;
	memcpy(o->name, image, strlen(image) + 1);
	o->next = d->gc->images;
	d->gc->images = o;
	o->timer = loop_timer_new(d->loop, d->conf.gc.image_delay_ms, on_old, o);
	if (o->timer == NULL)
		old_free(o);
}

void
gc_begin(struct drv *d)
{
	if (d->gc != NULL)
		return;
	d->gc = calloc(1, sizeof(*d->gc));
	if (d->gc == NULL)
		return;
	d->gc->known.max = LIST_MAX;
	if (d->conf.gc.pots)
		d->gc->timer = loop_timer_new(d->loop, d->conf.gc.period_ms, on_timer, d);
}

void
gc_end(struct drv *d)
{
	if (d->gc == NULL)
		return;
	while (d->gc->images != NULL)
		old_free(d->gc->images);
	loop_timer_free(d->gc->timer);
	if (d->gc->work != NULL)
		work_forget(d->gc->work);
	strv_fini(&d->gc->known);
	free(d->gc);
	d->gc = NULL;
}
