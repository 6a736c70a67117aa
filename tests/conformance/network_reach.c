/* Who reaches whom, and what the service sees of its client: every stack, both protocols, every direction. */
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "network_lab.h"

static const enum port_proto protos[] = { PORT_TCP, PORT_UDP };

/* The service answers and sees this client. */
#define SEES(want, ns, proto, addr, port)                                                               \
	do {                                                                                            \
		char seen_[64];                                                                         \
		lab_ask(ns, proto, addr, port, seen_);                                                  \
		if (strcmp(seen_, want) != 0)                                                           \
			printf("# %s %s:%u: saw '%s', not '%s'\n", (proto) == PORT_TCP ? "tcp" : "udp", \
			    addr, port, seen_, want);                                                   \
		OK(strcmp(seen_, want) == 0);                                                           \
	} while (0)
#define SILENT(ns, proto, addr, port) SEES("", ns, proto, addr, port)

static const char *
gateway(struct lab *t, const char *bridge, int family, char out[static IP_TEXT])
{
	struct net_bridge br;

	if (net_bridge_get(t->n, bridge, &br, &t->e) < 0)
		return "?";
	ip_print(family == 4 ? &br.gw4 : &br.gw6, out);
	return out;
}

/* One family of one stack on one bridge: pot 0 serves, pot 1 is a neighbour. */
static bool
reach_family(struct lab *t, const char *bridge, int family)
{
	char a0[IP_TEXT], a1[IP_TEXT], gw[IP_TEXT];
	const char *host = family == 4 ? LAN_HOST4 : LAN_HOST6, *peer = family == 4 ? LAN_PEER4 : LAN_PEER6;

	lab_addr(t, 0, family, a0);
	lab_addr(t, 1, family, a1);
	gateway(t, bridge, family, gw);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		enum port_proto p = protos[i];

		SEES(host, t->pots[0].pid, p, peer, 7);  /* out, by NAT */
		SEES(peer, t->lan, p, host, 8080);       /* in: the client's own address */
		SEES(host, 0, p, host, 8080);            /* from the host by its own address */
		SEES(gw, 0, p, a0, 80);                  /* directly from the host */
		SEES(gw, t->pots[1].pid, p, host, 8080); /* hairpin from a neighbour */
		SEES(gw, t->pots[0].pid, p, host, 8080); /* and from itself */
		SEES(a1, t->pots[1].pid, p, a0, 80);     /* pot to pot */
		SEES(a0, t->pots[0].pid, p, a0, 80);     /* to itself */
		if (family == 4)
			SEES(gw, 0, p, "127.0.0.1", 8080); /* localhost */
	}
	return true;
}

/* Is br_netfilter on? It turns frames for published ports round on the bridge: another way through the kernel. */
static bool
bridge_filter(struct lab *t, bool on)
{
	return access("/proc/sys/net/bridge", F_OK) < 0 ||
	    lab_sh(0,
		"sysctl -qw net.bridge.bridge-nf-call-iptables=%d net.bridge.bridge-nf-call-ip6tables=%d", on,
		on);
}

static bool
reach(struct lab *t, const char *bridge, enum ip_stack stack)
{
	for (unsigned i = 0; i < 2; i++)
		OK(lab_pot(t, i, bridge, stack));
	OK(lab_publish(t, 0, "8080:80/tcp"));
	OK(lab_publish(t, 0, "8080:80/udp"));
	/* What is published must not stand in the way of a service of the host on another port. */
	OK(lab_up(t, 0, 80));
	OK(lab_up(t, 1, 0));
	for (int on = 1; on >= 0; on--) {
		OK(bridge_filter(t, on));
		if (stack & STACK_IPV4)
			OK(reach_family(t, bridge, 4));
		if (stack & STACK_IPV6)
			OK(reach_family(t, bridge, 6));
	}
	return bridge_filter(t, true);
}

static bool
public4(struct lab *t)
{
	return reach(t, "public", STACK_IPV4);
}

static bool
public6(struct lab *t)
{
	return reach(t, "public", STACK_IPV6);
}

static bool
public_dual(struct lab *t)
{
	return reach(t, "public", STACK_DUAL);
}

static bool
private_all(struct lab *t)
{
	DO(net_bridge_create(t->n, "backend", 10, &t->e));
	return reach(t, "backend", STACK_DUAL);
}

/* Pots of different bridges meet at published ports only. */
static bool
between_bridges(struct lab *t)
{
	char a0[IP_TEXT], a1[IP_TEXT];

	DO(net_bridge_create(t->n, "backend", 10, &t->e));
	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_pot(t, 1, "backend", STACK_DUAL));
	OK(lab_publish(t, 0, "8080:80"));
	OK(lab_up(t, 0, 80));
	OK(lab_up(t, 1, 80));
	for (int family = 4; family <= 6; family += 2) {
		lab_addr(t, 0, family, a0);
		lab_addr(t, 1, family, a1);
		SILENT(t->pots[1].pid, PORT_TCP, a0, 80);
		SILENT(t->pots[0].pid, PORT_TCP, a1, 80);
		SEES(a1, t->pots[1].pid, PORT_TCP, family == 4 ? LAN_HOST4 : LAN_HOST6, 8080);
	}
	return true;
}

