/* Looking at pots: lists and details, without locks and without changing anything. */
#include "engine/limit.h"
#include "engine/walls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "model/caps.h"

static void
summarize(const struct epot *p, struct pot_summary *s)
{
	const struct state_rec *r = &p->state.rec;

	memset(s, 0, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	s->state = r->state;
	snprintf(s->base, sizeof(s->base), "%s", r->base);
	snprintf(s->network, sizeof(s->network), "%s", r->network);
	s->pid = state_is_active(r) ? r->init.pid : 0;
	s->started_ns = r->started_ns;
	s->stopped_ns = r->stopped_ns;
	s->status = r->status;
	snprintf(s->ip, sizeof(s->ip), "%s", r->ip);
	snprintf(s->ports, sizeof(s->ports), "%s", r->ports);
	s->oom_killed = r->oom_kills > 0;
}

struct list {
	struct eng *g;
	pot_summary_fn *fn;
	void *arg;
};

/* The quick way: one open and one read a pot. 1 when it needs the way with repair. */
static int
read_quickly(struct list *l, const char *name, struct epot *p)
{
	char path[80];

	p->eng = l->g;
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(path, sizeof(path), "%s/state", name);
	p->state.fd = openat(l->g->pots_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return p->state.fd < 0 || state_reload(&p->state, NULL) < 0 || epot_is_broken(l->g, &p->state) ||
	    epot_is_abandoned(p);
}

/* While the builder lives it is nobody else's concern. */
static bool
is_builders(const struct epot *p)
{
	return (p->state.rec.flags & STATE_BUILD) != 0;
}

static int
list_one(void *arg, const char *name, struct err *e)
{
	struct list *l = arg;
	AUTO_FINI(epot) struct epot quick = EPOT_INIT;
	AUTO_FINI(epot) struct epot whole = EPOT_INIT;
	struct err own = ERR_INIT;
	struct pot_summary s;
	int rc;

	(void)e;
	if (read_quickly(l, name, &quick) == 0) {
		if (is_builders(&quick))
			return 0;
		summarize(&quick, &s);
		return l->fn(l->arg, &s);
	}
	rc = epot_get(&whole, l->g, name, EPOT_READ, &own);
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0)
		event_warn(&l->g->events, "%s", own.msg);
	/* One that cannot be repaired now is shown as it is. */
	if (whole.name[0] == '\0' || is_builders(&whole))
		return 0;
	summarize(&whole, &s);
	if (rc < 0)
		s.state = POT_FAILED;
	return l->fn(l->arg, &s);
}

int
eng_list(struct eng *g, pot_summary_fn *fn, void *arg, struct err *e)
{
	struct list l = { g, fn, arg };

	return epot_each(g, list_one, &l, e);
}

int
eng_exists(struct eng *g, const char *name, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	return rc == -E_NOENT ? 0 : rc < 0 ? rc : 1;
}

/* ---- details --------------------------------------------------------------- */

/* What the caller gets, with everything it points to. */
struct details {
	struct pot_info info; /* first: the caller's pointer */
	struct strv env, labels, hosts, hooks, strings, bridges, names, wall_values, fact_values;
	struct pot_setting *walls, *facts;
	struct pot_address *addresses;
	struct pot_port *ports;
	struct pot_interface *interfaces;
	struct pot_setting *attrs;
	struct pot_ulimit ulimits[LIMITS_NULIMITS];
	struct pot_io_limit io[LIMITS_IO_MAX];
	struct limits limits;
	char cpu_list[CPUS_TEXT], restart[40];
	struct pot_mount *mounts;
	struct potconf_mount *conf_mounts;
	struct pot_snapshot_info *snaps;
	size_t nsnaps, snaps_cap;
};

void
pot_info_free(struct pot_info *info)
{
	struct details *d = (struct details *)info;

	if (d == NULL)
		return;
	strv_fini(&d->env);
	strv_fini(&d->labels);
	strv_fini(&d->hosts);
	strv_fini(&d->hooks);
	strv_fini(&d->strings);
	strv_fini(&d->bridges);
	strv_fini(&d->names);
	strv_fini(&d->wall_values);
	strv_fini(&d->fact_values);
	free(d->walls);
	free(d->facts);
	free(d->addresses);
	free(d->ports);
	free(d->interfaces);
	potconf_mounts_free(d->conf_mounts, d->info.nmounts);
	free(d->attrs);
	free(d->mounts);
	free(d->snaps);
	free(d);
}

static void
add_all(const struct potconf *c, const char *key, struct strv *v)
{
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(&c->kv, key, &pos)) != NULL)
		strv_add(v, value);
}

