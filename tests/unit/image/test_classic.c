/* Classic image files: a set that is made can be opened; each change of any of its files is seen. */
#include "../base/scratch.h"
#include "image/classic.h"

static const struct classic_origin none;

static void
names(void **state)
{
	static const char *const bad[] = { "", ".a", "-a", "a/b", "a b", "..", "a\n", "_a" };
	char stem[CLASSIC_STEM_LEN], longest[CLASSIC_NAME_MAX + 2];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(classic_stem("nginx-amd64-14_1", "1.1.13", stem, &err));
	assert_string_equal(stem, "nginx-amd64-14_1_1.1.13");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_fails(classic_stem(bad[i], "1", stem, &err), E_INVAL);
		assert_fails(classic_stem("a", bad[i], stem, &err), E_INVAL);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_fails(classic_stem(longest, "1", stem, &err), E_INVAL);
	assert_ok(classic_stem(longest + 1, "1", stem, &err));
}

static void
meta(void **state)
{
	static const char *const bad[] = { "", "\n", "--", "a", "a:b", "a@c", ":b@c", "a:@c", "a:b@",
		"a:b@c@d/e", "a:b@c\n\n", "../a:b@c", "a:b c@d", "-\n\n" };
	struct buf text = BUF_INIT(512);
	struct classic_origin o;
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(classic_meta_parse("-\n", 2, &o, &err));
	assert_string_equal(o.pot, "");
	assert_ok(classic_meta_parse("-", 1, &o, &err));
	assert_ok(classic_meta_parse("base-14:1.0@1600000000", 22, &o, &err));
	assert_string_equal(o.pot, "base-14");
	assert_string_equal(o.tag, "1.0");
	assert_string_equal(o.snapshot, "1600000000");
	assert_ok(classic_meta_print(&o, &text, &err));
	assert_string_equal(buf_cstr(&text), "base-14:1.0@1600000000\n");
	buf_reset(&text);
	assert_ok(classic_meta_print(&none, &text, &err));
	assert_string_equal(buf_cstr(&text), "-\n");
	buf_fini(&text);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(classic_meta_parse(bad[i], strlen(bad[i]), &o, &err), E_CORRUPT);
	assert_fails(classic_meta_parse("a\0b:c@d", 7, &o, &err), E_CORRUPT);
}

static int
open_set(struct scratch *dir, const struct sign_public *key, struct err *e)
{
	struct classic_origin o;
	int fd = classic_open(dir->fd, "web_1", key, &o, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void
made_and_opened(void **state)
{
	struct scratch *dir = *state;
	struct classic_origin o, origin = { "base", "1", "2" };
	struct err err = ERR_INIT;
	char text[16];
	struct stat st;
	int fd;

	put(dir->fd, "web_1.xz", "package");
	assert_ok(classic_complete(dir->fd, "web_1", &origin, NULL, &err));
	assert_content(dir->fd, "web_1.xz.meta", "base:1@2\n");
	assert_sys(fstatat(dir->fd, "web_1.xz.skein", &st, 0));
	assert_int_equal(st.st_size, 257);
	assert_false(is_there(dir->fd, "web_1.xz.skein.sig"));
	fd = classic_open(dir->fd, "web_1", NULL, &o, &err);
	assert_ok(fd);
	assert_string_equal(o.snapshot, "2");
	assert_int_equal(read(fd, text, sizeof(text)), 7);
	assert_memory_equal(text, "package", 7);
	close(fd);
	/* Of the same name once more: nothing of the old set stays. */
	put(dir->fd, "web_1.xz.skein.sig", "old");
	assert_ok(classic_complete(dir->fd, "web_1", &none, NULL, &err));
	assert_false(is_there(dir->fd, "web_1.xz.skein.sig"));
	assert_ok(open_set(dir, NULL, &err));
}

static void
changes_are_seen(void **state)
{
	static const char *const files[] = { "web_1.xz", "web_1.xz.meta", "web_1.xz.skein" };
	struct scratch *dir = *state;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		put(dir->fd, "web_1.xz", "package");
		assert_ok(classic_complete(dir->fd, "web_1", &none, NULL, &err));
		assert_ok(open_set(dir, NULL, &err));
		put(dir->fd, files[i], i == 1 ? "other:1@2\n" : "changed");
		assert_fails(open_set(dir, NULL, &err), E_CORRUPT);
		assert_sys(unlinkat(dir->fd, files[i], 0));
		assert_fails(open_set(dir, NULL, &err), E_NOENT);
	}
	put(dir->fd, "web_1.xz", "package");
	assert_ok(classic_complete(dir->fd, "web_1", &none, NULL, &err));
	assert_sys(renameat(dir->fd, "web_1.xz", dir->fd, "real"));
	assert_sys(symlinkat("real", dir->fd, "web_1.xz"));
	assert_fails(open_set(dir, NULL, &err), E_INVAL);
	assert_sys(unlinkat(dir->fd, "web_1.xz", 0));
	assert_sys(mkfifoat(dir->fd, "web_1.xz", 0600));
	assert_fails(open_set(dir, NULL, &err), E_INVAL);
}

static void
signatures(void **state)
{
	struct scratch *dir = *state;
	AUTO_FINI(sign_secret) struct sign_secret key = { 0 };
	AUTO_FINI(sign_secret) struct sign_secret other = { 0 };
	struct sign_public public, wrong;
	struct err err = ERR_INIT;

	assert_ok(signify_generate(&key, &public, &err));
	assert_ok(signify_generate(&other, &wrong, &err));
	put(dir->fd, "web_1.xz", "package");
	assert_ok(classic_complete(dir->fd, "web_1", &none, &key, &err));
	assert_ok(open_set(dir, &public, &err));
	assert_ok(open_set(dir, NULL, &err));
	assert_fails(open_set(dir, &wrong, &err), E_PERM);
	/* A right sum with the signature of another set. */
	put(dir->fd, "web_2.xz", "another");
	assert_ok(classic_complete(dir->fd, "web_2", &none, &key, &err));
	assert_sys(renameat(dir->fd, "web_2.xz.skein.sig", dir->fd, "web_1.xz.skein.sig"));
	assert_fails(open_set(dir, &public, &err), E_PERM);
	assert_sys(unlinkat(dir->fd, "web_1.xz.skein.sig", 0));
	assert_fails(open_set(dir, &public, &err), E_PERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(meta),
		cmocka_unit_test_setup_teardown(made_and_opened, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(changes_are_seen, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(signatures, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
