/* Keys: the same for the same, another one for whatever builder.h lists, and none for secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "builder/key.h"

static const char *const argv[] = { "/bin/sh", "-c", "true", NULL };
static const char *const env[] = { "A=1", "B=2", NULL };

static struct bld_run
plain(void)
{
	return (struct bld_run){ .argv = argv, .env = env, .workdir = "/" };
}

static const char *
key_of(const struct bld_run *r, const struct bld_tree *tree, int64_t epoch)
{
	static char keys[4][BLD_KEY_LEN];
	static unsigned n;
	char *out = keys[n++ % 4];
	struct err e = ERR_INIT;

	assert_int_equal(bld_key_run(r, tree, epoch, out, &e), 0);
	assert_int_equal(strlen(out), BLD_KEY_LEN - 1);
	return out;
}

static const struct bld_tree empty;

static void
assert_differs(const struct bld_run *r)
{
	const struct bld_run first = plain();

	assert_string_not_equal(key_of(r, &empty, -1), key_of(&first, &empty, -1));
}

static void
assert_same(const struct bld_run *r)
{
	const struct bld_run first = plain();

	assert_string_equal(key_of(r, &empty, -1), key_of(&first, &empty, -1));
}

static void
test_same(void **state)
{
	struct bld_run r = plain();
	const char *const copy[] = { "/bin/sh", "-c", "true", NULL };
	const char *const proxies[] = { "HTTP_PROXY=http://x", NULL };

	(void)state;
	r.argv = copy;
	assert_same(&r);
	/* What makes no other content. */
	r.env_more = proxies;
	assert_same(&r);
	r.limits = &(struct pot_limit){ "memory", "1m" };
	r.nlimits = 1;
	assert_same(&r);
}

static void
test_parent_and_epoch(void **state)
{
	const struct bld_run r = plain();
	struct bld_tree a = { true, { DIGEST_SHA256, { 1 } } }, b = { true, { DIGEST_SHA256, { 2 } } };

	(void)state;
	assert_string_not_equal(key_of(&r, &a, -1), key_of(&r, &b, -1));
	assert_string_not_equal(key_of(&r, &a, -1), key_of(&r, &empty, -1));
	assert_string_not_equal(key_of(&r, &a, -1), key_of(&r, &a, 0));
	assert_string_equal(key_of(&r, &a, 5), key_of(&r, &a, 5));
}

/* Words do not run into each other, nor one list into the next. */
static void
test_words(void **state)
{
	const char *const one[] = { "/bin/sh", "-c", "tr", "ue", NULL },
			  *const joined[] = { "/bin/sh-c", "true", NULL };
	const char *const moved[] = { "/bin/sh", "-c", "true", "A=1", NULL }, *const rest[] = { "B=2", NULL };
	struct bld_run r = plain();

	(void)state;
	r.argv = one;
	assert_differs(&r);
	r.argv = joined;
	assert_differs(&r);
	r.argv = moved;
	r.env = rest;
	assert_differs(&r);
	r = plain();
	r.env = NULL;
	assert_differs(&r);
}

static void
test_settings(void **state)
{
	struct bld_run r = plain();

	(void)state;
	r.user = "";
	assert_differs(&r);
	r.user = "alice";
	assert_differs(&r);
	r = plain();
	r.workdir = "/w";
	assert_differs(&r);
	r = plain();
	r.network = BLD_NET_NONE;
	assert_differs(&r);
	r = plain();
	r.insecure = true;
	assert_differs(&r);
}

static const char *
key_with(struct bld_mount m)
{
	struct bld_run r = plain();

	r.mounts = &m;
	r.nmounts = 1;
	return key_of(&r, &empty, -1);
}

static void
test_mounts(void **state)
{
	const struct bld_run none = plain();
	struct bld_mount m = { .kind = BLD_MOUNT_FILE, .target = "/f", .data = "abc", .len = 3 }, other = m;

	(void)state;
	assert_string_not_equal(key_with(m), key_of(&none, &empty, -1));
	assert_string_equal(key_with(m), key_with(other));
	other.data = "abd";
	assert_string_not_equal(key_with(m), key_with(other));
	other = m;
	other.target = "/g";
	assert_string_not_equal(key_with(m), key_with(other));
	/* Of a secret the content is nobody's business. */
	m = (struct bld_mount){
		.kind = BLD_MOUNT_SECRET, .target = "/s", .id = "s", .data = "one", .len = 3
	};
	other = m;
	other.data = "another";
	other.len = 7;
	assert_string_equal(key_with(m), key_with(other));
	other.id = "t";
	assert_string_not_equal(key_with(m), key_with(other));
	m = (struct bld_mount){ .kind = BLD_MOUNT_DIR, .target = "/d", .fd = 3 };
	other = m;
	other.fd = 4;
	assert_string_equal(key_with(m), key_with(other));
	other.content.bytes[0] = 1;
	assert_string_not_equal(key_with(m), key_with(other));
	m = (struct bld_mount){ .kind = BLD_MOUNT_TREE, .target = "/d" };
	other = m;
	other.tree.any = true;
	assert_string_not_equal(key_with(m), key_with(other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_parent_and_epoch),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
