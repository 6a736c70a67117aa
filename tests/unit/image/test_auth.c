/* How registries ask for credentials, where these may go, tokens, URLs. */
#include "../model/expect.h"
#include "image/auth.h"
#include "image/http.h"

static void
challenges(void **state)
{
	static const struct {
		const char *text;
		enum auth_kind kind;
		const char *realm, *service, *scope;
	} rows[] = {
		{ "Basic realm=\"x\"", AUTH_BASIC, "x", "", "" },
		{ "basic", AUTH_BASIC, "", "", "" },
		{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"", AUTH_BEARER,
		    "https://a/t", "s", "repository:x:pull,push" },
		{ "Bearer realm = \"https://a/t\" , service = s", AUTH_BEARER, "https://a/t", "s", "" },
		{ "Basic realm=\"x\", Bearer realm=\"https://a/t\"", AUTH_BEARER, "https://a/t", "", "" },
		{ "Bearer realm=\"https://a/t\", Basic realm=\"x\"", AUTH_BEARER, "https://a/t", "", "" },
		{ "Negotiate, Basic realm=\"x\"", AUTH_BASIC, "x", "", "" },
		{ "BEARER REALM=\"https://a/\\\"t\"", AUTH_BEARER, "https://a/\"t", "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct auth_challenge c;
		struct err e = ERR_INIT;

		if (auth_parse(rows[i].text, &c, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		assert_int_equal(c.kind, rows[i].kind);
		assert_string_equal(c.realm, rows[i].realm);
		assert_string_equal(c.service, rows[i].service);
		assert_string_equal(c.scope, rows[i].scope);
	}
}

static void
bad_challenges(void **state)
{
	static const char *const rows[] = { "", "Negotiate", "Bearer", "Bearer realm=\"x",
		"Bearer realm=", "Bearer realm=\"a\nb\"", "=", "\"", "Bearer realm=\"x\" service",
		"Basic realm=\"x\" y=z" };
	char longer[AUTH_REALM_MAX + 64];
	struct auth_challenge c;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (auth_parse(rows[i], &c, &e) == 0)
			fail_msg("'%s' is taken", rows[i]);
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "Bearer realm=\"", 14);
	longer[sizeof(longer) - 2] = '"';
	longer[sizeof(longer) - 1] = '\0';
	assert_true(auth_parse(longer, &c, &e) < 0);
}

static void
realms(void **state)
{
	static const struct {
		const char *registry, *realm, *known;
		bool trusted;
	} rows[] = {
		{ "example.org", "example.org", NULL, true },
		{ "example.org:5000", "EXAMPLE.org", NULL, true },
		{ "registry.example.org", "auth.example.org", NULL, true },
		{ "registry.example.org", "example.org", NULL, true },
		{ "registry.example.org", "evil.org", NULL, false },
		{ "registry.example.org", "evilexample.org", NULL, false },
		{ "example.org", "auth.org", NULL, false },
		{ "example.org", "evil.org", "evil.org", true },
		{ "localhost:5000", "localhost", NULL, true },
		{ "10.0.0.1:5000", "10.0.0.1", NULL, true },
		{ "10.0.0.1:5000", "9.0.0.1", NULL, false },
		{ "[::1]:5000", "[::1]", NULL, true },
		{ "[::1]:5000", "[::2]", NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (auth_realm_is_trusted(rows[i].registry, rows[i].realm, rows[i].known) != rows[i].trusted)
			fail_msg("%s, %s", rows[i].registry, rows[i].realm);
}

static void
tokens(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"token\": 1}", "{\"token\": \"\"}",
		"{\"token\": \"a\\nb\"}", "{\"token\": \"a b\"}", "{\"token\": \"a\", \"token\": \"b\"}",
		"{\"token\": \"\\u00e9\"}" };
	AUTO_FINI(buf) struct buf token = BUF_INIT(AUTH_TOKEN_MAX);
	struct err e = ERR_INIT;
	int64_t ms;

	assert_int_equal(
	    auth_parse_token("{\"token\": \"abc\"}", strlen("{\"token\": \"abc\"}"), &token, &ms, &e), 0);
	assert_string_equal(buf_cstr(&token), "abc");
	assert_int_equal(ms, 60000);
	assert_int_equal(auth_parse_token("{\"access_token\": \"x\", \"expires_in\": 300}",
			     strlen("{\"access_token\": \"x\", \"expires_in\": 300}"), &token, &ms, &e),
	    0);
	assert_string_equal(buf_cstr(&token), "x");
	assert_int_equal(ms, 300000);
	assert_int_equal(auth_parse_token("{\"token\":\"x\",\"expires_in\":-1}",
			     strlen("{\"token\":\"x\",\"expires_in\":-1}"), &token, &ms, &e),
	    0);
	assert_int_equal(ms, 60000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (auth_parse_token(bad[i], strlen(bad[i]), &token, &ms, &e) == 0)
			fail_msg("%s is taken", bad[i]);
}

static void
urls(void **state)
{
	static const struct {
		const char *base, *location, *want;
	} rows[] = {
		{ "https://h/v2/a", "/v2/b?x=1", "https://h/v2/b?x=1" },
		{ "https://h:5000/v2/a", "https://o/x#frag", "https://o/x" },
		{ "http://h/v2/a/", "b", "http://h/v2/a/b" },
		{ "http://h/v2/a", "//o/x", "http://o/x" },
	};
	static const char *const bad[] = { "file:///etc/passwd", "ftp://h/x", "http://u:p@h/x",
		"http://u@h/x", "gopher://h/", "http://" };
	AUTO_FINI(buf) struct buf out = BUF_INIT(URL_MAX);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(url_join(rows[i].base, rows[i].location, &out, &e), 0);
		assert_string_equal(buf_cstr(&out), rows[i].want);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_join("https://h/", bad[i], &out, &e) == 0)
			fail_msg("'%s' is taken as %s", bad[i], buf_cstr(&out));
	assert_true(url_same_origin("https://h/a", "https://H:443/b"));
	assert_false(url_same_origin("https://h/", "http://h/"));
	assert_false(url_same_origin("https://h/", "https://h:444/"));
	assert_false(url_same_origin("https://h/", "https://h.evil/"));
	assert_false(url_same_origin("https://h/", "https://h@evil/"));
	buf_reset(&out);
	buf_str(&out, "http://h/x");
	url_query(&out, "a", "b c/&=\n");
	url_query(&out, "d", "e");
	assert_string_equal(buf_cstr(&out), "http://h/x?a=b%20c%2F%26%3D%0A&d=e");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges),
		cmocka_unit_test(bad_challenges),
		cmocka_unit_test(realms),
		cmocka_unit_test(tokens),
		cmocka_unit_test(urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
