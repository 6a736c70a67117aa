/* Keys and signatures: files of signify(1), made by it, and our own there and back; statements. */
#include "../model/expect.h"
#include "image/sign.h"
#include "image/signify.h"

/* Written by signify of OpenBSD 7 as Debian ships it; the second secret key is locked with "sesame". */
static const char public[] = "untrusted comment: vector public key\n"
			     "RWSGh+M6eI2hVYQy7335gJp2dxJ6z0ZryqReCU/gCJw6T8vf12ihvKW3\n";
static const char secret[] = "untrusted comment: vector secret key\n"
			     "RWRCSwAAAACIYiYFHDnJhvyrJMt5Rl7FLoQt/"
			     "hEIPdyGh+M6eI2hVUYqzszrV5eU4JspoM5xp+yS0HGJt+1tTc881WQVTaG6hDLvffmAmnZ3EnrP"
			     "RmvKpF4JT+AInDpPy9/XaKG8pbc=\n";
static const char signature[] =
    "untrusted comment: verify with v.pub\n"
    "RWSGh+M6eI2hVXYejeiaqjK1txEQhl2RcQUefXsrwp1h6hQKCHccIbrceE44yMMUAPuYC/bnpzIfoTd0qmyd5ljv7tFa3/aqvww=\n";
static const char locked[] = "untrusted comment: vector secret key\n"
			     "RWRCSwAAACoal4KYN2OZqaAqUNhr+H5g55lCMC/"
			     "kllS4UpeiWHoPYuqppCySvefXnugnBWwUpnpwhVyAP6tf0Yc8KpqGDTkge4aTKRcyypoQqKlM"
			     "BwhKYJGudT8TmKvbHn9aItGf36Q=\n";
static const char locked_public[] = "untrusted comment: vector public key\n"
				    "RWS4UpeiWHoPYvw5QDAAKbpeaM33ohz3Vku9PqE0b3ltv1CFeohBzCyj\n";

static void
vectors(void **state)
{
	AUTO_FINI(sign_secret) struct sign_secret s;
	AUTO_FINI(buf) struct buf text = BUF_INIT(4096);
	struct sign_signature sig, ours;
	struct sign_public p;
	struct err e = ERR_INIT;
	bool is_locked;

	assert_int_equal(signify_public_parse(public, strlen(public), &p, &e), 0);
	assert_int_equal(signify_signature_parse(signature, strlen(signature), &sig, NULL, &e), 0);
	assert_int_equal(signify_verify(&p, &sig, "hello\n", 6, &e), 0);
	expect_err(signify_verify(&p, &sig, "hallo\n", 6, &e), E_PERM, "wrong");
	assert_int_equal(signify_secret_is_locked(secret, strlen(secret), &is_locked, &e), 0);
	assert_false(is_locked);
	assert_int_equal(signify_secret_parse(secret, strlen(secret), NULL, &s, &e), 0);
	/* Ed25519 has one signature of a key and a message. */
	assert_int_equal(signify_sign(&s, "hello\n", 6, &ours, &e), 0);
	assert_memory_equal(&ours, &sig, sizeof(sig));
	assert_int_equal(signify_signature_print(&ours, "verify with v.pub", &text, &e), 0);
	assert_string_equal(buf_cstr(&text), signature);
	buf_reset(&text);
	assert_int_equal(signify_public_print(&p, "vector public key", &text, &e), 0);
	assert_string_equal(buf_cstr(&text), public);
	sig.number[0] ^= 1;
	expect_err(signify_verify(&p, &sig, "hello\n", 6, &e), E_PERM, "another key");
}

static void
passphrases(void **state)
{
	AUTO_FINI(sign_secret) struct sign_secret s, again;
	AUTO_FINI(buf) struct buf text = BUF_INIT(4096);
	struct sign_public p;
	struct err e = ERR_INIT;
	bool is_locked;

	assert_int_equal(signify_secret_is_locked(locked, strlen(locked), &is_locked, &e), 0);
	assert_true(is_locked);
	expect_err(signify_secret_parse(locked, strlen(locked), NULL, &s, &e), E_PERM, "no passphrase");
	expect_err(signify_secret_parse(locked, strlen(locked), "wrong", &s, &e), E_PERM, "wrong passphrase");
	assert_int_equal(signify_secret_parse(locked, strlen(locked), "sesame", &s, &e), 0);
	assert_int_equal(signify_public_parse(locked_public, strlen(locked_public), &p, &e), 0);
	assert_memory_equal(s.key + 32, p.key, 32);
	assert_int_equal(signify_secret_print(&s, "another", "x", &text, &e), 0);
	assert_int_equal(signify_secret_parse(buf_cstr(&text), text.len, "another", &again, &e), 0);
	assert_memory_equal(&again, &s, sizeof(s));
}

static void
damaged(void **state)
{
	static const char *const rows[] = { "", "x", "untrusted comment: ", "untrusted comment: x\n",
		"untrusted comment: x\nRWSG\n",
		"untrusted comment: x\nRWSGh+M6eI2hVYQy7335gJp2dxJ6z0ZryqReCU/gCJw6T8vf12ihvKW3",
		"Untrusted comment: x\nRWSGh+M6eI2hVYQy7335gJp2dxJ6z0ZryqReCU/gCJw6T8vf12ihvKW3\n",
		"untrusted comment: x\nRXSGh+M6eI2hVYQy7335gJp2dxJ6z0ZryqReCU/gCJw6T8vf12ihvKW3\n" };
	char text[sizeof(secret)];
	struct sign_secret s;
	struct sign_public p;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (signify_public_parse(rows[i], strlen(rows[i]), &p, &e) == 0)
			fail_msg("'%s' is taken", rows[i]);
	memcpy(text, secret, sizeof(text));
	text[150] = text[150] == 'A' ? 'B' : 'A';
	assert_true(signify_secret_parse(text, strlen(text), NULL, &s, &e) < 0);
	assert_true(signify_secret_print(&s, NULL, "two\nlines", &(struct buf)BUF_INIT(4096), &e) < 0);
}

static void
statements(void **state)
{
	struct sign_statement
	    s = { .digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		    .name = "team/web",
		    .tag = "1.0",
		    .time_ns = 1700000000123456789 },
	    again;
	static const char *const bad[] = { "", "{}", "[]", "{\"type\":\"other\"}",
		"{\"digest\":\"sha256:00\",\"name\":\"a\",\"tag\":\"b\",\"time\":\"2026-01-01T00:00:00Z\","
		"\"type\":\"pot image "
		"signature 1\"}" };
	AUTO_FINI(buf) struct buf text = BUF_INIT(4096);
	struct err e = ERR_INIT;

	assert_int_equal(sign_statement_print(&s, &text, &e), 0);
	assert_int_equal(sign_statement_parse(buf_cstr(&text), text.len, &again, &e), 0);
	assert_string_equal(again.digest, s.digest);
	assert_string_equal(again.name, s.name);
	assert_string_equal(again.tag, s.tag);
	assert_int_equal(again.time_ns / 1000000, s.time_ns / 1000000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (sign_statement_parse(bad[i], strlen(bad[i]), &again, &e) == 0)
			fail_msg("%s is taken", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(passphrases),
		cmocka_unit_test(damaged),
		cmocka_unit_test(statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
