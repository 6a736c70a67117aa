/* pf rules of a node and its pots as text, and what is read from pfctl's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "network/freebsd/rules.h"

#define NODE "1a2b3c4d"

static struct ip_prefix
prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(text, &p, NULL), 0);
	return p;
}

static void
test_names(void **state)
{
	char name[RULES_PATH], group[NET_IFNAME];

	rules_anchor_nat(NODE, name);
	assert_string_equal(name, "pot-nat/1a2b3c4d");
	rules_anchor_rdr(NODE, "00112233445566ff", name);
	assert_string_equal(name, "pot-rdr/1a2b3c4d-00112233445566ff");
	rules_anchor_filter(NODE, name);
	assert_string_equal(name, "pot-filter/1a2b3c4d");
	rules_anchor_pot(NODE, "00112233445566ff", name);
	assert_string_equal(name, "pot-filter/1a2b3c4d/00112233445566ff");
	/* The kernel refuses a group whose name ends in a digit. */
	rules_group("12345678", group);
	assert_string_equal(group, "pot12345678n");
}

/* A public bridge with NAT66 and a private one with a routed prefix. */
static void
two_bridges(struct rules_bridge v[static 2])
{
	v[0] = (struct rules_bridge){ .ifname = "pb1a2b3c4d-0", .nat6 = true };
	v[1] = (struct rules_bridge){ .ifname = "pb1a2b3c4d-1" };
	v[0].net4 = prefix("10.192.0.1/16");
	v[0].net6 = prefix("fd00::1/64");
	v[1].net4 = prefix("10.200.0.1/24");
	v[1].net6 = prefix("2001:db8:1::1/64");
	for (int i = 0; i < 2; i++) {
		v[i].gw4 = v[i].net4.addr;
		v[i].gw6 = v[i].net6.addr;
	}
}

static void
test_nat(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	AUTO_FINI(strv) struct strv out4 = STRV_INIT(8), out6 = STRV_INIT(8);
	struct rules_bridge v[2];
	struct rules_node r = { NODE, v, 2, &out4, &out6 };

	two_bridges(v);
	strv_add(&out4, "em0");
	strv_add(&out4, "wg0");
	strv_add(&out6, "em0");
	rules_nat_print(&r, &b);
	assert_string_equal(buf_cstr(&b),
	    "table <pots4> const { 10.192.0.0/16 10.200.0.0/24 }\n"
	    "table <pots6> const { fd00::/64 2001:db8:1::/64 }\n"
	    "table <nat6> const { fd00::/64 }\n"
	    "nat on \"pb1a2b3c4d-0\" inet from 10.192.0.0/16 to 10.192.0.0/16 tagged pot1a2b3c4d -> "
	    "(\"pb1a2b3c4d-0:0\")\n"
	    "nat on \"pb1a2b3c4d-1\" inet from 10.200.0.0/24 to 10.200.0.0/24 tagged pot1a2b3c4d -> "
	    "(\"pb1a2b3c4d-1:0\")\n"
	    "nat on \"pb1a2b3c4d-0\" inet6 from fd00::/64 to fd00::/64 tagged pot1a2b3c4d -> "
	    "(\"pb1a2b3c4d-0:0\")\n"
	    "nat on \"pb1a2b3c4d-1\" inet6 from 2001:db8:1::/64 to 2001:db8:1::/64 tagged pot1a2b3c4d -> "
	    "(\"pb1a2b3c4d-1:0\")\n"
	    "nat on \"pb1a2b3c4d-0\" inet from 127.0.0.0/8 to any tagged pot1a2b3c4dl -> "
	    "(\"pb1a2b3c4d-0:0\")\n"
	    "nat on \"pb1a2b3c4d-1\" inet from 127.0.0.0/8 to any tagged pot1a2b3c4dl -> "
	    "(\"pb1a2b3c4d-1:0\")\n"
	    "nat on \"pb1a2b3c4d-0\" inet6 from ::1 to any tagged pot1a2b3c4dl -> (\"pb1a2b3c4d-0:0\")\n"
	    "nat on \"pb1a2b3c4d-1\" inet6 from ::1 to any tagged pot1a2b3c4dl -> (\"pb1a2b3c4d-1:0\")\n"
	    "nat on \"em0\" inet from <pots4> to ! <pots4> -> (\"em0:0\")\n"
	    "nat on \"wg0\" inet from <pots4> to ! <pots4> -> (\"wg0:0\")\n"
	    "nat on \"em0\" inet6 from <nat6> to ! <pots6> -> (\"em0:0\")\n");
}