/* With the setting, pots of the public bridge reach each other by nothing but what is published. */
static bool
isolated(struct lab *t)
{
	char a0[IP_TEXT];

	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_pot(t, 1, "public", STACK_DUAL));
	OK(lab_publish(t, 0, "8080:80"));
	OK(lab_up(t, 0, 80));
	OK(lab_up(t, 1, 0));
	for (int family = 4; family <= 6; family += 2) {
		lab_addr(t, 0, family, a0);
		SILENT(t->pots[1].pid, PORT_TCP, a0, 80);
		SILENT(t->pots[1].pid, PORT_UDP, a0, 80);
		SEES(family == 4 ? LAN_HOST4 : LAN_HOST6, t->pots[1].pid, PORT_TCP,
		    family == 4 ? LAN_PEER4 : LAN_PEER6, 7);
	}
	return true;
}

/* Ports on one address of the host answer there only; the host's own services stay its own. */
static bool
one_address(struct lab *t)
{
	pid_t own;

	OK(lab_sh(0, "ip addr add 192.0.2.9/24 dev lan0"));
	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_publish(t, 0, "192.0.2.9:8080:80"));
	OK(lab_publish(t, 0, "127.0.0.1:8081:80"));
	OK(lab_up(t, 0, 80));
	SEES(LAN_PEER4, t->lan, PORT_TCP, "192.0.2.9", 8080);
	SILENT(t->lan, PORT_TCP, LAN_HOST4, 8080);
	SILENT(t->lan, PORT_TCP, LAN_HOST4, 8081);
	OK((own = lab_serve(0, 8085)) > 0);
	SEES(LAN_PEER4, t->lan, PORT_TCP, LAN_HOST4, 8085);
	lab_kill(&own);
	OK(lab_sh(0, "ip addr del 192.0.2.9/24 dev lan0"));
	return true;
}

/* A pot cannot take another's address, nor play the router, nor use addresses of the host's loopback. */
static bool
spoofing(struct lab *t)
{
	char a1[IP_TEXT], seen[64];
	pid_t own;

	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_pot(t, 1, "public", STACK_DUAL));
	OK(lab_up(t, 0, 80));
	OK(lab_up(t, 1, 0));
	lab_addr(t, 0, 4, a1);
	OK(lab_sh(t->pots[1].pid, "ip addr add 10.192.77.77/16 dev eth0"));
	lab_ask_from(t->pots[1].pid, "10.192.77.77", PORT_TCP, a1, 80, seen);
	OK(seen[0] == '\0');
	lab_ask_from(t->pots[1].pid, "10.192.77.77", PORT_UDP, LAN_PEER4, 7, seen);
	OK(seen[0] == '\0');
	/* The host's localhost is not to be had through the bridge's route_localnet. */
	OK((own = lab_serve(0, 631)) > 0);
	OK(lab_sh(t->pots[1].pid,
	    "ip link set lo down && ip route add 127.0.0.0/8 via $(ip route show default | cut -d' ' -f3) && "
	    "sysctl -qw net.ipv4.conf.all.route_localnet=1"));
	SILENT(t->pots[1].pid, PORT_UDP, "127.0.0.1", 631);
	SILENT(t->pots[1].pid, PORT_TCP, "127.0.0.1", 631);
	lab_kill(&own);
	return true;
}

/* Two bridges: eth0 and eth1, the default route by the first. */
static bool
two_bridges(struct lab *t)
{
	char a1[IP_TEXT], line[256];

	DO(net_bridge_create(t->n, "backend", 10, &t->e));
	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_pot(t, 0, "backend", STACK_DUAL));
	OK(lab_pot(t, 1, "backend", STACK_IPV4));
	OK(lab_up(t, 0, 80));
	OK(lab_up(t, 1, 80));
	lab_addr(t, 1, 4, a1);
	lab_read(t->pots[0].pid, line, "ip route show default");
	OK(strstr(line, "dev eth0") != NULL);
	ip_print(&t->pots[0].spec.leases[1].a4, line);
	SEES(line, t->pots[0].pid, PORT_TCP, a1, 80);
	SEES(LAN_HOST4, t->pots[0].pid, PORT_TCP, LAN_PEER4, 7);
	return true;
}

