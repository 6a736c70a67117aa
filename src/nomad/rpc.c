/*
 * The table of all methods, and the state that they share.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base.pb-c.h>

#include "nomad/call.h"
#include "nomad/rpc.h"

#define PLUGIN "/plugin."
#define BASE "/hashicorp.nomad.plugins.base.proto.BasePlugin/"
#define DRIVER "/hashicorp.nomad.plugins.drivers.proto.Driver/"

static const struct method methods[] = {
	{ "/grpc.health.v1.Health/Check", &pb__health_check_request__descriptor, rpc_health_check },
	{ PLUGIN "GRPCBroker/StartStream", &pb__conn_info__descriptor, rpc_broker, .is_open = true,
	    .is_stream = true, .half_closed = rpc_broker_closed },
	{ PLUGIN "GRPCStdio/StreamStdio", &pb__empty__descriptor, rpc_stdio, .is_stream = true },
	{ PLUGIN "GRPCController/Shutdown", &pb__empty__descriptor, rpc_controller_shutdown },

	{ BASE "PluginInfo", &pb__plugin_info_request__descriptor, rpc_plugin_info },
	{ BASE "ConfigSchema", &pb__config_schema_request__descriptor, rpc_config_schema },
	{ BASE "SetConfig", &pb__set_config_request__descriptor, rpc_set_config },

	{ DRIVER "Init", &pb__init_request__descriptor, rpc_init },
	{ DRIVER "TaskConfigSchema", &pb__task_config_schema_request__descriptor, rpc_task_config_schema },
	{ DRIVER "Capabilities", &pb__capabilities_request__descriptor, rpc_capabilities },
	{ DRIVER "Fingerprint", &pb__fingerprint_request__descriptor, rpc_fingerprint, .is_stream = true },
	{ DRIVER "RecoverTask", &pb__recover_task_request__descriptor, rpc_recover_task },
	{ DRIVER "StartTask", &pb__start_task_request__descriptor, rpc_start_task },
	{ DRIVER "WaitTask", &pb__wait_task_request__descriptor, rpc_wait_task },
	{ DRIVER "StopTask", &pb__stop_task_request__descriptor, rpc_stop_task },
	{ DRIVER "DestroyTask", &pb__destroy_task_request__descriptor, rpc_destroy_task },
	{ DRIVER "InspectTask", &pb__inspect_task_request__descriptor, rpc_inspect_task },
	{ DRIVER "TaskStats", &pb__task_stats_request__descriptor, rpc_task_stats, .is_stream = true },
	{ DRIVER "TaskEvents", &pb__task_events_request__descriptor, rpc_task_events, .is_stream = true },
	{ DRIVER "Shutdown", &pb__shutdown_request__descriptor, rpc_shutdown },
	{ DRIVER "SignalTask", &pb__signal_task_request__descriptor, rpc_signal_task },
	{ DRIVER "ExecTask", &pb__exec_task_request__descriptor, rpc_exec_task },
	{ DRIVER "ExecTaskStreaming", &pb__exec_task_streaming_request__descriptor, rpc_exec_streaming,
	    .is_open = true, .is_stream = true, .half_closed = rpc_exec_streaming_closed },
	{ DRIVER "CreateNetwork", &pb__create_network_request__descriptor, rpc_create_network },
	{ DRIVER "DestroyNetwork", &pb__destroy_network_request__descriptor, rpc_destroy_network },
};

const struct method *
method_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (strcmp(methods[i].path, path) == 0)
			return &methods[i];
	}
	return NULL;
}

int
nomad_init(struct nomad *n, struct loop *loop, struct log *log, const struct drv_ops *ops, struct err *e)
{
	int rc;

	*n = (struct nomad){ .loop = loop, .log = log, .ops = ops, .feed = feed_new() };
	if (n->feed == NULL)
		return err_nomem(e);
	rc = ops->new (n, &n->drv, e);
	if (rc < 0)
		feed_free(take_ptr(n->feed));
	return rc;
}

void
nomad_leave(struct nomad *n)
{
	if (!n->is_leaving)
		n->ops->shutdown(n->drv);
	n->is_leaving = true;
	/* Whoever has a call ends it now or later: then it is not in the list, or is marked. */
	for (;;) {
		struct call *c = n->calls;

		while (c != NULL && c->is_cancelled)
			c = c->next;
		if (c == NULL)
			return;
		call_give_up(c);
	}
}

void
nomad_fini(struct nomad *n)
{
	nomad_leave(n);
	n->ops->free(n->drv);
	while (n->calls != NULL)
		call_end(n->calls, GRPC_CANCELLED, "");
	feed_free(n->feed);
}

struct loop *
nomad_loop(struct nomad *n)
{
	return n->loop;
}

struct log *
nomad_log(struct nomad *n)
{
	return n->log;
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* In the child. Nobody's end of a connection or pipe must be held open by it. */
static void
close_all_but(const int *keep, size_t n)
{
	int sorted[16], from = STDERR_FILENO + 1;

	n = n < ARRAY_LEN(sorted) ? n : ARRAY_LEN(sorted);
	for (size_t i = 0; i < n; i++)
		sorted[i] = keep[i];
	qsort(sorted, n, sizeof(sorted[0]), by_number);
	for (size_t i = 0; i < n; i++) {
		if (sorted[i] > from)
			close_range((unsigned)from, (unsigned)sorted[i] - 1, 0);
		if (sorted[i] >= from)
			from = sorted[i] + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}

pid_t
nomad_fork(struct nomad *n, const int *keep, size_t nkeep)
{
	static const int ours[] = { SIGINT, SIGPIPE, SIGTERM, SIGHUP };
	sigset_t all, old;
	pid_t pid;

	/* Our handlers must not run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			(void)signal(ours[i], SIG_DFL);
		close_all_but(keep, nkeep);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}
