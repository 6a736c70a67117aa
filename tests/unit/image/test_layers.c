/*
 * What a layer says of two trees, and the bytes that it is: the same for the
 * same content, whatever order a directory has; configs and platforms.
 */
#include "../base/scratch.h"
#include "image/config.h"
#include "image/diff.h"
#include "image/pack.h"
#include "image/tarout.h"
#include "image/unpack.h"

static int
to_buf(void *arg, const void *data, size_t n, struct err *e)
{
	(void)e;
	buf_add(arg, data, n);
	return 0;
}

static void
write_file(int dir, const char *name, const char *content)
{
	AUTO(fd) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	const struct timespec old[2] = { { 1000000000, 5 }, { 1000000000, 5 } };

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_sys(futimens(fd, old));
}

static int
make_dir(int dir, const char *name)
{
	struct err err = ERR_INIT;
	int fd = dir_make(dir, name, 0755, &err);

	assert_ok(fd);
	return fd;
}

static void
settle(int dir)
{
	const struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

	assert_sys(futimens(dir, old));
}

/* The names in the layer, one a line, in order. */
static void
names_of(int root, int parent, struct buf *out)
{
	const struct diff_args args = { .root = root, .parent = parent };
	AUTO_FINI(changes) struct changes c = { 0 };
	struct err err = ERR_INIT;

	assert_ok(img_changes_find(&args, &c, &err));
	for (size_t i = 0; i < c.n; i++) {
		AUTO_FINI(buf) struct buf path = BUF_INIT(4096);

		if (!c.v[i].emit)
			continue;
		assert_ok(change_path(&c, (uint32_t)i, &path, &err));
		buf_fmt(out, "%c%s%s\n", "dflp-"[c.v[i].kind], buf_cstr(&path),
		    c.v[i].link != CHANGE_NONE ? " link" : "");
	}
}

static void
test_difference(void **state)
{
	const struct scratch *s = *state;
	AUTO(fd) int a = make_dir(s->fd, "a"), b = make_dir(s->fd, "b");
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++) {
		AUTO(fd) int d = make_dir(i ? b : a, "d"), e = make_dir(i ? b : a, "e");

		write_file(i ? b : a, "same", "same");
		write_file(i ? b : a, "changed", i ? "new" : "old");
		write_file(i ? b : a, "mode", "mode");
		write_file(d, "deep", i ? "two" : "one");
		write_file(e, "still", "still");
		if (i == 0) {
			write_file(a, "gone", "");
			write_file(a, "type", "");
			(void)!symlinkat("x", a, "link");
		} else {
			AUTO(fd) int t = make_dir(b, "type");
			write_file(b, "added", "");
			settle(t);
		}
		write_file(i ? b : a, "one", "linked");
		assert_sys(linkat(i ? b : a, "one", i ? b : a, "two", 0));
		settle(d);
		settle(e);
	}
	assert_sys(fchmodat(b, "mode", 0600, 0));
	assert_sys(linkat(b, "two", b, "three", 0));
	settle(a);
	settle(b);
	names_of(b, a, &out);
	assert_string_equal(buf_cstr(&out),
	    "d\nfadded\nfchanged\ndd\nfd/deep\n-gone\n-link\nfmode\nfone\nfthree link\nftwo link\ndtype\n");
	buf_reset(&out);
	names_of(a, a, &out);
	assert_string_equal(buf_cstr(&out), "");
	(void)err;
}

static void
write_layer(int root, struct buf *out)
{
	const struct diff_args find = { .root = root, .parent = -1 };
	const struct diff_write_args write = { .root = root, .epoch = -1 };
	AUTO_FINI(changes) struct changes c = { 0 };
	struct tarout tar;
	struct err err = ERR_INIT;

	assert_ok(img_changes_find(&find, &c, &err));
	tarout_init(&tar, to_buf, out);
	assert_ok(img_changes_write(&c, &write, &tar, &err));
}

static void
test_same_content_same_bytes(void **state)
{
	const struct scratch *s = *state;
	AUTO_FINI(buf) struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
	AUTO(fd) int a = make_dir(s->fd, "a"), b = make_dir(s->fd, "b");
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		write_file(a, name, name);
	}
	for (int i = 49; i >= 0; i--) {
		snprintf(name, sizeof(name), "f%d", i);
		write_file(b, name, name);
	}
	settle(a);
	settle(b);
	write_layer(a, &one);
	write_layer(b, &two);
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	assert_int_equal(one.len % 512, 0);
}

static void
test_reserved_names_are_refused(void **state)
{
	const struct scratch *s = *state;
	const struct diff_args args = { .root = s->fd, .parent = -1 };
	AUTO_FINI(changes) struct changes c = { 0 };
	struct err err = ERR_INIT;

	write_file(s->fd, ".wh.x", "");
	assert_fails(img_changes_find(&args, &c, &err), E_NOTSUP);
}

