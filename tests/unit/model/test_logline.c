/* Log records: the exact shape is read, every other one is not. */
#include "expect.h"
#include "model/logline.h"
#include "model/shimproto.h"

static bool
parse(const char *s, struct logline *l)
{
	return logline_parse(s, strlen(s), l);
}

static void
good(void **state)
{
	struct logline l;

	assert_true(parse("1790000000.123456789 oF hello world", &l));
	assert_true(l.time_ns == INT64_C(1790000000123456789));
	assert_int_equal(l.stream, 'o');
	assert_true(l.whole);
	assert_int_equal(l.len, 11);
	assert_memory_equal(l.text, "hello world", 11);

	assert_true(parse("0.000000001 eP ", &l));
	assert_true(l.time_ns == 1 && l.stream == 'e' && !l.whole && l.len == 0);

	assert_true(logline_parse("1.000000000 oF a\0b", 18, &l));
	assert_int_equal(l.len, 3);
	assert_memory_equal(l.text, "a\0b", 3);

	assert_true(parse("9223372035.999999999 oF x", &l));
	assert_true(l.time_ns == INT64_C(9223372035999999999));
}

static void
bad(void **state)
{
	static const char *const rows[] = { "", " ", "1", "1.", "1.1", "x", "1.000000000", "1.000000000 ",
		"1.000000000 o", "1.000000000 oF", "1.000000000 oX a", "1.000000000 xF a",
		"1.000000000  oF a", "1.000000000 oFa b", "1.00000000 oF a", "1.0000000000 oF a",
		".000000000 oF a", "-1.000000000 oF a", "+1.000000000 oF a", " 1.000000000 oF a",
		"1,000000000 oF a", "99999999999999999999.000000000 oF a", "9223372036.999999999 oF a",
		"9223372036854775807.000000000 oF a", "1.000000000 oF a\nb", "1.00000000a oF a",
		"1.000000000\toF a", "1.000000000 Fo a" };
	struct logline l;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(parse(rows[i], &l));
	/* Cut anywhere in its head, a record is none. */
	for (size_t len = 0; len < strlen("1.000000000 oF "); len++)
		assert_false(logline_parse("1.000000000 oF ", len, &l));
}

static void
longest(void **state)
{
	static const char head[] = "1.000000000 oF ";
	AUTO_FINI(buf) struct buf b = BUF_INIT(2 * SHIM_LOG_LINE);
	struct logline l;

	buf_str(&b, head);
	for (size_t i = 0; i < SHIM_LOG_LINE; i++)
		buf_str(&b, "x");
	assert_true(logline_parse(b.data, b.len, &l));
	assert_int_equal(l.len, SHIM_LOG_LINE);
	buf_str(&b, "x");
	assert_false(logline_parse(b.data, b.len, &l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
