/*
 * Structs of driver.h as messages to the agent. Whatever the agent's client
 * dereferences is set, always; strings are copied, and escaped where they are
 * not UTF-8, which the client would refuse.
 */
#include "base/text.h"
#include "nomad/convert.h"

#define ZERO_TIME_S (-62135596800) /* 0001-01-01T00:00:00Z */
#define NS_PER_S 1000000000

/* A message in the arena, initialised; NULL when it is full. */
#define MESSAGE(a, Type, init)                   \
	__extension__({                          \
		Type *m_ = arena_new((a), Type); \
		if (m_ != NULL)                  \
			init(m_);                \
		m_;                              \
	})

static char *
text(struct arena *a, const char *s)
{
	char *copy = arena_text(a, s == NULL ? "" : s);

	return copy == NULL ? (char *)(uintptr_t)protobuf_c_empty_string : copy;
}

/* The entries of a map: messages of a type of their own, with a key and a value. */
#define KVS_ENCODE(a, count, entries, Entry, init, kvs)                         \
	do {                                                                    \
		(entries) = arena_get((a), (kvs)->n, sizeof(*(entries)));       \
		for (size_t i_ = 0; (entries) != NULL && i_ < (kvs)->n; i_++) { \
			Entry *entry_ = MESSAGE((a), Entry, init);              \
			if (entry_ == NULL)                                     \
				break;                                          \
			entry_->key = text((a), (kvs)->v[i_].key);              \
			entry_->value = text((a), (kvs)->v[i_].value);          \
			(entries)[(count)++] = entry_;                          \
		}                                                               \
	} while (0)

Pb__Timestamp *
time_encode(struct arena *a, int64_t ns)
{
	Pb__Timestamp *t = MESSAGE(a, Pb__Timestamp, pb__timestamp__init);

	if (t == NULL)
		return NULL;
	t->seconds = ns == 0 ? ZERO_TIME_S : ns / NS_PER_S;
	t->nanos = (int32_t)(ns % NS_PER_S);
	return t;
}

Pb__ExitResult *
exit_encode(struct arena *a, const struct drv_exit *x)
{
	Pb__ExitResult *m = MESSAGE(a, Pb__ExitResult, pb__exit_result__init);

	if (m == NULL)
		return NULL;
	m->exit_code = x->code;
	m->signal = x->signal;
	m->oom_killed = x->oom_killed;
	return m;
}

Pb__NetworkOverride *
override_encode(struct arena *a, const struct drv_net_override *net)
{
	Pb__NetworkOverride *m =
	    net == NULL ? NULL : MESSAGE(a, Pb__NetworkOverride, pb__network_override__init);

	if (m == NULL)
		return NULL;
	m->addr = text(a, net->addr);
	m->auto_advertise = net->auto_advertise;
	m->port_map = arena_get(a, net->nports, sizeof(*m->port_map));
	for (size_t i = 0; m->port_map != NULL && i < net->nports; i++) {
		Pb__NetworkOverride__PortMapEntry *entry =
		    MESSAGE(a, Pb__NetworkOverride__PortMapEntry, pb__network_override__port_map_entry__init);

		if (entry == NULL)
			break;
		entry->key = text(a, net->ports[i].label);
		entry->value = net->ports[i].value;
		m->port_map[m->n_port_map++] = entry;
	}
	return m;
}

Pb__NetworkIsolationSpec *
isolation_encode(struct arena *a, const struct drv_net_isolation *net)
{
	Pb__NetworkIsolationSpec *m = MESSAGE(a, Pb__NetworkIsolationSpec, pb__network_isolation_spec__init);

	if (m == NULL)
		return NULL;
	m->mode = (Pb__NetworkIsolationSpec__Mode)net->mode;
	m->path = text(a, net->path);
	KVS_ENCODE(a, m->n_labels, m->labels, Pb__NetworkIsolationSpec__LabelsEntry,
	    pb__network_isolation_spec__labels_entry__init, &net->labels);
	m->hosts_config = MESSAGE(a, Pb__HostsConfig, pb__hosts_config__init);
	if (m->hosts_config == NULL)
		return NULL;
	m->hosts_config->hostname = text(a, net->hostname);
	m->hosts_config->address = text(a, net->address);
	return m;
}

