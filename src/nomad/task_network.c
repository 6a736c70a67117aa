/*
 * The network of a task's pot: which it is, its ports, addresses, names and
 * name servers. In the child that makes the pot (task_make.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "model/name.h"
#include "nomad/task_make.h"

static bool
joins(const struct make *m)
{
	return m->t->net != NULL && m->t->net->path[0] != '\0' && m->t->net->mode != DRV_NET_HOST;
}

static const char *
given_bridge(const struct make *m)
{
	for (size_t i = 0; m->t->net != NULL && i < m->t->net->labels.n; i++)
		if (strcmp(m->t->net->labels.v[i].key, "pot_bridge") == 0)
			return m->t->net->labels.v[i].value;
	return NULL;
}

static const struct drv_port *
find_port(const struct make *m, const char *label)
{
	const struct drv_resources *r = &m->t->resources;

	for (size_t i = 0; i < r->nports; i++)
		if (strcmp(r->ports[i].label, label) == 0)
			return &r->ports[i];
	for (size_t n = 0; n < r->nnetworks; n++) {
		const struct drv_task_network *w = &r->networks[n];

		for (size_t i = 0; i < w->ndynamic; i++)
			if (strcmp(w->dynamic[i].label, label) == 0)
				return &w->dynamic[i];
		for (size_t i = 0; i < w->nreserved; i++)
			if (strcmp(w->reserved[i].label, label) == 0)
				return &w->reserved[i];
	}
	return NULL;
}

static int
no_such_port(const char *key, const char *label, struct err *e)
{
	err_set(e, E_INVAL, "config: %s: there is no port with the label %s", key, label);
	return err_hint(e, "network { port \"%s\" {} } in the group", label);
}

static void
publish(struct make *m, const struct drv_port *p, unsigned long inside)
{
	const char *ip = p->host_ip;
	bool any = ip[0] == '\0' || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
	bool v6 = strchr(ip, ':') != NULL;

	strv_fmt(&m->publish, "%s%s%s%s%d:%lu", !any && v6 ? "[" : "", any ? "" : ip, !any && v6 ? "]" : "",
	    any ? "" : ":", p->value, inside);
	strv_fmt(&m->publish, "%s%s%s%s%d:%lu/udp", !any && v6 ? "[" : "", any ? "" : ip,
	    !any && v6 ? "]" : "", any ? "" : ":", p->value, inside);
}

/* What the task is told of its port is the port inside, which only we know for port_map. */
static int
add_ports(struct make *m, bool bridged, struct err *e)
{
	const struct task_conf *c = m->c;
	char text[12];
	int rc = 0;

	for (size_t i = 0; i < c->ports.n && rc == 0; i++) {
		const struct drv_port *p = find_port(m, c->ports.v[i]);

		if (p == NULL)
			return no_such_port("ports", c->ports.v[i], e);
		snprintf(text, sizeof(text), "%d", p->to > 0 ? p->to : p->value);
		if (bridged)
			publish(m, p, strtoul(text, NULL, 10));
		rc = kv_add(&m->ports, p->label, text, e);
	}
	for (size_t i = 0; i + 1 < c->port_map.n && rc == 0; i += 2) {
		const struct drv_port *p = find_port(m, c->port_map.v[i]);
		struct drv_port by_env = { .label = c->port_map.v[i], .host_ip = "" };

		if (p == NULL) {
			const char *host =
			    make_env(m->t, make_keep(m, "NOMAD_HOST_PORT_%s", c->port_map.v[i]));

			by_env.value = host == NULL ? 0 : (int32_t)strtol(host, NULL, 10);
			if (by_env.value <= 0)
				return no_such_port("port_map", c->port_map.v[i], e);
			p = &by_env;
		}
		if (!bridged)
			continue;
		publish(m, p, strtoul(c->port_map.v[i + 1], NULL, 10));
		strv_fmt(&m->env, "NOMAD_PORT_%s=%s", p->label, c->port_map.v[i + 1]);
		rc = kv_add(&m->ports, p->label, c->port_map.v[i + 1], e);
	}
	return rc;
}

