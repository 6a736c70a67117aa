/* Shared by the two files that speak nf_tables. */
#ifndef NETWORK_LINUX_NFT_MSG_H
#define NETWORK_LINUX_NFT_MSG_H

#include "network/linux/netlink.h"

/* type: NFT_MSG_… */
void nft_begin(struct nl_batch *, uint16_t type, uint16_t flags, uint8_t family, const char *what, int allow);

#endif
