/*
 * The wire of the Nomad agent: bytes as a connection brings them, up to a
 * driver that answers everything at once, or never, and back.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nomad/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Of a call that waits until it is cancelled. */
static void
cancelled(struct call *c, void *arg)
{
	call_done(c);
}

static void
wait_for_ever(struct call *c)
{
	call_on_cancel(c, cancelled, NULL);
}

static void
start(struct drv *d, struct call *c, const struct drv_task *task)
{
	struct drv_started started = { 1, task->id, strlen(task->id), NULL };
	struct err e = ERR_INIT;
	size_t sum = task->nmounts + task->ndevices + task->resources.nports;

	for (size_t i = 0; i < task->env.n; i++)
		sum += strlen(task->env.v[i].key) + strlen(task->env.v[i].value);
	for (size_t i = 0; i < task->nmounts; i++)
		sum += strlen(task->mounts[i].task_path);
	for (size_t i = 0; task->dns != NULL && i < task->dns->servers.n; i++)
		sum += strlen(task->dns->servers.v[i]);
	err_set(&e, E_BUSY, "start '%s' of %zu: no", task->name, sum);
	if (sum % 2 == 0)
		call_started(c, &started);
	else
		call_fail(c, &e, sum % 3 == 0);
}

static void
recover(struct drv *d, struct call *c, const struct drv_handle *handle)
{
	call_done(c);
}

static void
wait_task(struct drv *d, struct call *c, const char *id)
{
	wait_for_ever(c);
}

static void
stop(struct drv *d, struct call *c, const char *id, int64_t timeout_ms, const char *name)
{
	call_done(c);
}

static void
destroy(struct drv *d, struct call *c, const char *id, bool force)
{
	call_done(c);
}

static void
inspect(struct drv *d, struct call *c, const char *id)
{
	struct drv_kv kv = { "k", id };
	struct drv_status status = { .id = id, .name = id, .attributes = { 1, &kv } };

	call_status(c, &status);
}

static void
signal_task(struct drv *d, struct call *c, const char *id, const char *name)
{
	call_done(c);
}

static void
stats(struct drv *d, struct call *c, const char *id, int64_t interval_ms)
{
	call_stats(c, &(struct drv_stats){ .cpu_percent = -1 });
	call_stats(c, &(struct drv_stats){ .rss = 1 });
	call_done(c);
}

static void
exec_ended(struct call *c, void *arg)
{
	call_exec_exited(c, &(struct drv_exit){ .code = 1 });
}

/* A command that takes all and says nothing. */
static void
exec(struct drv *d, struct call *c, const struct drv_exec *x)
{
	call_on_cancel(c, exec_ended, NULL);
	if (x->argv.n % 2 == 0)
		call_exec_fds(c, &(struct drv_exec_fds){ open("/dev/null", O_WRONLY | O_CLOEXEC), -1, -1 });
}

static void
create_network(struct drv *d, struct call *c, const char *alloc_id, const char *hostname)
{
	call_network(c, &(struct drv_created_network){ .spec = { .path = alloc_id, .hostname = hostname } });
}

static void
destroy_network(struct drv *d, struct call *c, const char *alloc_id, const struct drv_net_isolation *spec)
{
	call_done(c);
}

static int
driver_new(struct nomad *n, struct drv **d, struct err *e)
{
	*d = NULL;
	return 0;
}

static void
nothing(struct drv *d)
{
}

static int
set_config(struct drv *d, const struct value *config, const struct drv_node *node, struct err *e)
{
	return 0;
}

static int
init(struct drv *d, struct err *e)
{
	return 0;
}

static void
capabilities(struct drv *d, struct drv_capabilities *c)
{
	c->nmodes = 1;
}

static const struct spec rows[] = { { "k", SPEC_ATTR, "string", .preset = "\"v\"" }, { NULL } };

static const struct drv_ops ops = {
	.name = "fuzz",
	.version = "0.0.0",
	.config_spec = rows,
	.task_spec = rows,
	.new = driver_new,
	.free = nothing,
	.set_config = set_config,
	.init = init,
	.capabilities = capabilities,
	.fingerprint = nothing,
	.shutdown = nothing,
	.start = start,
	.recover = recover,
	.wait = wait_task,
	.stop = stop,
	.destroy = destroy,
	.inspect = inspect,
	.signal = signal_task,
	.stats = stats,
	.exec = exec,
	.create_network = create_network,
	.destroy_network = destroy_network,
};

static void *
open_call(void *arg, struct h2_stream *stream, const struct h2_request *request)
{
	return call_open(arg, stream, request);
}

static void
wake(void *arg)
{
}

static void
end(struct nomad *n)
{
	nomad_leave(n);
}

static void
pull_all(struct h2 *h)
{
	const uint8_t *out;

	while (h2_pull(h, &out) > 0) {
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h2_ops wire = { open_call, call_data, call_half_closed, call_closed, call_drained,
		wake };
	struct loop *loop = loop_new();
	struct log *log = log_new(STDERR_FILENO);
	struct err e = ERR_INIT;
	struct nomad n;
	struct h2 *h;

	if (loop == NULL || log == NULL || nomad_init(&n, loop, log, &ops, &e) < 0)
		abort();
	log_set_level(log, LOG_LEVEL_ERROR);
	n.end = end;
	h = h2_new(&wire, &n);
	if (h == NULL)
		abort();
	/* In pieces, as a socket gives them; the first byte says how long. */
	for (size_t at = 1, piece = size > 0 ? 1 + data[0] * 8u : 1; at < size; at += piece) {
		if (!h2_feed(h, data + at, size - at < piece ? size - at : piece))
			break;
		pull_all(h);
	}
	pull_all(h);
	h2_free(h);
	nomad_fini(&n);
	log_free(log);
	loop_free(loop);
	return 0;
}
