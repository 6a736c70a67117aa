/*
 * pf rules as text, see rules.h. Nothing here asks the system.
 *
 * Why the rules are as they are:
 *  - A pot needs no translation of its own: its bridge's range stands in a table, and
 *    one rule for each interface that leads outside covers them all. Start time
 *    stays flat; only published ports are a pot's own.
 *  - A port is published on every address of the host ("(self)", which pf keeps
 *    current), so pots reach it under the host's address too. Such packets carry
 *    a tag: a neighbour on the same bridge is answered through the bridge's address, or the
 *    answer would go another way than it came.
 *  - The host itself reaches a published port by lo0, on any of its addresses. What it sends
 *    there is turned to the pot like all else, under a tag of its own; but the answer, which
 *    is for an address of the host, would be given to the socket as it comes, from an
 *    address that nobody has called. So the state that leads to the pot sends answers
 *    to lo0 (reply-to), where the first state turns them back. There is no way out
 *    from lo0 for a packet with ::1 in it: it is put on the bridge by route-to, past the routing
 *    table; for the pot it comes from the bridge's address.
 *  - Filter rules are "quick", and never let pass what the user's might refuse, but for that
 *    way of the host to itself.
 *  - "rdr pass": the classic ones were, and a published port is meant to answer.
 *  - A pot's packets come from the range of its bridge, and none but published ports are
 *    reached from a pot on another bridge, or around the walls of its own (isolated) by
 *    the gateway. The bridges' own addresses are the host's: not in these tables.
 *  - No reload of the user's rules, ever: all of it hangs below three anchors.
 */
#include <stdio.h>
#include <string.h>

#include "network/freebsd/rules.h"

void
rules_group(const char *node, char out[static NET_IFNAME])
{
	snprintf(out, NET_IFNAME, "pot%.8sn", node);
}

void
rules_anchor_nat(const char *node, char out[static RULES_PATH])
{
	snprintf(out, RULES_PATH, RULES_NAT "/%.8s", node);
}

void
rules_anchor_rdr(const char *node, const char *id, char out[static RULES_PATH])
{
	snprintf(out, RULES_PATH, RULES_RDR "/%.8s-%.16s", node, id);
}

void
rules_anchor_filter(const char *node, char out[static RULES_PATH])
{
	snprintf(out, RULES_PATH, RULES_FILTER "/%.8s", node);
}

void
rules_anchor_pot(const char *node, const char *id, char out[static RULES_PATH])
{
	snprintf(out, RULES_PATH, RULES_FILTER "/%.8s/%.16s", node, id);
}

/* ---- translation ------------------------------------------------------------------ */

static bool
has(const struct rules_bridge *b, int family)
{
	return family == 4 ? b->net4.addr.family == 4 : b->net6.addr.family == 6;
}

static bool
any(const struct rules_node *r, int family)
{
	for (size_t i = 0; i < r->nbridges; i++)
		if (has(&r->bridges[i], family))
			return true;
	return false;
}

static bool
any_nat6(const struct rules_node *r)
{
	for (size_t i = 0; i < r->nbridges; i++)
		if (has(&r->bridges[i], 6) && r->bridges[i].nat6)
			return true;
	return false;
}

/* "table <NAME> const { … }": ranges of all bridges, or of those that NAT66 is for. */
static void
print_table(const struct rules_node *r, const char *name, int family, bool nat6_only, struct buf *out)
{
	buf_fmt(out, "table <%s> const {", name);
	for (size_t i = 0; i < r->nbridges; i++) {
		const struct rules_bridge *b = &r->bridges[i];
		struct ip_prefix net = family == 4 ? b->net4 : b->net6;
		char text[IP_TEXT];

		if (!has(b, family) || (nat6_only && !b->nat6))
			continue;
		net.addr = ip_network(&net);
		ip_prefix_print(&net, text);
		buf_fmt(out, " %s", text);
	}
	buf_str(out, " }\n");
}

/* What came by a published port and goes back to the bridge that it came from. */
static void
print_hairpins(const struct rules_node *r, int family, struct buf *out)
{
	const char *af = family == 4 ? "inet" : "inet6";

	for (size_t i = 0; i < r->nbridges; i++) {
		const struct rules_bridge *b = &r->bridges[i];
		struct ip_prefix net = family == 4 ? b->net4 : b->net6;
		char text[IP_TEXT];

		if (!has(b, family))
			continue;
		net.addr = ip_network(&net);
		ip_prefix_print(&net, text);
		buf_fmt(out, "nat on \"%s\" %s from %s to %s tagged pot%s -> (\"%s:0\")\n", b->ifname, af,
		    text, text, r->node, b->ifname);
	}
}

/* The host's own address on lo0 means nothing to a pot. */
static void
print_local(const struct rules_node *r, int family, struct buf *out)
{
	for (size_t i = 0; i < r->nbridges; i++)
		if (has(&r->bridges[i], family))
			buf_fmt(out, "nat on \"%s\" %s from %s to any tagged pot%sl -> (\"%s:0\")\n",
			    r->bridges[i].ifname, family == 4 ? "inet" : "inet6",
			    family == 4 ? "127.0.0.0/8" : "::1", r->node, r->bridges[i].ifname);
}

