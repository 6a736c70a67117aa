/*
 * StartTask: the configuration is read, the pot is made and started by a child
 * (task_make.c), and where the image is missing it is pulled first (image.c).
 */
#include <string.h>

#include "nomad/driver_impl.h"

#define TRIES_MAX 3

static void go(struct starting *);

static void
starting_free(struct starting *s)
{
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->counted)
		s->d->nstarts--;
	task_conf_fini(&s->conf);
	free(s);
}

/* Those that had to wait for their turn. */
static void
next_turn(struct drv *d)
{
	struct starting *s = d->starting;

	while (s != NULL && d->nstarts < (unsigned)d->conf.max_starts) {
		if (s->counted || s->work != NULL || s->pull != NULL || s->cancelled) {
			s = s->next;
			continue;
		}
		/* It may fail at once, and others with it. */
		go(s);
		s = d->starting;
	}
}

/* What may be another time: the job's restart policy then decides. */
static bool
is_recoverable(const struct err *e)
{
	switch (e->code) {
	case E_BUSY:
	case E_EXIST:
	case E_LIMIT:
	case E_TIMEOUT:
	case E_NOSPC:
	case E_NOMEM:
	case E_SYS:
	case E_INTR:
		return true;
	default:
		return false;
	}
}

static void
fail(struct starting *s, struct err *e, bool recoverable)
{
	struct drv *d = s->d;
	struct call *c = s->call;

	if (s->cancelled) {
		starting_free(s);
		call_done(c);
	} else {
		log_with(d->log, LOG_LEVEL_ERROR, "task cannot be started", "task_id", s->task->id, "error",
		    e->msg, "hint", e->hint, NULL);
		call_on_cancel(c, NULL, NULL);
		starting_free(s);
		call_fail(c, e, recoverable);
	}
	next_turn(d);
}

static void
succeed(struct starting *s, const struct kv *out)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1024 * 1024), record = BUF_INIT(1024 * 1024);
	const struct drv_task *in = s->task;
	struct drv *d = s->d;
	struct call *c = s->call;
	struct task_override o = { 0 };
	struct err e = ERR_INIT;
	struct task *t = task_new(d, in->id, in->alloc_id, in->name, &e);
	int rc = t == NULL ? -E_NOMEM : 0;

	kv_print(out, &text);
	if (rc == 0)
		rc = buf_check(&text, "the record", &e);
	if (rc == 0)
		rc = task_record_get(t, text.data, text.len, &e);
	if (rc == 0)
		rc = task_record_put(t, &record, &e);
	if (rc == 0)
		rc = task_watch(t, &e);
	if (rc < 0) {
		if (t != NULL)
			task_free(t);
		fail(s, &e, true);
		return;
	}
	log_with(d->log, LOG_LEVEL_INFO, "task started", "task_id", in->id, "pot", t->pot, NULL);
	call_on_cancel(c, NULL, NULL);
	call_started(c,
	    &(struct drv_started){
		.version = 1, .state = record.data, .state_len = record.len, .net = task_override(t, &o) });
	free(o.ports);
	starting_free(s);
	next_turn(d);
}

static void
on_pulled(void *arg, int rc, const char *imported, const struct err *e)
{
	struct starting *s = arg;
	struct err own = *e;

	s->pull = NULL;
	if (rc < 0 || s->cancelled) {
		/* A registry may be back soon; what it does not have, or may not be had, stays so. */
		fail(s, &own, own.code != E_NOENT && own.code != E_PERM && own.code != E_INVAL);
		return;
	}
	s->pulled = true;
	snprintf(s->imported, sizeof(s->imported), "%s", imported);
	go(s);
}

static void
pull(struct starting *s)
{
	const struct image_want want = { s->task->id, s->task->alloc_id, s->task->name, &s->conf, s->image };
	struct err e = ERR_INIT;

	/* Whoever makes no pot meanwhile does not hold up those who could. */
	s->counted = false;
	s->d->nstarts--;
	if (image_pull(s->d, &want, on_pulled, s, &s->pull, &e) < 0)
		fail(s, &e, true);
	else
		next_turn(s->d);
}

static void
on_told(void *arg, const char *text, int fd)
{
	struct starting *s = arg;

	fd_close(fd);
	if (text[0] == '\0')
		return;
	task_event(s->d, s->task->id, s->task->alloc_id, s->task->name, "%s", text);
}

static void
on_made(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct starting *s = arg;
	struct err own = *e;
	bool missing = kv_get(out, "missing") != NULL;

	s->work = NULL;
	if (rc == 0 && !s->cancelled) {
		succeed(s, out);
	} else if (rc < 0 && missing && !s->cancelled && ++s->tries < TRIES_MAX) {
		s->pulled = false;
		pull(s);
	} else if (rc == 0) {
		/* Given up when it was just done: nobody will ask for its end. */
		task_discard(s->d, s->task->id);
		fail(s, &own, false);
	} else {
		fail(s, &own, is_recoverable(&own));
	}
}

static const struct work_ops make_ops = { task_make, on_told, on_made };

static void
go(struct starting *s)
{
	struct err e = ERR_INIT;

	if (s->d->nstarts >= (unsigned)s->d->conf.max_starts)
		return;
	s->d->nstarts++;
	s->counted = true;
	if (work_new(s->d, &make_ops, s, &s->work, &e) < 0)
		fail(s, &e, true);
}

static void
on_cancel(struct call *c, void *arg)
{
	struct starting *s = arg;

	(void)c;
	s->cancelled = true;
	if (s->work != NULL) {
		work_cancel(s->work);
		return;
	}
	if (s->pull != NULL)
		image_give_up(take_ptr(s->pull));
	fail(s, &(struct err){ 0 }, false);
}

static int
check(struct drv *d, const struct drv_task *t, struct err *e)
{
	if (!d->conf.enabled) {
		err_set(e, E_STATE, "the driver is disabled on this node");
		return err_hint(e, "enabled = true in the agent's plugin configuration");
	}
	if (task_find(d, t->id) != NULL)
		return err_set(e, E_EXIST, "the task runs already");
	if (t->id[0] == '\0')
		return err_set(e, E_INVAL, "the task has no id");
	return 0;
}

void
task_start(struct drv *d, struct call *c, const struct drv_task *t)
{
	struct starting *s = calloc(1, sizeof(*s));
	struct err e = ERR_INIT;
	int rc;

	if (s == NULL) {
		(void)err_nomem(&e);
		call_fail(c, &e, true);
		return;
	}
	s->d = d;
	s->call = c;
	s->task = t;
	s->prev = &d->starting;
	s->next = d->starting;
	if (s->next != NULL)
		s->next->prev = &s->next;
	d->starting = s;
	task_conf_init(&s->conf);
	rc = check(d, t, &e);
	if (rc == 0)
		rc = task_conf_read(&s->conf, &d->conf, t->config, &e);
	if (rc < 0) {
		fail(s, &e, false);
		return;
	}
	if (d->node_id == NULL && t->node_id[0] != '\0')
		d->node_id = strdup(t->node_id);
	task_pot_name(t->id, s->pot);
	snprintf(s->image, sizeof(s->image), "%s", s->conf.ref);
	call_on_cancel(c, on_cancel, s);
	go(s);
}
