/* Digests: the two forms, everything else refused; streamed hashes; Skein against its published values. */
#include <unistd.h>

#include "../model/expect.h"
#include "image/digest.h"
#include "image/skein.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
forms(void **state)
{
	static const char *const bad[] = { "", "sha256", "sha256:", "sha256:" HEX64 "0", "SHA256:" HEX64,
		"sha512:" HEX64, "md5:" HEX64,
		"sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:/3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", " sha256:" HEX64,
		"sha256:" HEX64 "\n", "sha256-" HEX64, "sha256:..", "sha384:" HEX64 HEX64 };
	char text[DIGEST_TEXT_LEN], hex[DIGEST_HEX_LEN];
	struct err e = ERR_INIT;
	struct digest d, other;

	assert_int_equal(digest_parse("sha256:" HEX64, &d, &e), 0);
	assert_string_equal(digest_print(&d, text), "sha256:" HEX64);
	assert_string_equal(digest_hex(&d, hex), HEX64);
	assert_int_equal(digest_parse_hex(DIGEST_SHA256, HEX64, &other, &e), 0);
	assert_true(digest_equal(&d, &other));
	assert_int_equal(digest_parse("sha512:" HEX64 HEX64, &other, &e), 0);
	assert_string_equal(digest_print(&other, text), "sha512:" HEX64 HEX64);
	assert_false(digest_equal(&d, &other));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_err(digest_parse(bad[i], &d, &e), E_INVAL, "digest '");
	assert_int_equal(digest_parse_hex(DIGEST_SHA512, HEX64, &d, NULL), -E_INVAL);
	expect_err(digest_parse_n("sha256:" HEX64 "tail", 70, &d, &e), E_INVAL, "not a valid digest");
	assert_int_equal(digest_parse_n("sha256:" HEX64 "tail", 71, &d, &e), 0);
}

static void
streams(void **state)
{
	char text[DIGEST_TEXT_LEN], data[10000];
	struct err e = ERR_INIT;
	struct hasher *h = NULL, *second = NULL;
	struct digest whole, parts, of_fd;
	uint64_t size;
	FILE *f = tmpfile();

	memset(data, 'x', sizeof(data));
	for (int alg = 0; alg < DIGEST_ALGS; alg++) {
		assert_int_equal(digest_of((enum digest_alg)alg, data, sizeof(data), &whole, &e), 0);
		assert_int_equal(hasher_new((enum digest_alg)alg, &h, &e), 0);
		assert_int_equal(hasher_add(h, data, 1, &e), 0);
		assert_int_equal(hasher_dup(h, &second, &e), 0);
		assert_int_equal(hasher_add(h, "y", 1, &e), 0);
		assert_int_equal(hasher_add(second, data, sizeof(data) - 1, &e), 0);
		assert_int_equal(hasher_bytes(second), sizeof(data));
		assert_int_equal(hasher_end(second, &parts, &e), 0);
		assert_true(digest_equal(&whole, &parts));
		assert_int_equal(hasher_reset(h, &e), 0);
		assert_int_equal(hasher_bytes(h), 0);
		hasher_free(h);
		hasher_free(second);
		rewind(f);
		assert_int_equal(fwrite(data, 1, sizeof(data), f), sizeof(data));
		assert_int_equal(fflush(f), 0);
		assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
		assert_int_equal(digest_of_fd((enum digest_alg)alg, fileno(f), &of_fd, &size, &e), 0);
		assert_true(digest_equal(&whole, &of_fd));
		assert_int_equal(size, sizeof(data));
	}
	fclose(f);
	assert_int_equal(digest_of(DIGEST_SHA256, "", 0, &whole, &e), 0);
	assert_string_equal(digest_print(&whole, text), "sha256:" HEX64);
}

/* Skein 1.3, appendix C, and FreeBSD's skein1024 of nothing. */
static void
skein(void **state)
{
	static const struct {
		size_t n;
		const char *sum;
	} values[] = {
		{ 0,
		    "0fff9563bb3279289227ac77d319b6fff8d7e9f09da1247b72a0a265cd6d2a62645ad547ed8193db48cff847"
		    "c06494a0"
		    "3f55666d3b47eb4c20456c9373c86297d630d5578ebd34cb40991578f9f52b18003efa35d3da6553ff35db91"
		    "b81ab890"
		    "bec1b189b7f52cb2a783ebb7d823d725b0b4a71f6824e88f68f982eefc6d19c6" },
		{ 1,
		    "e62c05802ea0152407cdd8787fda9e35703de862a4fbc119cff8590afe79250bccc8b3faf1bd2422ab5c0d26"
		    "3fb2f8af"
		    "b3f796f048000381531b6f00d85161bc0fff4bef2486b1ebcd3773fabf50ad4ad5639af9040e3f29c6c93130"
		    "1bf79832"
		    "e9da09857e831e82ef8b4691c235656515d437d2bda33bcec001c67ffde15ba8" },
		{ 128,
		    "1f3e02c46fb80a3fcd2dfbbc7c173800b40c60c2354af551189ebf433c3d85f9ff1803e6d920493179ed7ae7"
		    "fce69c35"
		    "81a5a2f82d3e0c7a295574d0cd7d217c484d2f6313d59a7718ead07d0729c24851d7e7d2491b902d489194e6"
		    "b7d369db"
		    "0ab7aa106f0ee0a39a42efc54f18d93776080985f907574f995ec6a37153a578" },
		{ 256,
		    "842a53c99c12b0cf80cf69491be5e2f7515de8733b6ea9422dfd676665b5fa42ffb3a9c48c217777950848ce"
		    "cdb48f64"
		    "0f81fb92bef6f88f7a85c1f7cd1446c9161c0afe8f25ae444f40d3680081c35aa43f640fd5fa3c3c030bcc06"
		    "abac01d0"
		    "98bcc984ebd8322712921e00b1ba07d6d01f26907050255ef2c8e24f716c52a5" },
	};
	uint8_t data[256];
	char sum[SKEIN_HEX_LEN];

	for (int i = 0; i < 256; i++)
		data[i] = (uint8_t)(255 - i);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		for (size_t step = 1; step <= 256; step += 37) {
			struct skein s;

			skein_init(&s);
			for (size_t at = 0; at < values[i].n; at += step)
				skein_add(&s, data + at, step < values[i].n - at ? step : values[i].n - at);
			skein_end_hex(&s, sum);
			assert_string_equal(sum, values[i].sum);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forms), cmocka_unit_test(streams),
		cmocka_unit_test(skein) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
