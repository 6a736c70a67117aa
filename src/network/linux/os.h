/* What is kept open on Linux while an installation's network is: two sockets, made on first use. */
#ifndef NETWORK_LINUX_OS_H
#define NETWORK_LINUX_OS_H

#include "network/linux/link.h"
#include "network/linux/nft.h"
#include "network/net_impl.h"

struct net_os {
	struct nl_sock rt, nft;
	struct net_ruleset_args rules;
};
int os_get(struct net *, struct net_os **, struct err *) MUST_CHECK;

/* ---- what all pots share (shared.c) ---------------------------------------------- */

/* A bridge as it is on the host. */
struct os_bridge {
	struct net_bridge rec;
	int index;
};
/*
 * Makes table, sysctls and these bridges where they are missing. 1: rules or bridge had been
 * taken away from pots, which now lack elements or a bridge: net_repair.
 */
int os_ensure(struct net *, struct net_os *, struct os_bridge *, size_t n, struct err *) MUST_CHECK;
/* Is it there and complete? 1 (with its index), 0. */
int os_bridge_whole(struct net *, struct net_os *, struct os_bridge *, struct err *) MUST_CHECK;
/* The rules anew in one transaction, with the elements of all bridges that exist and these. */
int os_load_rules(struct net *, struct net_os *, const struct net_elem *, size_t n, struct err *) MUST_CHECK;
int os_remove_rules(struct net_os *, struct err *) MUST_CHECK;
/* What a bridge has in the rules: for its pots, and the way to the host's resolver. How many. */
#define OS_BRIDGE_ELEMS 5
#define OS_RESOLVER "resolver" /* file in ROOT/net */
size_t os_elems_of_bridge(
    const struct net *, const struct net_bridge *, struct net_elem out[static OS_BRIDGE_ELEMS]);
/* Those of all bridges that are on the host, of one when ifname is given. Caller frees. */
int os_bridge_elems(struct net *, struct net_os *, const char *ifname, struct net_elem **, size_t *n,
    struct err *) MUST_CHECK;
/* The host's resolver that only the host itself reaches (127.0.0.x), as net_resolv found it; family 0: none. */
struct ip_addr os_resolver(const struct net *);

/*
 * Where br_netfilter is on, a frame for a published port is turned round on the bridge itself, and one
 * that a pot sends to its own port must leave by the port it came from.
 */
bool os_hairpin(const struct net_spec *);

/* ---- rates (tc.c): a token bucket on what leaves an interface; no rate: none ------------- */
int os_rate(struct nl_sock *, const char *ifname, const struct net_rate *, struct err *) MUST_CHECK;

/* ---- sysctls (sysctl.c) ---------------------------------------------------------------- */

/* Forwarding; the values before are kept in ROOT/net/sysctl. The lock is held. */
int os_forwarding(const struct net *, bool ip4, bool ip6, struct err *) MUST_CHECK;
/* As they were, where nobody else has changed them since. */
int os_forwarding_restore(const struct net *, struct err *) MUST_CHECK;
/* For a bridge of ours. */
int os_bridge_sysctls(const struct net_bridge_plan *, struct err *) MUST_CHECK;
/* "ipv4/ip_forward" below /proc/sys/net: its value, -1 when there is no such. */
long os_sysctl_get(const char *path);

#endif
