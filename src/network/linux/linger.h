/* Waiting for the kernel where nobody should wait. */
#ifndef NETWORK_LINUX_LINGER_H
#define NETWORK_LINUX_LINGER_H

#include "network/linux/netlink.h"

/*
 * Sends the batch (may be empty) over rt in a process that outlives us, and closes nft there, both of which
 * may take the kernel tens of ms. nft is closed for us when this returns; without a process to be
 * had all is done here.
 */
int linger(struct nl_sock *rt, struct nl_batch *, struct nl_sock *nft, struct err *) MUST_CHECK;

#endif
