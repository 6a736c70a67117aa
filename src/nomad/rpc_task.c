/*
 * The driver's service, as far as it is about one task: requests are decoded
 * and given to the driver, which ends the calls by the functions here.
 */
#include "nomad/call.h"
#include "nomad/convert.h"
#include "nomad/rpc.h"

#define STATS_INTERVAL_MS 1000

/* NULL: the call has been answered. */
static const struct drv_task *
decode_task(struct call *c, const Pb__TaskConfig *m)
{
	const ProtobufCBinaryData *bytes = &m->msgpack_driver_config;
	const struct drv_task *task;
	struct err e = ERR_INIT;

	if (value_decode(bytes->data, bytes->len, &c->config, "the task's config", &e) < 0) {
		call_fail(c, &e, false);
		return NULL;
	}
	task = task_decode(&c->arena, m, c->config);
	if (task == NULL)
		call_end(c, GRPC_RESOURCE_EXHAUSTED, "the task's description is larger than memory allows");
	return task;
}

void
rpc_start_task(struct call *c, const void *request)
{
	const Pb__StartTaskRequest *m = request;
	const struct drv_task *task;

	if (m->task == NULL) {
		call_end(c, GRPC_INVALID_ARGUMENT, "start: there is no task in the request");
		return;
	}
	c->request = m;
	task = decode_task(c, m->task);
	if (task != NULL)
		c->nomad->ops->start(c->nomad->drv, c, task);
}

/* The agent keeps the whole task as it gave it, for recovery. */
void
call_started(struct call *c, const struct drv_started *started)
{
	const Pb__StartTaskRequest *request = c->request;
	Pb__StartTaskResponse m = PB__START_TASK_RESPONSE__INIT;
	Pb__TaskHandle handle = PB__TASK_HANDLE__INIT;

	handle.version = started->version;
	handle.config = request->task;
	handle.state = PB__TASK_STATE__TASK_RUNNING;
	handle.driver_state.data = (uint8_t *)(uintptr_t)started->state;
	handle.driver_state.len = started->state_len;
	m.handle = &handle;
	m.network_override = override_encode(&c->arena, started->net);
	call_reply(c, &m.base);
}

void
rpc_recover_task(struct call *c, const void *request)
{
	const Pb__RecoverTaskRequest *m = request;
	struct drv_handle handle;

	if (m->handle == NULL) {
		call_end(c, GRPC_INVALID_ARGUMENT, "recover: there is no handle in the request");
		return;
	}
	handle = (struct drv_handle){ m->handle->version, NULL, m->handle->driver_state.data,
		m->handle->driver_state.len };
	if (m->handle->config != NULL) {
		handle.task = decode_task(c, m->handle->config);
		if (handle.task == NULL)
			return;
	}
	c->nomad->ops->recover(c->nomad->drv, c, &handle);
}

void
rpc_wait_task(struct call *c, const void *request)
{
	const Pb__WaitTaskRequest *m = request;

	c->nomad->ops->wait(c->nomad->drv, c, m->task_id);
}

void
call_exited(struct call *c, const struct drv_exit *x)
{
	Pb__WaitTaskResponse m = PB__WAIT_TASK_RESPONSE__INIT;

	m.result = exit_encode(&c->arena, x);
	m.err = arena_text(&c->arena, x->error == NULL ? "" : x->error);
	call_reply(c, &m.base);
}

void
rpc_stop_task(struct call *c, const void *request)
{
	const Pb__StopTaskRequest *m = request;

	c->nomad->ops->stop(c->nomad->drv, c, m->task_id, duration_decode(m->timeout), m->signal);
}

void
rpc_destroy_task(struct call *c, const void *request)
{
	const Pb__DestroyTaskRequest *m = request;

	c->nomad->ops->destroy(c->nomad->drv, c, m->task_id, m->force);
}

void
rpc_inspect_task(struct call *c, const void *request)
{
	const Pb__InspectTaskRequest *m = request;

	c->nomad->ops->inspect(c->nomad->drv, c, m->task_id);
}

void
call_status(struct call *c, const struct drv_status *status)
{
	Pb__InspectTaskResponse m = PB__INSPECT_TASK_RESPONSE__INIT;

	m.task = status_encode(&c->arena, status);
	m.driver = attributes_encode(&c->arena, &status->attributes);
	m.network_override = override_encode(&c->arena, status->net);
	call_reply(c, &m.base);
}

void
rpc_signal_task(struct call *c, const void *request)
{
	const Pb__SignalTaskRequest *m = request;

	c->nomad->ops->signal(c->nomad->drv, c, m->task_id, m->signal);
}

void
rpc_task_stats(struct call *c, const void *request)
{
	const Pb__TaskStatsRequest *m = request;
	int64_t interval = duration_decode(m->collection_interval);

	c->request = m;
	c->nomad->ops->stats(c->nomad->drv, c, m->task_id, interval > 0 ? interval : STATS_INTERVAL_MS);
}

void
call_stats(struct call *c, const struct drv_stats *stats)
{
	const Pb__TaskStatsRequest *request = c->request;
	Pb__TaskStatsResponse m = PB__TASK_STATS_RESPONSE__INIT;
	struct arena a;

	if (c->stream == NULL || call_queued(c) > 0)
		return;
	/* Not in the call's own, which lives as long as the task. */
	arena_init(&a, c->arena.max);
	m.stats = stats_encode(&a, request->task_id, stats);
	if (!a.failed)
		call_push(c, &m.base);
	arena_fini(&a);
}

/* All messages without a field are the same. */
void
call_done(struct call *c)
{
	if (!c->method->is_stream)
		call_push_packed(c, NULL, 0);
	call_end(c, GRPC_OK, "");
}
