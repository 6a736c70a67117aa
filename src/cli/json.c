/*
 * JSON for programs: keys in snake_case, sizes in bytes, times in RFC 3339,
 * null for what is not known. jansson does the work; out of memory shows as a
 * NULL object and is told when it is printed.
 */
#include <string.h>

#include "cli/cli.h"

json_t *
js_string(const char *s)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4 * 1024 * 1024);
	json_t *j;

	if (s == NULL)
		return json_null();
	j = json_string(s);
	if (j != NULL)
		return j;
	/* Not UTF-8 (a file name, a variable): JSON cannot carry it as it is. */
	text_escape(s, strlen(s), &b);
	return json_string(buf_cstr(&b));
}

json_t *
js_time(int64_t ns)
{
	char text[TEXT_TIME_LEN];

	if (ns == 0)
		return json_null();
	text_time_print(ns, true, text);
	return json_string(text);
}

json_t *
js_known(uint64_t v)
{
	return v == POT_UNKNOWN || v > INT64_MAX ? json_null() : json_integer((json_int_t)v);
}

json_t *
js_percent(double v)
{
	return v < 0 ? json_null() : json_real((double)(int64_t)(v * 100 + 0.5) / 100);
}

/* The words of a list for people. */
static json_t *
js_words(const char *text, const char *between)
{
	json_t *list = json_array();

	while (*text != '\0') {
		size_t n = strcspn(text, between);

		if (n > 0 && text[0] != '\xe2') /* "…" says that there are more */
			json_array_append_new(list, json_stringn(text, n));
		text += n;
		text += strspn(text, between);
	}
	return list;
}

json_t *
js_summary(const struct pot_summary *s)
{
	json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", js_string(s->name), "state",
	    pot_state_name(s->state), "base", js_string(s->base), "network", js_string(s->network), "pid",
	    s->pid > 0 ? json_integer(s->pid) : json_null(), "started_at", js_time(s->started_ns),
	    "stopped_at", js_time(s->stopped_ns), "exit_status",
	    s->status >= 0 ? json_integer(s->status) : json_null());

	json_object_set_new(o, "ip", js_words(s->ip, " "));
	json_object_set_new(o, "ports", js_words(s->ports, ", "));
	json_object_set_new(o, "oom_killed", json_boolean(s->oom_killed));
	return o;
}

json_t *
js_snapshot(const struct pot_snapshot_info *s)
{
	return json_pack("{s:o, s:o, s:I}", "tag", js_string(s->tag), "created_at", js_time(s->created_ns),
	    "size_bytes", (json_int_t)s->size);
}

static json_t *
js_strings(const char *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, js_string(v[i]));
	return list;
}

static json_t *
js_exit(const struct pot_exit *x)
{
	if (!x->known)
		return json_null();
	return json_pack("{s:i, s:o, s:o, s:o, s:b, s:i}", "status", x->status, "signal",
	    x->signal > 0 ? json_integer(x->signal) : json_null(), "time", js_time(x->time_ns), "reason",
	    js_string(x->reason[0] != '\0' ? x->reason : NULL), "oom_killed", (int)(x->oom_kills > 0),
	    "oom_kills", (int)x->oom_kills);
}

static void
add_lists(json_t *o, const struct pot_info *in)
{
	json_t *mounts = json_array(), *attrs = json_object(), *snaps = json_array();

	for (size_t i = 0; i < in->nmounts; i++)
		json_array_append_new(mounts,
		    json_pack("{s:o, s:o, s:b, s:b}", "source", js_string(in->mounts[i].source), "target",
			js_string(in->mounts[i].target), "read_only", (int)in->mounts[i].read_only, "idmap",
			(int)in->mounts[i].idmap));
	for (size_t i = 0; i < in->nattrs; i++)
		json_object_set_new(attrs, in->attrs[i].name, js_string(in->attrs[i].value));
	for (size_t i = 0; i < in->nsnapshots; i++)
		json_array_append_new(snaps, js_snapshot(&in->snapshots[i]));
	json_object_set_new(o, "env", js_strings(in->env, in->nenv));
	json_object_set_new(o, "hosts", js_strings(in->hosts, in->nhosts));
	json_object_set_new(o, "labels", js_strings(in->labels, in->nlabels));
	json_object_set_new(o, "hooks", js_strings(in->hooks, in->nhooks));
	json_object_set_new(o, "mounts", mounts);
	json_object_set_new(o, "attributes", attrs);
	json_object_set_new(o, "snapshots", snaps);
}

