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
	/* The kernel refuses a group whose name ends in a digit. */
	rules_group("12345678", group);
	assert_string_equal(group, "pot12345678n");
}

static void
test_nat(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	AUTO_FINI(strv) struct strv out4 = STRV_INIT(8), out6 = STRV_INIT(8);
	struct rules_bridge v[2] = { { .ifname = "pb1a2b3c4d-0", .nat6 = true },
		{ .ifname = "pb1a2b3c4d-1" } };
	struct rules_nat r = { NODE, v, 2, &out4, &out6 };

	v[0].net4 = prefix("10.192.0.1/16");
	v[0].net6 = prefix("fd00::1/64");
	v[1].net4 = prefix("10.200.0.1/24");
	v[1].net6 = prefix("2001:db8:1::1/64"); /* routed: no NAT66 */
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
	    "nat on \"em0\" inet from <pots4> to ! <pots4> -> (\"em0:0\")\n"
	    "nat on \"wg0\" inet from <pots4> to ! <pots4> -> (\"wg0:0\")\n"
	    "nat on \"em0\" inet6 from <nat6> to ! <pots6> -> (\"em0:0\")\n");
}

static void
test_nat_nothing(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	AUTO_FINI(strv) struct strv out = STRV_INIT(8);
	struct rules_nat r = { NODE, NULL, 0, &out, &out };

	strv_add(&out, "em0");
	rules_nat_print(&r, &b);
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
	    "rdr pass inet proto tcp from any to (self) port 8080 tag pot1a2b3c4d -> 10.192.0.5 port 80\n"
	    "rdr pass inet6 proto udp from any to 2001:db8::1 port 53 tag pot1a2b3c4d -> fd00::5 port "
	    "5353\n");
}

static void
check_hooks(const char *text, bool nat, bool rdr)
{
	bool has_nat = !nat, has_rdr = !rdr;

	rules_hooks(text, &has_nat, &has_rdr);
	assert_int_equal(has_nat, nat);
	assert_int_equal(has_rdr, rdr);
}

static void
test_hooks(void **state)
{
	check_hooks("", false, false);
	check_hooks("nat-anchor \"pot-nat\" all\nrdr-anchor \"pot-rdr/*\" all\n", true, true);
	check_hooks("rdr-anchor \"pot-rdr/*\" all", false, true);
	check_hooks("nat-anchor pot-nat all\n", true, false);
	/* Others that begin alike, or lead to one pot only. */
	check_hooks(
	    "nat-anchor \"pot-nat2\" all\nrdr-anchor \"pot-rdr\" all\nrdr-anchor \"pot-rdr/web\" all\n",
	    false, false);
	check_hooks(
	    "nat on em0 from any to any -> 1.2.3.4 # nat-anchor \"pot-nat\"\nnat-anchor", false, false);
	/* What we tell people to write. */
	check_hooks(RULES_HOOKS, true, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_nat_nothing),
		cmocka_unit_test(test_rdr),
		cmocka_unit_test(test_hooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
