/* Inside network only: records of bridges and the choice of their ranges. */
#ifndef NETWORK_BRIDGE_H
#define NETWORK_BRIDGE_H

#include "network/net_impl.h"

bool net_prefix_equal(const struct ip_prefix *, const struct ip_prefix *);
/* Writes the record; index is the number in the link's name. */
int net_bridge_write(const struct net *, const struct net_bridge *, unsigned index, struct err *) MUST_CHECK;
/* What the public bridge should be by the configuration; ranges not configured are those of old, or chosen. */
int net_bridge_public(
    const struct net *, const struct net_bridge *old, struct net_bridge *, struct err *) MUST_CHECK;

/* ---- range.c: pure but for the list it is given ------------------------------- */

struct net_ranges {
	struct ip_prefix *v;
	size_t n, cap;
};
#define NET_RANGES_INIT    \
	{                  \
		NULL, 0, 0 \
	}
void net_ranges_fini(struct net_ranges *);
DEFINE_AUTO_FINI(net_ranges, struct net_ranges)
int net_ranges_add(struct net_ranges *, const struct ip_prefix *, struct err *) MUST_CHECK;
const struct ip_prefix *net_ranges_clash(const struct net_ranges *, const struct ip_prefix *);
/*
 * The first free subnet of length len in `in`, beginning with the start-th one and going round.
 * false: none.
 */
bool net_range_find(const struct net_ranges *taken, const struct ip_prefix *in, unsigned len, unsigned start,
    struct ip_prefix *out);
/* Length of the smallest IPv4 subnet for so many pots: network, gateway and broadcast come on top. */
unsigned net_range_len(unsigned hosts);
/* The node's own /48 of unique local addresses (RFC 4193), and its index-th /64. */
struct ip_prefix net_range_ula(const char *node, unsigned index);
/* The index-th /64 of a routed prefix (a longer one is only its own 0th); false: it has not so many. */
bool net_range_routed(const struct ip_prefix *, unsigned index, struct ip_prefix *out);

#endif
