/* policy.conf: rules, what is none, and which one counts. */
#include "expect.h"
#include "model/policy.h"

static void
rules(void **state)
{
	static const char text[] = "# comment\n\n"
				   "h.example/prod  require 2 a.pub 'b b.pub' c.pub\n"
				   "h.example accept\r\n"
				   "  h.example/prod/open accept\n"
				   "* reject";
	AUTO_FINI(policy) struct policy p = { NULL, 0 };
	const struct policy_rule *r;
	struct err e = ERR_INIT;

	if (policy_parse(&p, text, strlen(text), "f", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(p.n, 4);
	r = policy_find(&p, "h.example/prod/web");
	assert_int_equal(r->what, POLICY_REQUIRE);
	assert_int_equal(r->need, 2);
	assert_int_equal(r->line, 3);
	assert_string_equal(r->keys.v[1], "b b.pub");
	assert_ptr_equal(policy_find(&p, "h.example/prod"), r);
	assert_int_equal(policy_find(&p, "h.example/production")->line, 4);
	assert_int_equal(policy_find(&p, "h.example/prod/open/x")->line, 5);
	assert_int_equal(policy_find(&p, "h.example.evil/prod")->what, POLICY_REJECT);
	assert_int_equal(policy_find(&p, "other/x")->what, POLICY_REJECT);
}

static void
nothing(void **state)
{
	AUTO_FINI(policy) struct policy p = { NULL, 0 };
	struct err e = ERR_INIT;

	assert_int_equal(policy_parse(&p, "", 0, "f", &e), 0);
	assert_null(policy_find(&p, "x"));
}

static void
bad(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "x", "f:1" },
		{ "\nx maybe", "f:2" },
		{ "x accept now", "f:1" },
		{ "x require", "number" },
		{ "x require 1", "number" },
		{ "x require 0 a", "f:1" },
		{ "x require 65 a", "f:1" },
		{ "x require 2 a", "2 signatures" },
		{ "x require a 1", "f:1" },
		{ "x/ accept", "'/'" },
		{ "x accept\nx reject", "line 1" },
		{ "x 'accept", "f:1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy p;
		struct err e = ERR_INIT;

		if (policy_parse(&p, rows[i].text, strlen(rows[i].text), "f", &e) == 0)
			fail_msg("'%s' is taken", rows[i].text);
		if (strstr(e.msg, rows[i].why) == NULL)
			fail_msg("'%s': %s", rows[i].text, e.msg);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(nothing),
		cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