Pb__TaskStatus *
status_encode(struct arena *a, const struct drv_status *s)
{
	Pb__TaskStatus *m = MESSAGE(a, Pb__TaskStatus, pb__task_status__init);

	if (m == NULL)
		return NULL;
	m->id = text(a, s->id);
	m->name = text(a, s->name);
	m->state = (Pb__TaskState)s->state;
	m->started_at = time_encode(a, s->started_ns);
	m->completed_at = time_encode(a, s->completed_ns);
	m->result = exit_encode(a, &s->exit);
	return m;
}

Pb__TaskDriverStatus *
attributes_encode(struct arena *a, const struct drv_kvs *kvs)
{
	Pb__TaskDriverStatus *m = MESSAGE(a, Pb__TaskDriverStatus, pb__task_driver_status__init);

	if (m != NULL)
		KVS_ENCODE(a, m->n_attributes, m->attributes, Pb__TaskDriverStatus__AttributesEntry,
		    pb__task_driver_status__attributes_entry__init, kvs);
	return m;
}

/* ---- statistics -------------------------------------------------------------- */

static Pb__CpuUsage *
cpu_encode(struct arena *a, const struct drv_stats *s)
{
	const struct {
		double value;
		Pb__CpuUsage__Fields field;
	} rows[] = {
		{ s->cpu_system_percent, PB__CPU_USAGE__FIELDS__SYSTEM_MODE },
		{ s->cpu_user_percent, PB__CPU_USAGE__FIELDS__USER_MODE },
		{ s->cpu_mhz, PB__CPU_USAGE__FIELDS__TOTAL_TICKS },
		{ s->cpu_percent, PB__CPU_USAGE__FIELDS__PERCENT },
		{ s->throttled_periods == DRV_UNMEASURED ? -1 : 0, PB__CPU_USAGE__FIELDS__THROTTLED_PERIODS },
		{ s->throttled_ns == DRV_UNMEASURED ? -1 : 0, PB__CPU_USAGE__FIELDS__THROTTLED_TIME },
	};
	Pb__CpuUsage *m = MESSAGE(a, Pb__CpuUsage, pb__cpu_usage__init);

	if (m == NULL)
		return NULL;
	m->system_mode = s->cpu_system_percent < 0 ? 0 : s->cpu_system_percent;
	m->user_mode = s->cpu_user_percent < 0 ? 0 : s->cpu_user_percent;
	m->total_ticks = s->cpu_mhz < 0 ? 0 : s->cpu_mhz;
	m->percent = s->cpu_percent < 0 ? 0 : s->cpu_percent;
	m->throttled_periods = s->throttled_periods == DRV_UNMEASURED ? 0 : s->throttled_periods;
	m->throttled_time = s->throttled_ns == DRV_UNMEASURED ? 0 : s->throttled_ns;
	m->measured_fields = arena_get(a, ARRAY_LEN(rows), sizeof(*m->measured_fields));
	for (size_t i = 0; m->measured_fields != NULL && i < ARRAY_LEN(rows); i++) {
		if (rows[i].value >= 0)
			m->measured_fields[m->n_measured_fields++] = rows[i].field;
	}
	return m;
}

