/*
 * Messages of the agent as structs of driver.h. Strings are borrowed from the
 * message, which lives as long; protobuf-c gives "" for the absent ones.
 */
#include "nomad/convert.h"

struct drv_strings
strings_decode(struct arena *a, char **v, size_t n)
{
	const char **copy = arena_get(a, n + 1, sizeof(*copy));

	if (copy == NULL)
		return (struct drv_strings){ 0, NULL };
	for (size_t i = 0; i < n; i++)
		copy[i] = v[i];
	return (struct drv_strings){ n, copy };
}

/* Entries of a map: all of them are messages with a key and a value, of types of their own. */
#define KVS_DECODE(a, out, n, entries)                                                          \
	do {                                                                                    \
		struct drv_kv *kvs_ = arena_get((a), (n), sizeof(*kvs_));                       \
		for (size_t i_ = 0; kvs_ != NULL && i_ < (n); i_++)                             \
			kvs_[i_] = (struct drv_kv){ (entries)[i_]->key, (entries)[i_]->value }; \
		*(out) = (struct drv_kvs){ kvs_ == NULL ? 0 : (n), kvs_ };                      \
	} while (0)

int64_t
duration_decode(const Pb__Duration *d)
{
	if (d == NULL || d->seconds < 0 || (d->seconds == 0 && d->nanos <= 0))
		return 0;
	if (d->seconds > INT64_MAX / 2000)
		return INT64_MAX / 2;
	return d->seconds * 1000 + (d->nanos + 999999) / 1000000;
}

struct drv_net_isolation *
isolation_decode(struct arena *a, const Pb__NetworkIsolationSpec *m)
{
	struct drv_net_isolation *net = m == NULL ? NULL : arena_new(a, struct drv_net_isolation);

	if (net == NULL)
		return NULL;
	net->mode = (enum drv_net_mode)m->mode;
	net->path = m->path;
	KVS_DECODE(a, &net->labels, m->n_labels, m->labels);
	net->hostname = m->hosts_config == NULL ? "" : m->hosts_config->hostname;
	net->address = m->hosts_config == NULL ? "" : m->hosts_config->address;
	return net;
}

static const struct drv_port *
old_ports(struct arena *a, Pb__NetworkPort **v, size_t n)
{
	struct drv_port *ports = arena_get(a, n, sizeof(*ports));

	for (size_t i = 0; ports != NULL && i < n; i++)
		ports[i] = (struct drv_port){ v[i]->label, v[i]->value, 0, "" };
	return ports;
}

static void
networks_decode(struct arena *a, const Pb__AllocatedTaskResources *m, struct drv_resources *r)
{
	struct drv_task_network *v = arena_get(a, m->n_networks, sizeof(*v));

	for (size_t i = 0; v != NULL && i < m->n_networks; i++) {
		const Pb__NetworkResource *net = m->networks[i];

		v[i] = (struct drv_task_network){
			.device = net->device,
			.cidr = net->cidr,
			.ip = net->ip,
			.mbits = net->mbits,
			.nreserved = net->n_reserved_ports,
			.ndynamic = net->n_dynamic_ports,
			.reserved = old_ports(a, net->reserved_ports, net->n_reserved_ports),
			.dynamic = old_ports(a, net->dynamic_ports, net->n_dynamic_ports),
		};
	}
	r->nnetworks = m->n_networks;
	r->networks = v;
}

static void
linux_decode(const Pb__LinuxResources *m, struct drv_resources *r)
{
	r->has_linux = true;
	r->cpu_period = m->cpu_period;
	r->cpu_quota = m->cpu_quota;
	r->linux_cpu_shares = m->cpu_shares;
	r->memory_limit_bytes = m->memory_limit_bytes;
	r->oom_score_adj = m->oom_score_adj;
	r->cpuset_cpus = m->cpuset_cpus;
	r->cpuset_cgroup = m->cpuset_cgroup;
	r->percent_ticks = m->percent_ticks;
}

static void
resources_decode(struct arena *a, const Pb__Resources *m, struct drv_resources *r)
{
	const Pb__AllocatedTaskResources *allocated = m == NULL ? NULL : m->allocated_resources;
	struct drv_port *ports;

	*r = (struct drv_resources){ .cpuset_cpus = "", .cpuset_cgroup = "" };
	if (allocated != NULL && allocated->cpu != NULL)
		r->cpu_shares = allocated->cpu->cpu_shares;
	if (allocated != NULL && allocated->memory != NULL) {
		r->memory_mb = allocated->memory->memory_mb;
		r->memory_max_mb = allocated->memory->memory_max_mb;
	}
	if (allocated != NULL)
		networks_decode(a, allocated, r);
	if (m == NULL)
		return;
	if (m->linux_resources != NULL)
		linux_decode(m->linux_resources, r);
	ports = arena_get(a, m->n_ports, sizeof(*ports));
	for (size_t i = 0; ports != NULL && i < m->n_ports; i++) {
		const Pb__PortMapping *p = m->ports[i];

		ports[i] = (struct drv_port){ p->label, p->value, p->to, p->host_ip };
	}
	r->ports = ports;
	r->nports = m->n_ports;
}

