/*
 * Inside network/freebsd only: interfaces, addresses and routes of the host and of a
 * jail, by ioctl(2) and the routing socket. No decision is made here; who calls holds
 * the network's lock where two could meet. Tests put a recorder in its place.
 */
#ifndef NETWORK_FREEBSD_LINK_H
#define NETWORK_FREEBSD_LINK_H

#include "network/plan.h"

/* Sockets, made on first use; -1 none yet. */
struct link_sys {
	int inet, inet6;
};
#define LINK_SYS_INIT  \
	{              \
		-1, -1 \
	}
void link_sys_fini(struct link_sys *);
DEFINE_AUTO_FINI(link_sys, struct link_sys)

/* The interface's number, which no other has meanwhile; 0 there is none. */
unsigned link_index(const char *name);
/* 1 there is such an interface (*up: IFF_UP), 0 not. */
int link_get(struct link_sys *, const char *name, bool *up, struct err *) MUST_CHECK;
/* Its description, which says what it belongs to, and its group. */
int link_label(
    struct link_sys *, const char *name, const char *group, const char *text, struct err *) MUST_CHECK;
/*
 * A bridge, or an epair whose a end gets the name; its b end's is then told. Both are
 * down and without addresses. E_EXIST: the name is taken.
 */
int link_bridge_make(struct link_sys *, const char *name, struct err *) MUST_CHECK;
int link_epair_make(
    struct link_sys *, const char *name, char inner[static NET_IFNAME], struct err *) MUST_CHECK;
/* Absent is fine. */
int link_destroy(struct link_sys *, const char *name, struct err *) MUST_CHECK;
int link_set_mac(
    struct link_sys *, const char *name, const uint8_t mac[static NET_MAC], struct err *) MUST_CHECK;
int link_up(struct link_sys *, const char *name, struct err *) MUST_CHECK;
/*
 * What IPv6 does there: with it, no duplicate is looked for and no router believed,
 * and no address appears by itself; without it, none at all. Before it is up.
 */
int link_ip6(struct link_sys *, const char *name, bool on, struct err *) MUST_CHECK;
/* IPv6: without duplicate address detection. There already: fine. */
int link_addr_add(struct link_sys *, const char *name, const struct ip_prefix *, struct err *) MUST_CHECK;
/* Absent is fine. */
int link_addr_del(struct link_sys *, const char *name, const struct ip_addr *, struct err *) MUST_CHECK;
/* 1 the interface has this address, 0 not. */
int link_addr_has(const char *name, const struct ip_addr *, struct err *) MUST_CHECK;
/* 1 and the interface that has it, 0 the host has no such address. */
int link_addr_where(const struct ip_addr *, char ifname[static NET_IFNAME], struct err *) MUST_CHECK;

/*
 * The member's frames come from this MAC address only, and nobody else draws frames for it; isolated:
 * no frames between such members. A member already: fine.
 */
int link_member_add(struct link_sys *, const char *bridge, const char *member,
    const uint8_t mac[static NET_MAC], bool isolated, struct err *) MUST_CHECK;
/* 1, 0. */
int link_member_is(struct link_sys *, const char *bridge, const char *member, struct err *) MUST_CHECK;

/* Who has an address on the interface, for good: no answer from there changes it. Known already: replaced. */
int link_neighbor_set(
    const char *ifname, const struct ip_addr *, const uint8_t mac[static NET_MAC], struct err *) MUST_CHECK;
/* Absent, or without the interface, is fine. */
int link_neighbor_del(const char *ifname, const struct ip_addr *, struct err *) MUST_CHECK;

/* The jail of a process; E_STATE when it has none or has ended. */
int link_jail_of(int32_t pid, int *jid, struct err *) MUST_CHECK;
/* Into the jail's own network, under the same name. */
int link_move(struct link_sys *, const char *name, int jid, struct err *) MUST_CHECK;

/*
 * Done inside a jail's network by a child that attaches itself: lo0 up; and with
 * a link its interface `from` renamed and given its addresses and routes.
 */
int link_inside(int jid, const char *from, const struct net_plan_link *, struct err *) MUST_CHECK;

/* Counters of the interfaces that it has there, but lo0. */
#define LINK_STATS_MAX 32
int link_inside_stats(int jid, struct net_stats v[static LINK_STATS_MAX], size_t *n, struct err *) MUST_CHECK;

/* Interfaces of a group: all that a node has made. */
typedef int link_name_fn(void *arg, const char *name, struct err *);
int link_group_each(struct link_sys *, const char *group, link_name_fn *, void *arg, struct err *) MUST_CHECK;
/* Interfaces by which packets leave this host: up, not loopback, with an address of the family. */
int link_outward_each(int family, link_name_fn *, void *arg, struct err *) MUST_CHECK;
/* The interface of the default route. E_NOENT: there is none. */
int link_default(int family, char ifname[static NET_IFNAME], struct err *) MUST_CHECK;

#endif