static void
test_headers(void **state)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 20);
	char path[300];
	struct tarout tar;
	struct err err = ERR_INIT;
	struct tar_entry en = { .path = "short", .type = TAR_FILE, .mode = 0644, .mtime = { 7, 0 } };

	(void)state;
	tarout_init(&tar, to_buf, &out);
	assert_ok(tarout_entry(&tar, &en, &err));
	assert_int_equal(out.len, 512);
	assert_memory_equal(out.data + 257,
	    "ustar\0"
	    "00",
	    8);
	assert_memory_equal(out.data + 136, "00000000007", 12);
	/* 150 bytes that can be cut at a slash need no record; 250 without one do. */
	buf_reset(&out);
	memset(path, 'x', sizeof(path));
	path[80] = '/';
	path[150] = '\0';
	en.path = path;
	assert_ok(tarout_entry(&tar, &en, &err));
	assert_int_equal(out.len, 512);
	assert_int_equal(strnlen(out.data + 345, 155), 80);
	buf_reset(&out);
	memset(path, 'x', 250);
	path[250] = '\0';
	assert_ok(tarout_entry(&tar, &en, &err));
	assert_int_equal(out.len, 3 * 512);
	assert_int_equal(out.data[156], 'x');
	assert_memory_equal(out.data + 512, "260 path=xxx", 12);
	/* Fractions and times before 1970, as short as they can be. */
	buf_reset(&out);
	en.path = "t";
	en.mtime = (struct timespec){ -2, 750000000 };
	assert_ok(tarout_entry(&tar, &en, &err));
	assert_memory_equal(out.data + 512, "15 mtime=-1.25\n", 15);
	/* Data must be as long as announced. */
	en.size = 3;
	assert_ok(tarout_entry(&tar, &en, &err));
	assert_fails(tarout_data(&tar, "1234", 4, &err), E_SYS);
	assert_fails(tarout_end(&tar, &err), E_SYS);
}

static void
test_packing_does_not_depend_on_pieces(void **state)
{
	const struct scratch *dir = *state;
	const size_t size = 9u << 20;
	AUTO_FREE char *data = malloc(size);
	struct img_store *s = NULL;
	struct err err = ERR_INIT;
	struct digest diff[3], blob[3];
	static const size_t pieces[3] = { 512, 100000, 9u << 20 };

	assert_non_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 31 / 7 + i / 4096);
	assert_ok(img_store_open(&s, dir->fd, &err));
	for (int k = 0; k < 3; k++) {
		struct img_pack *p = NULL;

		assert_ok(img_pack_begin(s, NULL, &p, &err));
		for (size_t at = 0; at < size; at += pieces[k])
			assert_ok(img_pack_write(
			    p, data + at, size - at < pieces[k] ? size - at : pieces[k], &err));
		assert_ok(img_pack_end(&p, &diff[k], &blob[k], NULL, &err));
	}
	assert_true(digest_equal(&diff[0], &diff[1]) && digest_equal(&diff[0], &diff[2]));
	assert_true(digest_equal(&blob[0], &blob[1]) && digest_equal(&blob[0], &blob[2]));
	img_store_close(s);
}

static int
pack(struct img_store *s, const struct img_pack_expect *expect, const char *text, struct digest *diff,
    struct digest *blob, uint64_t *size, struct err *e)
{
	struct img_pack *p = NULL;
	int r = img_pack_begin(s, expect, &p, e);

	if (r == 0 && (r = img_pack_write(p, text, strlen(text), e)) < 0)
		img_pack_abort(p);
	return r < 0 ? r : img_pack_end(&p, diff, blob, size, e);
}

/* What is expected becomes the blob, or is compared with the one that is there; nothing else becomes anything. */
static void
test_packing_what_is_expected(void **state)
{
	const struct scratch *dir = *state;
	AUTO(fd) int elsewhere = make_dir(dir->fd, "elsewhere");
	struct img_pack_expect expect = { .max = 4 };
	struct img_store *s = NULL, *other = NULL;
	struct digest diff, blob;
	struct err err = ERR_INIT;
	uint64_t size;

	assert_ok(img_store_open(&s, dir->fd, &err));
	assert_ok(img_store_open(&other, elsewhere, &err));
	assert_ok(pack(s, NULL, "text", &expect.diff, &expect.blob, &expect.size, &err));
	assert_fails(pack(other, &expect, "TEXT", &diff, &blob, &size, &err), E_CORRUPT);
	assert_fails(pack(other, &expect, "texts", &diff, &blob, &size, &err), E_LIMIT);
	assert_int_equal(img_blob_has(other, &expect.blob, NULL, &err), 0);
	assert_ok(pack(other, &expect, "text", &diff, &blob, &size, &err));
	assert_int_equal(img_blob_has(other, &expect.blob, NULL, &err), 1);
	assert_fails(pack(other, &expect, "TEXT", &diff, &blob, &size, &err), E_CORRUPT);
	assert_ok(pack(other, &expect, "text", &diff, &blob, &size, &err));
	assert_true(digest_equal(&blob, &expect.blob) && size == expect.size);
	img_store_close(s);
	img_store_close(other);
}

