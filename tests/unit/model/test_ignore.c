/* Wildcards: globs of COPY, ignore files, and what may be passed over of a tree. */
#include "expect.h"
#include "model/glob.h"
#include "model/ignore.h"

static void
globs(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool want;
	} rows[] = {
		{ "abc", "abc", true },
		{ "*", "abc", true },
		{ "*c", "abc", true },
		{ "a*", "a", true },
		{ "a*", "abc", true },
		{ "a*", "ab/c", false },
		{ "a*/b", "abc/b", true },
		{ "a*/b", "a/c/b", false },
		{ "a*b*c*d*e*/f", "axbxcxdxe/f", true },
		{ "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false },
		{ "a*b?c*x", "abxbbxdbxebxczzx", true },
		{ "a*b?c*x", "abxbbxdbxebxczzy", false },
		{ "ab[c]", "abc", true },
		{ "ab[b-d]", "abc", true },
		{ "ab[e-g]", "abc", false },
		{ "ab[^c]", "abc", false },
		{ "ab[^e-g]", "abc", true },
		{ "ab[!c]", "abc", true },
		{ "ab[!c]", "ab!", true },
		{ "a\\*b", "a*b", true },
		{ "a\\*b", "ab", false },
		{ "a?b",
		    "a\xc3\xa9"
		    "b",
		    true },
		{ "a??b",
		    "a\xc3\xa9"
		    "b",
		    false },
		{ "a[^a]b",
		    "a\xc3\xa9"
		    "b",
		    true },
		{ "a?b",
		    "a\xff"
		    "b",
		    true },
		{ "[a-\xc3\xb6]*", "\xc3\xa9x", true },
		{ "[\\]a]", "]", true },
		{ "[\\-x]", "-", true },
		{ "[x\\-]", "z", false },
		{ "a?b", "a/b", false },
		{ "a[^x]b", "a/b", false },
		{ "/a//./b/", "a/b", true },
		{ "", "", true },
		{ "*", "", false },
		{ "**", "a/b", false },
		{ "*.go", ".go", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(glob) struct glob g;
		struct err e = ERR_INIT;

		assert_int_equal(glob_compile(&g, rows[i].pattern, &e), 0);
		if (glob_matches(&g, rows[i].path) != rows[i].want)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].path);
	}
}

static void
bad_globs(void **state)
{
	static const char *const rows[] = { "[", "[a", "[]a]", "[a-]", "a\\", "[a\\", "[-", "a/../b", "..",
		"[x-\\" };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct glob g;

		if (glob_compile(&g, rows[i], &e) != -E_INVAL)
			fail_msg("'%s' is taken", rows[i]);
	}
}

static void
hard_pattern_is_quick(void **state)
{
	AUTO_FINI(glob) struct glob g;
	struct err e = ERR_INIT;
	char pattern[512], text[4096];

	for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "a*", 2);
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = '\0';
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(glob_compile(&g, pattern, &e), 0);
	assert_false(glob_matches(&g, text));
}

static void
ignores(void **state)
{
	static const struct {
		const char *file, *path;
		bool want;
	} rows[] = {
		{ "a", "a", true },
		{ "a", "a/b/c", true },
		{ "a", "b/a", false },
		{ "/a/", "a", true },
		{ "./a", "a", true },
		{ "a/../b", "b", true },
		{ "../b", "b", true },
		{ "*/temp*", "x/temporary.txt", true },
		{ "*/temp*", "x/y/temp", false },
		{ "*/*/temp*", "x/y/temp", true },
		{ "temp?", "tempa", true },
		{ "temp?", "temp", false },
		{ "**/*.go", "a.go", true },
		{ "**/*.go", "x/y/a.go", true },
		{ "**/*.go", "x/y/a.goo", false },
		{ "**/x", "ax", false },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "ab", false },
		{ "a/**", "a/x", true },
		{ "a/**", "a", false },
		{ "**", "a/b", true },
		{ "a**b", "a/x/b", true },
		{ "# a\na b", "a b", true },
		{ "  a  ", "a", true },
		{ "\\#a", "#a", true },
		{ " #a", "#a", true },
		{ "*.md\n!README.md", "README.md", false },
		{ "*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true },
		{ "*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false },
		{ "dir\n!dir/keep", "dir/keep", false },
		{ "dir\n!dir/keep", "dir/other", true },
		{ "dir\n!dir/keep", "dir/keep/below", false },
		{ "!a\na", "a", true },
		{ "*\n!src\n", "src/x.c", false },
		{ "*\n!src\n", "doc", true },
		{ "! a\n", "a", false },
		{ "a\r\nb\r\n", "b", true },
		{ "\xef\xbb\xbf"
		  "a",
		    "a", true },
		{ ".", "a", false },
		{ "/", "a", false },
		{ "", "a", false },
		{ "[a-c]x", "bx", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(ignore) struct ignore ig = IGNORE_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(ignore_parse(&ig, rows[i].file, strlen(rows[i].file), "f", &e), 0);
		if (ignore_excludes(&ig, rows[i].path) != rows[i].want)
			fail_msg("'%s' and '%s'", rows[i].file, rows[i].path);
	}
}

static void
prunes(void **state)
{
	static const struct {
		const char *file, *dir;
		bool want;
	} rows[] = {
		{ "a", "a", true },
		{ "a", "b", false },
		{ "a\n!a/x", "a", false },
		{ "a\n!a/x", "a/y", true },
		{ "a\n!b", "a", true },
		{ "a\n!**/x", "a", false },
		{ "a\n!*/x", "a", false },
		{ "a\n!*/x", "a/b", true },
		{ "!a/x\na", "a", true },
		{ "*\n!src", "doc", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FINI(ignore) struct ignore ig = IGNORE_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(ignore_parse(&ig, rows[i].file, strlen(rows[i].file), "f", &e), 0);
		if (ignore_prunes(&ig, rows[i].dir) != rows[i].want)
			fail_msg("'%s' and '%s'", rows[i].file, rows[i].dir);
	}
}

static void
bad_ignores(void **state)
{
	AUTO_FINI(ignore) struct ignore ig = IGNORE_INIT;
	struct err e = ERR_INIT;

	expect_err(ignore_parse(&ig, "a\n!\n", 4, "f", &e), E_INVAL, "f:2: '!' without a pattern");
	expect_err(ignore_parse(&ig, "a\n\n[x\n", 6, "f", &e), E_INVAL, "f:3: '[' without ']'");
	expect_err(ignore_parse(&ig, "a\0b", 3, "f", &e), E_INVAL, "f:1: a NUL byte");
	assert_int_equal(ig.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs),
		cmocka_unit_test(bad_globs),
		cmocka_unit_test(hard_pattern_is_quick),
		cmocka_unit_test(ignores),
		cmocka_unit_test(prunes),
		cmocka_unit_test(bad_ignores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
