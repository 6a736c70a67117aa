/*
 * Names on the host and MAC addresses, all derived: from the node's id (8 hex
 * digits) what belongs to the node, from a pot's id (16) what belongs to the
 * pot. Nothing is looked up and two nodes on a host never meet. Pure.
 *
 *   table    pot-NODE         of the families inet and bridge
 *   bridge   pbNODE-N         N 0: the public one, else 1..9999, kept in its record
 *   veth     pvXXXXXXXXXXXXX  host end: pot id and slot in base 36, 15 bytes
 *   group    NODE as a number (IFLA_GROUP) on bridges and host ends: what a
 *            name of a fixed length cannot say, and one message deletes all
 */
#ifndef NETWORK_NAMES_H
#define NETWORK_NAMES_H

#include "network/network.h"

#define NET_TABLE_NAME 16
#define NET_BRIDGE_INDEX_MAX 9999
#define NET_MAC 6

/* E_INVAL unless exactly 8 (node) or 16 (pot) lower case hexadecimal digits. */
int net_node_id_check(const char *node, struct err *) MUST_CHECK;
int net_pot_id_check(const char *pot_id, struct err *) MUST_CHECK;

void net_name_table(const char *node, char out[static NET_TABLE_NAME]);
uint32_t net_name_group(const char *node); /* never 0, the group of everything else */
/* What all bridges of the node begin with: "pbNODE-"; a '*' behind it matches them in nftables. */
void net_name_bridge_prefix(const char *node, char out[static NET_IFNAME]);
void net_name_bridge(const char *node, unsigned index, char out[static NET_IFNAME]);
/* The host end of the link of a pot's slot-th interface (0..NET_BRIDGES_MAX-1: inside it is ethSLOT). */
void net_name_veth(const char *pot_id, unsigned slot, char out[static NET_IFNAME]);

/*
 * MAC of a pot's interface: from the bridge's name and the pot's address
 * there, which it has for life. An address that is given to another pot brings its
 * MAC along, so nobody's neighbour table is ever wrong. 02:… (IPv4), 06:…
 */
void net_mac_pot(const char *bridge_ifname, const struct ip_addr *, uint8_t out[static NET_MAC]);
/* Of the host end (fe:…: never the lowest on a bridge) and of the bridge itself (0a:…). */
void net_mac_host_end(const char *veth, uint8_t out[static NET_MAC]);
void net_mac_bridge(const char *bridge_ifname, uint8_t out[static NET_MAC]);

#endif
