/*
 * pf rules of a node and of its pots, as text for pfctl(8), and what pfctl(8) says
 * about the main ruleset. Pure: also built and tested where there is no pf.
 *
 *   nat-anchor pot-nat         in the user's pf.conf; holds one line that leads to
 *     pot-nat/NODE             a few rules over tables of the bridges' ranges
 *   rdr-anchor of all below pot-rdr in the user's pf.conf
 *     pot-rdr/NODE-ID          one rule for each port and family of a pot
 */
#ifndef NETWORK_FREEBSD_RULES_H
#define NETWORK_FREEBSD_RULES_H

#include "network/plan.h"

#define RULES_NAT "pot-nat"
#define RULES_RDR "pot-rdr"
#define RULES_ANCHOR 64 /* PF_ANCHOR_NAME_SIZE: of one part of a path */
#define RULES_PATH (2 * RULES_ANCHOR)
/* What must stand in pf.conf, behind its options and before its filter rules. */
#define RULES_HOOKS "nat-anchor " RULES_NAT "\nrdr-anchor \"" RULES_RDR "/*\"\n"

/* "potNODEn", the group of all interfaces of a node: a group's name must not end in a digit. */
void rules_group(const char *node, char out[static NET_IFNAME]);
void rules_anchor_nat(const char *node, char out[static RULES_PATH]);
void rules_anchor_rdr(const char *node, const char *id, char out[static RULES_PATH]);

/* One bridge that exists, as far as rules care. */
struct rules_bridge {
	char ifname[NET_IFNAME];
	struct ip_prefix net4, net6; /* family 0: none */
	bool nat6;
};
struct rules_nat {
	const char *node;
	const struct rules_bridge *bridges;
	size_t nbridges;
	const struct strv *out4, *out6; /* interfaces by which packets leave the host */
};
/* Of pot-nat/NODE; "" where there is nothing to translate. */
void rules_nat_print(const struct rules_nat *, struct buf *);
/* Of pot-rdr/NODE-ID from the NET_EL_PORT elements of a plan; "" where there are none. */
void rules_rdr_print(const char *node, const struct net_elem *, size_t n, struct buf *);

/* Which of our anchors the main ruleset leads to, as "pfctl -s nat" prints it. */
void rules_hooks(const char *text, bool *nat, bool *rdr);

#endif
