/* Words, numbers, sizes, spans and times: read exactly, printed exactly, nonsense refused. */
#include "scratch.h"

#include "base/text.h"

static void
test_uint(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "4", "101",
		"18446744073709551616", "99999999999999999999999" };
	struct err err = ERR_INIT;
	uint64_t n = 0;

	assert_ok(text_uint("5", 5, 100, &n, "n", &err));
	assert_int_equal(n, 5);
	assert_ok(text_uint("0100", 5, 100, &n, "n", &err));
	assert_int_equal(n, 100);
	assert_ok(text_uint("18446744073709551615", 0, UINT64_MAX, &n, "n", &err));
	assert_true(n == UINT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(text_uint(bad[i], 5, 100, &n, "n", &err), E_INVAL);
	text_uint("x", 5, 100, &n, "--count", &err) == 0 ? fail() : (void)0;
	assert_string_equal(err.msg, "--count: \"x\" is not a number from 5 to 100");
}

static void
test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = { { "0", 0 }, { "512", 512 }, { "512b", 512 }, { "64m", UINT64_C(64) << 20 },
		{ "1k", 1024 }, { "1.5G", UINT64_C(3) << 29 }, { "10MiB", 10 << 20 }, { "10mb", 10 << 20 },
		{ "2T", UINT64_C(2) << 40 }, { "0.5k", 512 }, { "1.0000009k", 1024 },
		{ "8388606T", UINT64_C(8388606) << 40 } };
	static const char *const bad[] = { "", "k", ".5k", "1.k", "1.5", "1.5b", "1kk", "1ki", "1p", "-1k",
		"1 k", "8388608T", "9223372036854775808", "99999999999999999999", "1bb", "1bib" };
	struct err err = ERR_INIT;
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(text_size(good[i].text, &n, "s", &err));
		assert_true(n == good[i].size);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(text_size(bad[i], &n, "s", &err), E_INVAL);
}

static void
test_size_print(void **state)
{
	static const struct {
		uint64_t size;
		const char *text;
	} cases[] = { { 0, "0B" }, { 1023, "1023B" }, { 1024, "1.0K" }, { 1536, "1.5K" }, { 1048575, "1.0M" },
		{ 178572493, "170.3M" }, { UINT64_C(1) << 40, "1.0T" }, { UINT64_MAX, "16.0E" } };
	char out[TEXT_SIZE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		text_size_print(cases[i].size, out);
		assert_string_equal(out, cases[i].text);
	}
}

static void
test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 }, { "10", 10000 }, { "10s", 10000 }, { "1.5m", 90000 }, { "2h", 7200000 },
		{ "1d", 86400000 }, { "250ms", 250 }, { "0.25", 250 }, { "2h30m", 9000000 },
		{ "1m0.5s", 60500 } };
	static const char *const bad[] = { "", "s", "-1", "1x", "1.", "1.s", "2h30", "1 s",
		"99999999999999999999", "106752d", "9223372036854775807", "1e3" };
	struct err err = ERR_INIT;
	int64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(text_duration(good[i].text, &ms, "t", &err));
		assert_true(ms == good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(text_duration(bad[i], &ms, "t", &err), E_INVAL);
}

static void
test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = { { "1970-01-01T00:00:00Z", 0 }, { "2026-11-22T20:52:27Z", INT64_C(1795380747000000000) },
		{ "2026-11-22T20:52:27.123Z", INT64_C(1795380747123000000) },
		{ "2026-11-22t22:52:27+02:00", INT64_C(1795380747000000000) },
		{ "2026-11-22 18:22:27-02:30", INT64_C(1795380747000000000) },
		{ "2024-02-29", INT64_C(1709164800000000000) },
		{ "1969-12-31T23:59:59Z", INT64_C(-1000000000) },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000000000) }, { "@0", 0 },
		{ "@1795380747.5", INT64_C(1795380747500000000) } };
	static const char *const bad[] = { "", "@", "@-1", "@1x", "2026-13-01", "2026-02-29",
		"2026-11-22T24:00:00Z", "2026-11-22T20:52:27", "2026-11-22T20:52Z", "2026-11-22T20:52:27.Z",
		"2026-11-22T20:52:27Zx", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z",
		"@9999999999999999999", "2026-00-10", "2026-1-1", "2026-11-22T20:52:27+2:00", "yesterday" };
	struct err err = ERR_INIT;
	int64_t ns, before;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(text_time(good[i].text, &ns, "t", &err));
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(text_time(bad[i], &ns, "t", &err), E_INVAL);
	before = text_now_ns();
	assert_ok(text_time("10m", &ns, "t", &err));
	assert_true(ns >= before - INT64_C(600000000000) && ns <= text_now_ns() - INT64_C(600000000000));
}

static void
test_time_print(void **state)
{
	char out[TEXT_TIME_LEN], age[TEXT_AGE_LEN];
	struct err err = ERR_INIT;
	int64_t ns;

	text_time_print(INT64_C(1795380747123456789), true, out);
	assert_string_equal(out, "2026-11-22T20:52:27.123456789Z");
	assert_ok(text_time(out, &ns, "t", &err));
	assert_true(ns == INT64_C(1795380747123456789));
	text_time_print(-1, true, out);
	assert_string_equal(out, "1969-12-31T23:59:59.999999999Z");
	text_time_print(INT64_MAX, false, out);
	assert_string_equal(out, "2262-04-11T23:47:16Z");
	text_time_print(INT64_MIN, true, out);
	text_age_print(-5, age);
	assert_string_equal(age, "0s");
	text_age_print(INT64_C(192000000000), age);
	assert_string_equal(age, "3m12s");
	text_age_print(INT64_C(7500000000000), age);
	assert_string_equal(age, "2h5m");
	text_age_print(INT64_C(90000000000000), age);
	assert_string_equal(age, "1d1h");
	text_age_print(INT64_MAX, age);
	assert_string_equal(age, "106751d23h");
	assert_true(text_monotonic_ms() >= 0);
}

