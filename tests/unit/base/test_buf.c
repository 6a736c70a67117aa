/* Buffers and string lists grow to their maximum and not beyond, and remember that they failed. */
#include "scratch.h"

#include "base/buf.h"

static void
test_grow(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(100000);
	struct err err = ERR_INIT;
	char *taken;

	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_fmt(&b, "%d,", i);
	buf_str(&b, "end");
	buf_add(&b, "\0x", 2);
	assert_ok(buf_check(&b, "b", &err));
	assert_int_equal(b.len, 3890 + 5);
	assert_memory_equal(b.data + b.len - 5, "end\0x", 6);
	taken = buf_take(&b);
	assert_non_null(taken);
	free(taken);
	assert_int_equal(b.len, 0);
	taken = buf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
}

static void
test_maximum(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(10);
	struct err err = ERR_INIT;

	buf_str(&b, "0123456789");
	assert_ok(buf_check(&b, "b", &err));
	assert_string_equal(buf_cstr(&b), "0123456789");
	buf_add(&b, "", 0);
	assert_false(b.failed);
	buf_add(&b, "x", 1);
	assert_true(b.failed);
	assert_int_equal(b.len, 10);
	assert_fails(buf_check(&b, "the file", &err), E_LIMIT);
	assert_string_equal(err.msg, "the file: larger than the 10 bytes allowed");
	buf_reset(&b);
	buf_fmt(&b, "%s", "ok");
	assert_ok(buf_check(&b, "b", &err));
	buf_fmt(&b, "%0300d", 1);
	assert_true(b.failed);
	assert_null(buf_take(&b));
	buf_str(&b, "again");
	assert_string_equal(buf_cstr(&b), "again");
}

static void
test_long_format(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(SIZE_MAX);

	buf_fmt(&b, "%0300d|", 7);
	assert_int_equal(b.len, 301);
	assert_string_equal(b.data + 298, "07|");
	buf_add(&b, "x", SIZE_MAX - 10);
	assert_true(b.failed);
	assert_false(b.nomem);
}

/* Under AddressSanitizer a malloc() that is too large shall fail, as without it. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* A size that no machine has is reported as memory, not as the maximum. */
static void
test_no_memory(void **state)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(SIZE_MAX / 2);
	struct err err = ERR_INIT;

	buf_add(&b, "x", SIZE_MAX / 2 - 1);
	assert_fails(buf_check(&b, "b", &err), E_NOMEM);
}

static void
test_strv(void **state)
{
	AUTO_FINI(strv) struct strv s = STRV_INIT(4);
	AUTO_FINI(strv) struct strv copy = STRV_INIT(4);
	AUTO_FINI(strv) struct strv small = STRV_INIT(1);
	struct err err = ERR_INIT;

	assert_null(strv_argv(&s)[0]);
	strv_add(&s, "b");
	strv_addn(&s, "carrot", 1);
	strv_fmt(&s, "%s", "a");
	strv_sort(&s);
	assert_string_equal(s.v[0], "a");
	assert_string_equal(s.v[2], "c");
	assert_null(strv_argv(&s)[3]);
	strv_copy(&copy, &s);
	assert_int_equal(copy.n, 3);
	strv_remove(&copy, 1);
	strv_remove(&copy, 9);
	assert_int_equal(copy.n, 2);
	assert_string_equal(copy.v[1], "c");
	assert_null(copy.v[2]);
	strv_add(&s, "d");
	assert_ok(strv_check(&s, "words", &err));
	strv_add(&s, "e");
	assert_fails(strv_check(&s, "words", &err), E_LIMIT);
	assert_int_equal(s.n, 4);
	strv_copy(&small, &s);
	assert_fails(strv_check(&small, "words", &err), E_LIMIT);
	strv_clear(&s);
	assert_ok(strv_check(&s, "words", &err));
	assert_null(strv_argv(&s)[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_long_format),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_strv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
