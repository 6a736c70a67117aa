/*
 * Networks of pots on a real FreeBSD kernel: what src/network makes there, seen from inside of jails, from the host and
 * from a host outside of it, over real TCP. Whole in itself: needs VIMAGE, pf, /sbin/pfctl and root, prints TAP and
 * takes everything away. The outside is a jail with a network of its own behind an epair; nothing of the
 * machine's own interfaces is touched. pf's main ruleset must be empty.
 */
#include <sys/types.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <net/if.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "network/freebsd/os.h"
#include "wire.h"

#define NODE "c0f0aa01"

struct pot {
	struct guest g;
	char name[16], id[17], a4[IP_TEXT], a6[IP_TEXT], veth[NET_IFNAME];
	struct port_map port;
	struct net_spec spec;
};

static void
pot_make(struct net *n, struct pot *p, unsigned number, const char *bridge)
{
	struct err e = ERR_INIT;
	struct ip_addr none = { 0 };

	memset(p, 0, sizeof(*p));
	snprintf(p->id, sizeof(p->id), "00000000000000%02x", 0xa0 + number);
	snprintf(p->name, sizeof(p->name), "pot%u", number);
	p->g = guest_new(p->id);
	p->spec = (struct net_spec){
		.id = p->id, .pot = p->name, .type = NET_BRIDGE, .stack = STACK_DUAL, .nleases = 1
	};
	net_name_veth(p->id, 0, p->veth);
	if (!fine(net_lease(n, p->id, p->spec.pot, bridge, STACK_DUAL, &none, &none, &p->spec.leases[0], &e),
		&e, "a lease"))
		return;
	ip_print(&p->spec.leases[0].a4, p->a4);
	ip_print(&p->spec.leases[0].a6, p->a6);
}

static bool
exists(const char *ifname)
{
	struct err e = ERR_INIT;

	return link_get(&links, ifname, NULL, &e) == 1;
}

static int
count_interfaces(void)
{
	struct if_nameindex *v = if_nameindex();
	int n = 0;

	while (v != NULL && v[n].if_index != 0)
		n++;
	if_freenameindex(v);
	return n;
}

/* Two pots, their bridge, the host and the outside. */
static void
test_reach(struct net *n, struct pot *a, struct pot *b)
{
	struct net_bridge br;
	struct err e = ERR_INIT;
	char gw4[IP_TEXT], gw6[IP_TEXT];
	pid_t s, t;

	fine(net_up(n, &a->spec, a->g.pid, NULL, &e), &e, "net_up of a pot with a published port");
	fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "net_up of another");
	fine(net_bridge_get(n, "public", &br, &e), &e, "the bridge's record");
	ip_print(&br.gw4, gw4);
	ip_print(&br.gw6, gw6);
	ok(exists(br.ifname) && exists(a->veth) && exists(b->veth),
	    "bridge and host ends have their derived names");

	s = serve(a->g.jid, "0.0.0.0", 80);
	answers(b->g.jid, a->a4, 80, b->a4, "pots of a bridge reach each other by IPv4, as themselves");
	answers(0, a->a4, 80, gw4, "the host reaches a pot");
	answers(a->g.jid, "127.0.0.1", 80, "127.0.0.1", "lo0 is up inside");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4,
	    "a published port answers outside and sees who calls (IPv4)");
	answers(
	    b->g.jid, OUT_HOST4, 8080, NULL, "a neighbour on the bridge reaches it under the host's address");
	answers(a->g.jid, OUT_HOST4, 8080, NULL, "and so does the pot itself");
	is_silent(outside.jid, OUT_HOST4, 8081, "a port that is not published is silent");
	answers(0, "127.0.0.1", 8080, gw4, "a published port answers on the host by 127.0.0.1");
	answers(0, OUT_HOST4, 8080, OUT_HOST4, "by the host's address");
	answers(0, gw4, 8080, gw4, "and by the bridge's");
	pf_main("", "pass keep state\n");
	answers(0, "127.0.0.1", 8080, gw4, "also under rules that keep states of all");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "and so it does outside");
	pf_main("", "block\npass on lo0\npass out\npass in proto tcp to port 7001\n");
	answers(0, "127.0.0.1", 8080, gw4, "and under rules that let little in");
	pf_main("", "");
	silence(s);

	s = serve(a->g.jid, "::", 80);
	answers(b->g.jid, a->a6, 80, b->a6, "the same by IPv6, at once: no duplicate address detection");
	answers(a->g.jid, "::1", 80, "::1", "and ::1 inside");
	answers(outside.jid, OUT_HOST6, 8080, OUT_PEER6, "a published port answers outside (IPv6)");
	answers(b->g.jid, OUT_HOST6, 8080, NULL, "and a neighbour (IPv6)");
	answers(0, "::1", 8080, gw6, "a published port answers on the host by ::1");
	answers(0, OUT_HOST6, 8080, OUT_HOST6, "by the host's address (IPv6)");
	answers(0, gw6, 8080, gw6, "and by the bridge's (IPv6)");
	silence(s);
	s = serve(0, "127.0.0.1", 8080);
	t = serve(a->g.jid, "0.0.0.0", 80);
	is_silent(0, "127.0.0.1", 8082, "a port of the host's that nobody has is silent");
	silence(s);
	silence(t);

	s = serve(outside.jid, "0.0.0.0", 7000);
	answers(a->g.jid, OUT_PEER4, 7000, OUT_HOST4, "a pot reaches the outside by IPv4, as the host");
	silence(s);
	s = serve(outside.jid, "::", 7000);
	answers(a->g.jid, OUT_PEER6, 7000, OUT_HOST6, "a pot reaches the outside by IPv6, as the host");
	silence(s);
	s = serve(0, gw4, 7001);
	answers(a->g.jid, gw4, 7001, a->a4, "a pot reaches the host by the bridge's address");
	silence(s);
}