static int
add_attrs(struct details *d, const struct epot *p, struct err *e)
{
	d->attrs = calloc(attr_count, sizeof(*d->attrs));
	if (d->attrs == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < attr_count; i++) {
		strv_add(&d->strings, epot_attr(p, &attr_table[i]));
		if (d->strings.failed)
			return err_nomem(e);
		d->attrs[i] = (struct pot_setting){ attr_table[i].name, d->strings.v[d->strings.n - 1],
			strcmp(d->strings.v[d->strings.n - 1], attr_table[i].def) == 0 };
	}
	d->info.attrs = d->attrs;
	d->info.nattrs = attr_count;
	return 0;
}

static int
add_mounts(struct details *d, const struct epot *p, struct err *e)
{
	int rc = potconf_mounts(&p->conf, &d->conf_mounts, &d->info.nmounts, e);

	if (rc < 0)
		return rc;
	d->mounts = calloc(d->info.nmounts + 1, sizeof(*d->mounts));
	if (d->mounts == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < d->info.nmounts; i++)
		d->mounts[i] = (struct pot_mount){ d->conf_mounts[i].source, d->conf_mounts[i].target,
			d->conf_mounts[i].ro, d->conf_mounts[i].idmap };
	d->info.mounts = d->mounts;
	return 0;
}

static int
add_snapshot(void *arg, const struct stor_snap *s)
{
	struct details *d = arg;
	struct pot_snapshot_info *si;

	if (d->nsnaps == d->snaps_cap) {
		size_t cap = d->snaps_cap == 0 ? 16 : d->snaps_cap * 2;

		si = reallocarray(d->snaps, cap, sizeof(*si));
		if (si == NULL)
			return -E_NOMEM;
		d->snaps = si;
		d->snaps_cap = cap;
	}
	si = &d->snaps[d->nsnaps++];
	snprintf(si->tag, sizeof(si->tag), "%.*s", (int)sizeof(si->tag) - 1, s->tag);
	si->created_ns = s->created;
	si->size = s->size;
	return 0;
}

static int
add_storage(struct details *d, struct epot *p, unsigned flags, struct err *e)
{
	struct stor_info si;
	int rc = eng_need_storage(p->eng, e);

	if (rc == 0)
		rc = stor_snap_list(p->eng->stor, epot_fs(p), add_snapshot, d, e);
	if (rc < 0)
		return rc;
	d->info.snapshots = d->snaps;
	d->info.nsnapshots = d->nsnaps;
	if ((flags & POT_INFO_SIZES) == 0)
		return 0;
	rc = stor_usage(p->eng->stor, epot_fs(p), &si, e);
	if (rc < 0)
		return rc;
	d->info.own_bytes = si.own;
	d->info.shared_bytes = si.shared;
	d->info.quota_bytes = si.quota;
	return 0;
}

/* ---- its network */

static int
add_addresses(struct details *d, const struct epot *p, struct err *e)
{
	bool bridged = network_is_bridged(potconf_get(&p->conf, PC_NETWORK, "inherit"));
	const char *text;
	size_t pos = 0, n = 0;

	while (kv_next(&p->conf.kv, PC_IP, &pos) != NULL)
		n++;
	d->addresses = calloc(n + 1, sizeof(*d->addresses));
	if (d->addresses == NULL)
		return err_nomem(e);
	for (pos = 0; (text = kv_next(&p->conf.kv, PC_IP, &pos)) != NULL;) {
		struct pot_address *a = &d->addresses[d->info.naddresses++];
		struct ip_prefix addr;
		int rc = network_address(text, a->where, &addr, e);

		if (rc < 0)
			return rc;
		if (bridged) {
			ip_print(&addr.addr, a->address);
			if (a->where[0] == '\0' && d->bridges.n > 0)
				snprintf(a->where, sizeof(a->where), "%.63s", d->bridges.v[0]);
		} else {
			ip_prefix_print(&addr, a->address);
		}
	}
	d->info.addresses = d->addresses;
	return 0;
}

