/*
 * Tasks that were started before: by a driver that was killed, or before the
 * agent was restarted. The record says all that is needed; whether the pot
 * still runs, or how it ended, says the pot.
 */
#include <string.h>

#include "nomad/driver_impl.h"

static int
find_pot(struct drv *d, const struct task *t, struct err *e)
{
	struct pot_ctx *ctx;
	int rc = drv_ctx(d, &ctx, e);

	if (rc == 0)
		rc = pot_exists(ctx, t->pot, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	err_set(e, E_NOENT, "pot %s of the task is no more", t->pot);
	return err_hint(e, "somebody has destroyed it; the task is started anew");
}

static int
take_task(struct drv *d, const struct drv_handle *h, const struct kv *kv, struct err *e)
{
	const char *id = kv_get(kv, "id"), *alloc = kv_get(kv, "alloc"), *name = kv_get(kv, "name");
	struct task *t;
	int rc;

	if (id == NULL || alloc == NULL || name == NULL)
		return err_set(e, E_CORRUPT, "the record of the task is not one of this driver");
	/* After a re-attach the agent asks for what we still know. */
	if (task_find(d, id) != NULL)
		return 0;
	t = task_new(d, id, alloc, name, e);
	if (t == NULL)
		return -E_NOMEM;
	rc = task_record_get(t, h->state, h->state_len, e);
	if (rc == 0)
		rc = find_pot(d, t, e);
	if (rc == 0)
		rc = task_watch(t, e);
	if (rc < 0)
		task_free(t);
	return rc;
}

void
recover(struct drv *d, struct call *c, const struct drv_handle *h)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct err e = ERR_INIT;
	const char *format;
	int rc = kv_parse(&kv, h->state, h->state_len, "record of the task", &e);

	format = kv_get(&kv, "format");
	if (rc == 0 && (format == NULL || strcmp(format, "1") != 0))
		rc = err_set(&e, E_NOTSUP, "the record of the task is of another version of this driver");
	if (rc == 0)
		rc = take_task(d, h, &kv, &e);
	if (h->task != NULL && h->task->node_id[0] != '\0' && d->node_id == NULL)
		d->node_id = strdup(h->task->node_id);
	if (rc < 0) {
		(void)err_wrap(&e, "the task cannot be recovered");
		log_warn(d->log, "%s", e.msg);
		call_fail(c, &e, false);
		return;
	}
	log_with(d->log, LOG_LEVEL_INFO, "task recovered", "task_id", kv_get(&kv, "id"), NULL);
	call_done(c);
}