/* What packing leaves out, a socket say, is not left out where a tree has to be proved. */
static void
test_exact(void **state)
{
	const struct scratch *s = *state;
	AUTO(fd) int a = make_dir(s->fd, "a"), b = make_dir(s->fd, "b");
	struct diff_args args = { .root = b, .parent = a };
	AUTO_FINI(changes) struct changes c = { 0 }, exact = { 0 };
	struct err err = ERR_INIT;

	assert_sys(mknodat(b, "socket", S_IFSOCK | 0600, 0));
	assert_ok(img_changes_find(&args, &c, &err));
	assert_int_equal(c.skipped, 1);
	args.exact = true;
	assert_fails(img_changes_find(&args, &exact, &err), E_NOTSUP);
}

static void
test_chain_ids(void **state)
{
	struct digest a, b, chain;
	char out[DIGEST_TEXT_LEN];
	struct err err = ERR_INIT;

	(void)state;
	assert_ok(digest_of(DIGEST_SHA256, "a", 1, &a, &err));
	assert_ok(digest_of(DIGEST_SHA256, "b", 1, &b, &err));
	assert_ok(img_chain_id(NULL, &a, &chain, &err));
	assert_true(digest_equal(&chain, &a));
	assert_ok(img_chain_id(&a, &b, &chain, &err));
	/* printf 'sha256:ca97… sha256:3e23…' | sha256sum */
	char text[2 * DIGEST_TEXT_LEN], x[DIGEST_TEXT_LEN], y[DIGEST_TEXT_LEN];
	struct digest want;
	int n = snprintf(text, sizeof(text), "%s %s", digest_print(&a, x), digest_print(&b, y));
	assert_ok(digest_of(DIGEST_SHA256, text, (size_t)n, &want, &err));
	assert_string_equal(digest_print(&chain, out), digest_print(&want, x));
}

static void
test_configs(void **state)
{
	static const char good[] =
	    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2020-01-02T03:04:05Z\","
	    "\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"x\",\"y z\"],\"User\":\"\",\"Unknown\":{\"k\":1}},"
	    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"history\":[{\"created_by\":\"one\"}]}";
	static const char *const bad[] = { "", "[]", "{}", "{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}",
		"{\"rootfs\":{\"diff_ids\":[7]}}", "{\"rootfs\":{\"diff_ids\":{}}}" };
	struct img_config *c = NULL;
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 20);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	struct img_history h = { 0, "two", NULL, NULL, true };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(img_config_parse(bad[i], strlen(bad[i]), &c, &err) < 0);
	assert_ok(img_config_parse(good, strlen(good), &c, &err));
	assert_ok(img_config_settings(c, &kv, &err));
	assert_string_equal(kv_get(&kv, IMG_SET_ENV), "A=b");
	assert_null(kv_get(&kv, IMG_SET_USER));
	assert_ok(kv_set(&kv, IMG_SET_CMD, "other", &err));
	const struct img_config_new n = { .below = c, .settings = &kv, .history = &h, .nhistory = 1 };
	assert_ok(img_config_build(&n, &out, &err));
	/* What is not known stays; keys are sorted. */
	assert_non_null(
	    strstr(out.data, "\"config\":{\"Cmd\":[\"other\"],\"Env\":[\"A=b\"],\"Unknown\":{\"k\":1}"));
	assert_non_null(strstr(out.data, "{\"created_by\":\"one\"},{"));
	img_config_free(c);
}

static void
test_platforms(void **state)
{
	struct img_host h;
	char os[] = "plan9", v9[] = "v9";

	(void)state;
	img_host_platform(&h);
	struct img_platform ours = { h.os, h.arch, NULL, NULL, NULL };
	assert_true(img_platform_fit(&ours) > 0);
	assert_true(img_platform_fit(NULL) > 0);
	struct img_platform other = ours;
	other.os = os;
	assert_int_equal(img_platform_fit(&other), 0);
	other = ours;
	other.variant = v9;
	assert_int_equal(img_platform_fit(&other), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_difference, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_same_content_same_bytes, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_reserved_names_are_refused, scratch_setup, scratch_teardown),
		cmocka_unit_test(test_headers),
		cmocka_unit_test_setup_teardown(
		    test_packing_does_not_depend_on_pieces, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_packing_what_is_expected, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_exact, scratch_setup, scratch_teardown),
		cmocka_unit_test(test_chain_ids),
		cmocka_unit_test(test_configs),
		cmocka_unit_test(test_platforms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