static int
add_ports(struct details *d, const struct epot *p, struct err *e)
{
	AUTO_FREE struct port_map *v = NULL;
	int rc = epot_ports_new(&v, e);

	if (rc == 0)
		rc = epot_ports_get(p, v, &d->info.nports, e);
	if (rc < 0)
		return rc;
	d->ports = calloc(d->info.nports + 1, sizeof(*d->ports));
	if (d->ports == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < d->info.nports; i++) {
		d->ports[i] = (struct pot_port){
			.protocol = v[i].proto == PORT_UDP ? "udp" : "tcp", .host = v[i].host, .pot = v[i].pot
		};
		ip_print(&v[i].addr, d->ports[i].address);
	}
	d->info.ports = d->ports;
	return 0;
}

static int
add_interface(void *arg, const struct net_stats *s)
{
	struct details *d = arg;
	struct pot_interface *i = reallocarray(d->interfaces, d->info.ninterfaces + 1, sizeof(*i));

	if (i == NULL)
		return -E_NOMEM;
	d->interfaces = i;
	i += d->info.ninterfaces++;
	*i = (struct pot_interface){ .rx_bytes = s->rx_bytes,
		.tx_bytes = s->tx_bytes,
		.rx_packets = s->rx_packets,
		.tx_packets = s->tx_packets,
		.rx_errors = s->rx_errors,
		.tx_errors = s->tx_errors };
	snprintf(i->name, sizeof(i->name), "%s", s->ifname);
	return 0;
}

static int
add_network(struct details *d, struct epot *p, struct err *e)
{
	const struct state_rec *r = &p->state.rec;
	int rc = epot_bridges(p, &d->bridges, e);

	if (rc == 0)
		rc = add_addresses(d, p, e);
	if (rc == 0)
		rc = add_ports(d, p, e);
	if (rc < 0)
		return rc;
	add_all(&p->conf, PC_ALIAS, &d->names);
	d->info.net_in = strtoull(potconf_get(&p->conf, PC_NETIN, "0"), NULL, 10);
	d->info.net_out = strtoull(potconf_get(&p->conf, PC_NETOUT, "0"), NULL, 10);
	/* Counters of its own interfaces; it may end while we look. */
	if (state_is_active(r) && r->init.pid > 0 && network_is_bridged(r->network) &&
	    eng_need_net(p->eng, NULL) == 0)
		(void)!net_stats(p->eng->net, r->init.pid, add_interface, d, NULL);
	d->info.interfaces = d->interfaces;
	rc = strv_check(&d->names, "the names of the pot", e);
	d->info.bridges = (const char *const *)strv_argv(&d->bridges);
	d->info.nbridges = d->bridges.n;
	d->info.names = (const char *const *)strv_argv(&d->names);
	d->info.nnames = d->names.n;
	return rc;
}

/* ---- its walls */

/* As they are when it runs, else as they will be. */
static void
add_userns(struct details *d, struct epot *p)
{
	const struct iso_ref ref = epot_ref(p);
	struct pot_info *i = &d->info;
	bool active = state_is_active(&p->state.rec) && ref.init.pid > 0;
	AUTO(fd) int ns = -1;
	const char *why;

	if (active && iso_userns_of(&ref, &ns, &i->userns_first, &i->userns_ids, NULL) == 0) {
		why = walls_no_userns(p);
		if (i->userns_ids == 0)
			snprintf(i->userns_why, sizeof(i->userns_why), "%s",
			    *why != '\0' ? why : "the kernel or the file system cannot map its ids");
		return;
	}
	why = walls_no_userns(p);
	snprintf(i->userns_why, sizeof(i->userns_why), "%s", why);
	if (*why == '\0' && ids_find(p->eng, p->state.rec.id, &i->userns_first) == 1)
		i->userns_ids = IDS_PER_POT;
	else if (*why == '\0')
		snprintf(i->userns_why, sizeof(i->userns_why), "it gets its ids at the start");
}

