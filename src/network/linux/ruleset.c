/*
 * The nftables rules of a node and the layout of their elements. Text and
 * bytes only; loading is nft_table.c's, elements travel with nft_elem.c.
 *
 * Why the rules are as they are:
 *  - Everything hangs on names: our bridges are the ones called pbNODE-*, so that
 *    neither a bridge nor a pot needs a rule. Packets that neither come
 *    from nor go to one of them pass each chain after one or two comparisons.
 *  - The nat chains see the first packet of a connection only.
 *  - A published port is looked up for traffic to an address of the host
 *    (fib), from outside and from the host itself; with its address first, then
 *    for any address.
 *  - 127.0.0.0/8 reaches pots because the bridges have route_localnet. What
 *    comes from a pot with such an address, or for one, is dropped before
 *    conntrack can turn it into something else (CVE-2020-8558).
 *  - A pot that asks for a published port of a neighbour on its own bridge
 *    is answered through us (masquerade), or the neighbour would answer directly, from a
 *    port that nobody asked. With br_netfilter the kernel turns such a packet round
 *    on the bridge, where it has no input interface any more (iif 0).
 *  - New connections to a pot are for published ports, or from its bridge; also from LAN
 *    hosts that route our range to this host, and from our other bridges.
 *  - The bridge family holds each link to its addresses (IPv4, ARP, IPv6, neighbour
 *    discovery), and no pot plays router. What each pot would say to all others when it
 *    starts, asking for routers and telling of groups, ends here: nobody listens, and
 *    it would make the 500th start slower than the first. There the node's links are told by their
 *    group: a kernel may lack the match on a bridge's name.
 */
#include <stdio.h>
#include <string.h>

#include "network/linux/ruleset.h"

#define RULESET_MAX 16384

/* In the texts: @B the quoted pattern of our bridges' names, @G the group of our links. */

static const char *const inet_sets[] = {
	"map port4a { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }",
	"map port4 { type inet_proto . inet_service : ipv4_addr . inet_service; }",
	"map port6a { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }",
	"map port6 { type inet_proto . inet_service : ipv6_addr . inet_service; }",
	"set open6 { type ipv6_addr . inet_proto . inet_service; }",
	"set hairpin { type ifname . ifname; }",
	"set within { type ifname . ifname; }",
	"set nat6 { type ifname; }",
	NULL,
};

static const char *const bridge_sets[] = {
	"set source4 { type ifname . ether_addr . ipv4_addr; }",
	"set source6 { type ifname . ether_addr . ipv6_addr; }",
	/* The address that an advertisement is about; by its place, for nftables before 1.0.7. */
	"set target6 { typeof iifname . ether saddr . @th,64,128; }",
	NULL,
};

struct chain {
	bool bridge;
	const char *name;
	const char *hook; /* NULL: jumped to, and stands before those that do */
	const char *const *rules;
};
#define RULES(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static const struct chain chains[] = {
	{ false, "guard", "type filter hook prerouting priority -300;",
	    RULES("iifname @B ip saddr 127.0.0.0/8 drop", "iifname @B ip daddr 127.0.0.0/8 drop") },
	{ false, "publish", NULL,
	    RULES("meta l4proto != { tcp, udp } accept",
		"dnat ip to meta l4proto . ip daddr . th dport map @port4a",
		"dnat ip to meta l4proto . th dport map @port4",
		"dnat ip6 to meta l4proto . ip6 daddr . th dport map @port6a",
		"dnat ip6 to meta l4proto . th dport map @port6") },
	{ false, "prerouting", "type nat hook prerouting priority -100;",
	    RULES("fib daddr type local goto publish") },
	{ false, "output", "type nat hook output priority -100;",
	    RULES("fib daddr type local goto publish") },
	{ false, "to_pot_nat", NULL,
	    RULES("ip saddr 127.0.0.0/8 masquerade", "ip6 saddr ::1 masquerade",
		"fib saddr type local accept", "ct status dnat iifname . oifname @hairpin masquerade",
		"ct status dnat iif 0 masquerade") },
	{ false, "from_pot_nat", NULL,
	    RULES("meta nfproto ipv4 masquerade", "meta nfproto ipv6 iifname @nat6 masquerade") },
	{ false, "postrouting", "type nat hook postrouting priority 100;",
	    RULES("oifname @B goto to_pot_nat", "iifname @B goto from_pot_nat") },
	{ false, "to_pot", NULL,
	    RULES("ct state established,related accept", "ct status dnat accept",
		"iifname . oifname @within accept", "ip6 daddr . meta l4proto . th dport @open6 accept",
		"iifname != @B oifname != @nat6 icmpv6 type echo-request accept", "drop") },
	{ false, "forward", "type filter hook forward priority 0;", RULES("oifname @B goto to_pot") },
	{ true, "source", "type filter hook prerouting priority -300;",
	    RULES("iifgroup != @G accept", "ether type ip iifname . ether saddr . ip saddr @source4 accept",
		"ether type arp iifname . arp saddr ether . arp saddr ip @source4 accept",
		"icmpv6 type { nd-router-advert, nd-redirect, nd-router-solicit } drop",
		"icmpv6 type { mld-listener-report, mld2-listener-report, mld-listener-done } drop",
		"icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @target6 drop",

		"ether type ip6 iifname . ether saddr . ip6 saddr @source6 accept",
		"ip6 saddr :: meta l4proto icmpv6 accept", "drop") },
};

