/* Flavours as steps and settings: what a recipe comes to, and which setting replaces which. Nothing is run. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "builder/copy.h"
#include "builder/flavour.h"

/* ---- settings ------------------------------------------------------------------------- */

static void
add(struct kv *kv, const char *key, const char *value)
{
	assert_int_equal(kv_add(kv, key, value, NULL), 0);
}

static void
expect(const struct kv *kv, const char *key, const char *values)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, key, &pos)) != NULL)
		buf_fmt(&b, "%s%s", b.len > 0 ? "|" : "", value);
	assert_string_equal(buf_cstr(&b), values);
}

static void
merging(void **state)
{
	AUTO_FINI(kv) struct kv into = KV_INIT;
	AUTO_FINI(kv) struct kv from = KV_INIT;
	AUTO_FINI(kv) struct kv empty = KV_INIT;

	add(&into, IMG_SET_ENV, "A=1");
	add(&into, IMG_SET_ENV, "AB=1");
	add(&into, IMG_SET_CMD, "old");
	add(&into, IMG_SET_CMD, "words");
	add(&into, IMG_SET_ENTRYPOINT, "entry");
	add(&into, IMG_SET_USER, "root");
	add(&into, BLD_SET_LIMIT, "memory=1m");
	add(&into, BLD_SET_PORT, ":80/tcp");
	assert_int_equal(bld_settings_merge(&into, &empty, NULL), 0);
	expect(&into, IMG_SET_CMD, "old|words");
	expect(&into, IMG_SET_ENTRYPOINT, "entry");
	add(&from, IMG_SET_ENV, "A=2");
	add(&from, IMG_SET_CMD, "new");
	add(&from, IMG_SET_USER, "www");
	add(&from, BLD_SET_LIMIT, "memory=2m");
	add(&from, BLD_SET_LIMIT, "cpus=1");
	add(&from, BLD_SET_PORT, ":80/tcp");
	add(&from, BLD_SET_PORT, ":81/tcp");
	assert_int_equal(bld_settings_merge(&into, &from, NULL), 0);
	expect(&into, IMG_SET_ENV, "AB=1|A=2");
	expect(&into, IMG_SET_CMD, "new");
	expect(&into, IMG_SET_ENTRYPOINT, "");
	expect(&into, IMG_SET_USER, "www");
	expect(&into, BLD_SET_LIMIT, "memory=2m|cpus=1");
	expect(&into, BLD_SET_PORT, ":80/tcp|:81/tcp");
}

/* ---- recipes -------------------------------------------------------------------------------- */

struct lab {
	char dir[64];
	struct eng eng;
	struct bld b;
	const char *dirs[2];
	struct bld_flavour_options options;
};

static void
put(const struct lab *l, const char *name, const char *text)
{
	AUTO(fd) int dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(file_write_atomic(dir, name, 0644, text, strlen(text), NULL), 0);
}