/* It may end while we look. */
static int
add_facts(struct details *d, struct epot *p, struct err *e)
{
	const struct iso_ref ref = epot_ref(p);
	struct strv *v = &d->fact_values;

	if (!state_is_active(&p->state.rec) || ref.init.pid == 0 || iso_facts(&ref, v, NULL) < 0)
		return 0;
	d->facts = calloc(v->n / 2 + 1, sizeof(*d->facts));
	if (d->facts == NULL)
		return err_nomem(e);
	for (size_t i = 0; i + 1 < v->n; i += 2)
		d->facts[d->info.nfacts++] = (struct pot_setting){ v->v[i], v->v[i + 1], false };
	d->info.facts = d->facts;
	return 0;
}

static int
add_walls(struct details *d, struct epot *p, struct err *e)
{
	AUTO_FINI(buf) struct buf names = BUF_INIT(4096);
	struct pot_info *i = &d->info;
	const char *value;
	uint64_t caps;
	int rc = walls_caps(&p->conf, &caps, e);

	if (rc < 0)
		return rc;
	caps_print(caps, &names);
	snprintf(i->capabilities, sizeof(i->capabilities), "%s", buf_cstr(&names));
	i->privileged = walls_is(&p->conf, PC_PRIVILEGED);
	i->read_only = walls_is(&p->conf, PC_READONLY);
	i->no_new_privs = !i->privileged && potconf_attr_bool(&p->conf, "no_new_privs");
	value = potconf_get(&p->conf, PC_SECCOMP, "default");
	snprintf(i->seccomp, sizeof(i->seccomp), "%s",
	    i->privileged && strcmp(value, "default") == 0 ? "unconfined" : value);
	d->walls = calloc(p->conf.kv.n + 1, sizeof(*d->walls));
	if (d->walls == NULL)
		return err_nomem(e);
	for (size_t n = 0; n < walls_nrows; n++)
		for (size_t pos = 0; (value = kv_next(&p->conf.kv, walls_rows[n].key, &pos)) != NULL;) {
			strv_add(&d->wall_values, value);
			if (d->wall_values.failed)
				return err_nomem(e);
			d->walls[i->nwalls++] = (struct pot_setting){ walls_rows[n].name,
				d->wall_values.v[d->wall_values.n - 1], false };
		}
	i->walls = d->walls;
	add_userns(d, p);
	buf_reset(&names);
	iso_words(network_is_own(p->state.rec.network), i->userns_ids != 0, &names);
	snprintf(i->isolation, sizeof(i->isolation), "%s", buf_cstr(&names));
	i->has_capabilities = iso_has_capabilities;
	return add_facts(d, p, e);
}

/* ---- its limits */

static int
add_limits(struct details *d, const struct epot *p, struct err *e)
{
	struct pot_limits *o = &d->info.limits;
	struct limits *l = &d->limits;
	int rc = limits_read(&p->conf, l, e);

	if (rc == 0)
		rc = epot_cpus_get(p, d->cpu_list, e);
	if (rc < 0)
		return rc;
	*o = (struct pot_limits){ .memory = l->memory,
		.memory_swap = l->memory_swap,
		.memory_reservation = l->memory_reservation,
		.disk = l->disk,
		.cpus = l->cpus,
		.cpu_shares = l->cpu_shares,
		.cpu_quota = l->cpu_quota,
		.pids = l->pids_set ? l->pids : config_uint(p->eng->conf, "pids_limit"),
		.pids_default = !l->pids_set,
		.io_weight = l->io_weight,
		.cpu_list = d->cpu_list,
		.on_oom = limits_oom_names[l->on_oom],
		.restart = d->restart,
		.ulimits = d->ulimits,
		.io = d->io };
	limits_restart_print(l, d->restart, sizeof(d->restart));
	for (size_t u = 0; u < LIMITS_NULIMITS; u++)
		if (l->ulimit[u].set)
			d->ulimits[o->nulimits++] = (struct pot_ulimit){ limits_ulimit_names[u],
				l->ulimit[u].soft, l->ulimit[u].hard };
	for (size_t i = 0; i < l->nio; i++)
		d->io[o->nio++] = (struct pot_io_limit){ l->io[i].device[0] != '\0' ? l->io[i].device : NULL,
			l->io[i].rate[LIMITS_RBPS], l->io[i].rate[LIMITS_WBPS], l->io[i].rate[LIMITS_RIOPS],
			l->io[i].rate[LIMITS_WIOPS] };
	d->info.oom_kills = epot_oom_kills(p);
	return 0;
}