static void
test_filter(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	struct rules_bridge v[2];
	struct rules_node r = { NODE, v, 2, NULL, NULL };

	two_bridges(v);
	v[1].net6 = (struct ip_prefix){ 0 };
	rules_filter_print(&r, &b);
	assert_string_equal(buf_cstr(&b),
	    "table <pots> const { 10.192.0.0/16 !10.192.0.1 fd00::/64 !fd00::1 10.200.0.0/24 !10.200.0.1 }\n"
	    "table <pb1a2b3c4d-0> const { 10.192.0.0/16 !10.192.0.1 fd00::/64 !fd00::1 fe80::/10 !fe80::1 "
	    "::/128 }\n"
	    "table <pb1a2b3c4d-1> const { 10.200.0.0/24 !10.200.0.1 }\n"
	    "anchor \"*\" in on lo0 tagged pot1a2b3c4dl\nanchor \"*\" on pot1a2b3c4dn\n"
	    "pass out quick on \"pb1a2b3c4d-0\" reply-to (lo0 127.0.0.1) inet tagged pot1a2b3c4dl\n"
	    "pass out quick on \"pb1a2b3c4d-0\" reply-to (lo0 ::1) inet6 tagged pot1a2b3c4dl\n"
	    "block drop in quick on \"pb1a2b3c4d-0\" from ! <pb1a2b3c4d-0>\n"
	    "block drop out quick on \"pb1a2b3c4d-0\" from <pots> to any ! tagged pot1a2b3c4d\n"
	    "pass out quick on \"pb1a2b3c4d-1\" reply-to (lo0 127.0.0.1) inet tagged pot1a2b3c4dl\n"
	    "block drop in quick on \"pb1a2b3c4d-1\" from ! <pb1a2b3c4d-1>\n"
	    "block drop out quick on \"pb1a2b3c4d-1\" from <pots> to any ! tagged pot1a2b3c4d\n");
}

/* What a pot has of its own: rates; the host's way to its ports; its addresses where frames are looked at. */
static void
test_pot(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	struct net_elem v[] = {
		{ .kind = NET_EL_SOURCE, .ifname = "pv0" },
		{ .kind = NET_EL_PORT, .proto = PORT_TCP, .port = 8080, .to_port = 80 },
		{ .kind = NET_EL_PORT, .proto = PORT_UDP, .port = 53, .to_port = 5353 },
	};
	struct net_plan p = { .nlinks = 1, .nelems = 3, .elems = v };
	struct rules_pot r = { NODE, &p, false };

	p.links[0] = (struct net_plan_link){
		.host = "pv0", .bridge = "pb1a2b3c4d-0", .ip4 = true, .ip6 = true, .naddrs = 2
	};
	p.links[0].addrs[0] = prefix("10.192.0.5/16");
	p.links[0].addrs[1] = prefix("fd00::5/64");
	v[1].to = p.links[0].addrs[0].addr;
	v[2].to = p.links[0].addrs[1].addr;
	p.nelems = 1;
	rules_pot_print(&r, &b);
	assert_int_equal(b.len, 0);
	r.pipes[0] = 20010;
	rules_pot_print(&r, &b);
	assert_string_equal(buf_cstr(&b),
	    "match in on \"pb1a2b3c4d-0\" inet from 10.192.0.5 to any dnpipe (20011, 20010)\n"
	    "match out on \"pb1a2b3c4d-0\" inet from any to 10.192.0.5 dnpipe (20010, 20011)\n"
	    "match in on \"pb1a2b3c4d-0\" inet6 from fd00::5 to any dnpipe (20011, 20010)\n"
	    "match out on \"pb1a2b3c4d-0\" inet6 from any to fd00::5 dnpipe (20010, 20011)\n");
	buf_fini(&b);
	b = (struct buf)BUF_INIT(4096);
	r.pipes[0] = 0;
	p.nelems = 3;
	r.members = true;
	rules_pot_print(&r, &b);
	assert_string_equal(buf_cstr(&b),
	    "table <pv0> const { 10.192.0.5 fd00::5 ::/128 }\n"
	    "block drop in quick on \"pv0\" from ! <pv0>\n"
	    "pass in quick on lo0 route-to (\"pb1a2b3c4d-0\" 10.192.0.5) inet proto tcp from any to "
	    "10.192.0.5 port 80 tagged pot1a2b3c4dl\n"
	    "pass in quick on lo0 route-to (\"pb1a2b3c4d-0\" fd00::5) inet6 proto udp from any to "
	    "fd00::5 port 5353 tagged pot1a2b3c4dl\n");
}

