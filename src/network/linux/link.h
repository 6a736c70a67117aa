/*
 * Links, addresses and routes by rtnetlink: the bridges on the host and the
 * two ends of a pot's links. A socket belongs to the network namespace in
 * which it was made; `inner` is one made in a pot's.
 */
#ifndef NETWORK_LINUX_LINK_H
#define NETWORK_LINUX_LINK_H

#include <stdbool.h>

#include "network/linux/netlink.h"
#include "network/plan.h"

struct link_info {
	int index; /* 0: there is none of the name */
	uint32_t flags, group;
	int master;
	int nsid; /* of the namespace of the other end, -1 none */
	bool bridge;
};
/* 0 also when there is no such link: then index is 0. */
int link_get(struct nl_sock *, const char *name, struct link_info *, struct err *) MUST_CHECK;
/* Those of n names that there are, with one question. */
int link_get_all(struct nl_sock *, char (*names)[NET_IFNAME], size_t n, struct link_info *, size_t *nout,
    struct err *) MUST_CHECK;

/*
 * Makes the bridge or completes it; up last, so that one that is up has all it needs. *index of it.
 * Sysctls of the link are the caller's, between make and up.
 */
int link_bridge_make(struct nl_sock *, const struct net_bridge_plan *, int *index, struct err *) MUST_CHECK;
int link_bridge_up(struct nl_sock *, const struct net_bridge_plan *, int index, struct err *) MUST_CHECK;

/* The pair: the inner end at once in the namespace ns_fd under its final name. E_EXIST when the host end is there. */
int link_pair_make(struct nl_sock *, const struct net_plan_link *, uint32_t group, int bridge_index,
    int ns_fd, bool hairpin, struct err *) MUST_CHECK;
/*
 * Returns when frames pass between this host end and its bridge: carrier and the state of a port follow
 * a link's going up a little later. One that does not come up is left so after a second.
 */
int link_settle(struct nl_sock *, const struct net_plan_link *, int bridge_index, struct err *) MUST_CHECK;
/* All that is inside: addresses, up, routes. first: lo as well. */
int link_inner_set(struct nl_sock *inner, const struct net_plan_link *, bool first, struct err *) MUST_CHECK;

/* For a pot without links. */
int link_lo_up(struct nl_sock *inner, struct err *) MUST_CHECK;

/* Into a batch: an address without duplicate address detection; a route. */
void link_put_addr(struct nl_batch *, bool add, int index, const struct ip_prefix *, int allow);
void link_put_route(struct nl_batch *, int index, const struct net_route *);
void link_put_delete(struct nl_batch *, int index);
void link_put_master(struct nl_batch *, const char *name, int master); /* absent is fine */
/*
 * A port of a bridge. isolated: no frames between it and others such. hairpin: a frame may leave by
 * the port that it came from.
 */
void link_put_port(struct nl_batch *, const char *name, bool isolated, bool hairpin);

/* Absent is fine. The kernel takes its time (tens of ms) with a veth. */
int link_delete(struct nl_sock *, const char *name, struct err *) MUST_CHECK;
/* All links of a group, in one go; absent is fine. */
int link_delete_group(struct nl_sock *, uint32_t group, struct err *) MUST_CHECK;
/* Does the namespace of the other end live? False: the kernel is about to remove this link by itself. */
int link_peer_lives(struct nl_sock *, const struct link_info *, struct err *) MUST_CHECK; /* 1, 0 */
/* How this side calls a network namespace, as in link_info; -1: it has no name for it. */
int link_nsid(struct nl_sock *, int ns_fd, int *nsid, struct err *) MUST_CHECK;
typedef int link_fn(void *arg, const char *name, const char *kind, const struct link_info *);
int link_each(struct nl_sock *, link_fn *, void *arg, struct err *) MUST_CHECK;

/* Addresses on an interface by index. E_EXIST, E_NOENT when it is not there. */
int link_addr_add(struct nl_sock *, int index, const struct ip_prefix *, struct err *) MUST_CHECK;
int link_addr_del(struct nl_sock *, int index, const struct ip_prefix *, struct err *) MUST_CHECK;
/* Where has the host this address? *index 0: nowhere. */
int link_addr_find(struct nl_sock *, const struct ip_addr *, int *index, struct err *) MUST_CHECK;
/* 1: this interface has this IPv6 address, 0: not. Does not list the others. */
int link_addr_has6(struct nl_sock *, int index, const struct ip_addr *, struct err *) MUST_CHECK;
/* Interface of the route to the outside: E_NOENT when there is none. */
int link_default(struct nl_sock *, int family, int *index, struct err *) MUST_CHECK;

/* The network namespace of a process, as an fd. E_NOENT: it has ended. */
int link_netns(int32_t pid, struct err *) MUST_CHECK;
/*
 * A socket in a network namespace. Done in a short-lived child that shares our memory and fds: neither this thread
 * nor another is ever in the wrong namespace. ip6: router advertisements are turned off for the interfaces made
 * there from now on.
 */
int link_enter(int ns_fd, bool ip6, struct nl_sock *inner, struct err *) MUST_CHECK;

#endif
