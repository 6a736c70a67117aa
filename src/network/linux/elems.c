/*
 * What the bridges themselves have in the rules: that their pots reach each
 * other, NAT66, and the way from a bridge's address to a resolver of the host's that listens
 * on 127.0.0.x only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "network/linux/os.h"

#define DNS_PORT 53

struct ip_addr
os_resolver(const struct net *n)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IP_TEXT);
	struct ip_addr a = { 0 };

	if (file_read(n->fd, OS_RESOLVER, &b, NULL) < 0 || ip_parse(buf_cstr(&b), &a, NULL) < 0 ||
	    a.family != 4 || !ip_is_loopback(&a))
		a.family = 0;
	return a;
}

size_t
os_elems_of_bridge(
    const struct net *n, const struct net_bridge *br, struct net_elem out[static OS_BRIDGE_ELEMS])
{
	static const enum port_proto protos[] = { PORT_UDP, PORT_TCP };
	struct ip_addr resolver = os_resolver(n);
	struct net_bridge_plan plan;
	size_t k;

	net_plan_bridge(&plan, n->node, n->isolate, br);
	memcpy(out, plan.elems, plan.nelems * sizeof(out[0]));
	k = plan.nelems;
	for (size_t i = 0; resolver.family == 4 && plan.ip4 && i < ARRAY_LEN(protos); i++)
		out[k++] = (struct net_elem){ .kind = NET_EL_PORT,
			.proto = protos[i],
			.addr = br->gw4,
			.port = DNS_PORT,
			.to = resolver,
			.to_port = DNS_PORT };
	return k;
}

struct elems {
	const struct net *n;
	struct net_os *os;
	const char *ifname;
	struct net_elem *v;
	size_t count;
	struct err *e;
};

static int
add_bridge_elems(void *arg, const struct net_bridge *br)
{
	struct elems *w = arg;
	struct link_info l;
	struct net_elem *v;
	int rc = 0;

	if (w->ifname != NULL && strcmp(br->ifname, w->ifname) != 0)
		return 0;
	rc = link_get(&w->os->rt, br->ifname, &l, w->e);
	if (rc < 0 || (l.index == 0 && w->ifname == NULL))
		return rc;
	v = reallocarray(w->v, w->count + OS_BRIDGE_ELEMS, sizeof(*v));
	if (v == NULL)
		return err_nomem(w->e);
	w->v = v;
	w->count += os_elems_of_bridge(w->n, br, v + w->count);
	return 0;
}

int
os_bridge_elems(
    struct net *n, struct net_os *os, const char *ifname, struct net_elem **v, size_t *count, struct err *e)
{
	struct elems w = { n, os, ifname, NULL, 0, e };
	int rc = net_bridge_list(n, add_bridge_elems, &w, e);

	*v = w.v;
	*count = w.count;
	return rc;
}
