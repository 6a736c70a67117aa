/* What the agent's msgpack means, and what is refused, with the key that is to blame. */
#include "../base/scratch.h"

#include "base/text.h"
#include "nomad/value.h"

static struct value *
decode(const char *bytes, size_t n)
{
	struct err err = ERR_INIT;
	struct value *v = NULL;

	assert_ok(value_decode(bytes, n, &v, "config", &err));
	return v;
}

#define DECODE(literal) decode((literal), sizeof(literal) - 1)

static void
test_forms(void **state)
{
	AUTO(value)
	struct value *v = DECODE("\x87"
				 "\xa1"
				 "a\x05"
				 "\xa1"
				 "b\xcb\x3f\xe0\0\0\0\0\0\0"
				 "\xa1"
				 "c\xa3"
				 "0.1"
				 "\xa1"
				 "d\xc0"
				 "\xa1"
				 "e\xc4\x02hi"
				 "\xa1"
				 "f\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
				 "\xa1"
				 "g\xd3\x80\0\0\0\0\0\0\0");
	const struct value *e;

	assert_int_equal(v->n, 7);
	assert_int_equal(value_get(v, "a")->i, 5);
	assert_true(value_get(v, "b")->f == 0.5);
	assert_string_equal(value_get(v, "c")->s, "0.1");
	assert_null(value_get(v, "d"));
	assert_null(value_get(v, "x"));
	assert_null(value_get(NULL, "x"));
	e = value_get(v, "e");
	assert_int_equal(e->type, VALUE_STRING);
	assert_string_equal(e->s, "hi");
	assert_int_equal(value_get(v, "f")->type, VALUE_FLOAT);
	assert_true(value_get(v, "g")->i == INT64_MIN);
}

static void
test_empty(void **state)
{
	AUTO(value) struct value *none = DECODE("");
	AUTO(value) struct value *nil = DECODE("\xc0");
	AUTO(value) struct value *map = DECODE("\x80");

	assert_int_equal(none->type, VALUE_MAP);
	assert_int_equal(nil->type, VALUE_MAP);
	assert_int_equal(map->n, 0);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *why;
	} cases[] = {
		{ "\x81", 1, "cut off" },
		{ "\x81\xa1k", 3, "cut off" },
		{ "\xa5hell", 5, "cut off" },
		{ "\xda\xff", 2, "cut off" },
		{ "\xc1", 1, "not msgpack" },
		{ "\xd4\0\0", 3, "not msgpack" }, /* an extension */
		{ "\xdd\xff\xff\xff\xff", 5, "cut off" },
		{ "\xdf\xff\xff\xff\xff\xc0", 6, "cut off" },
		{ "\x80\x80", 2, "something follows" },
		{ "\x91\xc0", 2, "not a map" },
		{ "\x05", 1, "not a map" },
		{ "\x81\x05\x05", 3, "a key in it is not a string" },
		{ "\x81\xa1k\xa3"
		  "a\0b",
		    7, "holds a NUL" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct value *v = NULL;

		assert_int_equal(value_decode(cases[i].bytes, cases[i].n, &v, "config", &err), -E_INVAL);
		assert_non_null(strstr(err.msg, cases[i].why));
		assert_null(v);
	}
}

static void
test_limits(void **state)
{
	static char deep[64] = "\x81\xa1k", *wide;
	struct err err = ERR_INIT;
	struct value *v = NULL;
	size_t n = 5 + VALUE_MAX_NODES;

	memset(deep + 3, 0x91, VALUE_MAX_DEPTH);
	deep[3 + VALUE_MAX_DEPTH] = '\xc0';
	assert_int_equal(value_decode(deep, 4 + VALUE_MAX_DEPTH, &v, "config", &err), -E_LIMIT);
	deep[2 + VALUE_MAX_DEPTH] = '\xc0';
	assert_ok(value_decode(deep, 3 + VALUE_MAX_DEPTH, &v, "config", &err));
	value_free(take_ptr(v));
	wide = malloc(n);
	assert_non_null(wide);
	memset(wide, 0xc0, n);
	memcpy(wide, "\xdd\0\x04\0\0", 5);
	assert_int_equal(value_decode(wide, n, &v, "config", &err), -E_LIMIT);
	assert_int_equal(value_decode(wide, VALUE_MAX_BYTES + 1, &v, "config", &err), -E_LIMIT);
	free(wide);
}

