/*
 * From a specification to what must exist. Only arithmetic: no file is read
 * and nothing is asked of the host, so that every case can be tested.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/plan.h"

#define BURST_MIN (128 * 1024) /* two of the largest segments that offloading makes */
#define BURST_PER_S 50         /* or 20 ms: a timer tick of a slow kernel is 10 */

void
net_plan_fini(struct net_plan *p)
{
	free(p->elems);
	*p = (struct net_plan)NET_PLAN_INIT;
}

static struct net_elem *
add_elem(struct net_plan *p, enum net_elem_kind kind)
{
	if (p->nelems == p->cap) {
		size_t cap = p->cap == 0 ? 16 : 2 * p->cap;
		struct net_elem *v = reallocarray(p->elems, cap, sizeof(*v));

		if (v == NULL)
			return NULL;
		p->elems = v;
		p->cap = cap;
	}
	p->elems[p->nelems] = (struct net_elem){ .kind = kind };
	return &p->elems[p->nelems++];
}

static struct net_rate
rate_of(uint64_t bits_per_s)
{
	struct net_rate rate = { bits_per_s / 8, 0 };
	uint64_t burst;

	if (bits_per_s == 0)
		return rate;
	if (rate.bytes_per_s == 0)
		rate.bytes_per_s = 1;
	burst = rate.bytes_per_s / BURST_PER_S;
	rate.burst = burst < BURST_MIN ? BURST_MIN : burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst;
	return rate;
}

/* fe80:: and the MAC as RFC 4291 turns it into an identifier. */
static struct ip_prefix
link_local(const uint8_t mac[static NET_MAC])
{
	struct ip_prefix p = { { 6, { 0xfe, 0x80 } }, 64 };
	uint8_t *id = p.addr.b + 8;

	memcpy(id, mac, 3);
	id[0] ^= 2;
	id[3] = 0xff;
	id[4] = 0xfe;
	memcpy(id + 5, mac + 3, 3);
	return p;
}

/* ---- links ------------------------------------------------------------------------ */

static int
check_lease(const struct net_lease *l, const struct ip_addr *a, const struct ip_prefix *net,
    const struct ip_addr *gw, struct err *e)
{
	char addr[IP_TEXT], range[IP_TEXT];

	if (a->family == 0)
		return 0;
	if (net->addr.family == a->family && ip_in(net, a) && !ip_equal(a, gw))
		return 0;
	ip_print(a, addr);
	ip_prefix_print(net, range);
	return err_set(e, E_INVAL, "address %s: not one for a pot on the bridge '%s' (%s)", addr, l->bridge,
	    range[0] != '\0' ? range : "which has no range of this family");
}

static void
add_addr(struct net_plan_link *link, const struct ip_addr *a, unsigned len)
{
	link->addrs[link->naddrs++] = (struct ip_prefix){ *a, (uint8_t)len };
}

static void
add_default(struct net_plan_link *link, const struct ip_addr *gw)
{
	link->routes[link->nroutes++] = (struct net_route){ { { .family = gw->family }, 0 }, *gw };
}

static int
add_sources(struct net_plan *p, const struct net_plan_link *link, struct err *e)
{
	for (size_t i = 0; i < link->naddrs; i++) {
		bool ip6 = link->addrs[i].addr.family == 6;

		for (int k = 0; k <= ip6; k++) {
			struct net_elem *el = add_elem(p, k == 0 ? NET_EL_SOURCE : NET_EL_TARGET);

			if (el == NULL)
				return err_nomem(e);
			memcpy(el->ifname, link->host, sizeof(el->ifname));
			memcpy(el->mac, link->inner_mac, NET_MAC);
			el->addr = link->addrs[i].addr;
		}
	}
	return 0;
}