/* Which network it is: the agent's, the job's, or the usual one. */
static const char *
choose_mode(struct make *m)
{
	const char *mode = m->c->mode;

	if (joins(m))
		return "join";
	if (given_bridge(m) != NULL && mode == NULL)
		return "private-bridge";
	if (mode == NULL && m->t->net != NULL && m->t->net->mode == DRV_NET_NONE)
		return "none";
	if (mode == NULL)
		mode = m->s->d->conf.default_mode != NULL ? m->s->d->conf.default_mode : "public-bridge";
	return mode;
}

int
make_network(struct make *m, struct pot_create_args *a, struct err *e)
{
	const struct task_conf *c = m->c;
	const char *mode = m->mode = choose_mode(m);
	bool bridged = strcmp(mode, "public-bridge") == 0 || strcmp(mode, "private-bridge") == 0;

	if (strcmp(mode, "join") == 0) {
		a->network = "inherit";
		a->netns = m->t->net->path;
	} else if (strcmp(mode, "host") == 0 || strcmp(mode, "inherit") == 0) {
		a->network = "inherit";
	} else {
		a->network = mode;
	}
	if (strcmp(mode, "private-bridge") == 0) {
		const char *given = c->bridge != NULL ? c->bridge : given_bridge(m);

		if (given != NULL)
			strv_add(&m->bridges, given);
		else {
			net_bridge_name(m->t->alloc_id, m->bridge);
			strv_add(&m->bridges, m->bridge);
		}
		/* Under its own name the others of the group find it. */
		if (name_is_hostname(m->t->name) && strlen(m->t->name) < 64)
			strv_add(&m->names, m->t->name);
	}
	for (size_t i = 0; i < c->aliases.n && bridged; i++)
		if (m->names.n == 0 || strcmp(m->names.v[0], c->aliases.v[i]) != 0)
			strv_add(&m->names, c->aliases.v[i]);
	if (bridged || strcmp(mode, "alias") == 0)
		for (size_t i = 0; i < c->ips.n; i++)
			strv_add(&m->ips, c->ips.v[i]);
	a->stack = c->stack;
	return add_ports(m, bridged, e);
}

/* Name servers of the job's, in a file that is read when the pot is made. */
int
make_dns(struct make *m, struct pot_create_args *a, struct err *e)
{
	const struct drv_dns *g = m->t->dns;
	const struct task_conf *c = m->c;
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);
	AUTO(fd) int fd = -1;
	size_t from = g != NULL ? g->servers.n : 0;

	if (from == 0 && c->dns.n == 0 && c->dns_search.n == 0 && c->dns_options.n == 0 &&
	    (g == NULL || (g->searches.n == 0 && g->options.n == 0)))
		return 0;
	for (size_t i = 0; i < from; i++)
		buf_fmt(&b, "nameserver %s\n", g->servers.v[i]);
	for (size_t i = 0; i < c->dns.n; i++)
		buf_fmt(&b, "nameserver %s\n", c->dns.v[i]);
	if ((g != NULL && g->searches.n > 0) || c->dns_search.n > 0)
		buf_str(&b, "search");
	for (size_t i = 0; g != NULL && i < g->searches.n; i++)
		buf_fmt(&b, " %s", g->searches.v[i]);
	for (size_t i = 0; i < c->dns_search.n; i++)
		buf_fmt(&b, " %s", c->dns_search.v[i]);
	if ((g != NULL && g->searches.n > 0) || c->dns_search.n > 0)
		buf_str(&b, "\n");
	for (size_t i = 0; g != NULL && i < g->options.n; i++)
		buf_fmt(&b, "options %s\n", g->options.v[i]);
	for (size_t i = 0; i < c->dns_options.n; i++)
		buf_fmt(&b, "options %s\n", c->dns_options.v[i]);
	snprintf(m->resolv, sizeof(m->resolv), "%s/.nomad-resolv-XXXXXX", pot_root(m->ctx));
	fd = mkostemp(m->resolv, O_CLOEXEC);
	if (fd < 0) {
		m->resolv[0] = '\0';
		return err_sys(e, "cannot write a resolv.conf");
	}
	if (buf_check(&b, "dns", e) < 0 || write(fd, buf_cstr(&b), b.len) != (ssize_t)b.len)
		return err_sys(e, "cannot write a resolv.conf");
	a->dns = make_keep(m, "custom:%s", m->resolv);
	return 0;
}
