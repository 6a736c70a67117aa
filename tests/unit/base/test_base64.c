/* Base64 is what the RFC says, and what is not whole or has other letters is refused. */
#include "scratch.h"

#include "base/base64.h"

static void
test_base64(void **state)
{
	static const struct {
		const char *plain, *text;
	} rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm9!", " Zm9v" };
	char out[64], long_plain[100];
	AUTO_FINI(buf) struct buf b = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		base64_encode(rows[i].plain, strlen(rows[i].plain), &b);
		assert_string_equal(buf_cstr(&b), rows[i].text);
		assert_int_equal(base64_decode(rows[i].text, strlen(rows[i].text), out, sizeof(out)),
		    strlen(rows[i].plain));
		assert_memory_equal(out, rows[i].plain, strlen(rows[i].plain));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (base64_decode(bad[i], strlen(bad[i]), out, sizeof(out)) >= 0)
			fail_msg("'%s' is taken", bad[i]);
	memset(long_plain, 7, sizeof(long_plain));
	buf_reset(&b);
	base64_encode(long_plain, sizeof(long_plain), &b);
	assert_int_equal(b.len, 136);
	assert_int_equal(base64_decode(buf_cstr(&b), b.len, out, sizeof(out)), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