static int
plan_link(struct net_plan *p, size_t slot, bool isolate, const struct net_spec *s, const struct net_bridge *b,
    bool default4, bool default6, struct err *e)
{
	const struct net_lease *l = &s->leases[slot];
	struct net_plan_link *link = &p->links[p->nlinks++];
	int r;

	if (l->a4.family == 0 && l->a6.family == 0)
		return err_set(e, E_INVAL, "bridge '%s': the pot has no address on it", l->bridge);
	if ((r = check_lease(l, &l->a4, &b->net4, &b->gw4, e)) < 0 ||
	    (r = check_lease(l, &l->a6, &b->net6, &b->gw6, e)) < 0)
		return r;
	net_name_veth(s->id, (unsigned)slot, link->host);
	snprintf(link->inner, sizeof(link->inner), "eth%zu", slot);
	memcpy(link->bridge, b->ifname, sizeof(link->bridge));
	net_mac_pot(b->ifname, l->a4.family != 0 ? &l->a4 : &l->a6, link->inner_mac);
	net_mac_host_end(link->host, link->host_mac);
	link->isolated = isolate && b->is_public;
	link->ip4 = l->a4.family != 0;
	link->ip6 = l->a6.family != 0;
	if (link->ip4)
		add_addr(link, &l->a4, b->net4.len);
	if (link->ip6) {
		struct ip_prefix local = link_local(link->inner_mac);

		add_addr(link, &l->a6, b->net6.len);
		add_addr(link, &local.addr, local.len);
	}
	if (default4)
		add_default(link, &b->gw4);
	if (default6)
		add_default(link, &b->gw6);
	link->in = rate_of(s->in_bps);
	link->out = rate_of(s->out_bps);
	return add_sources(p, link, e);
}

/* The first lease with an address of the family, or nleases. */
static size_t
first_of(const struct net_spec *s, int family)
{
	size_t i;

	for (i = 0; i < s->nleases; i++) {
		if ((family == 4 ? s->leases[i].a4 : s->leases[i].a6).family != 0)
			break;
	}
	return i;
}

/* ---- ports -------------------------------------------------------------------------- */

static int
plan_port(struct net_plan *p, const struct port_map *m, const struct ip_addr *to, bool open, struct err *e)
{
	struct net_elem *el = add_elem(p, NET_EL_PORT);

	if (el == NULL)
		return err_nomem(e);
	el->proto = m->proto;
	el->addr = m->addr;
	el->port = m->host;
	el->to = *to;
	el->to_port = m->pot;
	if (!open)
		return 0;
	/* Two host ports may lead to one of the pot's: it is open once. */
	for (size_t i = 0; i < p->nelems; i++) {
		const struct net_elem *o = &p->elems[i];

		if (o->kind == NET_EL_OPEN && o->proto == m->proto && o->to_port == m->pot)
			return 0;
	}
	if ((el = add_elem(p, NET_EL_OPEN)) == NULL)
		return err_nomem(e);
	el->proto = m->proto;
	el->to = *to;
	el->to_port = m->pot;
	return 0;
}

static int
check_port(const struct net_spec *s, size_t i, bool has4, bool has6, struct err *e)
{
	const struct port_map *m = &s->ports[i];
	char text[PORT_TEXT];

	port_print(m, text);
	if (m->host == 0 || m->pot == 0)
		return err_set(e, E_INVAL, "port %s: without a number", text);
	if ((m->addr.family == 4 && !has4) || (m->addr.family == 6 && !has6)) {
		err_set(e, E_INVAL, "port %s: the pot has no IPv%d address", text, m->addr.family);
		return err_hint(
		    e, "create it with the stack dual, or publish on an address of the other family");
	}
	for (size_t j = 0; j < i; j++) {
		if (port_conflict(m, &s->ports[j]))
			return err_set(e, E_INVAL, "port %s: published twice", text);
	}
	return 0;
}

static int
plan_ports(struct net_plan *p, const struct net_spec *s, const struct net_bridge *bridges, struct err *e)
{
	size_t i4 = first_of(s, 4), i6 = first_of(s, 6);
	bool has4 = i4 < s->nleases, has6 = i6 < s->nleases;
	int r;

	for (size_t i = 0; i < s->nports; i++) {
		const struct port_map *m = &s->ports[i];

		if ((r = check_port(s, i, has4, has6, e)) < 0)
			return r;
		if (has4 && m->addr.family != 6 && (r = plan_port(p, m, &s->leases[i4].a4, false, e)) < 0)
			return r;
		if (has6 && m->addr.family != 4 &&
		    (r = plan_port(p, m, &s->leases[i6].a6, !bridges[i6].nat6, e)) < 0)
			return r;
	}
	return 0;
}