/* ---- text -------------------------------------------------------------------- */

static void
add_rule(struct buf *b, const char *rule, const char *node)
{
	char prefix[NET_IFNAME];

	net_name_bridge_prefix(node, prefix);
	for (; *rule != '\0'; rule++) {
		if (rule[0] == '@' && rule[1] == 'B') {
			buf_fmt(b, "\"%s*\"", prefix);
			rule++;
		} else if (rule[0] == '@' && rule[1] == 'G') {
			buf_fmt(b, "%u", net_name_group(node));
			rule++;
		} else {
			buf_add(b, rule, 1);
		}
	}
}

static void
add_body(struct buf *b, const char *node, bool bridge)
{
	const char *const *sets = bridge ? bridge_sets : inet_sets;

	for (; *sets != NULL; sets++)
		buf_fmt(b, "\t%s\n", *sets);
	for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
		if (chains[i].bridge != bridge)
			continue;
		buf_fmt(b, "\tchain %s {\n", chains[i].name);
		if (chains[i].hook != NULL)
			buf_fmt(b, "\t\t%s policy accept;\n", chains[i].hook);
		for (const char *const *r = chains[i].rules; *r != NULL; r++) {
			buf_str(b, "\t\t");
			add_rule(b, *r, node);
			buf_str(b, "\n");
		}
		buf_str(b, "\t}\n");
	}
}

/* Adding before deleting: deleting what is not there would fail the transaction. */
static void
add_removal(struct buf *b, const char *family, const char *table)
{
	buf_fmt(b, "table %s %s {\n}\ndelete table %s %s\n", family, table, family, table);
}

void
net_ruleset_remove(const struct net_ruleset_args *a, struct buf *b)
{
	char table[NET_TABLE_NAME];

	net_name_table(a->node, table);
	add_removal(b, "inet", table);
	if (a->bridge_family)
		add_removal(b, "bridge", table);
}

int
net_ruleset_hash(const struct net_ruleset_args *a, char out[static NET_RULES_HASH], struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RULESET_MAX);
	uint64_t h = 0xcbf29ce484222325u;
	int r;

	add_body(&b, a->node, false);
	if (a->bridge_family)
		add_body(&b, a->node, true);
	if ((r = buf_check(&b, "the rules", e)) < 0)
		return r;
	for (size_t i = 0; i < b.len; i++)
		h = (h ^ (uint8_t)b.data[i]) * 0x100000001b3u;
	snprintf(out, NET_RULES_HASH, "%016llx", (unsigned long long)h);
	return 0;
}

int
net_ruleset(const struct net_ruleset_args *a, struct buf *b, struct err *e)
{
	char table[NET_TABLE_NAME], hash[NET_RULES_HASH];
	int r;

	if ((r = net_ruleset_hash(a, hash, e)) < 0)
		return r;
	net_name_table(a->node, table);
	net_ruleset_remove(a, b);
	buf_fmt(b, "table inet %s {\n\tcomment \"" NET_RULES_COMMENT "%s\"\n", table, hash);
	add_body(b, a->node, false);
	buf_str(b, "}\n");
	if (a->bridge_family) {
		buf_fmt(b, "table bridge %s {\n", table);
		add_body(b, a->node, true);
		buf_str(b, "}\n");
	}
	return buf_check(b, "the rules", e);
}

bool
net_ruleset_chain(const struct net_ruleset_args *a, size_t i, struct net_rules_chain *out)
{
	const char *const *r;

	if (i >= ARRAY_LEN(chains) || (chains[i].bridge && !a->bridge_family))
		return false; /* those of the bridge family are last */
	*out = (struct net_rules_chain){ .bridge = chains[i].bridge, .name = chains[i].name };
	for (r = chains[i].rules; *r != NULL; r++)
		out->rules++;
	return true;
}

/* ---- elements ------------------------------------------------------------------ */

static void
field(uint8_t *to, unsigned *len, const void *data, size_t size)
{
	memcpy(to + *len, data, size);
	*len += (unsigned)(size + 3) & ~3u;
}

static void
field_name(uint8_t *to, unsigned *len, const char *ifname)
{
	char padded[NET_IFNAME] = "";

	memcpy(padded, ifname, strnlen(ifname, NET_IFNAME - 1));
	field(to, len, padded, sizeof(padded));
}

