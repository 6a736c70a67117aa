/* What must exist for a pot, from its specification alone; names and MACs. */
#include "../model/expect.h"
#include <stdio.h>
#include "network/bridge.h"
#include "network/plan.h"

#define NODE "0123abcd"
#define POT "00000000000000aa"

static struct ip_addr
ip(const char *s)
{
	struct ip_addr a;
	struct err e = ERR_INIT;

	if (ip_parse(s, &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static struct net_bridge
bridge(const char *name, unsigned index, const char *net4, const char *net6, bool nat6)
{
	struct net_bridge b = { .nat6 = nat6, .is_public = index == 0 };
	struct err e = ERR_INIT;

	snprintf(b.name, sizeof(b.name), "%s", name);
	net_name_bridge(NODE, index, b.ifname);
	assert_int_equal(ip_prefix_parse(net4, &b.net4, &e), 0);
	assert_int_equal(ip_prefix_parse(net6, &b.net6, &e), 0);
	b.gw4 = ip_add(&b.net4.addr, 1);
	b.gw6 = ip_add(&b.net6.addr, 1);
	return b;
}

static struct net_lease
lease(const char *name, const char *a4, const char *a6)
{
	struct net_lease l = { .a4.family = 0 };

	snprintf(l.bridge, sizeof(l.bridge), "%s", name);
	if (a4 != NULL)
		l.a4 = ip(a4);
	if (a6 != NULL)
		l.a6 = ip(a6);
	return l;
}

static size_t
count(const struct net_plan *p, enum net_elem_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nelems; i++)
		n += p->elems[i].kind == kind;
	return n;
}

static void
expect_prefix(const struct ip_prefix *p, const char *want)
{
	char text[IP_TEXT];

	ip_prefix_print(p, text);
	assert_string_equal(text, want);
}

/* ---- names ------------------------------------------------------------------------ */

static void
names(void **state)
{
	char a[NET_IFNAME], b[NET_IFNAME], table[NET_TABLE_NAME];
	struct err e = ERR_INIT;

	net_name_table(NODE, table);
	assert_string_equal(table, "pot-0123abcd");
	net_name_bridge(NODE, 0, a);
	assert_string_equal(a, "pb0123abcd-0");
	net_name_bridge(NODE, NET_BRIDGE_INDEX_MAX, a);
	assert_string_equal(a, "pb0123abcd-9999");
	assert_int_equal(net_name_group(NODE), 0x0123abcd);
	assert_int_equal(net_name_group("00000000"), 1);
	net_name_veth("0000000000000000", 0, a);
	assert_string_equal(a, "pv0000000000000");
	net_name_veth("ffffffffffffffff", NET_BRIDGES_MAX - 1, b);
	assert_int_equal(strlen(b), 15);
	/* The largest does not wrap to the smallest, and neighbours differ. */
	assert_string_not_equal(a, b);
	net_name_veth("fffffffffffffffe", NET_BRIDGES_MAX - 1, a);
	assert_string_not_equal(a, b);
	net_name_veth("ffffffffffffffff", 0, a);
	assert_string_not_equal(a, b);
	expect_err(net_node_id_check("0123ABCD", &e), E_INVAL, "not 8 hexadecimal digits");
	expect_err(net_pot_id_check("0123abcd", &e), E_INVAL, "not 16 hexadecimal digits");
}

static void
macs(void **state)
{
	struct ip_addr a4 = ip("10.192.0.2"), b4 = ip("10.192.0.3"), a6 = ip("fd00::2"), b6 = ip("fd00::3");
	uint8_t m[NET_MAC], n[NET_MAC];

	net_mac_pot("pb0123abcd-0", &a4, m);
	assert_int_equal(m[0], 2);
	assert_memory_equal(m + 2, a4.b, 4);
	net_mac_pot("pb0123abcd-0", &b4, n);
	assert_memory_not_equal(m, n, NET_MAC);
	net_mac_pot("pb0123abcd-1", &a4, n);
	assert_memory_not_equal(m, n, NET_MAC);
	net_mac_pot("pb0123abcd-0", &a6, m);
	net_mac_pot("pb0123abcd-0", &b6, n);
	assert_int_equal(m[0], 6);
	assert_memory_not_equal(m, n, NET_MAC);
	net_mac_host_end("pv0000000000000", m);
	assert_int_equal(m[0], 0xfe);
	net_mac_bridge("pb0123abcd-0", m);
	/* Locally administered, one receiver. */
	assert_int_equal(m[0] & 3, 2);
}

/* ---- pots -------------------------------------------------------------------------- */

static void
one_bridge(void **state)
{
	struct net_bridge b = bridge("public", 0, "10.192.0.0/16", "fd00:1::/64", true);
	struct port_map ports[2] = { { PORT_TCP, { 0 }, 8080, 80 }, { PORT_UDP, ip("127.0.0.1"), 53, 5353 } };
	struct net_spec s = { .id = POT,
		.pot = "web",
		.type = NET_BRIDGE,
		.stack = STACK_DUAL,
		.nleases = 1,
		.leases = { lease("public", "10.192.0.2", "fd00:1::2") },
		.nports = 2,
		.ports = ports,
		.in_bps = 8000000000,
		.out_bps = 1 };
	AUTO_FINI(net_plan) struct net_plan p = NET_PLAN_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(net_plan_pot(&p, NODE, true, &s, &b, &e), 0);
	assert_int_equal(p.group, 0x0123abcd);
	assert_int_equal(p.nlinks, 1);
	assert_string_equal(p.links[0].inner, "eth0");
	assert_string_equal(p.links[0].bridge, "pb0123abcd-0");
	assert_true(p.links[0].isolated && p.links[0].ip4 && p.links[0].ip6);
	assert_int_equal(p.links[0].naddrs, 3);
	expect_prefix(&p.links[0].addrs[0], "10.192.0.2/16");
	expect_prefix(&p.links[0].addrs[1], "fd00:1::2/64");
	assert_int_equal(p.links[0].addrs[2].addr.b[0], 0xfe);
	assert_int_equal(p.links[0].addrs[2].len, 64);
	assert_int_equal(p.links[0].nroutes, 2);
	assert_int_equal(p.links[0].routes[0].dst.len, 0);
	assert_true(ip_equal(&p.links[0].routes[0].via, &b.gw4));
	assert_true(ip_equal(&p.links[0].routes[1].via, &b.gw6));
	assert_int_equal(p.links[0].in.bytes_per_s, 1000000000);
	assert_int_equal(p.links[0].in.burst, 20000000);
	assert_int_equal(p.links[0].out.bytes_per_s, 1);
	assert_int_equal(p.links[0].out.burst, 128 * 1024);
	/* Three addresses may come out of the link, two of them be advertised; any address is one port per family. */
	assert_int_equal(count(&p, NET_EL_SOURCE), 3);
	assert_int_equal(count(&p, NET_EL_TARGET), 2);
	assert_int_equal(count(&p, NET_EL_PORT), 3);
	assert_int_equal(count(&p, NET_EL_OPEN), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_true(p.elems[i].kind <= NET_EL_TARGET);
		assert_string_equal(p.elems[i].ifname, p.links[0].host);
		assert_memory_equal(p.elems[i].mac, p.links[0].inner_mac, NET_MAC);
	}
	assert_int_equal(p.elems[5].port, 8080);
	assert_int_equal(p.elems[5].to_port, 80);
	assert_true(ip_equal(&p.elems[5].to, &s.leases[0].a4));
	assert_true(ip_equal(&p.elems[6].to, &s.leases[0].a6));
	assert_int_equal(p.elems[7].addr.b[0], 127);
}

static void
one_family(void **state)
{
	struct net_bridge b = bridge("db", 3, "10.200.0.0/28", "2001:db8::/64", false);
	struct port_map ports[3] = { { PORT_TCP, { 0 }, 8080, 80 }, { PORT_TCP, { 0 }, 8081, 80 },
		{ PORT_UDP, { 0 }, 8080, 80 } };
	struct net_spec s = { .id = POT,
		.pot = "web",
		.type = NET_BRIDGE,
		.stack = STACK_IPV4,
		.nleases = 1,
		.leases = { lease("db", "10.200.0.2", NULL) },
		.nports = 3,
		.ports = ports };
	AUTO_FINI(net_plan) struct net_plan p = NET_PLAN_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(net_plan_pot(&p, NODE, true, &s, &b, &e), 0);
	assert_false(p.links[0].ip6 || p.links[0].isolated);
	assert_int_equal(p.links[0].naddrs, 1);
	assert_int_equal(p.links[0].nroutes, 1);
	assert_int_equal(p.links[0].in.bytes_per_s, 0);
	assert_int_equal(count(&p, NET_EL_TARGET), 0);
	assert_int_equal(count(&p, NET_EL_PORT), 3);
	net_plan_fini(&p);
	/* A routed prefix: the pot's port is open itself, once for two of the host's. */
	s.leases[0] = lease("db", NULL, "2001:db8::2");
	assert_int_equal(net_plan_pot(&p, NODE, false, &s, &b, &e), 0);
	assert_false(p.links[0].ip4);
	assert_int_equal(p.links[0].inner_mac[0], 6);
	assert_int_equal(count(&p, NET_EL_OPEN), 2);
}

static void
several_bridges(void **state)
{
	struct net_bridge b[2] = { bridge("one", 1, "10.200.0.0/28", "fd00:2::/64", true),
		bridge("public", 0, "10.192.0.0/16", "fd00:1::/64", true) };
	struct port_map ports[1] = { { PORT_TCP, { 0 }, 8080, 80 } };
	struct net_spec s = { .id = POT,
		.pot = "web",
		.type = NET_BRIDGE,
		.stack = STACK_DUAL,
		.nleases = 2,
		.leases = { lease("one", "10.200.0.2", NULL), lease("public", "10.192.0.2", "fd00:1::2") },
		.nports = 1,
		.ports = ports };
	AUTO_FINI(net_plan) struct net_plan p = NET_PLAN_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(net_plan_pot(&p, NODE, true, &s, b, &e), 0);
	assert_int_equal(p.nlinks, 2);
	assert_string_equal(p.links[1].inner, "eth1");
	assert_string_not_equal(p.links[0].host, p.links[1].host);
	assert_false(p.links[0].isolated);
	assert_true(p.links[1].isolated);
	/* The default route by the first that has the family; the port as well. */
	assert_int_equal(p.links[0].nroutes, 1);
	assert_int_equal(p.links[0].routes[0].via.family, 4);
	assert_int_equal(p.links[1].nroutes, 1);
	assert_int_equal(p.links[1].routes[0].via.family, 6);
	assert_int_equal(count(&p, NET_EL_PORT), 2);
	net_plan_fini(&p);
	s.leases[1] = s.leases[0];
	b[1] = b[0];
	expect_err(net_plan_pot(&p, NODE, true, &s, b, &e), E_INVAL, "bridge 'one': named twice");
}

static void
without_links(void **state)
{
	struct net_spec s = { .id = POT, .pot = "web", .type = NET_NONE };
	AUTO_FINI(net_plan) struct net_plan p = NET_PLAN_INIT;
	struct err e = ERR_INIT;

	assert_int_equal(net_plan_pot(&p, NODE, false, &s, NULL, &e), 0);
	s.type = NET_INHERIT;
	assert_int_equal(net_plan_pot(&p, NODE, false, &s, NULL, &e), 0);
	assert_int_equal(p.nlinks + p.nelems + p.naliases, 0);
	s.type = NET_ALIAS;
	expect_err(net_plan_pot(&p, NODE, false, &s, NULL, &e), E_INVAL, "needs an address");
	s.naliases = 1;
	s.aliases[0] = (struct net_alias){ "eth0", { ip("192.168.1.9"), 24 } };
	assert_int_equal(net_plan_pot(&p, NODE, false, &s, NULL, &e), 0);
	assert_int_equal(p.naliases, 1);
	s.aliases[0].addr.addr = ip("127.0.0.1");
	expect_err(net_plan_pot(&p, NODE, false, &s, NULL, &e), E_INVAL, "not an address for an interface");
}

static void
refused(void **state)
{
	static const struct {
		const char *a4, *a6, *fragment;
	} rows[] = {
		{ "10.193.0.2", NULL,
		    "address 10.193.0.2: not one for a pot on the bridge 'public' (10.192.0.0/16)" },
		{ "10.192.0.1", NULL, "address 10.192.0.1: not one for a pot" },
		{ NULL, "fd01::2", "address fd01::2: not one for a pot" },
		{ NULL, NULL, "bridge 'public': the pot has no address on it" },
	};
	struct net_bridge b = bridge("public", 0, "10.192.0.0/16", "fd00::/64", true);
	struct port_map ports[2] = { { PORT_TCP, { 0 }, 8080, 80 }, { PORT_TCP, ip("1.2.3.4"), 8080, 81 } };
	struct net_spec s = { .id = POT, .pot = "web", .type = NET_BRIDGE, .nleases = 1, .ports = ports };
	AUTO_FINI(net_plan) struct net_plan p = NET_PLAN_INIT;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		s.leases[0] = lease("public", rows[i].a4, rows[i].a6);
		expect_err(net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, rows[i].fragment);
		assert_null(p.elems);
	}
	s.leases[0] = lease("public", NULL, "fd00::2");
	s.nports = 2;
	expect_err(net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, "the pot has no IPv4 address");
	s.leases[0] = lease("public", "10.192.0.2", NULL);
	expect_err(
	    net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, "port 1.2.3.4:8080:81/tcp: published twice");
	s.nports = 1;
	ports[0].host = 0;
	expect_err(net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, "without a number");
	s.nleases = 0;
	expect_err(net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, "needs an address");
	s.id = "../../etc";
	expect_err(net_plan_pot(&p, NODE, false, &s, &b, &e), E_INVAL, "pot id '../../etc'");
}

static void
bridges(void **state)
{
	struct net_bridge b = bridge("public", 0, "10.192.0.0/16", "fd00::/64", true);
	struct net_bridge_plan p;

	net_plan_bridge(&p, NODE, true, &b);
	expect_prefix(&p.addrs[0], "10.192.0.1/16");
	expect_prefix(&p.addrs[1], "fd00::1/64");
	expect_prefix(&p.addrs[2], "fe80::1/64");
	assert_int_equal(p.nelems, 2); /* hairpin and NAT66, not within */
	net_plan_bridge(&p, NODE, false, &b);
	assert_int_equal(p.nelems, 3);
	b.is_public = b.nat6 = false;
	net_plan_bridge(&p, NODE, true, &b);
	assert_int_equal(p.nelems, 2);
	assert_int_equal(p.elems[1].kind, NET_EL_WITHIN);
}

/* ---- ranges -------------------------------------------------------------------------- */

static void
ranges(void **state)
{
	AUTO_FINI(net_ranges) struct net_ranges taken = NET_RANGES_INIT;
	struct ip_prefix pool, p;
	struct err e = ERR_INIT;

	assert_int_equal(net_range_len(1), 30);
	assert_int_equal(net_range_len(5), 29);
	assert_int_equal(net_range_len(6), 28);
	assert_int_equal(net_range_len(65533), 16);
	assert_int_equal(ip_prefix_parse("10.0.0.0/30", &pool, &e), 0);
	assert_int_equal(ip_prefix_parse("10.0.0.1/32", &p, &e), 0);
	assert_int_equal(net_ranges_add(&taken, &p, &e), 0);
	assert_true(net_range_find(&taken, &pool, 31, 0, &p));
	expect_prefix(&p, "10.0.0.2/31");
	assert_true(net_range_find(&taken, &pool, 32, 3, &p));
	expect_prefix(&p, "10.0.0.3/32");
	assert_false(net_range_find(&taken, &pool, 30, 0, &p));
	assert_false(net_range_find(&taken, &pool, 29, 0, &p));
	p = net_range_ula(NODE, 258);
	assert_int_equal(p.addr.b[0], 0xfd);
	assert_int_equal(p.addr.b[6], 1);
	assert_int_equal(p.addr.b[7], 2);
	assert_int_equal(ip_prefix_parse("2001:db8::/62", &pool, &e), 0);
	assert_true(net_range_routed(&pool, 3, &p));
	expect_prefix(&p, "2001:db8:0:3::/64");
	assert_false(net_range_routed(&pool, 4, &p));
	assert_int_equal(ip_prefix_parse("2001:db8::/80", &pool, &e), 0);
	assert_true(net_range_routed(&pool, 0, &p));
	assert_false(net_range_routed(&pool, 1, &p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(macs),
		cmocka_unit_test(one_bridge),
		cmocka_unit_test(one_family),
		cmocka_unit_test(several_bridges),
		cmocka_unit_test(without_links),
		cmocka_unit_test(refused),
		cmocka_unit_test(bridges),
		cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