static int
say(void *arg, int severity, const char *check, const char *text, const char *remedy)
{
	printf("# doctor %d %s: %s (%s)\n", severity, check, text, remedy);
	*(int *)arg += severity == 2;
	return 0;
}

/* In the pot's network: what its root may do there. */
static bool
inside(const struct pot *p, const char *addr, bool add, const uint8_t *mac)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		struct link_sys l = LINK_SYS_INIT;
		struct ip_prefix a;
		struct err e = ERR_INIT;
		int rc = 0;

		if (!enter(p->g.jid, 0))
			_exit(1);
		if (addr != NULL)
			rc = ip_prefix_parse(addr, &a, &e);
		if (rc == 0 && addr != NULL)
			rc = add ? link_addr_add(&l, "eth0", &a, &e) : link_addr_del(&l, "eth0", &a.addr, &e);
		if (rc == 0 && mac != NULL)
			rc = link_set_mac(&l, "eth0", mac, &e);
		if (rc < 0)
			printf("# %s\n", e.msg);
		fflush(stdout);
		_exit(rc < 0);
	}
	waitpid(pid, &status, 0);
	return status == 0;
}

/* A pot is what it is, whatever its root does. */
static void
test_guard(struct net *n, struct pot *a, struct pot *b)
{
	static const uint8_t forged[NET_MAC] = { 0x02, 0xff, 0, 0, 0, 1 };
	const int off = 0, on = 1;
	struct net_bridge br;
	struct err e = ERR_INIT;
	char gw4[IP_TEXT], stolen[IP_TEXT + 4];
	uint8_t mac[NET_MAC];
	pid_t s, t;

	fine(net_bridge_get(n, "public", &br, &e), &e, "the bridge's record");
	ip_print(&br.gw4, gw4);
	s = serve(0, "0.0.0.0", 7001);
	t = serve(a->g.jid, "0.0.0.0", 80);
	snprintf(stolen, sizeof(stolen), "%s/32", a->a4);
	ok(inside(b, stolen, true, NULL), "a pot takes a neighbour's address");
	is_silent_from(b->g.jid, a->a4, gw4, 7001, "the host gives it no answer");
	answers(a->g.jid, gw4, 7001, a->a4, "its owner has answers as ever");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "and its port is its own");
	ok(inside(b, stolen, false, NULL), "given back");
	snprintf(stolen, sizeof(stolen), "%s/32", gw4);
	ok(inside(b, stolen, true, NULL), "a pot takes the gateway's address");
	answers(a->g.jid, gw4, 7001, a->a4, "its neighbour still finds the gateway");
	ok(inside(b, stolen, false, NULL), "given back");
	ok(inside(b, "203.0.113.9/32", true, NULL), "a pot takes an address of nobody's");
	is_silent_from(b->g.jid, "203.0.113.9", OUT_PEER4, 7000, "nothing leaves the bridge from there");
	ok(inside(b, "203.0.113.9/32", false, NULL), "given back");
	ok(inside(b, NULL, false, forged), "a pot takes another MAC");
	is_silent(b->g.jid, gw4, 7001, "the bridge takes no frame from it");
	is_silent(b->g.jid, a->a4, 80, "nor for its neighbour");
	net_mac_pot(br.ifname, &b->spec.leases[0].a4, mac);
	ok(inside(b, NULL, false, mac), "given back");
	answers(b->g.jid, a->a4, 80, b->a4, "and they talk again");

	if (sysctlbyname(OS_MEMBERS, NULL, NULL, &on, sizeof(on)) != 0)
		bail(OS_MEMBERS);
	fine(net_down(n, &b->spec, &e), &e, "with pf on members of bridges: down");
	fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "and up");
	answers(b->g.jid, a->a4, 80, b->a4, "neighbours talk");
	ok(inside(b, "10.192.77.77/32", true, NULL), "a pot takes a free address of its bridge");
	is_silent_from(b->g.jid, "10.192.77.77", a->a4, 80, "its neighbour does not hear of it");
	ok(inside(b, "10.192.77.77/32", false, NULL), "given back");
	if (sysctlbyname(OS_MEMBERS, NULL, NULL, &off, sizeof(off)) != 0)
		bail(OS_MEMBERS);
	silence(s);
	silence(t);
}

