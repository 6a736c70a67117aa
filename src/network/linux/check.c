/*
 * What doctor says about the network: whether this host lets packets through to
 * pots, and what to do where it does not. A verdict "accept" in our table does not
 * help against a "drop" in another: whoever drops must be told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter.h>

#include "network/linux/legacy.h"
#include "network/linux/os.h"

struct check {
	struct net *n;
	struct net_os *os;
	net_finding_fn *fn;
	void *arg;
	char prefix[NET_IFNAME]; /* of our bridges */
	bool any4, any6;         /* families of our bridges */
	unsigned bridges;        /* that are on the host */
	/* of others */
	bool docker, ufw, firewalld;
	struct nft_chain drops; /* the first that drops by policy; name "" none */
	bool legacy;            /* so does one of the old iptables */
};

enum { FINE, WARN, BAD };

static int
say(struct check *c, int severity, const char *what, const char *text, const char *remedy)
{
	return c->fn(c->arg, severity, what, text, remedy);
}

/* ---- forwarding --------------------------------------------------------------------- */

static int
see_bridge(void *arg, const struct net_bridge *br)
{
	struct check *c = arg;
	struct link_info l;
	struct err why = ERR_INIT;

	c->any4 = c->any4 || br->gw4.family != 0;
	c->any6 = c->any6 || br->gw6.family != 0;
	if (link_get(&c->os->rt, br->ifname, &l, &why) == 0 && l.index != 0)
		c->bridges++;
	return 0;
}

static int
check_forwarding(struct check *c)
{
	int rc = 0;

	/* Before the first pot it is not ours to turn on. */
	if (c->bridges > 0 && c->any4 && os_sysctl_get("ipv4/ip_forward") == 0)
		rc = say(c, BAD, "forwarding", "IPv4 packets are not forwarded: pots reach nobody outside",
		    "sysctl -w net.ipv4.ip_forward=1");
	if (rc == 0 && c->bridges > 0 && c->any6 && os_sysctl_get("ipv6/conf/all/forwarding") == 0)
		rc = say(c, BAD, "forwarding", "IPv6 packets are not forwarded: pots reach nobody outside",
		    "sysctl -w net.ipv6.conf.all.forwarding=1");
	if (rc == 0 && c->any6 && os_sysctl_get("ipv6/conf/all/disable_ipv6") < 0)
		rc = say(c, WARN, "ipv6",
		    "the kernel has no IPv6: pots with the stack ipv6 or dual do not start",
		    "start the kernel without ipv6.disable=1, or use the stack ipv4");
	else if (rc == 0 && c->any6 && os_sysctl_get("ipv6/conf/all/disable_ipv6") == 1)
		rc = say(c, WARN, "ipv6",
		    "IPv6 is turned off on this host's interfaces: pots reach each other by it only",
		    "sysctl -w net.ipv6.conf.all.disable_ipv6=0");
	return rc;
}

/* Not ours to change: other programs on the host rely on it. */
static int
check_bridge_filter(struct check *c)
{
	if (!c->n->isolate || c->bridges == 0 || os_sysctl_get("bridge/bridge-nf-call-iptables") != 1)
		return 0;
	return say(c, WARN, "br_netfilter",
	    "br_netfilter is on: isolated pots do not reach each other's published ports either",
	    "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0");
}

/* ---- our rules ------------------------------------------------------------------------ */

static int
check_rules(struct check *c, struct err *e)
{
	AUTO_FREE struct net_elem *v = NULL;
	size_t nv = 0;
	int whole, rc = 0;

	if (!c->os->rules.bridge_family)
		rc = say(c, WARN, "filter",
		    "the kernel has no nftables for bridges: pots on a bridge can use each other's addresses",
		    "use a kernel with CONFIG_NF_TABLES_BRIDGE, or private bridges for pots that do not "
		    "trust each other");
	if (rc != 0 || c->bridges == 0)
		return rc;
	whole = nft_table_whole(&c->os->nft, &c->os->rules, e);
	if (whole < 0)
		return whole;
	if (whole == 0)
		return say(c, BAD, "filter",
		    "the rules of pot were flushed or changed by somebody: published ports do not answer",
		    "as root: pot doctor");
	rc = os_bridge_elems(c->n, c->os, NULL, &v, &nv, e);
	if (rc == 0)
		rc = nft_have(&c->os->nft, &c->os->rules, v, nv, NULL, e);
	if (rc == 0)
		return say(c, BAD, "filter", "elements of pot's rules were removed by somebody",
		    "as root: pot doctor");
	return rc < 0 ? rc : say(c, FINE, "filter", "the rules of pot are in place", "");
}

/* ---- rules of others -------------------------------------------------------------------- */

