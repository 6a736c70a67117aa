/* Variables of a Potfile: modifiers, quotes, escapes, and who sees what of ARG and ENV. */
#include "expect.h"
#include "model/scope.h"

static const char *
get(void *arg, const char *name)
{
	static const char *const vars[][2] = { { "A", "alpha" }, { "E", "" }, { "S", "foobarbaz" },
		{ "P", "80  443" }, { "G", "f*b" }, { "U", "\xc3\xa9t\xc3\xa9" }, { "_x1", "y" } };

	for (size_t i = 0; i < ARRAY_LEN(vars); i++) {
		if (strcmp(vars[i][0], name) == 0)
			return vars[i][1];
	}
	return NULL;
}
static const struct subst_lookup lookup = { get, NULL };

static void
words(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "$A", "alpha" },
		{ "${A}_b", "alpha_b" },
		{ "$A_b", "" },
		{ "x$_x1", "xy" },
		{ "$", "$" },
		{ "a$ b", "a$ b" },
		{ "$1$@", "" },
		{ "\\$A", "$A" },
		{ "\\${A}", "${A}" },
		{ "\\\\$A", "\\alpha" },
		{ "'$A'", "$A" },
		{ "\"$A\"", "alpha" },
		{ "\"a\\\"b\\$A\\x\"", "a\"b$A\\x" },
		{ "a\\ b", "a b" },
		{ "'a'\"b\"c", "abc" },
		{ "x\\", "x" },
		{ "${A:-x}", "alpha" },
		{ "${E:-x}", "x" },
		{ "${E-x}", "" },
		{ "${N-x}", "x" },
		{ "${N:-${A}}", "alpha" },
		{ "${N:-${M:-deep}}", "deep" },
		{ "${N:-'}'}", "}" },
		{ "${N:-a\\}b}", "a}b" },
		{ "${A:+x}", "x" },
		{ "${E:+x}", "" },
		{ "${E+x}", "x" },
		{ "${N+x}", "" },
		{ "${A:?no}", "alpha" },
		{ "${E?no}", "" },
		{ "${A:-${N:?never}}", "alpha" },
		{ "${S#f*b}", "arbaz" },
		{ "${S##f*b}", "az" },
		{ "${S%b*}", "foobar" },
		{ "${S%%b*}", "foo" },
		{ "${S#x}", "foobarbaz" },
		{ "${S#$G}", "arbaz" },
		{ "${S#\"$G\"}", "foobarbaz" },
		{ "${S/ba/fo}", "fooforbaz" },
		{ "${S//ba/fo}", "fooforfoz" },
		{ "${S//ba}", "foorz" },
		{ "${S//ba/}", "foorz" },
		{ "${S/o*a/-}", "f-z" },
		{ "${S//?/x}", "xxxxxxxxx" },
		{ "${U//?/x}", "xxx" },
		{ "${U%?}", "\xc3\xa9t" },
		{ "${G#f\\*}", "b" },
		{ "${G/\\*/star}", "fstarb" },
		{ "${S//x/y}", "foobarbaz" },
		{ "${N#x}", "" },
		{ "${A/a/${S#foo}}", "barbazlpha" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(buf) struct buf out = BUF_INIT(SUBST_MAX);
		struct err e = ERR_INIT;

		if (subst_word(rows[i].text, '\\', 0, &lookup, &out, NULL, &e) < 0)
			fail_msg("%s: %s", rows[i].text, e.msg);
		if (strcmp(buf_cstr(&out), rows[i].want) != 0)
			fail_msg("%s: %s, not %s", rows[i].text, buf_cstr(&out), rows[i].want);
	}
}

static void
bad(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
		size_t at;
		const char *why;
	} rows[] = {
		{ "ab${A", E_INVAL, 2, "without '}'" },
		{ "${}", E_INVAL, 2, "no variable's name" },
		{ "${A:x}", E_INVAL, 4, "may follow" },
		{ "${A*}", E_INVAL, 3, "not a modifier" },
		{ "x'a", E_INVAL, 1, "a ' without its end" },
		{ "\"a", E_INVAL, 0, "a \" without its end" },
		{ "${N:?tell me}", E_STATE, 4, "N: tell me" },
		{ "${N?}", E_STATE, 3, "N: is needed and not set" },
		{ "${N:-'a}", E_INVAL, 5, "a ' without its end" },
		{ "${N:-a", E_INVAL, 5, "without '}'" },
		{ "${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-${N:-",
		    E_LIMIT, 85, "too deeply" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(buf) struct buf out = BUF_INIT(SUBST_MAX);
		struct err e = ERR_INIT;
		size_t at = 99;

		expect_err(
		    subst_word(rows[i].text, '\\', 0, &lookup, &out, &at, &e), rows[i].code, rows[i].why);
		if (at != rows[i].at)
			fail_msg("%s: at %zu", rows[i].text, at);
	}
}

