/*
 * The services that every plugin has for its host: health, the broker and the
 * standard output, of which nothing is used but which are to be there, and the
 * controller, which ends the process.
 */
#include "nomad/call.h"
#include "nomad/rpc.h"

void
rpc_health_check(struct call *c, const void *request)
{
	Pb__HealthCheckResponse m = PB__HEALTH_CHECK_RESPONSE__INIT;

	m.status = PB__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	call_reply(c, &m.base);
}

static void
end_idle(struct call *c, void *arg)
{
	call_end(c, GRPC_CANCELLED, "");
}

/* Would be the way to further connections; there are none. */
void
rpc_broker(struct call *c, const void *request)
{
	call_on_cancel(c, end_idle, NULL);
}

void
rpc_broker_closed(struct call *c)
{
	call_end(c, GRPC_OK, "");
}

/* Open until the agent gives it up: our output is the log. */
void
rpc_stdio(struct call *c, const void *request)
{
	call_on_cancel(c, end_idle, NULL);
}

void
rpc_controller_shutdown(struct call *c, const void *request)
{
	struct nomad *n = c->nomad;

	call_done(c);
	n->end(n);
}
