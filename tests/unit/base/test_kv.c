/* What kv_print writes, kv_parse reads back; everything else is refused with line and column. */
#include "scratch.h"

#include "base/kv.h"

static void
test_round_trip(void **state)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(kv) struct kv back = KV_INIT;
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	struct err err = ERR_INIT;
	char all[256];
	size_t n = 0;

	for (int c = 0x20; c < 256; c++)
		all[n++] = (char)c;
	all[n] = '\0';
	assert_ok(kv_add(&kv, "all", all, &err));
	assert_ok(kv_add(&kv, "Lines.of-a_B9", "a\nb\r\n\tc\\n=#\\", &err));
	assert_ok(kv_add(&kv, "empty", "", &err));
	kv_print(&kv, &b);
	assert_ok(buf_check(&b, "b", &err));
	assert_ok(kv_parse(&back, b.data, b.len, "f", &err));
	assert_int_equal(back.n, 3);
	assert_string_equal(kv_get(&back, "all"), all);
	assert_string_equal(kv_get(&back, "Lines.of-a_B9"), "a\nb\r\n\tc\\n=#\\");
	assert_string_equal(kv_get(&back, "empty"), "");
}

static void
test_parse(void **state)
{
	static const char text[] = "# comment\n\nmount=/a\nx=1=2\nmount= /b \nlast=no newline";
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct err err = ERR_INIT;
	size_t pos = 0;

	assert_ok(kv_parse(&kv, text, sizeof(text) - 1, "f", &err));
	assert_string_equal(kv_next(&kv, "mount", &pos), "/a");
	assert_string_equal(kv_next(&kv, "mount", &pos), " /b ");
	assert_null(kv_next(&kv, "mount", &pos));
	assert_string_equal(kv_get(&kv, "x"), "1=2");
	assert_string_equal(kv_get(&kv, "last"), "no newline");
	assert_null(kv_get(&kv, "none"));
	assert_ok(kv_parse(&kv, "", 0, "f", &err));
}

static void
test_mistakes(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *msg;
	} cases[] = {
		{ "a=1\nb", 5, "f:2:2: no '=' after the key" },
		{ "=x", 2, "f:1:1: no key before '='" },
		{ " a=x", 4, "f:1:1: no key" },
		{ "a b=x", 5, "f:1:2: character not allowed in a key" },
		{ "\xff=x", 3, "f:1:1: no key" },
		{ "a=\tx", 4, "f:1:3: control character in a value" },
		{ "a=1\n\nb=2\rx\n", 11, "f:3:4: control character in a value" },
		{ "a=x\0y", 5, "f:1:4: control character in a value" },
		{ "a=x\\", 4, "f:1:4: backslash at the end of the line" },
		{ "a=x\\\nb=1", 8, "f:1:4: backslash at the end of the line" },
		{ "a=\\q", 4, "f:1:3: unknown escape; known are \\\\ \\n \\r \\t" },
		{ "a\0=x", 4, "f:1:2: character not allowed in a key" },
	};
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct err err = ERR_INIT;

	assert_ok(kv_add(&kv, "kept", "1", &err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_fails(kv_parse(&kv, cases[i].text, cases[i].len, "f", &err), E_INVAL);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(kv.n, 1);
	}
}

static void
test_too_large(void **state)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(KV_FILE_MAX + 1);

	assert_non_null(text);
	memset(text, '\n', KV_FILE_MAX + 1);
	assert_ok(kv_parse(&kv, text, KV_FILE_MAX, "f", &err));
	assert_fails(kv_parse(&kv, text, KV_FILE_MAX + 1, "f", &err), E_LIMIT);
	free(text);
}

static void
test_change(void **state)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
	struct err err = ERR_INIT;

	for (int i = 0; i < 40; i++)
		assert_ok(kv_add(&kv, i % 2 ? "odd" : "even", "v", &err));
	assert_ok(kv_set(&kv, "odd", "one", &err));
	assert_int_equal(kv.n, 21);
	assert_string_equal(kv.v[1].value, "one");
	assert_ok(kv_set(&kv, "even", NULL, &err));
	assert_ok(kv_set(&kv, "even", NULL, &err));
	assert_ok(kv_set(&kv, "new", "n", &err));
	kv_print(&kv, &b);
	assert_string_equal(buf_cstr(&b), "odd=one\nnew=n\n");
	assert_fails(kv_add(&kv, "", "v", &err), E_INVAL);
	assert_fails(kv_add(&kv, "a b", "v", &err), E_INVAL);
	assert_fails(kv_add(&kv, "a\n", "v", &err), E_INVAL);
	assert_fails(kv_set(&kv, "odd", "\x1b", &err), E_INVAL);
	assert_string_equal(kv_get(&kv, "odd"), "one");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