static int
see_chain(void *arg, const struct nft_chain *ch)
{
	struct check *c = arg;
	char ours[NET_TABLE_NAME];

	net_name_table(c->n->node, ours);
	if (strcmp(ch->table, ours) == 0)
		return 0;
	if (strcmp(ch->name, "DOCKER-USER") == 0)
		c->docker = true;
	if (strncmp(ch->name, "ufw-", 4) == 0)
		c->ufw = true;
	if (strcmp(ch->table, "firewalld") == 0)
		c->firewalld = true;
	if (ch->hook == NF_INET_FORWARD && ch->drops && c->drops.name[0] == '\0' &&
	    (ch->family == NFPROTO_IPV4 || ch->family == NFPROTO_IPV6 || ch->family == NFPROTO_INET))
		c->drops = *ch;
	return 0;
}

static const char *
family_name(uint8_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

/* Whose the chain is, and the words that its owner understands. */
static int
explain_drop(struct check *c)
{
	const char *iptables = c->drops.family == NFPROTO_IPV6 ? "ip6tables" : "iptables";
	char text[256], remedy[512];

	if (c->docker && strcmp(c->drops.table, "filter") == 0) {
		snprintf(
		    text, sizeof(text), "Docker drops what is forwarded to and from pots (chain FORWARD)");
		snprintf(remedy, sizeof(remedy),
		    "%s -I DOCKER-USER -i %s+ -j ACCEPT; %s -I DOCKER-USER -o %s+ -j ACCEPT", iptables,
		    c->prefix, iptables, c->prefix);
	} else if (c->ufw && strcmp(c->drops.table, "filter") == 0) {
		snprintf(text, sizeof(text), "ufw drops what is forwarded to and from pots");
		snprintf(remedy, sizeof(remedy), "ufw route allow in on %s0; ufw route allow out on %s0",
		    c->prefix, c->prefix);
	} else {
		snprintf(text, sizeof(text),
		    "the chain '%s' of the table '%s %s' drops what is forwarded to and from pots",
		    c->drops.name, family_name(c->drops.family), c->drops.table);
		snprintf(remedy, sizeof(remedy),
		    "nft insert rule %s %s %s iifname \"%s*\" accept; nft insert rule %s %s %s oifname "
		    "\"%s*\" accept",
		    family_name(c->drops.family), c->drops.table, c->drops.name, c->prefix,
		    family_name(c->drops.family), c->drops.table, c->drops.name, c->prefix);
	}
	return say(c, WARN, "firewall", text, remedy);
}

/* What the old tables drop, nftables does not show. */
static int
check_legacy(struct check *c, int family, const char *program)
{
	char text[160], remedy[256];

	if (!legacy_drops(family))
		return 0;
	c->legacy = true;
	snprintf(
	    text, sizeof(text), "the chain FORWARD of %s drops what is forwarded to and from pots", program);
	snprintf(remedy, sizeof(remedy), "%s -I FORWARD -i %s+ -j ACCEPT; %s -I FORWARD -o %s+ -j ACCEPT",
	    program, c->prefix, program, c->prefix);
	return say(c, WARN, "firewall", text, remedy);
}

static int
check_others(struct check *c, struct err *e)
{
	char remedy[256];
	int rc = nft_chains(&c->os->nft, see_chain, c, e);

	if (rc == 0 && c->drops.name[0] != '\0')
		rc = explain_drop(c);
	if (rc == 0 && c->any4)
		rc = check_legacy(c, AF_INET, "iptables-legacy");
	if (rc == 0 && c->any6)
		rc = check_legacy(c, AF_INET6, "ip6tables-legacy");
	/* It rejects by a last rule, not by policy. */
	if (rc == 0 && c->firewalld) {
		snprintf(remedy, sizeof(remedy),
		    "firewall-cmd --permanent --zone=trusted --add-interface=%s0 && firewall-cmd --reload",
		    c->prefix);
		rc = say(c, WARN, "firewall",
		    "firewalld rejects what is forwarded unless the bridges of pot are in a zone that "
		    "accepts it",
		    remedy);
	}
	if (rc == 0 && c->drops.name[0] == '\0' && !c->legacy && !c->firewalld)
		rc = say(c, FINE, "firewall", "nobody drops forwarded packets by policy", "");
	return rc;
}

int
net_check(struct net *n, net_finding_fn *fn, void *arg, struct err *e)
{
	struct check c = { .n = n, .fn = fn, .arg = arg };
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &c.os, e);
	if (rc < 0)
		return rc;
	net_name_bridge_prefix(n->node, c.prefix);
	rc = net_bridge_list(n, see_bridge, &c, e);
	if (rc == 0)
		rc = check_forwarding(&c);
	if (rc == 0)
		rc = check_bridge_filter(&c);
	if (rc == 0)
		rc = check_rules(&c, e);
	return rc != 0 ? rc : check_others(&c, e);
}

const char net_repair_remedy[] =
    "find what flushes the host's nftables rules, and let it spare the tables named pot-…";