static void
field_proto(uint8_t *to, unsigned *len, enum port_proto proto)
{
	field(to, len, &(uint8_t){ (uint8_t)proto }, 1);
}

static void
field_port(uint8_t *to, unsigned *len, uint16_t port)
{
	field(to, len, (const uint8_t[]){ (uint8_t)(port >> 8), (uint8_t)port }, 2);
}

static void
field_addr(uint8_t *to, unsigned *len, const struct ip_addr *a)
{
	field(to, len, a->b, a->family == 4 ? 4 : 16);
}

static void
raw_port(const struct net_elem *el, struct net_elem_raw *raw)
{
	bool any = el->addr.family == 0;

	if (el->to.family == 4)
		raw->set = any ? "port4" : "port4a";
	else
		raw->set = any ? "port6" : "port6a";
	field_proto(raw->key, &raw->key_len, el->proto);
	if (!any)
		field_addr(raw->key, &raw->key_len, &el->addr);
	field_port(raw->key, &raw->key_len, el->port);
	field_addr(raw->data, &raw->data_len, &el->to);
	field_port(raw->data, &raw->data_len, el->to_port);
}

bool
net_elem_raw(const struct net_ruleset_args *a, const struct net_elem *el, struct net_elem_raw *raw)
{
	*raw = (struct net_elem_raw){ .bridge = el->kind <= NET_EL_TARGET };
	switch (el->kind) {
	case NET_EL_SOURCE:
	case NET_EL_TARGET:
		raw->set = el->kind == NET_EL_TARGET ? "target6"
		    : el->addr.family == 4           ? "source4"
						     : "source6";
		field_name(raw->key, &raw->key_len, el->ifname);
		field(raw->key, &raw->key_len, el->mac, NET_MAC);
		field_addr(raw->key, &raw->key_len, &el->addr);
		return a->bridge_family;
	case NET_EL_PORT:
		raw_port(el, raw);
		return true;
	case NET_EL_OPEN:
		raw->set = "open6";
		field_addr(raw->key, &raw->key_len, &el->to);
		field_proto(raw->key, &raw->key_len, el->proto);
		field_port(raw->key, &raw->key_len, el->to_port);
		return true;
	case NET_EL_HAIRPIN:
	case NET_EL_WITHIN:
		raw->set = el->kind == NET_EL_HAIRPIN ? "hairpin" : "within";
		field_name(raw->key, &raw->key_len, el->ifname);
		field_name(raw->key, &raw->key_len, el->ifname);
		return true;
	case NET_EL_NAT6:
		raw->set = "nat6";
		field_name(raw->key, &raw->key_len, el->ifname);
		return true;
	}
	return false;
}

static void
number_text(const struct ip_addr *a, char out[static IP_TEXT])
{
	snprintf(out, IP_TEXT, "0x");
	for (size_t i = 0; i < 16; i++)
		snprintf(out + 2 + 2 * i, 3, "%02x", a->b[i]);
}

static void
text_key(const struct net_elem *el, struct buf *b)
{
	char addr[IP_TEXT], to[IP_TEXT];

	ip_print(&el->addr, addr);
	ip_print(&el->to, to);
	switch (el->kind) {
	case NET_EL_SOURCE:
	case NET_EL_TARGET:
		if (el->kind == NET_EL_TARGET) /* of no type that has addresses: a number */
			number_text(&el->addr, addr);
		buf_fmt(b, "\"%s\" . %02x:%02x:%02x:%02x:%02x:%02x . %s", el->ifname, el->mac[0], el->mac[1],
		    el->mac[2], el->mac[3], el->mac[4], el->mac[5], addr);
		break;
	case NET_EL_PORT:
		buf_fmt(b, "%d . ", (int)el->proto);
		if (el->addr.family != 0)
			buf_fmt(b, "%s . ", addr);
		buf_fmt(b, "%u : %s . %u", el->port, to, el->to_port);
		break;
	case NET_EL_OPEN:
		buf_fmt(b, "%s . %d . %u", to, (int)el->proto, el->to_port);
		break;
	case NET_EL_HAIRPIN:
	case NET_EL_WITHIN:
		buf_fmt(b, "\"%s\" . \"%s\"", el->ifname, el->ifname);
		break;
	case NET_EL_NAT6:
		buf_fmt(b, "\"%s\"", el->ifname);
		break;
	}
}

void
net_elem_text(const struct net_ruleset_args *a, const char *verb, const struct net_elem *el, struct buf *b)
{
	struct net_elem_raw raw;
	char table[NET_TABLE_NAME];

	if (!net_elem_raw(a, el, &raw))
		return;
	net_name_table(a->node, table);
	buf_fmt(b, "%s element %s %s %s { ", verb, raw.bridge ? "bridge" : "inet", table, raw.set);
	text_key(el, b);
	buf_str(b, " }\n");
}