static void
add_sizes(json_t *o, const struct pot_info *in, bool sizes)
{
	json_object_set_new(o, "own_bytes", sizes ? json_integer((json_int_t)in->own_bytes) : json_null());
	json_object_set_new(
	    o, "shared_bytes", sizes ? json_integer((json_int_t)in->shared_bytes) : json_null());
	json_object_set_new(o, "quota_bytes",
	    sizes && in->quota_bytes > 0 ? json_integer((json_int_t)in->quota_bytes) : json_null());
}

static json_t *
js_interfaces(const struct pot_interface *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		const struct pot_interface *f = &v[i];

		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", f->name, "rx_bytes",
			(json_int_t)f->rx_bytes, "tx_bytes", (json_int_t)f->tx_bytes, "rx_packets",
			(json_int_t)f->rx_packets, "tx_packets", (json_int_t)f->tx_packets, "rx_errors",
			(json_int_t)f->rx_errors, "tx_errors", (json_int_t)f->tx_errors));
	}
	return list;
}

static json_t *
js_rate(uint64_t bps)
{
	return bps == 0 ? json_null() : json_integer((json_int_t)bps);
}

static void
add_network(json_t *o, const struct pot_info *in)
{
	json_t *addresses = json_array(), *ports = json_array();

	for (size_t i = 0; i < in->naddresses; i++) {
		const struct pot_address *a = &in->addresses[i];

		json_array_append_new(addresses,
		    json_pack("{s:o, s:s}", in->nbridges > 0 ? "bridge" : "interface",
			js_string(a->where[0] != '\0' ? a->where : NULL), "address", a->address));
	}
	for (size_t i = 0; i < in->nports; i++) {
		const struct pot_port *p = &in->ports[i];

		json_array_append_new(ports,
		    json_pack("{s:s, s:o, s:i, s:i}", "protocol", p->protocol, "address",
			js_string(p->address[0] != '\0' ? p->address : NULL), "host_port", (int)p->host,
			"pot_port", (int)p->pot));
	}
	json_object_set_new(o, "addresses", addresses);
	json_object_set_new(o, "bridges", js_strings(in->bridges, in->nbridges));
	json_object_set_new(o, "published", ports);
	json_object_set_new(o, "names", js_strings(in->names, in->nnames));
	json_object_set_new(o, "network_namespace", js_string(in->netns[0] != '\0' ? in->netns : NULL));
	json_object_set_new(o, "interfaces", js_interfaces(in->interfaces, in->ninterfaces));
	json_object_set_new(o, "net_in", js_rate(in->net_in));
	json_object_set_new(o, "net_out", js_rate(in->net_out));
}

static void
add_walls(json_t *o, const struct pot_info *in)
{
	json_t *caps = json_array(), *set = json_array(), *facts = json_object();
	size_t n;

	for (const char *c = in->capabilities; *c != '\0'; c += n, c += *c == ' ') {
		n = strcspn(c, " ");
		json_array_append_new(caps, json_stringn(c, n));
	}
	for (size_t i = 0; i < in->nwalls; i++)
		json_array_append_new(set,
		    json_pack(
			"{s:s, s:o}", "name", in->walls[i].name, "value", js_string(in->walls[i].value)));
	if (in->userns_ids != 0)
		json_object_set_new(o, "user_namespace",
		    json_pack("{s:I, s:I}", "first", (json_int_t)in->userns_first, "ids",
			(json_int_t)in->userns_ids));
	else
		json_object_set_new(o, "user_namespace", json_null());
	json_object_set_new(
	    o, "user_namespace_why", js_string(in->userns_why[0] != '\0' ? in->userns_why : NULL));
	json_object_set_new(o, "capabilities", in->has_capabilities ? caps : json_null());
	json_object_set_new(o, "seccomp", js_string(in->has_capabilities ? in->seccomp : NULL));
	json_object_set_new(
	    o, "no_new_privs", in->has_capabilities ? json_boolean(in->no_new_privs) : json_null());
	json_object_set_new(o, "privileged", json_boolean(in->privileged));
	json_object_set_new(o, "read_only", json_boolean(in->read_only));
	json_object_set_new(o, "walls", set);
	if (!in->has_capabilities)
		json_decref(caps);
	for (size_t i = 0; i < in->nfacts; i++)
		json_object_set_new(facts, in->facts[i].name, js_string(in->facts[i].value));
	json_object_set_new(o, "kernel", facts);
}

