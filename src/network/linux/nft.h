/*
 * nf_tables by raw netlink: the elements of our sets and maps, and a look at
 * our tables and at those of others. Tables and rules are made by pot-nft.
 */
#ifndef NETWORK_LINUX_NFT_H
#define NETWORK_LINUX_NFT_H

#include "network/linux/netlink.h"
#include "network/linux/ruleset.h"

int nft_open(struct nl_sock *, struct err *) MUST_CHECK;

/* All in one transaction. Elements that are there already are fine, also with other data: ours win. */
int nft_add(struct nl_sock *, const struct net_ruleset_args *, const struct net_elem *, size_t n,
    struct err *) MUST_CHECK;
/*
 * Those of these that are there with the same data (a port that another pot has got meanwhile stays its
 * own). After it the close of the socket waits for the kernel, 4 to 20 ms.
 */
int nft_del(struct nl_sock *, const struct net_ruleset_args *, const struct net_elem *, size_t n,
    struct err *) MUST_CHECK;
/* Reads them back: there[i] (may be NULL); 1 when all are there as they should be, else 0. */
int nft_have(struct nl_sock *, const struct net_ruleset_args *, const struct net_elem *, size_t n,
    bool *there, struct err *) MUST_CHECK;

/* Our tables as they should be? Fast: hash, chains and how many rules they hold at least. 1, 0. */
int nft_table_ok(struct nl_sock *, const struct net_ruleset_args *, struct err *) MUST_CHECK;
/* The same with every rule counted, for doctor. */
int nft_table_whole(struct nl_sock *, const struct net_ruleset_args *, struct err *) MUST_CHECK;
/* Does the kernel know nf_tables for bridges? 1, 0. */
int nft_bridge_family(struct nl_sock *, struct err *) MUST_CHECK;

/* Chains of everybody that see forwarded packets. */
struct nft_chain {
	uint8_t family; /* NFPROTO_… */
	char table[64], name[64];
	uint32_t hook; /* NF_INET_…, ~0: none */
	bool drops;    /* policy */
};
typedef int nft_chain_fn(void *arg, const struct nft_chain *);
int nft_chains(struct nl_sock *, nft_chain_fn *, void *arg, struct err *) MUST_CHECK;

#endif