/* Bridges are apart, but for what is published. */
static void
test_walls(struct net *n, struct pot *a)
{
	struct pot c;
	struct err e = ERR_INIT;
	pid_t s, t;

	fine(net_bridge_create(n, "apart", 4, &e), &e, "a private bridge");
	pot_make(n, &c, 3, "apart");
	fine(net_up(n, &c.spec, c.g.pid, NULL, &e), &e, "net_up of a pot on it");
	s = serve(a->g.jid, "0.0.0.0", 80);
	t = serve(c.g.jid, "0.0.0.0", 80);
	answers(0, c.a4, 80, NULL, "the host reaches it (IPv4)");
	is_silent(c.g.jid, a->a4, 80, "it does not reach a pot of another bridge (IPv4)");
	is_silent(a->g.jid, c.a4, 80, "nor the other way (IPv4)");
	answers(c.g.jid, OUT_HOST4, 8080, NULL, "but what that publishes (IPv4)");
	silence(s);
	silence(t);
	s = serve(a->g.jid, "::", 80);
	t = serve(c.g.jid, "::", 80);
	answers(0, c.a6, 80, NULL, "the host reaches it (IPv6)");
	is_silent(c.g.jid, a->a6, 80, "it does not reach a pot of another bridge (IPv6)");
	is_silent(a->g.jid, c.a6, 80, "nor the other way (IPv6)");
	answers(c.g.jid, OUT_HOST6, 8080, NULL, "but what that publishes (IPv6)");
	silence(s);
	silence(t);
	ok(net_bridge_destroy(n, "apart", &e) == -E_BUSY, "a bridge with pots stays");
	fine(net_down(n, &c.spec, &e), &e, "down");
	guest_end(&c.g);
	fine(net_release(n, c.id, &e), &e, "its address is given back");
	fine(net_bridge_destroy(n, "apart", &e), &e, "and the bridge goes");
	ok(net_repair(n, &a->spec, 1, &e) >= 0, "the rules follow");
}