json_t *
js_info(const struct pot_info *in, bool sizes)
{
	json_t *o = js_summary(&in->summary);
	const char *parent = in->parent[0] != '\0' ? in->parent : NULL;
	const char *cgroup = in->cgroup[0] != '\0' ? in->cgroup : NULL;
	const char *command = in->command[0] != '\0' ? in->command : NULL;

	json_object_set_new(o, "id", js_string(in->id));
	json_object_set_new(o, "type", js_string(in->type));
	json_object_set_new(o, "level", json_integer(in->level));
	json_object_set_new(o, "parent", js_string(parent));
	json_object_set_new(o, "hostname", js_string(in->hostname));
	json_object_set_new(o, "image", js_string(in->image[0] != '\0' ? in->image : NULL));
	json_object_set_new(o, "image_id", js_string(in->image_id[0] != '\0' ? in->image_id : NULL));
	json_object_set_new(o, "user", js_string(in->user[0] != '\0' ? in->user : NULL));
	json_object_set_new(o, "workdir", js_string(in->workdir[0] != '\0' ? in->workdir : NULL));
	json_object_set_new(o, "dns", js_string(in->dns));
	json_object_set_new(o, "stack", js_string(in->stack));
	json_object_set_new(o, "storage", js_string(in->storage));
	json_object_set_new(o, "root_fs", js_string(in->root_fs));
	json_object_set_new(o, "created_at", js_time(in->created_ns));
	json_object_set_new(o, "command", js_string(command));
	json_object_set_new(o, "cgroup", js_string(cgroup));
	json_object_set_new(o, "isolation", js_string(in->isolation));
	json_object_set_new(o, "runs", json_integer((json_int_t)in->runs));
	json_object_set_new(o, "last_exit", js_exit(&in->last));
	add_sizes(o, in, sizes);
	add_lists(o, in);
	add_walls(o, in);
	add_network(o, in);
	json_object_set_new(o, "limits", js_limits(&in->limits));
	json_object_set_new(o, "oom_killed", json_boolean(in->oom_kills > 0));
	json_object_set_new(o, "oom_kills", json_integer((json_int_t)in->oom_kills));
	return o;
}

static void
add_traffic(json_t *o, const struct pot_stats *s)
{
	uint64_t rx = s->own_network ? 0 : POT_UNKNOWN, tx = rx;

	for (size_t i = 0; i < s->ninterfaces; i++) {
		rx += s->interfaces[i].rx_bytes;
		tx += s->interfaces[i].tx_bytes;
	}
	json_object_set_new(o, "net_rx_bytes", js_known(rx));
	json_object_set_new(o, "net_tx_bytes", js_known(tx));
	json_object_set_new(
	    o, "interfaces", s->own_network ? js_interfaces(s->interfaces, s->ninterfaces) : json_null());
}

json_t *
js_stats(const struct pot_stats *s, double cpu_percent)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "cpu_ns", s->cpu_ns },
		{ "cpu_user_ns", s->cpu_user_ns },
		{ "cpu_system_ns", s->cpu_system_ns },
		{ "cpu_throttled", s->cpu_throttled },
		{ "cpu_throttled_ns", s->cpu_throttled_ns },
		{ "memory_bytes", s->memory },
		{ "memory_limit_bytes", s->memory_limit },
		{ "memory_peak_bytes", s->memory_peak },
		{ "cache_bytes", s->cache },
		{ "swap_bytes", s->swap },
		{ "oom_kills", s->oom_kills },
		{ "pids", s->pids },
		{ "pids_limit", s->pids_limit },
		{ "io_read_bytes", s->read_bytes },
		{ "io_written_bytes", s->written_bytes },
		{ "io_reads", s->reads },
		{ "io_writes", s->writes },
	};
	json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", js_string(s->name), "state",
	    pot_state_name(s->state), "started_at", js_time(s->started_ns), "time", js_time(s->time_ns),
	    "cpu_percent", js_percent(cpu_percent));

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		json_object_set_new(o, numbers[i].key, js_known(numbers[i].value));
	json_object_set_new(o, "memory_percent", js_percent(stats_memory_percent(s)));
	add_traffic(o, s);
	return o;
}

static int
print_with(json_t *j, size_t flags, struct err *e)
{
	int rc;

	if (j == NULL)
		return err_nomem(e);
	rc = json_dumpf(j, stdout, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	json_decref(j);
	if (rc != 0)
		return err_set(e, E_SYS, "cannot write JSON to standard output");
	putchar('\n');
	return 0;
}

int
js_print(json_t *j, struct err *e)
{
	return print_with(j, JSON_INDENT(2), e);
}

int
js_print_line(json_t *j, struct err *e)
{
	return print_with(j, JSON_COMPACT, e);
}
