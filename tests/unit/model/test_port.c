/* Published ports: the new form, the classic one, and what collides. */
#include "expect.h"
#include "model/port.h"

static void
good(void **state)
{
	static const struct {
		const char *text, *first;
		size_t n;
	} rows[] = {
		{ "8080:80", "8080:80/tcp", 1 },
		{ ":80", ":80/tcp", 1 },
		{ "53:53/udp", "53:53/udp", 1 },
		{ "127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp", 1 },
		{ "127.0.0.1::80/udp", "127.0.0.1::80/udp", 1 },
		{ "[::1]:8080:80", "[::1]:8080:80/tcp", 1 },
		{ "[::1]::80", "[::1]::80/tcp", 1 },
		{ "0.0.0.0:1:2", "1:2/tcp", 1 },
		{ "[::]:1:2", "1:2/tcp", 1 },
		{ "8000-8009:80-89", "8000:80/tcp", 10 },
		{ ":80-82", ":80/tcp", 3 },
		{ "65535:65535", "65535:65535/tcp", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static struct port_map v[PORT_MAPS_MAX];
		struct port_map again[1];
		char text[PORT_TEXT];
		struct err e = ERR_INIT;
		size_t n = 0, m = 0;

		if (port_parse(rows[i].text, v, &n, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_int_equal(n, rows[i].n);
		port_print(&v[0], text);
		assert_string_equal(text, rows[i].first);
		assert_int_equal(port_parse(text, again, &m, &e), 0);
		assert_int_equal(again[0].host, v[0].host);
		assert_int_equal(v[n - 1].pot, v[0].pot + n - 1);
		assert_true(v[0].host == 0 ? v[n - 1].host == 0 : v[n - 1].host == v[0].host + n - 1);
	}
}

static void
bad(void **state)
{
	static const char *const rows[] = { "", "80", ":", "80:", "0:80", "80:0", "65536:80", "80:65536",
		"a:80", "80:80/sctp", "80:80/", "1-2:1-3", "2-1:2-1", "1-:1", "-1:1", "[::1]:80",
		"[::1:80:80", "[1.2.3.4]:80:80", "::1:80:80", "1.2.3:80:80", "host:80:80", "8080:80:90:1",
		" 80:80", "80:80 ", "80:80/tcp/udp", "[fe80::1%eth0]:80:80", "+80:80" };
	struct port_map v[4];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = 0;

		if (port_parse(rows[i], v, &n, &e) != -E_INVAL)
			fail_msg("'%s' is taken", rows[i]);
		assert_int_equal(n, 0);
		assert_int_equal(port_parse(rows[i], v, &n, NULL), -E_INVAL);
	}
}

static void
too_many(void **state)
{
	static struct port_map v[PORT_MAPS_MAX];
	struct err e = ERR_INIT;
	size_t n = 0;

	assert_int_equal(port_parse("1-1024:1-1024", v, &n, &e), 0);
	assert_int_equal(n, PORT_MAPS_MAX);
	expect_err(port_parse("2000:1", v, &n, &e), E_LIMIT, "more than 1024 published ports");
	n = 0;
	expect_err(port_parse("1-65535:1-65535", v, &n, &e), E_LIMIT, "more than 1024");
	assert_int_equal(n, 0);
}

static void
classic(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = { { "80", ":80/tcp" }, { "80:8080", "8080:80/tcp" }, { "tcp:80", ":80/tcp" },
		{ "udp:53:5353", "5353:53/udp" } };
	static const char *const refused[] = { "", "udp:", "udp", "sctp:80", "80:", "80:0", "0", "65536",
		"80:1:2", "0000080xxx", "1.2.3.4:80:80" };
	struct err e = ERR_INIT;
	struct port_map v[1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[PORT_TEXT];
		size_t n = 0;

		assert_int_equal(port_parse_classic(rows[i].text, v, &n, &e), 0);
		port_print(&v[0], text);
		assert_string_equal(text, rows[i].want);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		size_t n = 0;

		assert_int_equal(port_parse_classic(refused[i], v, &n, &e), -E_INVAL);
	}
}

static void
conflicts(void **state)
{
	static const struct {
		const char *a, *b;
		bool conflict;
	} rows[] = {
		{ "80:1", "80:2", true },
		{ "80:1", "80:1/udp", false },
		{ "80:1", "81:1", false },
		{ "80:1", "127.0.0.1:80:1", true },
		{ "127.0.0.1:80:1", "127.0.0.2:80:1", false },
		{ "127.0.0.1:80:1", "[::1]:80:1", false },
		{ "[::1]:80:1", "[::1]:80:2", true },
		{ ":1", ":1", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct port_map v[2];
		struct err e = ERR_INIT;
		size_t n = 0;

		assert_int_equal(port_parse(rows[i].a, v, &n, &e), 0);
		assert_int_equal(port_parse(rows[i].b, v, &n, &e), 0);
		assert_int_equal(port_conflict(&v[0], &v[1]), rows[i].conflict);
		assert_int_equal(port_conflict(&v[1], &v[0]), rows[i].conflict);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(too_many),
		cmocka_unit_test(classic),
		cmocka_unit_test(conflicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
