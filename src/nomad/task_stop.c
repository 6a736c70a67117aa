/*
 * Ending tasks: StopTask, DestroyTask and SignalTask. A pot is found by the
 * task's id alone, so that also what an earlier driver left can be ended.
 */
#include <string.h>

#include "base/proc.h"
#include "base/text.h"
#include "model/signame.h"
#include "nomad/agent_group.h"
#include "nomad/driver_impl.h"

struct ending {
	struct drv *d;
	struct call *call;
	char *id;
	char pot[POT_NAME_LEN], bridge[POT_NAME_LEN];
	int64_t timeout_ms;
	int signal; /* 0: the pot's own */
	bool destroy, keep;
};

static void
ending_free(struct ending *n)
{
	free(n->id);
	free(n);
}

static struct ending *
ending_new(struct drv *d, struct call *c, const char *id, struct err *e)
{
	struct ending *n = calloc(1, sizeof(*n));
	char alloc[64];

	if (n == NULL || (n->id = strdup(id)) == NULL) {
		free(n);
		(void)err_nomem(e);
		return NULL;
	}
	n->d = d;
	n->call = c;
	task_pot_name(id, n->pot);
	task_alloc_of(id, alloc);
	if (alloc[0] != '\0')
		net_bridge_name(alloc, n->bridge);
	return n;
}

/* ---- StopTask --------------------------------------------------------------------------- */

/* A signal of the job's choice, and time; then SIGKILL. */
static int
stop_by(const struct ending *n, struct pot_ctx *ctx, struct err *e)
{
	struct proc_id id;
	int rc = pot_runner(ctx, n->pot, &id.pid, &id.start, e);

	if (rc <= 0)
		return rc;
	rc = pot_kill(ctx, n->pot, n->signal, e);
	if (rc == 0)
		rc = proc_id_wait(&id, (int)n->timeout_ms, e);
	return rc == -E_TIMEOUT ? pot_stop(ctx, n->pot, 0, e) : rc;
}

static int
stop_run(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	const struct ending *n = arg;
	int rc;

	(void)s;
	(void)out;
	rc =
	    n->signal > 0 && n->timeout_ms > 0 ? stop_by(n, ctx, e) : pot_stop(ctx, n->pot, n->timeout_ms, e);
	/* Not there, or ended by itself. */
	return rc == -E_NOENT || rc == -E_STATE ? 0 : rc;
}

static void
stop_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct ending *n = arg;

	(void)out;
	if (rc < 0) {
		log_with(n->d->log, LOG_LEVEL_ERROR, "task cannot be stopped", "task_id", n->id, "error",
		    e->msg, NULL);
		call_fail(n->call, e, true);
	} else {
		call_done(n->call);
	}
	ending_free(n);
}

static const struct work_ops stop_ops = { stop_run, NULL, stop_done };

void
task_stop(struct drv *d, struct call *c, const char *id, int64_t timeout_ms, const char *signal)
{
	struct err e = ERR_INIT;
	struct ending *n = NULL;
	int sig = signal[0] != '\0' ? signame_parse(signal, &e) : 0;

	if (sig < 0) {
		/* A job with a signal that is none must come to its end all the same. */
		log_warn(d->log, "%s: %s is used", e.msg, "the pot's own stop signal");
		sig = 0;
	}
	n = ending_new(d, c, id, &e);
	if (n != NULL) {
		n->timeout_ms = timeout_ms < 0 ? 0 : timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
		n->signal = sig;
		if (work_new(d, &stop_ops, n, NULL, &e) == 0)
			return;
		ending_free(n);
	}
	call_fail(c, &e, true);
}

/* ---- DestroyTask -------------------------------------------------------------------------- */

static int
destroy_run(void *arg, struct say *s, struct pot_ctx *ctx, struct kv *out, struct err *e)
{
	const struct ending *n = arg;
	int rc;

	(void)s;
	(void)out;
	if (n->keep) {
		agent_group_remove(n->id);
		rc = pot_set_attribute(ctx, n->pot, "prunable", "YES", e);
		return rc == -E_NOENT ? 0 : rc;
	}
	rc = pot_destroy(ctx, n->pot, true, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	agent_group_remove(n->id);
	if (n->bridge[0] != '\0')
		net_bridge_release(ctx, n->bridge);
	return 0;
}

static void
destroy_done(void *arg, int rc, const struct kv *out, const struct err *e)
{
	struct ending *n = arg;
	struct task *t = task_find(n->d, n->id);

	(void)out;
	if (rc < 0) {
		log_with(n->d->log, LOG_LEVEL_ERROR, "pot cannot be destroyed", "task_id", n->id, "error",
		    e->msg, NULL);
		if (n->call != NULL)
			call_fail(n->call, e, true);
	} else {
		if (t != NULL) {
			if (n->keep)
				task_event(n->d, t->id, t->alloc, t->name,
				    "The task failed: pot %s is kept for a look; pot prune removes it",
				    n->pot);
			else if (t->image != NULL && t->image[0] != '\0')
				gc_image(n->d, t->image);
			task_free(t);
		}
		if (n->call != NULL)
			call_done(n->call);
	}
	ending_free(n);
}

static const struct work_ops destroy_ops = { destroy_run, NULL, destroy_done };

void
task_destroy(struct drv *d, struct call *c, const char *id, bool force)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;
	struct ending *n = NULL;

	if (t != NULL && t->state == TASK_RUNNING && !force) {
		err_set(&e, E_STATE, "the task still runs");
	} else if ((n = ending_new(d, c, id, &e)) != NULL) {
		n->keep = t != NULL && t->keep_failed && t->state == TASK_EXITED &&
		    (t->exit.code != 0 || t->exit.error[0] != '\0');
		if (work_new(d, &destroy_ops, n, NULL, &e) == 0)
			return;
		ending_free(n);
	}
	call_fail(c, &e, false);
}

void
task_discard(struct drv *d, const char *id)
{
	struct err e = ERR_INIT;
	struct ending *n = ending_new(d, NULL, id, &e);

	if (n == NULL || work_new(d, &destroy_ops, n, NULL, &e) == 0)
		return;
	log_error(d->log, "pot %s is left: %s", n->pot, e.msg);
	ending_free(n);
}

/* ---- SignalTask --------------------------------------------------------------------------- */

void
task_signal(struct drv *d, struct call *c, const char *id, const char *signal)
{
	struct task *t = task_find(d, id);
	struct err e = ERR_INIT;
	struct pot_ctx *ctx;
	int sig = signame_parse(signal, &e), rc = sig < 0 ? sig : 0;

	if (rc == 0 && t == NULL)
		rc = err_set(&e, E_NOENT, "task not found");
	if (rc == 0 && t->state != TASK_RUNNING)
		rc = err_set(&e, E_STATE, "the task has ended");
	if (rc == 0)
		rc = drv_ctx(d, &ctx, &e);
	if (rc == 0)
		rc = pot_kill(ctx, t->pot, sig, &e);
	if (rc < 0)
		call_fail(c, &e, false);
	else
		call_done(c);
}