static void
expect_text(const char *bytes, size_t n, const char *want)
{
	AUTO_FINI(strv) struct strv list = STRV_INIT(100);
	AUTO_FINI(buf) struct buf text = BUF_INIT(1000);
	AUTO(value) struct value *v = decode(bytes, n);
	struct err err = ERR_INIT;

	assert_int_equal(value_strings(v, "k", &list, "config", &err), 1);
	text_join(strv_argv(&list), &text);
	assert_string_equal(buf_cstr(&text), want);
}

static void
test_getters(void **state)
{
	AUTO_FINI(strv) struct strv list = STRV_INIT(100);
	AUTO(value)
	struct value *v = DECODE("\x86\xa1s\xa1x\xa1n\xa2"
				 "42\xa1t\xc3\xa1u\xa4true\xa1m\x91\x81\xa4http\x50\xa1l\x92\x80\x80");
	const struct value *block = NULL;
	struct err err = ERR_INIT;
	const char *s = "unset";
	int64_t n = 1;
	bool b = false;

	assert_int_equal(value_string(v, "none", &s, "config", &err), 0);
	assert_string_equal(s, "unset");
	assert_int_equal(value_string(v, "s", &s, "config", &err), 1);
	assert_string_equal(s, "x");
	assert_int_equal(value_string(v, "t", &s, "config", &err), -E_INVAL);
	assert_string_equal(err.msg, "config: t: a string is wanted, not a bool");
	assert_int_equal(value_int(v, "n", 0, 100, &n, "config", &err), 1);
	assert_int_equal(n, 42);
	assert_int_equal(value_int(v, "n", 0, 41, &n, "config", &err), -E_INVAL);
	assert_string_equal(err.msg, "config: n: 42 is not in 0 to 41");
	assert_int_equal(value_int(v, "s", 0, 41, &n, "config", &err), -E_INVAL);
	assert_int_equal(value_bool(v, "t", &b, "config", &err), 1);
	assert_true(b);
	assert_int_equal(value_bool(v, "u", &b, "config", &err), 1);
	assert_int_equal(value_bool(v, "s", &b, "config", &err), -E_INVAL);
	assert_int_equal(value_map(v, "m", &list, "config", &err), 1);
	assert_string_equal(list.v[0], "http");
	assert_string_equal(list.v[1], "80");
	assert_int_equal(value_map(v, "s", &list, "config", &err), -E_INVAL);
	assert_int_equal(value_block(v, "m", &block, "config", &err), 1);
	assert_int_equal(block->n, 1);
	assert_int_equal(value_block(v, "l", &block, "config", &err), -E_INVAL);
	assert_string_equal(err.msg, "config: l: it may stand once only");
	assert_int_equal(value_block(v, "none", &block, "config", &err), 0);
	assert_int_equal(value_strings(v, "l", &list, "config", &err), -E_INVAL);
	assert_string_equal(err.msg, "config: l[0]: a string is wanted, not a map");
}

static void
test_lists(void **state)
{
#define EXPECT(literal, want) expect_text((literal), sizeof(literal) - 1, (want))
	EXPECT("\x81\xa1k\x94\xa1x\x05\xc3\xa3"
	       "a b",
	    "x 5 true 'a b'");
	EXPECT("\x81\xa1k\xa1y", "y");
	EXPECT("\x81\xa1k\x90", "");
	EXPECT("\x81\xa1k\x91\xcb\x3f\xf8\0\0\0\0\0\0", "1.5");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
