/* Names: what is allowed, what is refused and how that is said, host names. */
#include "expect.h"
#include "model/name.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
good_names(void **state)
{
	static const char *const names[] = { "a", "7", "web", "Web_1-2", "a-", "a_", A63 };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(name_check(names[i], "pot", &e), 0);
		assert_int_equal(name_check_base(names[i], &e), 0);
		assert_int_equal(name_check_tag(names[i], &e), 0);
	}
	assert_int_equal(name_check_base("14.3", &e), 0);
	assert_int_equal(name_check_base("debian-12.5", &e), 0);
	assert_int_equal(name_check_tag("v1.0..x", &e), 0);
}

static void
bad_names(void **state)
{
	static const char *const names[] = { ".", "..", "/", "a/b", "-a", "_a", "a b", "a\n", "\nb", "ä",
		A63 "a", "a\\b", "a:b", "a@b", "a%", "a\x7f", "*", "a\tb", "../x", ".hidden" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		expect_err(name_check(names[i], "pot", &e), E_INVAL, "pot name '");
		expect_hint("use 1 to 63 of A-Z a-z 0-9 _ and -, beginning with a letter or a digit");
		expect_err(name_check_base(names[i], &e), E_INVAL, "base name '");
		expect_hint("0-9 _ - and .");
		expect_err(name_check_tag(names[i], &e), E_INVAL, "snapshot name '");
		assert_null(strchr(e.msg, '\n'));
	}
	expect_err(name_check("a.b", "pot", &e), E_INVAL, "pot name 'a.b': not a valid name");
	expect_err(name_check("a\nb", "pot", &e), E_INVAL, "pot name 'a\\x0ab'");
	expect_err(name_check("", "pot", &e), E_INVAL, "pot name: it is empty");
	expect_hint("use 1 to 63");
	expect_err(name_check(NULL, "base", &e), E_INVAL, "base name: it is empty");
	assert_int_equal(name_check("..", "pot", NULL), -E_INVAL);
}

static void
long_name_is_cut(void **state)
{
	struct err e = ERR_INIT;
	char name[5000];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	expect_err(name_check(name, "pot", &e), E_INVAL, "x'…: not a valid name");
	name[81 - 1] = '\0';
	expect_err(name_check(name, "pot", &e), E_INVAL, "x': not a valid name");
	assert_true(strlen(e.msg) < 200);
}

static void
hostname_syntax(void **state)
{
	static const char *const good[] = { "a", "a.b", "a-b.c-d", "9", A63, A63 "." A63, "A.example.org" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a", "a-", "a-.b", "a.-b", "a_b",
		"a b", A63 "a", A63 "." A63 "." A63 "." A63, "ä", "a\n" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(name_is_hostname(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(name_is_hostname(bad[i]));
}

static void
hostname(void **state)
{
	static const struct {
		const char *pot, *host, *want;
	} rows[] = {
		{ "web", "node1", "web.node1" },
		{ "my_web", "node1.example.org", "my-web.node1.example.org" },
		{ "web-", "n", "web.n" },
		{ "web__", NULL, "web" },
		{ "web", "", "web" },
		{ "web", "bad_host", "web" },
		{ "web", "-x", "web" },
		{ A63, "h", A63 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "h",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.h" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "hh",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_zzzzzz", "h",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		{ "old.pot", "h", "old-pot.h" },
		{ "___", "h", "pot.h" },
		{ "", "h", "pot.h" },
		{ "-x", "h", "pot.h" },
	};
	char out[65];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memset(out, '#', sizeof(out));
		name_hostname(rows[i].pot, rows[i].host, out);
		assert_string_equal(out, rows[i].want);
		assert_true(name_is_hostname(out));
		assert_true(strlen(out) <= 63);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(long_name_is_cut),
		cmocka_unit_test(hostname_syntax),
		cmocka_unit_test(hostname),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