/* Names of interfaces and MAC addresses are the same after a restart; there is no other address than ours. */
static bool
stable(struct lab *t)
{
	char mac[256], again[256], line[256], pv[NET_IFNAME + 240];

	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_up(t, 0, 0));
	lab_read(t->pots[0].pid, mac, "cat /proc/self/net/dev | grep -c eth0; ip -o link show eth0");
	lab_read(t->pots[0].pid, mac, "ip -o link show eth0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'");
	OK(strlen(mac) == 17);
	lab_read(0, pv, "ip -o link show type veth | grep -o 'pv[0-9a-z]*'");
	OK(strlen(pv) == 15);
	lab_read(t->pots[0].pid, line, "ip -o addr show dev eth0 | wc -l");
	OK(strcmp(line, "3") == 0); /* IPv4, IPv6, link-local */
	lab_read(t->pots[0].pid, line, "ip -o addr show dev eth0 | grep -c tentative");
	OK(strcmp(line, "0") == 0);
	lab_kill(&t->pots[0].pid);
	DO(net_down(t->n, &t->pots[0].spec, &t->e));
	OK(lab_pot(t, 0, NULL, STACK_DUAL));
	/* At once: the kernel may not have removed the last one's link yet. */
	OK(lab_up(t, 0, 0));
	lab_read(t->pots[0].pid, again, "ip -o link show eth0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'");
	OK(strcmp(mac, again) == 0);
	lab_read(0, again, "ip -o link show type veth | grep -o 'pv[0-9a-z]*'");
	OK(strcmp(pv, again) == 0);
	return true;
}

/* Addresses on the host's interface come and go; one that the host has itself is left alone. */
static bool
alias(struct lab *t)
{
	struct net_spec s = {
		.id = "00000000000000aa", .pot = "alias", .type = NET_ALIAS, .stack = STACK_DUAL
	};
	char line[256];
	pid_t own;

	s.naliases = 3;
	DO(ip_prefix_parse("192.0.2.50/24", &s.aliases[0].addr, &t->e));
	DO(ip_prefix_parse("2001:db8:1::50/64", &s.aliases[1].addr, &t->e));
	DO(ip_prefix_parse("192.0.2.51/32", &s.aliases[2].addr, &t->e));
	snprintf(s.aliases[2].ifname, NET_IFNAME, "lan0");
	DO(net_up(t->n, &s, 0, NULL, &t->e));
	DO(net_up(t->n, &s, 0, NULL, &t->e)); /* again, as after a crash */
	lab_read(0, line, "ip -o addr show dev lan0 | grep -cE '192.0.2.50/24|192.0.2.51/32|db8:1::50/64'");
	OK(strcmp(line, "3") == 0);
	OK((own = lab_serve(0, 8085)) > 0);
	SEES(LAN_PEER4, t->lan, PORT_TCP, "192.0.2.50", 8085);
	SEES(LAN_PEER4, t->lan, PORT_TCP, "192.0.2.51", 8085);
	SEES(LAN_PEER6, t->lan, PORT_TCP, "2001:db8:1::50", 8085);
	lab_kill(&own);
	s.id = "00000000000000ab";
	REFUSED(E_EXIST, net_up(t->n, &s, 0, NULL, &t->e));
	DO(net_down(t->n, &s, &t->e));
	s.id = "00000000000000aa";
	DO(net_down(t->n, &s, &t->e));
	lab_read(0, line, "ip -o addr show dev lan0 | grep -cE '192.0.2.5|db8:1::50/64'");
	OK(strcmp(line, "0") == 0);
	DO(ip_prefix_parse(LAN_HOST4 "/24", &s.aliases[0].addr, &t->e));
	REFUSED(E_EXIST, net_up(t->n, &s, 0, NULL, &t->e));
	DO(net_down(t->n, &s, &t->e));
	lab_read(0, line, "ip -o addr show dev lan0 | grep -c " LAN_HOST4 "/24");
	OK(strcmp(line, "1") == 0);
	DO(ip_prefix_parse("192.0.2.60/24", &s.aliases[0].addr, &t->e));
	snprintf(s.aliases[0].ifname, NET_IFNAME, "nosuch0");
	REFUSED(E_NOENT, net_up(t->n, &s, 0, NULL, &t->e));
	DO(net_down(t->n, &s, &t->e));
	return true;
}

/* A resolver on 127.0.0.x of the host answers pots at their gateway. */
static bool
resolver(struct lab *t)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096);
	char gw[IP_TEXT], want[128], a0[IP_TEXT];

	OK(lab_pot(t, 0, "public", STACK_IPV4));
	DO(net_resolv(t->n, &t->pots[0].spec, "search example.org\nnameserver 127.0.0.1\noptions rotate\n",
	    &out, &t->e));
	snprintf(want, sizeof(want), "nameserver %s\nsearch example.org\noptions rotate\n",
	    gateway(t, "public", 4, gw));
	OK(strcmp(buf_cstr(&out), want) == 0);
	OK(lab_up(t, 0, 0));
	lab_addr(t, 0, 4, a0);
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		pid_t dns = lab_serve_on(0, "::ffff:127.0.0.1", 53);

		OK(dns > 0);
		SEES(a0, t->pots[0].pid, protos[i], gw, 53);
		lab_kill(&dns);
	}
	return true;
}