static void
print_outward(
    const struct strv *interfaces, const char *af, const char *from, const char *within, struct buf *out)
{
	for (size_t i = 0; i < interfaces->n; i++)
		buf_fmt(out, "nat on \"%s\" %s from <%s> to ! <%s> -> (\"%s:0\")\n", interfaces->v[i], af,
		    from, within, interfaces->v[i]);
}

void
rules_nat_print(const struct rules_node *r, struct buf *out)
{
	bool nat6 = any_nat6(r);

	if (any(r, 4))
		print_table(r, "pots4", 4, false, out);
	if (any(r, 6))
		print_table(r, "pots6", 6, false, out);
	if (nat6)
		print_table(r, "nat6", 6, true, out);
	print_hairpins(r, 4, out);
	print_hairpins(r, 6, out);
	print_local(r, 4, out);
	print_local(r, 6, out);
	if (any(r, 4))
		print_outward(r->out4, "inet", "pots4", "pots4", out);
	if (nat6)
		print_outward(r->out6, "inet6", "nat6", "pots6", out);
}

/* ---- published ports ----------------------------------------------------------------- */

void
rules_rdr_print(const char *node, const struct net_elem *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const char *af = v[i].to.family == 4 ? "inet" : "inet6";
		const char *proto = v[i].proto == PORT_UDP ? "udp" : "tcp";
		char at[IP_TEXT] = "(self)", to[IP_TEXT];

		if (v[i].kind != NET_EL_PORT)
			continue;
		if (v[i].addr.family != 0)
			ip_print(&v[i].addr, at);
		ip_print(&v[i].to, to);
		buf_fmt(out, "rdr on lo0 %s proto %s from any to %s port %u tag pot%sl -> %s port %u\n", af,
		    proto, at, v[i].port, node, to, v[i].to_port);
		buf_fmt(out, "rdr pass %s proto %s from any to %s port %u tag pot%s -> %s port %u\n", af,
		    proto, at, v[i].port, node, to, v[i].to_port);
	}
}

/* ---- filter --------------------------------------------------------------------------- */

/* "table <pots> const { … }": what is a pot's, the bridges' own addresses left out. */
static void
print_pots(const struct rules_node *r, struct buf *out)
{
	buf_str(out, "table <pots> const {");
	for (size_t i = 0; i < r->nbridges; i++) {
		for (int family = 4; family <= 6; family += 2) {
			const struct rules_bridge *b = &r->bridges[i];
			struct ip_prefix net = family == 4 ? b->net4 : b->net6;
			char text[IP_TEXT], gw[IP_TEXT];

			if (!has(b, family))
				continue;
			net.addr = ip_network(&net);
			ip_prefix_print(&net, text);
			ip_print(family == 4 ? &b->gw4 : &b->gw6, gw);
			buf_fmt(out, " %s !%s", text, gw);
		}
	}
	buf_str(out, " }\n");
}

/* What may come from a bridge: its range, and what a pot says before and beside its address (RFC 4861). */
static void
print_own(const struct rules_bridge *b, struct buf *out)
{
	char text[IP_TEXT], gw[IP_TEXT];

	buf_fmt(out, "table <%s> const {", b->ifname);
	if (has(b, 4)) {
		struct ip_prefix net = { ip_network(&b->net4), b->net4.len };

		ip_prefix_print(&net, text);
		ip_print(&b->gw4, gw);
		buf_fmt(out, " %s !%s", text, gw);
	}
	if (has(b, 6)) {
		struct ip_prefix net = { ip_network(&b->net6), b->net6.len };

		ip_prefix_print(&net, text);
		ip_print(&b->gw6, gw);
		buf_fmt(out, " %s !%s fe80::/10 !fe80::1 ::/128", text, gw);
	}
	buf_str(out, " }\n");
}

static void
print_walls(const struct rules_node *r, const struct rules_bridge *b, struct buf *out)
{
	if (has(b, 4))
		buf_fmt(out, "pass out quick on \"%s\" reply-to (lo0 127.0.0.1) inet tagged pot%sl\n",
		    b->ifname, r->node);
	if (has(b, 6))
		buf_fmt(out, "pass out quick on \"%s\" reply-to (lo0 ::1) inet6 tagged pot%sl\n", b->ifname,
		    r->node);
	buf_fmt(out, "block drop in quick on \"%s\" from ! <%s>\n", b->ifname, b->ifname);
	buf_fmt(
	    out, "block drop out quick on \"%s\" from <pots> to any ! tagged pot%s\n", b->ifname, r->node);
}