static void
test_nat_nothing(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	AUTO_FINI(strv) struct strv out = STRV_INIT(8);
	struct rules_node r = { NODE, NULL, 0, &out, &out };

	strv_add(&out, "em0");
	rules_nat_print(&r, &b);
	rules_filter_print(&r, &b);
	assert_int_equal(b.len, 0);
}

static void
test_rdr(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	struct net_elem v[4] = {
		{ .kind = NET_EL_SOURCE, .ifname = "pv0" },
		{ .kind = NET_EL_PORT, .proto = PORT_TCP, .port = 8080, .to_port = 80 },
		{ .kind = NET_EL_PORT, .proto = PORT_UDP, .port = 53, .to_port = 5353 },
		{ .kind = NET_EL_OPEN, .proto = PORT_TCP, .to_port = 80 },
	};

	v[1].to = prefix("10.192.0.5").addr;
	v[2].addr = prefix("2001:db8::1").addr;
	v[2].to = prefix("fd00::5").addr;
	rules_rdr_print(NODE, v, 4, &b);
	assert_string_equal(buf_cstr(&b),
	    "rdr on lo0 inet proto tcp from any to (self) port 8080 tag pot1a2b3c4dl -> 10.192.0.5 port 80\n"
	    "rdr pass inet proto tcp from any to (self) port 8080 tag pot1a2b3c4d -> 10.192.0.5 port 80\n"
	    "rdr on lo0 inet6 proto udp from any to 2001:db8::1 port 53 tag pot1a2b3c4dl -> fd00::5 port "
	    "5353\n"
	    "rdr pass inet6 proto udp from any to 2001:db8::1 port 53 tag pot1a2b3c4d -> fd00::5 port "
	    "5353\n");
}

static void
check_hooks(const char *text, bool nat, bool rdr, bool filter)
{
	assert_int_equal(rules_hook_is(&rules_hooks[RULES_HOOK_NAT], text), nat);
	assert_int_equal(rules_hook_is(&rules_hooks[RULES_HOOK_RDR], text), rdr);
	assert_int_equal(rules_hook_is(&rules_hooks[RULES_HOOK_FILTER], text), filter);
}

static void
test_hooks(void **state)
{
	check_hooks("", false, false, false);
	check_hooks("nat-anchor \"pot-nat\" all\nrdr-anchor \"pot-rdr/*\" all\nanchor \"pot-filter\" all\n",
	    true, true, true);
	check_hooks("rdr-anchor \"pot-rdr/*\" all", false, true, false);
	check_hooks("nat-anchor pot-nat all\n", true, false, false);
	check_hooks("block drop all\nanchor pot-filter all", false, false, true);
	/* Others that begin alike, or lead to one pot only. */
	check_hooks(
	    "nat-anchor \"pot-nat2\" all\nrdr-anchor \"pot-rdr\" all\nrdr-anchor \"pot-rdr/web\" all\n",
	    false, false, false);
	check_hooks("anchor \"pot-filter/x\" all\nanchor \"pot-filter2\" all\n", false, false, false);
	check_hooks("nat on em0 from any to any -> 1.2.3.4 # nat-anchor \"pot-nat\"\nnat-anchor", false,
	    false, false);
	/* What we tell people to write. */
	check_hooks(RULES_HOOKS, true, true, true);
	for (unsigned i = 0; i < RULES_HOOK_COUNT; i++)
		assert_non_null(strstr(RULES_HOOKS, rules_hooks[i].line));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_nat_nothing),
		cmocka_unit_test(test_rdr),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_pot),
		cmocka_unit_test(test_hooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