/* No faster than it may be; a machine without dummynet says so. */
static void
test_rates(struct net *n, struct pot *a, struct pot *b)
{
	enum { BYTES = 40000, RATE = 80000, FASTEST_MS = 1500 }; /* 4 s, less what a queue holds at first */
	struct err e = ERR_INIT;
	pid_t s, t;
	long ms;
	int rc;

	fine(net_down(n, &b->spec, &e), &e, "down");
	b->spec.in_bps = RATE;
	rc = net_up(n, &b->spec, b->g.pid, NULL, &e);
	if (rc == -E_NOTSUP) {
		ok(strstr(e.hint, "dummynet") != NULL, "without dummynet rates are refused, and why");
		b->spec.in_bps = 0;
		fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "and without rates it is up");
		return;
	}
	fine(rc, &e, "up with a rate into the pot");
	s = serve_bytes(outside.jid, "0.0.0.0", 7003, BYTES);
	t = serve_bytes(b->g.jid, "0.0.0.0", 7004, BYTES);
	ms = fetch(b->g.jid, OUT_PEER4, 7003, BYTES);
	ok(ms >= FASTEST_MS, "what it fetches takes its time");
	printf("# %ld ms\n", ms);
	ms = fetch(0, b->a4, 7004, BYTES);
	ok(ms >= 0, "what is fetched from it comes");
	printf("# %ld ms\n", ms);
	b->spec.in_bps = 0;
	b->spec.out_bps = RATE;
	fine(net_rates(n, &b->spec, b->g.pid, &e), &e, "a rate out of it instead, while it runs");
	ms = fetch(0, b->a4, 7004, BYTES);
	ok(ms >= FASTEST_MS, "what is fetched from it takes its time");
	printf("# %ld ms\n", ms);
	ms = fetch(b->g.jid, OUT_PEER4, 7003, BYTES);
	ok(ms >= 0, "what it fetches comes");
	printf("# %ld ms\n", ms);
	b->spec.out_bps = 0;
	fine(net_rates(n, &b->spec, b->g.pid, &e), &e, "and none");
	ok(fetch(0, b->a4, 7004, BYTES) >= 0, "what is fetched from it comes");
	ok(fetch(a->g.jid, OUT_PEER4, 7003, BYTES) >= 0, "as does what others fetch");
	silence(s);
	silence(t);
}

/* What "service pf restart" and its kin do: rules go, names of anchors stay. */
static void
test_flushed(struct net *n, struct pot *a, struct pot *b)
{
	struct err e = ERR_INIT;
	pid_t s = serve(a->g.jid, "0.0.0.0", 80), t = serve(outside.jid, "0.0.0.0", 7000);
	int said = 0;

	fine(net_down(n, &b->spec, &e), &e, "down");
	ok(system("/sbin/pfctl -q -a " RULES_NAT "/" NODE " -F nat") == 0,
	    "somebody flushes the node's translations");
	ok(net_up(n, &b->spec, b->g.pid, NULL, &e) == 1, "the next start says that others missed them");
	answers(a->g.jid, OUT_PEER4, 7000, OUT_HOST4, "and they are there");
	fine(net_down(n, &b->spec, &e), &e, "down");
	ok(system("/sbin/pfctl -q -a " RULES_FILTER "/" NODE " -F rules") == 0,
	    "somebody flushes the node's walls");
	fine(net_check(n, say, &said, &e), &e, "what doctor says");
	ok(said == 1, "doctor says it");
	ok(net_up(n, &b->spec, b->g.pid, NULL, &e) == 1, "the next start says so");
	answers(0, "127.0.0.1", 8080, NULL, "and the host reaches the port");
	pf_main("set skip on lo0\n", "");
	ok(pf_skips("lo0", &e) == 1, "doctor sees that pf skips lo0");
	pf_main("", "");
	ok(pf_skips("lo0", &e) == 0, "and that it does not");
	silence(s);
	silence(t);
}

static void
test_repair(struct net *n, struct pot *a)
{
	char anchor[RULES_PATH];
	struct net_bridge br;
	struct pf pf = PF_INIT;
	struct err e = ERR_INIT;
	pid_t s = serve(a->g.jid, "0.0.0.0", 80), t = serve(outside.jid, "0.0.0.0", 7000);

	ok(net_repair(n, &a->spec, 1, &e) == 0, "where all is well nothing is repaired");
	rules_anchor_rdr(NODE, a->id, anchor);
	fine(pf_flush(&pf, anchor, &e), &e, "somebody flushes the pot's anchor");
	is_silent(outside.jid, OUT_HOST4, 8080, "its port is silent then");
	ok(net_repair(n, &a->spec, 1, &e) == 1, "net_repair says that it repaired");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "and it answers again");
	rules_anchor_nat(NODE, anchor);
	fine(pf_flush(&pf, anchor, &e), &e, "somebody flushes the node's anchor");
	ok(net_repair(n, &a->spec, 1, &e) == 1, "that is repaired too");
	answers(a->g.jid, OUT_PEER4, 7000, OUT_HOST4, "and the pot reaches the outside again");
	if (net_bridge_get(n, "public", &br, &e) == 0 && link_destroy(&links, br.ifname, &e) == 0) {
		ok(net_repair(n, &a->spec, 1, &e) == 1, "a bridge that was destroyed comes back");
		answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "with the pot on it");
	}
	silence(s);
	silence(t);
	pf_fini(&pf);
}

