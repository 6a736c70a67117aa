/* Addresses, prefixes, stacks and rates: text, arithmetic, order. */
#include "expect.h"
#include "model/netaddr.h"

static struct ip_addr
ip(const char *s)
{
	struct ip_addr a = { 0 };
	struct err e = ERR_INIT;

	if (ip_parse(s, &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static struct ip_prefix
prefix(const char *s)
{
	struct ip_prefix p = { 0 };
	struct err e = ERR_INIT;

	if (ip_prefix_parse(s, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void
expect_ip(struct ip_addr a, const char *want)
{
	char text[IP_TEXT];

	ip_print(&a, text);
	assert_string_equal(text, want);
}

static void
addresses(void **state)
{
	static const char *const good[] = { "0.0.0.0", "10.192.0.1", "255.255.255.255", "::", "::1",
		"fd00::1", "::ffff:1.2.3.4", "2001:db8:1:2:3:4:5:6" };
	static const char *const bad[] = { "", "1", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",
		"1.2.3.4/8", "fe80::1%eth0", "[::1]", ":", ":::", "1::2::3", "localhost", "1.2.3.4:80",
		"\n" };
	struct ip_addr a;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		expect_ip(ip(good[i]), good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		expect_err(ip_parse(bad[i], &a, &e), E_INVAL, "is neither an IPv4 nor an IPv6 address");
		assert_int_equal(ip_parse(bad[i], &a, NULL), -E_INVAL);
	}
	expect_ip((struct ip_addr){ 0 }, "");
}

static void
prefixes(void **state)
{
	static const char *const bad[] = { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08x", "/8",
		"fd00::/129", "10.0.0.0/8/8", "10.0.0.0/ 8" };
	struct ip_prefix p = prefix("10.192.3.4/10");
	struct ip_addr a = ip("10.255.255.255"), b = ip("10.128.0.0"), six = ip("fd00::1");
	char text[IP_TEXT];
	struct err e = ERR_INIT;

	ip_prefix_print(&p, text);
	assert_string_equal(text, "10.192.3.4/10");
	expect_ip(ip_network(&p), "10.192.0.0");
	expect_ip(ip_broadcast(&p), "10.255.255.255");
	assert_true(ip_in(&p, &a));
	assert_false(ip_in(&p, &b));
	assert_false(ip_in(&p, &six));
	p = prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	ip_prefix_print(&p, text);
	assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
	p = prefix("10.0.0.1");
	assert_int_equal(p.len, 32);
	p = prefix("0.0.0.0/0");
	assert_true(ip_in(&p, &a));
	p = prefix("fd00:1:2:3::/61");
	expect_ip(ip_network(&p), "fd00:1:2::");
	expect_ip(ip_broadcast(&p), "fd00:1:2:7:ffff:ffff:ffff:ffff");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip_prefix_parse(bad[i], &p, &e), -E_INVAL);
}

static void
overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} rows[] = {
		{ "10.0.0.0/8", "10.1.0.0/16", true },
		{ "10.0.0.0/8", "11.0.0.0/8", false },
		{ "10.0.0.0/9", "10.128.0.0/9", false },
		{ "0.0.0.0/0", "1.2.3.4/32", true },
		{ "0.0.0.0/0", "::/0", false },
		{ "fd00::/64", "fd00::1/128", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_prefix a = prefix(rows[i].a), b = prefix(rows[i].b);

		assert_int_equal(ip_overlap(&a, &b), rows[i].overlap);
		assert_int_equal(ip_overlap(&b, &a), rows[i].overlap);
	}
}

static void
arithmetic(void **state)
{
	struct ip_addr a = ip("10.0.0.255"), b = ip("255.255.255.255"), c = ip("fd00::ffff:ffff:ffff:ffff");
	struct ip_addr d = ip("10.0.0.1"), e = ip("::1");

	expect_ip(ip_add(&a, 1), "10.0.1.0");
	expect_ip(ip_add(&a, 0), "10.0.0.255");
	expect_ip(ip_add(&b, 1), "0.0.0.0");
	expect_ip(ip_add(&c, 1), "fd00:0:0:1::");
	expect_ip(ip_add(&c, UINT64_MAX), "fd00::1:ffff:ffff:ffff:fffe");
	assert_true(ip_compare(&d, &a) < 0 && ip_compare(&a, &d) > 0 && ip_compare(&a, &a) == 0);
	assert_true(ip_compare(&b, &e) < 0);
	assert_false(ip_equal(&a, &d));
}

static void
loopback(void **state)
{
	static const char *const yes[] = { "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1" };
	static const char *const no[] = { "128.0.0.1", "10.0.0.1", "::", "::2", "::ffff:10.0.0.1",
		"fd00::1" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		struct ip_addr a = ip(yes[i]);

		assert_true(ip_is_loopback(&a));
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		struct ip_addr a = ip(no[i]);

		assert_false(ip_is_loopback(&a));
	}
}

static void
stacks(void **state)
{
	enum ip_stack s;
	struct err e = ERR_INIT;

	assert_int_equal(ip_stack_parse("dual", &s, &e), 0);
	assert_int_equal(s, STACK_IPV4 | STACK_IPV6);
	assert_string_equal(ip_stack_name(STACK_IPV6), "ipv6");
	expect_err(ip_stack_parse("ipv5", &s, &e), E_INVAL, "'ipv5' is not one of ipv4, ipv6, dual");
}

static void
rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t bits;
	} good[] = { { "8000", 8000 }, { "500k", 500000 }, { "10m", 10000000 }, { "10Mbit", 10000000 },
		{ "1.5G", 1500000000 }, { "0.125m", 125000 }, { "1000g", 1000000000000 },
		{ "9000bit", 9000 } };
	static const char *const bad[] = { "", "1", "k", "1.5", "1.2.3m", "1.m", ".m", "-1m", "10mb", "10 m",
		"1001g", "99999999999999999999g", "0.0001g", "1e9" };
	struct err e = ERR_INIT;
	uint64_t bits;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(ip_rate_parse(good[i].text, &bits, "rate", &e), 0);
		assert_int_equal(bits, good[i].bits);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_err(ip_rate_parse(bad[i], &bits, "rate", &e), E_INVAL, "is not a rate");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(arithmetic),
		cmocka_unit_test(loopback),
		cmocka_unit_test(stacks),
		cmocka_unit_test(rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
