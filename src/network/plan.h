/*
 * What must exist for a pot, decided from its specification and the records of its
 * bridges, before anything is touched. linux/ and freebsd/ make it in this order:
 *
 *   1. elements of the kinds NET_EL_SOURCE and NET_EL_TARGET (a link without one is mute: the rules fail closed)
 *   2. links: one message each: both names, MACs, master, group, one queue, inner end in the pot's
 *      namespace under its final name; then in the namespace addresses, up, routes
 *   3. rates
 *   4. the other elements, in one batch; read back
 *   5. aliases
 *   6. names (hosts.h)
 *
 * Backwards to take away. All of it follows from the pot's id and the leases. Pure.
 */
#ifndef NETWORK_PLAN_H
#define NETWORK_PLAN_H

#include "network/names.h"

enum net_elem_kind {
	/* of a pot */
	NET_EL_SOURCE, /* ifname (host end), mac, addr: what may come out of this link */
	NET_EL_TARGET, /* the same for an IPv6 address that it may advertise */
	NET_EL_PORT,   /* proto, addr (family 0: any), port -> to, to_port; the family is to's */
	NET_EL_OPEN,   /* to, proto, to_port: reachable directly (a routed prefix) */
	/* of a bridge */
	NET_EL_HAIRPIN, /* ifname: its pots reach each other's published ports */
	NET_EL_WITHIN,  /* ifname: its pots reach each other (not when isolated) */
	NET_EL_NAT6,    /* ifname: NAT66 */
};

struct net_elem {
	enum net_elem_kind kind;
	char ifname[NET_IFNAME];
	uint8_t mac[NET_MAC];
	enum port_proto proto;
	struct ip_addr addr, to;
	uint16_t port, to_port; /* host order */
};

struct net_route {
	struct ip_prefix dst; /* len 0: default */
	struct ip_addr via;   /* on the link */
};

/* A token bucket. 0: no limit. */
struct net_rate {
	uint64_t bytes_per_s;
	uint32_t burst; /* bytes */
};

#define NET_LINK_ADDRS 3
struct net_plan_link {
	char host[NET_IFNAME], inner[NET_IFNAME], bridge[NET_IFNAME]; /* bridge: its link's name */
	uint8_t host_mac[NET_MAC], inner_mac[NET_MAC];
	bool isolated; /* IFLA_BRPORT_ISOLATED on the host end: no frames between such ports */
	bool ip4, ip6; /* families of the inner end; without ip6: no link-local address there */
	size_t
	    naddrs; /* of the inner end; IPv6 with IFA_F_NODAD; a link-local one (from the MAC) is among them */
	struct ip_prefix addrs[NET_LINK_ADDRS];
	size_t nroutes;
	struct net_route routes[2];
	struct net_rate in,
	    out; /* in: to the pot (queue of the host end); out: from it (queue of the inner end) */
};

struct net_plan {
	uint32_t group;
	size_t nlinks;
	struct net_plan_link links[NET_BRIDGES_MAX];
	size_t nelems, cap;
	struct net_elem
	    *elems; /* in the order in which they are added; NET_EL_SOURCE and NET_EL_TARGET first */
	size_t naliases;
	const struct net_alias *aliases; /* borrowed from the specification */
};
#define NET_PLAN_INIT \
	{             \
		0     \
	}
void net_plan_fini(struct net_plan *);
DEFINE_AUTO_FINI(net_plan, struct net_plan)

/*
 * bridges[i] is the record of spec->leases[i].bridge. isolate: of the node. E_INVAL for what cannot be: a lease
 * outside its bridge, a port published on an address of a family that the pot has not, two ports alike.
 */
int net_plan_pot(struct net_plan *, const char *node, bool isolate, const struct net_spec *,
    const struct net_bridge *bridges, struct err *) MUST_CHECK;

struct net_bridge_plan {
	char ifname[NET_IFNAME];
	uint8_t mac[NET_MAC];
	uint32_t group;
	size_t naddrs;
	struct ip_prefix addrs[3]; /* gateways with the net's length; fe80::1/64 where there is IPv6 */
	bool ip4, ip6;
	size_t nelems;
	struct net_elem elems[3];
};
void net_plan_bridge(struct net_bridge_plan *, const char *node, bool isolate, const struct net_bridge *);

#endif