static void
add_texts(struct details *d, struct epot *p)
{
	struct pot_info *i = &d->info;
	const struct potconf *c = &p->conf;
	const char *storage = kv_get(&p->eng->node, "storage");

#define COPY(field, text) snprintf(field, sizeof(field), "%s", text)
	COPY(i->id, potconf_get(c, PC_ID, ""));
	COPY(i->type, potconf_get(c, PC_TYPE, "single"));
	COPY(i->parent, potconf_get(c, PC_PARENT, ""));
	COPY(i->hostname, potconf_get(c, PC_HOSTNAME, p->name));
	COPY(i->dns, potconf_get(c, PC_DNS, "inherit"));
	COPY(i->stack, potconf_get(c, PC_STACK, ""));
	COPY(i->command, potconf_get(c, PC_CMD, ""));
	COPY(i->storage, storage == NULL ? "" : storage);
	COPY(i->image, potconf_get(c, PC_IMAGE, ""));
	COPY(i->image_id, potconf_get(c, PC_IMAGE_ID, ""));
	COPY(i->user, potconf_get(c, PC_USER, ""));
	COPY(i->workdir, potconf_get(c, PC_WORKDIR, ""));
	COPY(i->netns, potconf_get(c, PC_NETNS, ""));
	COPY(i->cgroup, p->state.rec.cgroup);
#undef COPY
	snprintf(i->root_fs, sizeof(i->root_fs), "%s pots/%s", i->storage, p->name);
	i->level = (int)strtol(potconf_get(c, PC_LEVEL, "0"), NULL, 10);
	i->created_ns = p->state.rec.created_ns;
	i->runs = p->state.rec.runs;
	epot_exit_get(p, &i->last);
}

int
eng_runner(struct eng *g, const char *name, struct proc_id *id, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	if (rc < 0)
		return rc;
	*id = p.state.rec.shim;
	return state_is_active(&p.state.rec) && id->pid != 0;
}

int
eng_info(struct eng *g, const char *name, unsigned flags, struct pot_info **out, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct details *d;
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc < 0)
		return rc;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_nomem(e);
	d->fact_values.max = d->wall_values.max = d->env.max = d->hosts.max = d->hooks.max = d->strings.max =
	    d->bridges.max = d->names.max = d->labels.max = 100000;
	summarize(&p, &d->info.summary);
	add_texts(d, &p);
	add_all(&p.conf, PC_ENV, &d->env);
	add_all(&p.conf, PC_HOSTS, &d->hosts);
	add_all(&p.conf, PC_LABEL, &d->labels);
	for (int h = 0; h < HOOK_COUNT; h++)
		if (hook_is_set(&p, h))
			strv_add(&d->hooks, hook_names[h]);
	rc = add_attrs(d, &p, e);
	if (rc == 0)
		rc = add_limits(d, &p, e);
	if (rc == 0)
		rc = add_mounts(d, &p, e);
	if (rc == 0)
		rc = add_walls(d, &p, e);
	if (rc == 0)
		rc = add_network(d, &p, e);
	if (rc == 0)
		rc = add_storage(d, &p, flags, e);
	if (rc == 0)
		rc = strv_check(&d->env, "the environment", e);
	if (rc == 0)
		rc = strv_check(&d->hosts, "the hosts", e);
	if (rc < 0) {
		pot_info_free(&d->info);
		return rc;
	}
	d->info.env = (const char *const *)strv_argv(&d->env);
	d->info.nenv = d->env.n;
	if ((rc = strv_check(&d->labels, "the labels", e)) < 0) {
		pot_info_free(&d->info);
		return rc;
	}
	d->info.labels = (const char *const *)strv_argv(&d->labels);
	d->info.nlabels = d->labels.n;
	d->info.hosts = (const char *const *)strv_argv(&d->hosts);
	d->info.nhosts = d->hosts.n;
	d->info.hooks = (const char *const *)strv_argv(&d->hooks);
	d->info.nhooks = d->hooks.n;
	*out = &d->info;
	return 0;
}