/* Limits are in the kernel as given. */
static bool
rates(struct lab *t)
{
	char line[256];

	OK(lab_pot(t, 0, "public", STACK_IPV4));
	t->pots[0].spec.in_bps = 8000000;
	t->pots[0].spec.out_bps = UINT64_C(40000000000);
	OK(lab_up(t, 0, 0));
	lab_read(0, line, "tc qdisc show | grep 'dev pv'");
	OK(strstr(line, "tbf") != NULL && strstr(line, "rate 8Mbit") != NULL);
	lab_read(t->pots[0].pid, line, "tc qdisc show dev eth0");
	OK(strstr(line, "tbf") != NULL && strstr(line, "rate 40Gbit") != NULL);
	return true;
}

/* Of the links of a pot: "" none. */
static void
read_rates(struct lab *t, unsigned i, char in[static 256], char out[static 256])
{
	lab_read(0, in, "tc qdisc show | grep tbf");
	lab_read(t->pots[i].pid, out, "tc qdisc show | grep tbf");
}

/* Whoever else has the number of the process now keeps what he has, and so has the host. */
static bool
rates_of_nobody(struct lab *t)
{
	struct net_spec *s = &t->pots[0].spec;
	pid_t other = lab_namespace();

	s->in_bps = s->out_bps = 8000000;
	REFUSED(E_STATE, net_rates(t->n, s, t->pots[1].pid, &t->e));
	REFUSED(E_STATE, net_rates(t->n, s, getpid(), &t->e));
	REFUSED(E_STATE, net_rates(t->n, s, other, &t->e));
	lab_kill(&other);
	REFUSED(E_STATE, net_rates(t->n, s, 0x7fffffff, &t->e));
	OK(lab_sh(0, "! tc qdisc show | grep tbf"));
	OK(lab_sh(t->pots[1].pid, "! tc qdisc show | grep tbf"));
	return true;
}

/* They change while the pot runs: given, again, others, one of them none, both none. */
static bool
rates_live(struct lab *t)
{
	static const struct {
		uint64_t in, out;
		const char *says[2]; /* NULL: no limit */
	} steps[] = {
		{ 8000000, UINT64_C(40000000000), { "rate 8Mbit", "rate 40Gbit" } },
		{ 8000000, UINT64_C(40000000000), { "rate 8Mbit", "rate 40Gbit" } },
		{ UINT64_C(40000000000), 16000000, { "rate 40Gbit", "rate 16Mbit" } },
		{ 0, 16000000, { NULL, "rate 16Mbit" } },
		{ 8000000, 0, { "rate 8Mbit", NULL } },
		{ 0, 0, { NULL, NULL } },
		{ 0, 0, { NULL, NULL } },
	};
	struct net_spec *s = &t->pots[0].spec;
	char line[2][256], addr[IP_TEXT], gw[IP_TEXT];

	OK(lab_pot(t, 0, "public", STACK_DUAL) && lab_pot(t, 1, "public", STACK_DUAL));
	OK(lab_up(t, 0, 80) && lab_up(t, 1, 0));
	lab_addr(t, 0, 4, addr);
	gateway(t, "public", 4, gw);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		s->in_bps = steps[i].in;
		s->out_bps = steps[i].out;
		DO(net_rates(t->n, s, t->pots[0].pid, &t->e));
		read_rates(t, 0, line[0], line[1]);
		for (int k = 0; k < 2; k++) {
			const char *want = steps[i].says[k];

			OK(want == NULL ? line[k][0] == '\0' : strstr(line[k], want) != NULL);
		}
		SEES(gw, 0, PORT_TCP, addr, 80);
	}
	return rates_of_nobody(t);
}

const struct lab_case network_reach[] = {
	{ "public bridge, IPv4: every direction", public4 },
	{ "public bridge, IPv6: every direction", public6 },
	{ "public bridge, both families: every direction", public_dual },
	{ "private bridge, both families: every direction", private_all },
	{ "bridges do not reach each other but by published ports", between_bridges },
	{ "isolated pots of the public bridge", isolated },
	{ "a port on one address of the host", one_address },
	{ "a pot cannot use what is not its own", spoofing },
	{ "a pot on two bridges", two_bridges },
	{ "names and MAC addresses are stable", stable },
	{ "aliases on the host's interfaces", alias },
	{ "a resolver that only the host reaches", resolver },
	{ "rate limits", rates },
	{ "rate limits that change", rates_live },
	{ NULL, NULL },
};