static void
mounts_decode(struct arena *a, const Pb__TaskConfig *m, struct drv_task *t)
{
	struct drv_mount *mounts = arena_get(a, m->n_mounts, sizeof(*mounts));
	struct drv_device *devices = arena_get(a, m->n_devices, sizeof(*devices));

	for (size_t i = 0; mounts != NULL && i < m->n_mounts; i++) {
		const Pb__Mount *from = m->mounts[i];

		mounts[i] = (struct drv_mount){ from->task_path, from->host_path, from->propagation_mode,
			from->selinux_label, from->request_name, from->readonly };
	}
	for (size_t i = 0; devices != NULL && i < m->n_devices; i++) {
		const Pb__Device *from = m->devices[i];

		devices[i] =
		    (struct drv_device){ from->task_path, from->host_path, from->cgroup_permissions };
	}
	t->nmounts = m->n_mounts;
	t->mounts = mounts;
	t->ndevices = m->n_devices;
	t->devices = devices;
}

static const struct drv_dns *
dns_decode(struct arena *a, const Pb__DnsConfig *m)
{
	struct drv_dns *dns = m == NULL ? NULL : arena_new(a, struct drv_dns);

	if (dns == NULL)
		return NULL;
	dns->servers = strings_decode(a, m->servers, m->n_servers);
	dns->searches = strings_decode(a, m->searches, m->n_searches);
	dns->options = strings_decode(a, m->options, m->n_options);
	return dns;
}

struct drv_task *
task_decode(struct arena *a, const Pb__TaskConfig *m, const struct value *config)
{
	struct drv_task *t = m == NULL ? NULL : arena_new(a, struct drv_task);

	if (t == NULL)
		return NULL;
	t->id = m->id;
	t->name = m->name;
	t->user = m->user;
	t->alloc_dir = m->alloc_dir;
	t->stdout_path = m->stdout_path;
	t->stderr_path = m->stderr_path;
	t->group = m->task_group_name;
	t->job_name = m->job_name;
	t->job_id = m->job_id;
	t->parent_job_id = m->parent_job_id;
	t->alloc_id = m->alloc_id;
	t->namespace = m->namespace_;
	t->node_name = m->node_name;
	t->node_id = m->node_id;
	t->config = config;
	KVS_DECODE(a, &t->env, m->n_env, m->env);
	KVS_DECODE(a, &t->device_env, m->n_device_env, m->device_env);
	resources_decode(a, m->resources, &t->resources);
	mounts_decode(a, m, t);
	t->net = isolation_decode(a, m->network_isolation_spec);
	t->dns = dns_decode(a, m->dns);
	return a->failed ? NULL : t;
}

static void
cores_decode(struct arena *a, const Pb__ClientTopology *m, struct drv_node *node)
{
	struct drv_core *cores = arena_get(a, m->n_cores, sizeof(*cores));

	for (size_t i = 0; cores != NULL && i < m->n_cores; i++) {
		const Pb__Core *c = m->cores[i];

		cores[i] = (struct drv_core){ c->core_id, c->socket_id, c->node_id,
			c->core_grade == PB__CORE__GRADE__EFFICIENCY, c->disable, c->base_speed, c->max_speed,
			c->guess_speed };
		/* In the agent's own order of preference. */
		node->total_mhz += c->max_speed > 0 ? c->max_speed
		    : c->base_speed > 0             ? c->base_speed
						    : c->guess_speed;
	}
	node->ncores = m->n_cores;
	node->cores = cores;
	if (m->override_total_compute > 0)
		node->total_mhz = m->override_total_compute;
}

struct drv_node *
node_decode(struct arena *a, const Pb__NomadConfig *m)
{
	struct drv_node *node = m == NULL || m->driver == NULL ? NULL : arena_new(a, struct drv_node);

	if (node == NULL)
		return NULL;
	node->min_port = m->driver->client_min_port;
	node->max_port = m->driver->client_max_port;
	if (m->driver->topology != NULL)
		cores_decode(a, m->driver->topology, node);
	return a->failed ? NULL : node;
}
