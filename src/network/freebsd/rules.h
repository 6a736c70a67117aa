/*
 * pf rules of a node and of its pots, as text for pfctl(8), and what pfctl(8) says
 * about the main ruleset. Pure: also built and tested where there is no pf.
 *
 *   nat-anchor pot-nat         in the user's pf.conf; holds one line that leads to
 *     pot-nat/NODE             a few rules over tables of the bridges' ranges
 *   rdr-anchor of all below pot-rdr in the user's pf.conf
 *     pot-rdr/NODE-ID          two rules for each port and family of a pot
 *   anchor pot-filter          in the user's pf.conf; holds one line that leads to
 *     pot-filter/NODE          walls between bridges, and the way from the host itself
 *       pot-filter/NODE/ID     what a pot needs besides
 */
#ifndef NETWORK_FREEBSD_RULES_H
#define NETWORK_FREEBSD_RULES_H

#include "network/plan.h"

#define RULES_NAT "pot-nat"
#define RULES_RDR "pot-rdr"
#define RULES_FILTER "pot-filter"
#define RULES_ANCHOR 64 /* PF_ANCHOR_NAME_SIZE: of one part of a path */
#define RULES_PATH (2 * RULES_ANCHOR)
/* What must stand in pf.conf, behind its options and before its filter rules. */
#define RULES_HOOKS "nat-anchor " RULES_NAT "\nrdr-anchor \"" RULES_RDR "/*\"\nanchor " RULES_FILTER "\n"

/* "potNODEn", the group of all interfaces of a node: a group's name must not end in a digit. */
void rules_group(const char *node, char out[static NET_IFNAME]);
void rules_anchor_nat(const char *node, char out[static RULES_PATH]);
void rules_anchor_rdr(const char *node, const char *id, char out[static RULES_PATH]);
void rules_anchor_filter(const char *node, char out[static RULES_PATH]);
void rules_anchor_pot(const char *node, const char *id, char out[static RULES_PATH]);

/* One bridge that exists, as far as rules care. */
struct rules_bridge {
	char ifname[NET_IFNAME];
	struct ip_prefix net4, net6; /* family 0: none */
	struct ip_addr gw4, gw6;
	bool nat6;
};
struct rules_node {
	const char *node;
	const struct rules_bridge *bridges;
	size_t nbridges;
	const struct strv *out4, *out6; /* interfaces by which packets leave the host */
};
/* Of pot-nat/NODE and pot-filter/NODE; "" where there is no bridge. */
void rules_nat_print(const struct rules_node *, struct buf *);
void rules_filter_print(const struct rules_node *, struct buf *);
/* Of pot-rdr/NODE-ID from the NET_EL_PORT elements of a plan; "" where there are none. */
void rules_rdr_print(const char *node, const struct net_elem *, size_t n, struct buf *);

/* What a pot's own filter rules are made of besides its plan. */
struct rules_pot {
	const char *node;
	const struct net_plan *plan;
	bool members;                    /* pf sees the frames between members of a bridge */
	unsigned pipes[NET_BRIDGES_MAX]; /* of each link, see pipes.h; 0: no rates */
};
/* Of pot-filter/NODE/ID; "" where it needs none. */
void rules_pot_print(const struct rules_pot *, struct buf *);

/* A line that must stand in the user's rules. */
struct rules_hook {
	const char *kind, *name; /* of an anchor, as pfctl(8) prints it */
	const char *line;        /* what to write */
	const char *without;     /* what does not work where it is missing */
};
enum { RULES_HOOK_NAT, RULES_HOOK_RDR, RULES_HOOK_FILTER, RULES_HOOK_COUNT };
extern const struct rules_hook rules_hooks[RULES_HOOK_COUNT];
/* Does the main ruleset lead to it? text: all that "pfctl -s nat" and "pfctl -s rules" print. */
bool rules_hook_is(const struct rules_hook *, const char *text);

#endif
