/* Rules and tokens: who may do what, what is refused when read, what a token is worth. */
#include <stdlib.h>

#include "../model/expect.h"
#include "registry/auth.h"
#include "registry/token.h"

#define HASH "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m"

static struct auth *
parse(const char *text)
{
	struct auth *a = NULL;
	struct err e = ERR_INIT;

	if (auth_parse(text, strlen(text), "auth", &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static void
rules(void **state)
{
	struct auth *a = parse("# comment\n\n  alice:" HASH "\r\nbob:$argon2id$v=19$m=1,t=1,p=1$YQ$YQ\n"
			       "allow alice * all\nallow bob,alice team/*,shared pull,push\n"
			       "allow * staff/* pull\nallow anonymous pub/lic/* pull\n");
	static const struct {
		const char *user, *repo;
		unsigned rights;
	} rows[] = {
		{ "alice", "any/thing", RIGHT_ALL },
		{ "bob", "team/a", RIGHT_PULL | RIGHT_PUSH },
		{ "bob", "team/a/b", RIGHT_PULL | RIGHT_PUSH },
		{ "bob", "team", 0 },
		{ "bob", "teams/a", 0 },
		{ "bob", "shared", RIGHT_PULL | RIGHT_PUSH },
		{ "bob", "shared/a", 0 },
		{ "bob", "staff/a", RIGHT_PULL },
		{ "bob", "pub/lic/a", RIGHT_PULL },
		{ NULL, "pub/lic/a", RIGHT_PULL },
		{ NULL, "pub/a", 0 },
		{ NULL, "staff/a", 0 },
		{ "gone", "staff/a", 0 }, /* was taken out of the file while a token names it */
		{ "gone", "pub/lic/a", RIGHT_PULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(auth_rights(a, rows[i].user, rows[i].repo), rows[i].rights);
	assert_true(auth_has_user(a, "alice") && !auth_has_user(a, "carol"));
	auth_free(a);
}

static void
broken(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "x", "auth:1: it is neither" },
		{ "\n\nx:y", "auth:3: the password of 'x'" },
		{ "a:" HASH "\na:" HASH, "auth:2: user 'a' is there twice" },
		{ "anonymous:" HASH, "not a valid user name" },
		{ "a b:" HASH, "not a valid user name" },
		{ ":" HASH, "not a valid user name" },
		{ "allow nobody * pull", "who is not there" },
		{ "allow * *", "a rule is" },
		{ "allow * * pull extra", "a rule is" },
		{ "allow * A pull", "neither a repository" },
		{ "allow * a* pull", "neither a repository" },
		{ "allow * * pull,", "is not a right" },
		{ "allow *, * pull", "empty entry" },
		{ "allow * * \"", "auth:1" },
	};
	struct err e = ERR_INIT;
	struct auth *a = NULL;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_err(auth_parse(bad[i].text, strlen(bad[i].text), "auth", &a, &e), E_INVAL, bad[i].why);
	expect_err(auth_parse("a\0b", 3, "auth", &a, &e), E_INVAL, "NUL");
	assert_null(a);
}

static void
tokens(void **state)
{
	static const uint8_t key[TOKEN_KEY_LEN] = "one", other[TOKEN_KEY_LEN] = "two";
	static const char scope[] = "repository:a/b:pull,push,fly", colon[] = "repository:host:5000/a:pull";
	struct token t = { .expires = 1000 }, back;
	struct buf text = BUF_INIT(TOKEN_MAX);
	struct err e = ERR_INIT;

	memcpy(t.user, "alice", 6);
	token_add_scope(&t, scope, strlen(scope));
	token_add_scope(&t, colon, strlen(colon));
	token_add_scope(&t, "registry:catalog:*", 18);
	token_add_scope(&t, "repository:x", 12);
	token_add_scope(&t, "repository:x:", 13);
	token_add_scope(&t, "", 0);
	assert_int_equal(t.n, 1);
	assert_int_equal(token_print(&t, key, &text, &e), 0);
	assert_int_equal(token_parse(buf_cstr(&text), key, 999, &back, &e), 0);
	assert_string_equal(back.user, "alice");
	assert_int_equal(token_rights(&back, "a/b"), RIGHT_PULL | RIGHT_PUSH);
	assert_int_equal(token_rights(&back, "a"), 0);
	expect_err(token_parse(buf_cstr(&text), key, 1000, &back, &e), E_PERM, "is over");
	expect_err(token_parse(buf_cstr(&text), other, 999, &back, &e), E_PERM, "not one of this registry");
	/* No byte of it may change. */
	for (size_t i = 0; i < text.len; i++) {
		char kept = text.data[i];

		text.data[i] = kept == 'A' ? 'B' : 'A';
		assert_int_equal(token_parse(buf_cstr(&text), key, 999, &back, &e), -E_PERM);
		text.data[i] = kept;
	}
	expect_err(token_parse("", key, 0, &back, &e), E_PERM, "not one");
	expect_err(token_parse(".", key, 0, &back, &e), E_PERM, "not one");
	buf_fini(&text);
	t.n = 0;
	for (int i = 0; i < 2 * TOKEN_SCOPES; i++)
		token_add_scope(&t, scope, strlen(scope));
	assert_int_equal(t.n, TOKEN_SCOPES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rules), cmocka_unit_test(broken),
		cmocka_unit_test(tokens) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
