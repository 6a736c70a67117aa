/*
 * The service that all plugins of the agent have: who it is, its
 * configuration's schema, and the configuration.
 */
#include <base.pb-c.h>

#include "nomad/call.h"
#include "nomad/convert.h"
#include "nomad/rpc.h"
#include "nomad/schema.h"

/* The one that agents from 0.9 to 2.0 speak. */
#define API_VERSION "v0.1.0"

void
rpc_plugin_info(struct call *c, const void *request)
{
	Pb__PluginInfoResponse m = PB__PLUGIN_INFO_RESPONSE__INIT;
	char api[] = API_VERSION, *versions[] = { api };

	m.type = PB__PLUGIN_INFO_RESPONSE__TYPE__DRIVER;
	m.plugin_api_versions = versions;
	m.n_plugin_api_versions = ARRAY_LEN(versions);
	m.plugin_version = arena_text(&c->arena, c->nomad->ops->version);
	m.name = arena_text(&c->arena, c->nomad->ops->name);
	call_reply(c, &m.base);
}

void
rpc_config_schema(struct call *c, const void *request)
{
	Pb__ConfigSchemaResponse m = PB__CONFIG_SCHEMA_RESPONSE__INIT;

	m.spec = schema_make(&c->arena, c->nomad->ops->config_spec);
	call_reply(c, &m.base);
}

static int
set_config(struct call *c, const Pb__SetConfigRequest *m, struct err *e)
{
	AUTO(value) struct value *config = NULL;
	struct drv_node *node = NULL;
	int rc;

	rc = value_decode(m->msgpack_config.data, m->msgpack_config.len, &config, "plugin configuration", e);
	if (rc < 0)
		return rc;
	if (m->nomad_config != NULL && m->nomad_config->driver != NULL) {
		node = node_decode(&c->arena, m->nomad_config);
		if (node == NULL)
			return err_nomem(e);
	}
	return c->nomad->ops->set_config(c->nomad->drv, config, node, e);
}

void
rpc_set_config(struct call *c, const void *request)
{
	struct err e = ERR_INIT;

	if (set_config(c, request, &e) < 0)
		call_fail(c, &e, false);
	else
		call_done(c);
}