static void
other_rules(void **state)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(SUBST_MAX);
	AUTO_FINI(strv) struct strv v = STRV_INIT(16);
	struct err e = ERR_INIT;

	assert_int_equal(subst_word("it's \"$A\" \\$A \\n", '\\', SUBST_TEXT, &lookup, &out, NULL, &e), 0);
	assert_string_equal(buf_cstr(&out), "it's \"alpha\" $A \\n");
	buf_reset(&out);
	assert_int_equal(subst_word("`$A \\x", '`', 0, &lookup, &out, NULL, &e), 0);
	assert_string_equal(buf_cstr(&out), "$A \\x");
	buf_reset(&out);
	assert_int_equal(subst_word("'$'A", '\\', 0, NULL, &out, NULL, &e), 0);
	assert_string_equal(buf_cstr(&out), "$A");
	assert_int_equal(subst_words("$P/udp '$A b' $N \"\" \"$P\"", '\\', &lookup, &v, NULL, &e), 0);
	assert_int_equal(v.n, 5);
	assert_string_equal(v.v[0], "80");
	assert_string_equal(v.v[1], "443/udp");
	assert_string_equal(v.v[2], "$A b");
	assert_string_equal(v.v[3], "");
	assert_string_equal(v.v[4], "80  443");
}

static const char *
look(struct subst_lookup l, const char *name)
{
	const char *value = l.get(l.arg, name);

	return value != NULL ? value : "(unset)";
}

static void
scopes(void **state)
{
	struct scope_build b = SCOPE_BUILD_INIT;
	struct scope_stage s = SCOPE_STAGE_INIT(&b), child = SCOPE_STAGE_INIT(&b);
	AUTO_FINI(strv) struct strv env = STRV_INIT(64);
	struct err e = ERR_INIT;
	size_t pos = 0;

	assert_int_equal(scope_given(&b, "V=given", NULL, &e), 0);
	assert_int_equal(scope_given(&b, "typo=1", NULL, &e), 0);
	assert_int_equal(scope_given(&b, "http_proxy=p", NULL, &e), 0);
	assert_int_equal(scope_platform(&b, true, "linux", "arm", "v7", &e), 0);
	assert_int_equal(scope_global_arg(&b, "V", "default", &e), 0);
	assert_int_equal(scope_global_arg(&b, "W", "global", &e), 0);
	assert_string_equal(look(scope_build_lookup(&b), "V"), "given");
	assert_string_equal(look(scope_build_lookup(&b), "TARGETPLATFORM"), "linux/arm/v7");
	/* A stage sees what it declares, and nothing else. */
	assert_string_equal(look(scope_stage_lookup(&s), "W"), "(unset)");
	assert_string_equal(look(scope_stage_lookup(&s), "TARGETARCH"), "(unset)");
	assert_string_equal(look(scope_stage_lookup(&s), "http_proxy"), "p");
	assert_int_equal(scope_arg(&s, "W", NULL, &e), 0);
	assert_int_equal(scope_arg(&s, "V", "mine", &e), 0);
	assert_int_equal(scope_arg(&s, "TARGETARCH", NULL, &e), 0);
	assert_int_equal(scope_arg(&s, "none", NULL, &e), 0);
	assert_string_equal(look(scope_stage_lookup(&s), "W"), "global");
	assert_string_equal(look(scope_stage_lookup(&s), "V"), "given");
	assert_string_equal(look(scope_stage_lookup(&s), "TARGETARCH"), "arm");
	assert_string_equal(look(scope_stage_lookup(&s), "none"), "(unset)");
	assert_int_equal(scope_env(&s, "W", "env", &e), 0);
	assert_int_equal(scope_arg(&s, "W", "again", &e), 0);
	assert_string_equal(look(scope_stage_lookup(&s), "W"), "env");
	assert_int_equal(scope_inherit(&child, &s, &e), 0);
	assert_string_equal(look(scope_stage_lookup(&child), "V"), "given");
	assert_int_equal(scope_environ(&s, true, &env, &e), 0);
	assert_int_equal(env.n, 3);
	assert_string_equal(env.v[0], "W=env");
	strv_clear(&env);
	assert_int_equal(scope_environ(&s, false, &env, &e), 0);
	assert_int_equal(env.n, 4);
	assert_string_equal(env.v[3], "http_proxy=p");
	assert_string_equal(scope_unused(&b, &pos), "typo");
	assert_null(scope_unused(&b, &pos));
	scope_stage_fini(&s);
	scope_stage_fini(&child);
	scope_build_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(bad),
		cmocka_unit_test(other_rules),
		cmocka_unit_test(scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