struct seen {
	uint64_t rx, tx;
	unsigned n;
};

static int
see(void *arg, const struct net_stats *s)
{
	struct seen *seen = arg;

	seen->n += strcmp(s->ifname, "eth0") == 0;
	seen->rx += s->rx_bytes;
	seen->tx += s->tx_bytes;
	return 0;
}

static void
test_counters(struct net *n, struct pot *a)
{
	struct net_counters *c;
	struct seen inside = { 0 }, host = { 0 };
	struct err e = ERR_INIT;

	fine(net_stats(n, a->g.pid, see, &inside, &e), &e, "counters from inside");
	if (fine(net_counters_read(&c, a->id, &e), &e, "counters from the host")) {
		ok(net_counters_of(c, a->id, see, &host) == 0 && host.n == 1 && inside.n == 1 &&
			host.rx > 0 && host.tx > 0 && inside.rx > 0 && inside.tx > 0,
		    "both know one eth0 with traffic");
		net_counters_free(c);
	}
}

/* One that is killed between any two steps leaves nothing that the next start minds. */
static void
test_killed(struct net *n, struct pot *b)
{
	static const char *const points[] = { "net.epair.cloned", "net.up.pair", "net.up.moved",
		"net.up.inner", "net.up.elements" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		int before, status;
		pid_t pid;

		fine(net_down(n, &b->spec, &e), &e, "down");
		before = count_interfaces();
		pid = fork();
		if (pid == 0) {
			setenv("POT_FAULT", points[i], 1);
			_exit(net_up(n, &b->spec, b->g.pid, NULL, &e) < 0 ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		ok(WIFSIGNALED(status), "killed at %s", points[i]);
		fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "the next net_up goes through");
		ok(count_interfaces() == before + 1, "and no interface is left over");
	}
}

static void
test_down(struct net *n, struct pot *a, struct pot *b)
{
	struct err e = ERR_INIT;
	int before = count_interfaces();

	/* The jail first, as when a pot dies by itself: its end of the link comes back to the host. */
	guest_end(&a->g);
	fine(net_down(n, &a->spec, &e), &e, "net_down after the jail is gone");
	ok(!exists(a->veth), "its link is gone");
	fine(net_down(n, &b->spec, &e), &e, "net_down while the jail lives");
	ok(!exists(b->veth), "its link is gone");
	fine(net_down(n, &b->spec, &e), &e, "net_down again");
	ok(count_interfaces() == before - 2, "no other interface is there than before");
	is_silent(outside.jid, OUT_HOST4, 8080, "the published port is silent");
	guest_end(&b->g);
}

static void
test_others(struct net *n)
{
	struct net_spec s = { .id = "00000000000000bb", .pot = "other", .type = NET_NONE };
	struct guest g = guest_new("pottest-none");
	struct err e = ERR_INIT;
	pid_t p;

	fine(net_up(n, &s, g.pid, NULL, &e), &e, "net_up of the type none");
	p = serve(g.jid, "127.0.0.1", 80);
	answers(g.jid, "127.0.0.1", 80, "127.0.0.1", "it has its own lo0");
	silence(p);
	guest_end(&g);

	s = (struct net_spec){ .id = s.id, .pot = "other", .type = NET_ALIAS, .naliases = 2 };
	snprintf(s.aliases[0].ifname, NET_IFNAME, OUT_LINK);
	snprintf(s.aliases[1].ifname, NET_IFNAME, OUT_LINK);
	if (ip_prefix_parse("198.51.100.77", &s.aliases[0].addr, &e) < 0 ||
	    ip_prefix_parse("2001:db8:51::77", &s.aliases[1].addr, &e) < 0)
		bail("parse");
	fine(net_up(n, &s, 0, NULL, &e), &e, "net_up of the type alias");
	p = serve(0, "198.51.100.77", 7002);
	answers(outside.jid, "198.51.100.77", 7002, OUT_PEER4, "the address answers outside (IPv4)");
	silence(p);
	p = serve(0, "2001:db8:51::77", 7002);
	answers(outside.jid, "2001:db8:51::77", 7002, OUT_PEER6, "the address answers outside (IPv6)");
	silence(p);
	fine(net_down(n, &s, &e), &e, "net_down of it");
	ok(link_addr_has(OUT_LINK, &s.aliases[0].addr.addr, &e) == 0 &&
		link_addr_has(OUT_LINK, &s.aliases[1].addr.addr, &e) == 0 &&
		link_addr_has(OUT_LINK, &(struct ip_addr){ 4, { 198, 51, 100, 1 } }, &e) == 1,
	    "its addresses are gone, the host's own is not");
}

/* pf gives one list of addresses to all who load rules: those who do at once must not disturb each other. */
static void
test_at_once(void)
{
	enum { LOADERS = 8, TIMES = 6 };
	pid_t loader[LOADERS];
	bool well = true;
	struct pf pf = PF_INIT;
	struct strv left = STRV_INIT(4096);
	struct err e = ERR_INIT;

	for (int i = 0; i < LOADERS; i++) {
		loader[i] = fork();
		if (loader[i] < 0)
			bail("fork");
		for (int t = 0; loader[i] == 0 && t < TIMES; t++) {
			char anchor[64];

			snprintf(anchor, sizeof(anchor), "pot-rdr/once-%d", i);
			if (pf_load(&pf, anchor,
				"rdr on lo0 inet proto tcp from any to any port 7 -> 127.0.0.1 port 8\n",
				&e) < 0 ||
			    pf_filled(&pf, anchor, &e) != 1 || pf_load(&pf, anchor, "", &e) < 0) {
				printf("# %s\n", e.msg);
				fflush(stdout);
				_exit(1);
			}
		}
		if (loader[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < LOADERS; i++) {
		int status;

		well = waitpid(loader[i], &status, 0) == loader[i] && status == 0 && well;
	}
	ok(well, "rules that are loaded at once are all loaded");
	ok(pf_children(&pf, "pot-rdr", "once-", &left, &e) == 0 && left.n == 0, "and leave no anchor");
	strv_fini(&left);
	pf_fini(&pf);
}

int
main(void)
{
	char dir[] = "/tmp/pot-net.XXXXXX";
	struct net *n;
	struct pot a, b;
	struct err e = ERR_INIT;
	int root = -1, before, bad = 0, forward;
	bool had_lo0;
	struct pf pf = PF_INIT;

	if (geteuid() != 0)
		bail("root only");
	pf_prepare();
	had_lo0 = lo0_prepare();
	outside_make();
	if (mkdtemp(dir) == NULL || (root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		bail("mkdtemp");
	before = count_interfaces();
	forward = (int)os_sysctl_get(OS_FORWARD4);
	const struct net_params p = {
		.root = dir, .root_fd = root, .id = NODE, .cidr4 = "", .cidr6 = "", .routed6 = ""
	};
	if (!fine(net_open(&n, &p, &e), &e, "net_open") ||
	    !fine(net_init(n, &e), &e, "net_init chooses ranges"))
		return 1;
	pot_make(n, &a, 1, "public");
	pot_make(n, &b, 2, "public");
	a.port = (struct port_map){ .proto = PORT_TCP, .host = 8080, .pot = 80 };
	a.spec.ports = &a.port;
	a.spec.nports = 1;
	test_reach(n, &a, &b);
	test_counters(n, &a);
	test_guard(n, &a, &b);
	test_walls(n, &a);
	test_flushed(n, &a, &b);
	test_rates(n, &a, &b);
	test_repair(n, &a);
	test_killed(n, &b);
	test_at_once();
	fine(net_check(n, say, &bad, &e), &e, "what doctor says");
	ok(bad == 0, "nothing is bad");
	test_down(n, &a, &b);
	test_others(n);
	fine(net_fini(n, &e), &e, "net_fini");
	ok(count_interfaces() == before, "all interfaces are as before");
	/* The kernel keeps the name of one that had tables. */
	ok(pf_filled(&pf, RULES_NAT "/" NODE, &e) == 0 && pf_filled(&pf, RULES_FILTER "/" NODE, &e) == 0,
	    "no rule is left");
	ok(os_sysctl_get(OS_FORWARD4) == forward, "forwarding is as before");
	net_close(n);
	rmdir(dir);
	guest_end(&outside);
	if (link_destroy(&links, OUT_LINK, &e) < 0 ||
	    (!had_lo0 && link_addr_del(&links, "lo0", &(struct ip_addr){ 4, { 127, 0, 0, 1 } }, &e) < 0))
		printf("# %s\n", e.msg);
	return done();
}
