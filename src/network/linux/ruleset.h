/*
 * The rules of a node as nftables text, and the layout of the elements that
 * pots, ports and bridges are in them. Fixed: made once, only elements
 * change. Pure; who loads it is elsewhere.
 */
#ifndef NETWORK_LINUX_RULESET_H
#define NETWORK_LINUX_RULESET_H

#include "network/plan.h"

struct net_ruleset_args {
	const char *node;   /* id */
	bool bridge_family; /* the kernel has nftables for bridges: sources are checked (else doctor warns) */
};

/*
 * One transaction that leaves exactly our tables with their rules and no elements, whatever was there under
 * their names. The table of the family inet carries the comment NET_RULES_COMMENT and the hash.
 */
#define NET_RULES_COMMENT "pot rules "
int net_ruleset(const struct net_ruleset_args *, struct buf *, struct err *) MUST_CHECK;
/* 16 hex digits over the rules: another text, another hash. */
#define NET_RULES_HASH 17
int net_ruleset_hash(
    const struct net_ruleset_args *, char out[static NET_RULES_HASH], struct err *) MUST_CHECK;
/* The transaction that takes the tables away (absent is fine). */
void net_ruleset_remove(const struct net_ruleset_args *, struct buf *);

/* The chains and how many rules each must have, for a check by dump; returns false past the last. */
struct net_rules_chain {
	bool bridge; /* family bridge, else inet */
	const char *name;
	unsigned rules;
};
bool net_ruleset_chain(const struct net_ruleset_args *, size_t i, struct net_rules_chain *);

/*
 * An element as the kernel takes it: fields in network order, each padded to four bytes, names to 16. data_len 0:
 * a set; else a map with this data. set: where it belongs. false: nothing of the kind here (no bridge family).
 */
#define NET_ELEM_KEY 48
#define NET_ELEM_DATA 24
struct net_elem_raw {
	bool bridge; /* family bridge, else inet */
	const char *set;
	uint8_t key[NET_ELEM_KEY], data[NET_ELEM_DATA];
	unsigned key_len, data_len;
};
bool net_elem_raw(const struct net_ruleset_args *, const struct net_elem *, struct net_elem_raw *);
/* The same as text, "add element …" (for one large transaction, and for people): verb "add", "delete", "get". */
void net_elem_text(const struct net_ruleset_args *, const char *verb, const struct net_elem *, struct buf *);

#endif