static void
assert_split(const char *text, const char *const *words)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(100);
	struct err err = ERR_INIT;
	size_t n = 0;

	assert_ok(text_split(text, &v, &err));
	for (; words[n] != NULL; n++) {
		assert_true(n < v.n);
		assert_string_equal(v.v[n], words[n]);
	}
	assert_int_equal(v.n, n);
}

static void
test_split(void **state)
{
	assert_split("", (const char *[]){ NULL });
	assert_split(" \t\n", (const char *[]){ NULL });
	assert_split("a b\tc\nd", (const char *[]){ "a", "b", "c", "d", NULL });
	assert_split("''", (const char *[]){ "", NULL });
	assert_split("a'b c'\"d e\"f", (const char *[]){ "ab cd ef", NULL });
	assert_split("'a\\b' \"a\\b\\\"\\\\\\$\\`\"", (const char *[]){ "a\\b", "a\\b\"\\$`", NULL });
	assert_split("a\\ b \\'c", (const char *[]){ "a b", "'c", NULL });
	assert_split("a\\\nb \\\n \"c\\\nd\"", (const char *[]){ "ab", "cd", NULL });
	assert_split("$HOME `x` *", (const char *[]){ "$HOME", "`x`", "*", NULL });
	assert_split("'\"' \"'\"", (const char *[]){ "\"", "'", NULL });
}

static void
test_split_mistakes(void **state)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(3);
	struct err err = ERR_INIT;

	strv_add(&v, "kept");
	assert_fails(text_split("a 'b c", &v, &err), E_INVAL);
	assert_string_equal(err.msg, "column 3: quote without an end");
	assert_fails(text_split("a\"b\\\"", &v, &err), E_INVAL);
	assert_string_equal(err.msg, "column 2: quote without an end");
	assert_fails(text_split("x\\", &v, &err), E_INVAL);
	assert_string_equal(err.msg, "column 2: backslash at the end");
	assert_int_equal(v.n, 1);
	assert_fails(text_split("a b c", &v, &err), E_LIMIT);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.v[0], "kept");
}

static void
test_join(void **state)
{
	static const char *const words[] = { "a", "", "b c", "it's", "$x", "--o=p/q:1,2", "ü", "\n", "~",
		"a\\b", NULL };
	AUTO_FINI(buf) struct buf b = BUF_INIT(1000);

	text_join((char *const *)(uintptr_t)words, &b);
	assert_string_equal(buf_cstr(&b), "a '' 'b c' 'it'\\''s' '$x' --o=p/q:1,2 ü '\n' '~' 'a\\b'");
	assert_split(buf_cstr(&b), words);
}

static void
test_escape(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = { { "plain ü € 😀 \\", "plain ü € 😀 \\" }, { "\n\t\x7f", "\\x0a\\x09\\x7f" },
		{ "\xc0\xaf", "\\xc0\\xaf" }, { "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "\xe2\x82", "\\xe2\\x82" }, { "\x80", "\\x80" }, { "\xc2\x85", "\\xc2\\x85" },
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, { "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
		{ "\xe2\x80\x8f", "\\xe2\\x80\\x8f" }, { "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xf8\x88", "\\xf8\\x88" } };
	char small[6];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(1000);

		text_escape(cases[i].in, strlen(cases[i].in), &b);
		assert_string_equal(buf_cstr(&b), cases[i].out);
	}
	text_escape_into(small, sizeof(small), "a\0b", 3);
	assert_string_equal(small, "a\\x00");
	text_escape_into(small, sizeof(small), "abcd€", 7);
	assert_string_equal(small, "abcd");
	text_escape_into(small, 1, "abc", 3);
	assert_string_equal(small, "");
}

static void
test_nearest(void **state)
{
	static const char *const names[] = { "start", "stop", "status", "restart", "exec", "ps" };
	static const struct {
		const char *word, *nearest;
	} cases[] = { { "strat", "start" }, { "stpo", "stop" }, { "sotp", "stop" }, { "statsu", "status" },
		{ "star", "start" }, { "restrat", "restart" }, { "ex", NULL }, { "p", NULL }, { "pss", "ps" },
		{ "", NULL }, { "completely", NULL }, { "start", "start" }, { "stps", NULL },
		{ "xec", "exec" }, { "exce", "exec" }, { "eexxec", "exec" } };
	char longest[200];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = text_nearest(cases[i].word, names, ARRAY_LEN(names));

		if (cases[i].nearest == NULL)
			assert_null(got);
		else
			assert_string_equal(got != NULL ? got : "(none)", cases[i].nearest);
	}
	memset(longest, 's', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(text_nearest(longest, names, ARRAY_LEN(names)));
	assert_null(text_nearest("start", NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_size_print),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_time_print),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_split_mistakes),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
