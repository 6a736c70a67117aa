/*
 * The driver's service, as far as it is not about one task.
 */
#include "nomad/call.h"
#include "nomad/convert.h"
#include "nomad/rpc.h"
#include "nomad/schema.h"

void
rpc_init(struct call *c, const void *request)
{
	struct err e = ERR_INIT;

	c->nomad->is_used = true;
	if (c->nomad->ops->init(c->nomad->drv, &e) < 0)
		call_fail(c, &e, false);
	else
		call_done(c);
}

void
rpc_task_config_schema(struct call *c, const void *request)
{
	Pb__TaskConfigSchemaResponse m = PB__TASK_CONFIG_SCHEMA_RESPONSE__INIT;

	m.spec = schema_make(&c->arena, c->nomad->ops->task_spec);
	call_reply(c, &m.base);
}

void
rpc_capabilities(struct call *c, const void *request)
{
	Pb__CapabilitiesResponse m = PB__CAPABILITIES_RESPONSE__INIT;
	struct drv_capabilities capabilities = { 0 };

	c->nomad->ops->capabilities(c->nomad->drv, &capabilities);
	m.capabilities = capabilities_encode(&c->arena, &capabilities);
	call_reply(c, &m.base);
}

void
rpc_fingerprint(struct call *c, const void *request)
{
	feed_fingerprint(c);
}

void
rpc_task_events(struct call *c, const void *request)
{
	feed_events(c);
}

/* The agent leaves; tasks go on. The process ends by the controller's Shutdown only. */
void
rpc_shutdown(struct call *c, const void *request)
{
	log_debug(c->nomad->log, "the agent leaves: tasks go on");
	call_done(c);
}

void
rpc_create_network(struct call *c, const void *request)
{
	const Pb__CreateNetworkRequest *m = request;

	c->nomad->ops->create_network(c->nomad->drv, c, m->alloc_id, m->hostname);
}

void
rpc_destroy_network(struct call *c, const void *request)
{
	const Pb__DestroyNetworkRequest *m = request;

	c->nomad->ops->destroy_network(
	    c->nomad->drv, c, m->alloc_id, isolation_decode(&c->arena, m->isolation_spec));
}

void
call_network(struct call *c, const struct drv_created_network *net)
{
	Pb__CreateNetworkResponse m = PB__CREATE_NETWORK_RESPONSE__INIT;

	m.isolation_spec = isolation_encode(&c->arena, &net->spec);
	m.created = net->created;
	call_reply(c, &m.base);
}