static Pb__MemoryUsage *
memory_encode(struct arena *a, const struct drv_stats *s)
{
	Pb__MemoryUsage *m = MESSAGE(a, Pb__MemoryUsage, pb__memory_usage__init);
	const struct {
		uint64_t value, *to;
		Pb__MemoryUsage__Fields field;
	} rows[] = {
		{ s->rss, m == NULL ? NULL : &m->rss, PB__MEMORY_USAGE__FIELDS__RSS },
		{ s->cache, m == NULL ? NULL : &m->cache, PB__MEMORY_USAGE__FIELDS__CACHE },
		{ s->max_usage, m == NULL ? NULL : &m->max_usage, PB__MEMORY_USAGE__FIELDS__MAX_USAGE },
		{ s->kernel, m == NULL ? NULL : &m->kernel_usage, PB__MEMORY_USAGE__FIELDS__KERNEL_USAGE },
		{ s->kernel_max, m == NULL ? NULL : &m->kernel_max_usage,
		    PB__MEMORY_USAGE__FIELDS__KERNEL_MAX_USAGE },
		{ s->usage, m == NULL ? NULL : &m->usage, PB__MEMORY_USAGE__FIELDS__USAGE },
		{ s->swap, m == NULL ? NULL : &m->swap, PB__MEMORY_USAGE__FIELDS__SWAP },
	};

	if (m == NULL)
		return NULL;
	m->measured_fields = arena_get(a, ARRAY_LEN(rows), sizeof(*m->measured_fields));
	for (size_t i = 0; m->measured_fields != NULL && i < ARRAY_LEN(rows); i++) {
		if (rows[i].value == DRV_UNMEASURED)
			continue;
		*rows[i].to = rows[i].value;
		m->measured_fields[m->n_measured_fields++] = rows[i].field;
	}
	return m;
}

Pb__TaskStats *
stats_encode(struct arena *a, const char *task_id, const struct drv_stats *s)
{
	Pb__TaskStats *m = MESSAGE(a, Pb__TaskStats, pb__task_stats__init);
	Pb__TaskResourceUsage *usage = MESSAGE(a, Pb__TaskResourceUsage, pb__task_resource_usage__init);

	if (m == NULL || usage == NULL)
		return NULL;
	m->id = text(a, task_id);
	m->timestamp = time_encode(a, s->time_ns == 0 ? text_now_ns() : s->time_ns);
	usage->cpu = cpu_encode(a, s);
	usage->memory = memory_encode(a, s);
	m->agg_resource_usage = usage;
	return m;
}

/* ---- the rest ------------------------------------------------------------------ */

Pb__DriverTaskEvent *
event_encode(struct arena *a, const struct drv_event *event)
{
	Pb__DriverTaskEvent *m = MESSAGE(a, Pb__DriverTaskEvent, pb__driver_task_event__init);

	if (m == NULL)
		return NULL;
	m->task_id = text(a, event->task_id);
	m->alloc_id = text(a, event->alloc_id);
	m->task_name = text(a, event->task_name);
	m->message = text(a, event->message);
	m->timestamp = time_encode(a, text_now_ns());
	KVS_ENCODE(a, m->n_annotations, m->annotations, Pb__DriverTaskEvent__AnnotationsEntry,
	    pb__driver_task_event__annotations_entry__init, &event->annotations);
	return m;
}

Pb__DriverCapabilities *
capabilities_encode(struct arena *a, const struct drv_capabilities *c)
{
	Pb__DriverCapabilities *m = MESSAGE(a, Pb__DriverCapabilities, pb__driver_capabilities__init);

	if (m == NULL)
		return NULL;
	m->send_signals = c->send_signals;
	m->exec = c->exec;
	m->fs_isolation = (Pb__DriverCapabilities__FsIsolation)c->fs;
	m->must_create_network = c->must_create_network;
	m->mount_configs = c->no_mounts ? PB__DRIVER_CAPABILITIES__MOUNT_CONFIGS__NO_MOUNTS
					: PB__DRIVER_CAPABILITIES__MOUNT_CONFIGS__ANY_MOUNTS;
	m->disable_log_collection = c->disable_log_collection;
	m->dynamic_workload_users = c->dynamic_workload_users;
	m->network_isolation_modes = arena_get(a, c->nmodes, sizeof(*m->network_isolation_modes));
	for (size_t i = 0; m->network_isolation_modes != NULL && i < c->nmodes; i++)
		m->network_isolation_modes[m->n_network_isolation_modes++] =
		    (Pb__NetworkIsolationSpec__Mode)c->modes[i];
	return m;
}