void
rules_filter_print(const struct rules_node *r, struct buf *out)
{
	char group[NET_IFNAME];

	if (r->nbridges == 0)
		return;
	print_pots(r, out);
	for (size_t i = 0; i < r->nbridges; i++)
		print_own(&r->bridges[i], out);
	rules_group(r->node, group);
	/* Packets that are no pot's business look at no pot's rules. Rates come before what lets pass. */
	buf_fmt(out, "anchor \"*\" in on lo0 tagged pot%sl\nanchor \"*\" on %s\n", r->node, group);
	for (size_t i = 0; i < r->nbridges; i++)
		print_walls(r, &r->bridges[i], out);
}

/* ---- filter rules of a pot -------------------------------------------------------------- */

/* The link by which the pot has the address. */
static const struct net_plan_link *
link_of(const struct net_plan *p, const struct ip_addr *a)
{
	for (size_t i = 0; i < p->nlinks; i++)
		for (size_t k = 0; k < p->links[i].naddrs; k++)
			if (ip_equal(&p->links[i].addrs[k].addr, a))
				return &p->links[i];
	return NULL;
}

/* From the host itself to a published port, see above. */
static void
print_way(const struct rules_pot *r, const struct net_elem *el, struct buf *out)
{
	const struct net_plan_link *l = link_of(r->plan, &el->to);
	char to[IP_TEXT];

	if (el->kind != NET_EL_PORT || l == NULL)
		return;
	ip_print(&el->to, to);
	buf_fmt(out,
	    "pass in quick on lo0 route-to (\"%s\" %s) %s proto %s from any to %s port %u tagged pot%sl\n",
	    l->bridge, to, el->to.family == 4 ? "inet" : "inet6", el->proto == PORT_UDP ? "udp" : "tcp", to,
	    el->to_port, r->node);
}

/* Held to its addresses where pf is asked about frames: an IPv6 address is looked for from "::". */
static void
print_guard(const struct net_plan_link *l, struct buf *out)
{
	char text[IP_TEXT];

	buf_fmt(out, "table <%s> const {", l->host);
	for (size_t i = 0; i < l->naddrs; i++) {
		ip_print(&l->addrs[i].addr, text);
		buf_fmt(out, " %s", text);
	}
	buf_fmt(out, "%s }\nblock drop in quick on \"%s\" from ! <%s>\n", l->ip6 ? " ::/128" : "", l->host,
	    l->host);
}

/* Through its pipes, whoever opened a connection; what passes is still for other rules to say. */
static void
print_rates(const struct net_plan_link *l, unsigned pipes, struct buf *out)
{
	for (size_t i = 0; i < l->naddrs; i++) {
		const struct ip_addr *a = &l->addrs[i].addr;
		const char *af = a->family == 4 ? "inet" : "inet6";
		char text[IP_TEXT];

		ip_print(a, text);
		buf_fmt(out, "match in on \"%s\" %s from %s to any dnpipe (%u, %u)\n", l->bridge, af, text,
		    pipes + 1, pipes);
		buf_fmt(out, "match out on \"%s\" %s from any to %s dnpipe (%u, %u)\n", l->bridge, af, text,
		    pipes, pipes + 1);
	}
}

void
rules_pot_print(const struct rules_pot *r, struct buf *out)
{
	for (size_t i = 0; r->members && i < r->plan->nlinks; i++)
		print_guard(&r->plan->links[i], out);
	for (size_t i = 0; i < r->plan->nlinks; i++)
		if (r->pipes[i] != 0)
			print_rates(&r->plan->links[i], r->pipes[i], out);
	for (size_t i = 0; i < r->plan->nelems; i++)
		print_way(r, &r->plan->elems[i], out);
}

/* ---- the main ruleset ------------------------------------------------------------------- */

const struct rules_hook rules_hooks[RULES_HOOK_COUNT] = {
	[RULES_HOOK_NAT] = { "nat-anchor", RULES_NAT, "nat-anchor " RULES_NAT, "pots reach nobody outside" },
	[RULES_HOOK_RDR] = { "rdr-anchor", RULES_RDR "/*", "rdr-anchor \"" RULES_RDR "/*\"",
	    "published ports do not answer" },
	[RULES_HOOK_FILTER] = { "anchor", RULES_FILTER, "anchor " RULES_FILTER,
	    "published ports do not answer on the host itself, rates do not hold, and nothing keeps pots of "
	    "different bridges apart" },
};

/* Does a line begin with the kind of anchor and name this one, with or without quotes? */
static bool
is_anchor(const char *line, size_t len, const char *kind, const char *name)
{
	size_t k = strlen(kind), n = strlen(name);
	bool quoted;

	if (len <= k || strncmp(line, kind, k) != 0 || line[k] != ' ')
		return false;
	line += k + 1;
	len -= k + 1;
	quoted = len > 0 && line[0] == '"';
	line += quoted;
	len -= quoted;
	if (len < n || strncmp(line, name, n) != 0)
		return false;
	return len == n || line[n] == (quoted ? '"' : ' ');
}

bool
rules_hook_is(const struct rules_hook *h, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (is_anchor(text, len, h->kind, h->name))
			return true;
		text += len + (text[len] == '\n');
	}
	return false;
}