static int
setup(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	snprintf(l->dir, sizeof(l->dir), "/tmp/pot-unit-flavour-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	l->eng.conf_path = strdup("/nonexistent/pot.conf");
	l->b.eng = &l->eng;
	l->b.network = BLD_NET_NONE;
	l->dirs[0] = l->dir;
	l->options.dirs = l->dirs;
	*state = l;
	return 0;
}

static int
teardown(void **state)
{
	struct lab *l = *state;

	assert_int_equal(tree_remove(AT_FDCWD, l->dir, NULL), 0);
	free(l->eng.conf_path);
	free(l);
	return 0;
}

static int
expand(struct lab *l, const char *ref, int context, struct bld_recipe *r, struct err *e)
{
	const char *refs[] = { ref, NULL };

	r->options = &l->options;
	return bld_flavours_expand(&l->b, refs, context, r, e);
}

static void
recipe(void **state)
{
	struct lab *l = *state;
	AUTO_FINI(bld_recipe) struct bld_recipe r = BLD_RECIPE_INIT;
	struct err e = ERR_INIT;

	put(l, "f",
	    "set-env -E A=${p}\ncopy-in-flv -s f.sh -d /x\nset-cmd -c \"run it\"\nexport-ports -e 80:8080\n");
	put(l, "f.sh", "#!/bin/sh -e\ntrue\n");
	put(l, "f.meta", "title=t\nparameter=p\nparameter.p.default=1\n");
	if (expand(l, "f?p=a%20b", -1, &r, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.nsteps, 2);
	assert_int_equal(r.steps[0].kind, BLD_COPY);
	assert_string_equal(r.steps[0].where, "flavour f:2");
	assert_string_equal(r.steps[0].copy->sources[0], "f.sh");
	assert_false(r.steps[0].copy->keep_owner);
	assert_int_equal(r.steps[1].kind, BLD_RUN);
	assert_int_equal(r.steps[1].run.network, BLD_NET_NONE);
	assert_string_equal(r.steps[1].run.argv[0], "/bin/sh");
	assert_string_equal(r.steps[1].run.argv[1], "-e");
	assert_string_equal(r.steps[1].run.argv[2], r.steps[1].run.mounts[0].target);
	assert_null(r.steps[1].run.argv[3]);
	expect(&r.settings, IMG_SET_ENV, "A=a b");
	expect(&r.settings, IMG_SET_CMD, "run|it");
	expect(&r.settings, BLD_SET_PORT, "8080:80/tcp");
	expect(&r.settings, IMG_SET_EXPOSE, "80/tcp");
	expect(&r.settings, IMG_SET_LABEL, "io.pot.flavours=f");
}

/* Every allocation and file has an owner also when the third of three is wrong. */
static void
broken(void **state)
{
	static const struct {
		const char *commands, *meta, *why;
	} rows[] = {
		{ "copy-in-flv -s f -d /x\nmount-in -z d -m /x\n", NULL, ":2: mount-in -z" },
		{ "set-cmd -c \"a\n", NULL, ":1: " },
		{ "set-env -E A=1\n", "title=t\nflavour=f\n", "needs itself" },
		{ "set-env -E A=1\n",
		    "title=t\nsystems=linux freebsd\nparameter=p\nparameter.p.required=yes\n",
		    "'p' is needed" },
	};
	struct lab *l = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		AUTO_FINI(bld_recipe) struct bld_recipe r = BLD_RECIPE_INIT;
		struct err e = ERR_INIT;

		put(l, "f", rows[i].commands);
		put(l, "f.meta", rows[i].meta != NULL ? rows[i].meta : "title=t\n");
		assert_true(expand(l, "f", -1, &r, &e) < 0);
		if (strstr(e.msg, rows[i].why) == NULL)
			fail_msg("%s: not in '%s'", rows[i].why, e.msg);
	}
}

static void
context(void **state)
{
	static const char *const bad[] = { "copy-in -s /etc/passwd -d /x\n",
		"copy-in-flv -s /etc/passwd -d /x\n", "mount-in -d /etc -m /x\n" };
	struct lab *l = *state;
	AUTO(fd) int dir = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		AUTO_FINI(bld_recipe) struct bld_recipe r = BLD_RECIPE_INIT;

		put(l, "f", bad[i]);
		assert_int_equal(expand(l, "f", dir, &r, &e), -E_PERM);
	}
	AUTO_FINI(bld_recipe) struct bld_recipe r = BLD_RECIPE_INIT;
	put(l, "f", "copy-in-flv -s sub/x -d /x\n");
	assert_int_equal(expand(l, "f", dir, &r, &e), 0);
	/* Where links lead is the copier's to see, below this directory. */
	assert_string_equal(r.steps[0].copy->sources[0], "sub/x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merging),
		cmocka_unit_test_setup_teardown(recipe, setup, teardown),
		cmocka_unit_test_setup_teardown(broken, setup, teardown),
		cmocka_unit_test_setup_teardown(context, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
