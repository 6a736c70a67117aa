/* Which walk can go on when, and which records prune gives up. Pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "builder/cache.h"
#include "builder/plan.h"

static size_t
next(const struct plan *p)
{
	size_t i = SIZE_MAX;

	return plan_next(p, &i) ? i : SIZE_MAX;
}

static void
test_order(void **state)
{
	struct plan_walk v[3];
	struct plan p;

	(void)state;
	plan_init(&p, v, 3, NULL);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(next(&p), i);
		assert_false(plan_is_finished(&p));
		plan_done(&p, i);
		assert_true(plan_is_done(&p, i));
	}
	assert_true(plan_is_finished(&p));
	assert_int_equal(next(&p), SIZE_MAX);
	assert_false(plan_is_stuck(&p));
}

static void
test_unneeded(void **state)
{
	const bool needed[3] = { false, true, false };
	struct plan_walk v[3];
	struct plan p;

	(void)state;
	plan_init(&p, v, 3, needed);
	assert_int_equal(next(&p), 1);
	plan_done(&p, 1);
	assert_true(plan_is_finished(&p));
	assert_false(plan_is_done(&p, 0));
	assert_false(plan_is_done(&p, 7));
}

/* One waits for another that a worker does: it goes on when that one has been walked to its end. */
static void
test_blocked(void **state)
{
	struct plan_walk v[2];
	struct plan p;

	(void)state;
	plan_init(&p, v, 2, NULL);
	plan_left(&p, 0);
	assert_int_equal(next(&p), 1);
	plan_blocked(&p, 1, 0);
	assert_int_equal(next(&p), SIZE_MAX);
	assert_false(plan_is_stuck(&p));
	plan_again(&p, 0);
	assert_int_equal(next(&p), 0);
	plan_done(&p, 0);
	assert_int_equal(next(&p), 1);
	plan_done(&p, 1);
	assert_true(plan_is_finished(&p));
}

/* The end that a worker waited for has come before it said so. */
static void
test_blocked_late(void **state)
{
	struct plan_walk v[2];
	struct plan p;

	(void)state;
	plan_init(&p, v, 2, NULL);
	plan_done(&p, 0);
	plan_left(&p, 1);
	plan_blocked(&p, 1, 0);
	assert_int_equal(next(&p), 1);
}

static void
test_stuck(void **state)
{
	struct plan_walk v[2];
	struct plan p;

	(void)state;
	plan_init(&p, v, 2, NULL);
	plan_blocked(&p, 0, 1);
	plan_blocked(&p, 1, 0);
	assert_true(plan_is_stuck(&p));
	assert_false(plan_is_finished(&p));
}

/* ---- prune ------------------------------------------------------------------------------------- */

#define E(name, used, created, size)                                                     \
	{                                                                                \
		.key = name, .used_ns = (used), .created_ns = (created), .bytes = (size) \
	}

static const char *
gone(struct bld_entry *v, size_t n, const struct bld_prune_rule *rule)
{
	static char out[16];
	size_t len = 0;

	bld_prune_decide(v, n, rule);
	for (char c = 'a'; c < 'a' + (char)n; c++)
		for (size_t i = 0; i < n; i++)
			if (v[i].key[0] == c && v[i].gone)
				out[len++] = c;
	out[len] = '\0';
	return out;
}

static void
test_prune(void **state)
{
	struct bld_entry v[] = { E("a", 30, 1, 10), E("b", 30, 2, 10), E("c", 20, 9, 10), E("d", 10, 0, 1) };
	struct bld_prune_rule rule = { .keep = UINT64_MAX };

	(void)state;
	assert_string_equal(gone(v, 4, &rule), "");
	rule.before_ns = 20;
	assert_string_equal(gone(v, 4, &rule), "d");
	rule.before_ns = 0;
	/* The latest used stay; of one use those made first; and nothing that was used before what went. */
	rule.keep = 31;
	assert_string_equal(gone(v, 4, &rule), "");
	rule.keep = 29;
	assert_string_equal(gone(v, 4, &rule), "cd");
	rule.keep = 19;
	assert_string_equal(gone(v, 4, &rule), "bcd");
	rule.keep = 0;
	assert_string_equal(gone(v, 4, &rule), "abcd");
	rule.keep = UINT64_MAX;
	rule.all = true;
	assert_string_equal(gone(v, 4, &rule), "abcd");
	bld_prune_decide(v, 0, &rule);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unneeded),
		cmocka_unit_test(test_blocked),
		cmocka_unit_test(test_blocked_late),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
