/*
 * Names of tables and links, and MAC addresses. No state, no system calls;
 * the shapes are in names.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/names.h"

#define VETH_DIGITS 13 /* of base 36: 36^13 > 2^67, an id of 64 bits and 8 slots */

static int
check_hex(const char *id, size_t len, const char *what, struct err *e)
{
	if (strlen(id) == len && strspn(id, "0123456789abcdef") == len)
		return 0;
	return err_set(e, E_INVAL, "%s '%.32s': not %zu hexadecimal digits", what, id, len);
}

int
net_node_id_check(const char *node, struct err *e)
{
	return check_hex(node, 8, "the node's id", e);
}

int
net_pot_id_check(const char *pot_id, struct err *e)
{
	return check_hex(pot_id, 16, "pot id", e);
}

void
net_name_table(const char *node, char out[static NET_TABLE_NAME])
{
	snprintf(out, NET_TABLE_NAME, "pot-%.8s", node);
}

uint32_t
net_name_group(const char *node)
{
	uint32_t group = (uint32_t)strtoul(node, NULL, 16);

	return group != 0 ? group : 1;
}

void
net_name_bridge_prefix(const char *node, char out[static NET_IFNAME])
{
	snprintf(out, NET_IFNAME, "pb%.8s-", node);
}

void
net_name_bridge(const char *node, unsigned index, char out[static NET_IFNAME])
{
	snprintf(out, NET_IFNAME, "pb%.8s-%u", node, index % (NET_BRIDGE_INDEX_MAX + 1));
}

void
net_name_veth(const char *pot_id, unsigned slot, char out[static NET_IFNAME])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned __int128 n =
	    (unsigned __int128)strtoull(pot_id, NULL, 16) * NET_BRIDGES_MAX + slot % NET_BRIDGES_MAX;

	memcpy(out, "pv", 2);
	for (size_t i = VETH_DIGITS; i-- > 0; n /= 36)
		out[2 + i] = digits[n % 36];
	out[2 + VETH_DIGITS] = '\0';
}

/* FNV-1a, with a last mixing: names differ in their last bytes only. */
static uint64_t
hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
	return h ^ (h >> 33);
}

static void
mac_of(uint8_t first, uint64_t h, uint8_t out[static NET_MAC])
{
	out[0] = first;
	for (size_t i = 1; i < NET_MAC; i++, h >>= 8)
		out[i] = (uint8_t)h;
}

void
net_mac_pot(const char *bridge_ifname, const struct ip_addr *a, uint8_t out[static NET_MAC])
{
	/* One byte tells bridges apart on a host's switch; the rest is the address, unique on its bridge. */
	mac_of(a->family == 4 ? 0x02 : 0x06, hash(bridge_ifname, strlen(bridge_ifname)), out);
	if (a->family == 4) {
		memcpy(out + 2, a->b, 4);
	} else {
		uint64_t h = hash(a->b, 16);

		for (size_t i = 2; i < NET_MAC; i++, h >>= 8)
			out[i] = (uint8_t)h;
	}
}

void
net_mac_host_end(const char *veth, uint8_t out[static NET_MAC])
{
	mac_of(0xfe, hash(veth, strlen(veth)), out);
}

void
net_mac_bridge(const char *bridge_ifname, uint8_t out[static NET_MAC])
{
	mac_of(0x0a, hash(bridge_ifname, strlen(bridge_ifname)), out);
}
