/* References to images: what is one, its parts, and its text again. */
#include "expect.h"
#include "model/reference.h"

#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
good(void **state)
{
	static const struct {
		const char *text, *host, *name, *tag, *digest;
	} rows[] = {
		{ "web", "", "web", "", "" },
		{ "web:1.0", "", "web", "1.0", "" },
		{ "web:1/2", "web:1", "2", "", "" }, /* a colon before the slash is a port */
		{ "team/web:1.0", "", "team/web", "1.0", "" },
		{ "a__b.c-d---e:x", "", "a__b.c-d---e", "x", "" },
		{ "localhost/web", "localhost", "web", "", "" },
		{ "LOCALHOST/web", "localhost", "web", "", "" },
		{ "localhost:5000/a/b:T-1", "localhost:5000", "a/b", "T-1", "" },
		{ "Registry.Example.ORG/web", "registry.example.org", "web", "", "" },
		{ "127.0.0.1:5000/web", "127.0.0.1:5000", "web", "", "" },
		{ "[::1]:5000/web:1", "[::1]:5000", "web", "1", "" },
		{ "[2001:db8::1]/web", "[2001:db8::1]", "web", "", "" },
		{ "web@sha256:" H64, "", "web", "", "sha256:" H64 },
		{ "h.example/web:1@sha512:" H64 H64, "h.example", "web", "1", "sha512:" H64 H64 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reference r, again;
		struct err e = ERR_INIT;
		char text[REF_TEXT];

		if (ref_parse(rows[i].text, &r, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_string_equal(r.host, rows[i].host);
		assert_string_equal(r.name, rows[i].name);
		assert_string_equal(r.tag, rows[i].tag);
		assert_string_equal(r.digest, rows[i].digest);
		ref_print(&r, text);
		assert_int_equal(ref_parse(text, &again, &e), 0);
		assert_true(ref_equal(&r, &again));
	}
}

static void
bad(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no name" },
		{ ":1", "no name" },
		{ "h.example/", "no name" },
		{ "Web", "upper case" },
		{ "h.example/Web:1", "upper case" },
		{ "web:", "not a tag" },
		{ "web:.1", "not a tag" },
		{ "web:a:b", "not a tag" },
		{ "/web", "the name" },
		{ "a//b", "the name" },
		{ "a/", "the name" },
		{ "-a", "the name" },
		{ "a-", "the name" },
		{ "a..b", "the name" },
		{ "a___b", "the name" },
		{ "../etc", "not the name of a host" },
		{ "a/../b", "the name" },
		{ "a b", "the name" },
		{ "a\nb", "the name" },
		{ "web@sha256:12", "not a digest" },
		{ "web@sha256:" H64 "0", "not a digest" },
		{ "web@sha256:" H64 "/../x", "not a digest" },
		{ "web@md5:" H64, "not a digest" },
		{ "web@", "not a digest" },
		{ "web@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
		    "not a digest" },
		{ "h.example:0/web", "port" },
		{ "h.example:65536/web", "port" },
		{ "h.example:x/web", "port" },
		{ "[::1/web", "'['" },
		{ "[1.2.3.4]/web", "brackets" },
		{ "[::1]x/web", "'['" },
		{ "user@h.example/web", "not a digest" },
		{ "h_.example/web", "not the name of a host" },
	};
	char longer[1200];
	struct reference r;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int rc = ref_parse(rows[i].text, &r, &e);

		if (rc != -E_INVAL)
			fail_msg("'%s' is taken", rows[i].text);
		if (strstr(e.msg, rows[i].why) == NULL)
			fail_msg("'%s': %s", rows[i].text, e.msg);
	}
	memset(longer, 'a', sizeof(longer));
	longer[256] = '\0';
	expect_err(ref_parse(longer, &r, &e), E_INVAL, "longer than 255");
	longer[255] = '\0';
	assert_int_equal(ref_parse(longer, &r, &e), 0);
	longer[255] = longer[256] = 'a';
	longer[1199] = '\0';
	expect_err(ref_parse(longer, &r, &e), E_INVAL, "too long");
}

static void
tags(void **state)
{
	char tag[140];
	struct reference r;
	struct err e = ERR_INIT;

	memset(tag, 'x', sizeof(tag));
	tag[129] = '\0';
	assert_false(ref_is_tag(tag));
	tag[128] = '\0';
	assert_true(ref_is_tag(tag));
	assert_int_equal(ref_parse("web", &r, &e), 0);
	ref_default_tag(&r);
	assert_string_equal(r.tag, "latest");
	assert_int_equal(ref_parse("web@sha256:" H64, &r, &e), 0);
	ref_default_tag(&r);
	assert_string_equal(r.tag, "");
}

static void
loopback(void **state)
{
	static const char *const yes[] = { "localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]",
		"[::1]:5000", "LocalHost" };
	static const char *const no[] = { "localhost.example", "128.0.0.1", "[::2]", "registry.example",
		"127.0.0.1.example", "notlocalhost:1", "", "[::1" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!ref_host_is_loopback(yes[i]))
			fail_msg("%s", yes[i]);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (ref_host_is_loopback(no[i]))
			fail_msg("%s", no[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(tags),
		cmocka_unit_test(loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
