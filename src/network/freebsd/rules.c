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
 *  - The host itself does not reach a published port: what it sends to itself is turned to
 *    the pot, but pf never sees the answer go back to the socket, as that leaves by no
 *    interface. (net.pf.filter_local was tried on 15.1: then outside got no answer either.)
 *  - "rdr pass": the classic ones were, and a published port is meant to answer.
 *  - No reload of the user's rules, ever: all of it hangs below two anchors.
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

/* ---- translation ------------------------------------------------------------------ */

static bool
has(const struct rules_bridge *b, int family)
{
	return family == 4 ? b->net4.addr.family == 4 : b->net6.addr.family == 6;
}

static bool
any(const struct rules_nat *r, int family)
{
	for (size_t i = 0; i < r->nbridges; i++)
		if (has(&r->bridges[i], family))
			return true;
	return false;
}

static bool
any_nat6(const struct rules_nat *r)
{
	for (size_t i = 0; i < r->nbridges; i++)
		if (has(&r->bridges[i], 6) && r->bridges[i].nat6)
			return true;
	return false;
}

/* "table <NAME> const { … }": ranges of all bridges, or of those that NAT66 is for. */
static void
print_table(const struct rules_nat *r, const char *name, int family, bool nat6_only, struct buf *out)
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
print_hairpins(const struct rules_nat *r, int family, struct buf *out)
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

static void
print_outward(
    const struct strv *interfaces, const char *af, const char *from, const char *within, struct buf *out)
{
	for (size_t i = 0; i < interfaces->n; i++)
		buf_fmt(out, "nat on \"%s\" %s from <%s> to ! <%s> -> (\"%s:0\")\n", interfaces->v[i], af,
		    from, within, interfaces->v[i]);
}

void
rules_nat_print(const struct rules_nat *r, struct buf *out)
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
		char at[IP_TEXT] = "(self)", to[IP_TEXT];

		if (v[i].kind != NET_EL_PORT)
			continue;
		if (v[i].addr.family != 0)
			ip_print(&v[i].addr, at);
		ip_print(&v[i].to, to);
		buf_fmt(out, "rdr pass %s proto %s from any to %s port %u tag pot%s -> %s port %u\n",
		    v[i].to.family == 4 ? "inet" : "inet6", v[i].proto == PORT_UDP ? "udp" : "tcp", at,
		    v[i].port, node, to, v[i].to_port);
	}
}

/* ---- the main ruleset ------------------------------------------------------------------- */

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

void
rules_hooks(const char *text, bool *nat, bool *rdr)
{
	*nat = *rdr = false;
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		*nat = *nat || is_anchor(text, len, "nat-anchor", RULES_NAT);
		*rdr = *rdr || is_anchor(text, len, "rdr-anchor", RULES_RDR "/*");
		text += len + (text[len] == '\n');
	}
}
