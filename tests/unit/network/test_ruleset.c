/* The rules' text and the layout of elements; that nftables takes them is tested with nftables. */
#include "../model/expect.h"
#include "network/linux/ruleset.h"

static const struct net_ruleset_args args = { "0123abcd", true }, plain = { "0123abcd", false };

static void
text(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536), again = BUF_INIT(65536);
	char hash[NET_RULES_HASH], other[NET_RULES_HASH];
	struct err e = ERR_INIT;

	assert_int_equal(net_ruleset(&args, &b, &e), 0);
	assert_int_equal(net_ruleset_hash(&args, hash, &e), 0);
	assert_int_equal(strlen(hash), 16);
	/* Whatever was there is gone in the same transaction. */
	assert_int_equal(
	    strncmp(b.data, "table inet pot-0123abcd {\n}\ndelete table inet pot-0123abcd\n", 58), 0);
	assert_non_null(strstr(b.data, hash));
	assert_non_null(strstr(b.data, "iifname \"pb0123abcd-*\" ip daddr 127.0.0.0/8 drop"));
	assert_non_null(strstr(b.data, "table bridge pot-0123abcd"));
	assert_non_null(strstr(b.data, "iifgroup != 19114957 accept"));
	assert_null(strstr(b.data, "@B"));
	assert_null(strstr(b.data, "@G"));
	assert_null(strstr(b.data, "counter"));
	assert_int_equal(net_ruleset(&plain, &again, &e), 0);
	assert_null(strstr(again.data, "bridge pot-"));
	assert_int_equal(net_ruleset_hash(&plain, other, &e), 0);
	assert_string_not_equal(hash, other);
}

static void
too_small(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;

	expect_err(net_ruleset(&args, &b, &e), E_LIMIT, "the rules");
}

static void
chains(void **state)
{
	struct net_rules_chain c;
	size_t with = 0, without = 0;

	for (; net_ruleset_chain(&args, with, &c); with++)
		assert_true(c.rules > 0 && c.name[0] != '\0');
	for (; net_ruleset_chain(&plain, without, &c); without++)
		assert_false(c.bridge);
	assert_int_equal(with, without + 1);
}

struct row {
	struct net_elem el;
	const char *set, *key, *data, *text;
	bool bridge;
};

#define V6                        \
	6,                        \
	{                         \
		0xfd, 1, [15] = 2 \
	}
#define PV .ifname = "pv1"
#define PV_HEX "70763100000000000000000000000000"
#define MAC2 .mac = { 2, 1, 10, 192, 0, 2 }

static const struct row rows[] = {
	{ { .kind = NET_EL_SOURCE, PV, MAC2, .addr = { 4, { 10, 192, 0, 2 } } }, "source4",
	    PV_HEX "02010ac0000200000ac00002", "",
	    "add element bridge pot-0123abcd source4 { \"pv1\" . 02:01:0a:c0:00:02 . 10.192.0.2 }\n", true },
	{ { .kind = NET_EL_SOURCE, PV, MAC2, .addr = { V6 } }, "source6",
	    PV_HEX "02010ac000020000fd010000000000000000000000000002", "",
	    "add element bridge pot-0123abcd source6 { \"pv1\" . 02:01:0a:c0:00:02 . fd01::2 }\n", true },
	{ { .kind = NET_EL_TARGET, PV, MAC2, .addr = { V6 } }, "target6",
	    PV_HEX "02010ac000020000fd010000000000000000000000000002", "",
	    "add element bridge pot-0123abcd target6 { \"pv1\" . 02:01:0a:c0:00:02 . "
	    "0xfd010000000000000000000000000002 }\n",
	    true },
	{ { .kind = NET_EL_PORT,
	      .proto = PORT_TCP,
	      .port = 8080,
	      .to = { 4, { 10, 192, 0, 2 } },
	      .to_port = 80 },
	    "port4", "060000001f900000", "0ac0000200500000",
	    "add element inet pot-0123abcd port4 { 6 . 8080 : 10.192.0.2 . 80 }\n", false },
	{ { .kind = NET_EL_PORT,
	      .proto = PORT_UDP,
	      .addr = { 4, { 1, 2, 3, 4 } },
	      .port = 53,
	      .to = { 4, { 10, 192, 0, 2 } },
	      .to_port = 5353 },
	    "port4a", "110000000102030400350000", "0ac0000214e90000",
	    "add element inet pot-0123abcd port4a { 17 . 1.2.3.4 . 53 : 10.192.0.2 . 5353 }\n", false },
	{ { .kind = NET_EL_PORT, .proto = PORT_TCP, .port = 8080, .to = { V6 }, .to_port = 80 }, "port6",
	    "060000001f900000", "fd01000000000000000000000000000200500000",
	    "add element inet pot-0123abcd port6 { 6 . 8080 : fd01::2 . 80 }\n", false },
	{ { .kind = NET_EL_PORT,
	      .proto = PORT_TCP,
	      .addr = { V6 },
	      .port = 8080,
	      .to = { V6 },
	      .to_port = 80 },
	    "port6a", "06000000fd0100000000000000000000000000021f900000",
	    "fd01000000000000000000000000000200500000",
	    "add element inet pot-0123abcd port6a { 6 . fd01::2 . 8080 : fd01::2 . 80 }\n", false },
	{ { .kind = NET_EL_OPEN, .proto = PORT_TCP, .to = { V6 }, .to_port = 80 }, "open6",
	    "fd0100000000000000000000000000020600000000500000", "",
	    "add element inet pot-0123abcd open6 { fd01::2 . 6 . 80 }\n", false },
	{ { .kind = NET_EL_HAIRPIN, PV }, "hairpin", PV_HEX PV_HEX, "",
	    "add element inet pot-0123abcd hairpin { \"pv1\" . \"pv1\" }\n", false },
	{ { .kind = NET_EL_WITHIN, PV }, "within", PV_HEX PV_HEX, "",
	    "add element inet pot-0123abcd within { \"pv1\" . \"pv1\" }\n", false },
	{ { .kind = NET_EL_NAT6, PV }, "nat6", PV_HEX, "", "add element inet pot-0123abcd nat6 { \"pv1\" }\n",
	    false },
};

static void
expect_hex(const uint8_t *p, unsigned len, const char *hex)
{
	static const char digits[] = "0123456789abcdef";

	assert_int_equal(2 * len, strlen(hex));
	for (unsigned i = 0; i < len; i++) {
		assert_int_equal(hex[2 * i], digits[p[i] >> 4]);
		assert_int_equal(hex[2 * i + 1], digits[p[i] & 15]);
	}
}

static void
elements(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
		struct net_elem_raw raw;

		assert_true(net_elem_raw(&args, &rows[i].el, &raw));
		assert_string_equal(raw.set, rows[i].set);
		assert_int_equal(raw.bridge, rows[i].bridge);
		expect_hex(raw.key, raw.key_len, rows[i].key);
		expect_hex(raw.data, raw.data_len, rows[i].data);
		net_elem_text(&args, "add", &rows[i].el, &b);
		assert_string_equal(buf_cstr(&b), rows[i].text);
		assert_int_equal(net_elem_raw(&plain, &rows[i].el, &raw), !rows[i].bridge);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(too_small),
		cmocka_unit_test(chains),
		cmocka_unit_test(elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