static int
check_aliases(const struct net_spec *s, struct err *e)
{
	if (s->naliases == 0)
		return err_set(e, E_INVAL, "a pot with aliases needs an address");
	if (s->naliases > NET_ALIASES_MAX)
		return err_set(e, E_LIMIT, "more than %d aliases", NET_ALIASES_MAX);
	for (size_t i = 0; i < s->naliases; i++) {
		const struct net_alias *a = &s->aliases[i];
		char text[IP_TEXT];

		ip_prefix_print(&a->addr, text);
		if (a->addr.addr.family == 0 || ip_is_loopback(&a->addr.addr)) {
			err_set(e, E_INVAL, "alias '%s': not an address for an interface", text);
			return err_hint(
			    e, "one of the host's network; 127.0.0.0/8 and ::1 stay with who has lo0");
		}
		if (strnlen(a->ifname, NET_IFNAME) == NET_IFNAME)
			return err_set(e, E_INVAL, "alias %s: the interface's name is longer than %d bytes",
			    text, NET_IFNAME - 1);
	}
	return 0;
}

static int
plan_bridges(struct net_plan *p, bool isolate, const struct net_spec *s, const struct net_bridge *bridges,
    struct err *e)
{
	size_t i4 = first_of(s, 4), i6 = first_of(s, 6);
	int r;

	if (s->nleases == 0)
		return err_set(e, E_INVAL, "a pot on a bridge needs an address");
	if (s->nleases > NET_BRIDGES_MAX)
		return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX);
	for (size_t i = 0; i < s->nleases; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(s->leases[i].bridge, s->leases[j].bridge) == 0)
				return err_set(e, E_INVAL, "bridge '%s': named twice", s->leases[i].bridge);
		}
		if ((r = plan_link(p, i, isolate, s, &bridges[i], i == i4, i == i6, e)) < 0)
			return r;
	}
	return plan_ports(p, s, bridges, e);
}

int
net_plan_pot(struct net_plan *p, const char *node, bool isolate, const struct net_spec *s,
    const struct net_bridge *bridges, struct err *e)
{
	int r;

	*p = (struct net_plan)NET_PLAN_INIT;
	if ((r = net_node_id_check(node, e)) < 0 || (r = net_pot_id_check(s->id, e)) < 0)
		return r;
	p->group = net_name_group(node);
	switch (s->type) {
	case NET_INHERIT:
	case NET_NONE:
		return 0;
	case NET_ALIAS:
		p->naliases = s->naliases;
		p->aliases = s->aliases;
		r = check_aliases(s, e);
		break;
	case NET_BRIDGE:
		r = plan_bridges(p, isolate, s, bridges, e);
		break;
	}
	if (r < 0)
		net_plan_fini(p);
	return r;
}

/* ---- bridges ----------------------------------------------------------------------------- */

void
net_plan_bridge(struct net_bridge_plan *p, const char *node, bool isolate, const struct net_bridge *b)
{
	enum net_elem_kind kinds[3];

	*p = (struct net_bridge_plan){ .group = net_name_group(node) };
	memcpy(p->ifname, b->ifname, sizeof(p->ifname));
	net_mac_bridge(b->ifname, p->mac);
	p->ip4 = b->gw4.family != 0;
	p->ip6 = b->gw6.family != 0;
	if (p->ip4)
		p->addrs[p->naddrs++] = (struct ip_prefix){ b->gw4, b->net4.len };
	if (p->ip6) {
		p->addrs[p->naddrs++] = (struct ip_prefix){ b->gw6, b->net6.len };
		p->addrs[p->naddrs++] = (struct ip_prefix){ { 6, { 0xfe, 0x80, [15] = 1 } }, 64 };
	}
	kinds[p->nelems++] = NET_EL_HAIRPIN;
	if (!isolate || !b->is_public)
		kinds[p->nelems++] = NET_EL_WITHIN;
	if (b->nat6 && p->ip6)
		kinds[p->nelems++] = NET_EL_NAT6;
	for (size_t i = 0; i < p->nelems; i++) {
		p->elems[i].kind = kinds[i];
		memcpy(p->elems[i].ifname, b->ifname, sizeof(p->elems[i].ifname));
	}
}
