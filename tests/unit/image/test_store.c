/*
 * The store of images: a blob is there whole or not at all, goes on where a
 * killed filler stopped, and is filled by one at a time; references; pins and
 * prune.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "../base/scratch.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/prune.h"
#include "image/store.h"

static const char text[] = "the content of a blob, which is not long";

static struct digest
digest_text(const char *s)
{
	struct digest d;
	struct err err = ERR_INIT;

	assert_ok(digest_of(DIGEST_SHA256, s, strlen(s), &d, &err));
	return d;
}

static struct img_store *
open_store(const struct scratch *s)
{
	struct img_store *store = NULL;
	struct err err = ERR_INIT;

	assert_ok(img_store_open(&store, s->fd, &err));
	return store;
}

static unsigned
count_files(const struct scratch *s, const char *dir)
{
	AUTO(fd) int fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *d = fdopendir(fd);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	fd = -1;
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	return n;
}

static void
test_blob_comes_in(void **state)
{
	AUTO(img_store) struct img_store *s = open_store(*state);
	struct digest d = digest_text(text);
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
	struct img_blob *blob = NULL;
	struct err err = ERR_INIT;
	uint64_t size;

	assert_int_equal(img_blob_has(s, &d, NULL, &err), 0);
	assert_fails(img_blob_read(s, &d, &b, &err), E_NOENT);
	assert_ok(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err));
	assert_ok(img_blob_write(blob, text, 10, &err));
	assert_int_equal(img_blob_has(s, &d, NULL, &err), 0);
	assert_ok(img_blob_write(blob, text + 10, strlen(text) - 10, &err));
	assert_ok(img_blob_commit(s, &blob, NULL, NULL, &err));
	assert_int_equal(img_blob_has(s, &d, &size, &err), 1);
	assert_int_equal(size, strlen(text));
	assert_ok(img_blob_read(s, &d, &b, &err));
	assert_string_equal(buf_cstr(&b), text);
	assert_int_equal(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err), 1);
	assert_null(blob);
	assert_int_equal(count_files(*state, "images/partial"), 0);
}

static int
collect(void *arg, const void *data, size_t n, struct err *e)
{
	(void)e;
	buf_add(arg, data, n);
	return 0;
}

static void
test_killed_filler_is_continued(void **state)
{
	AUTO(img_store) struct img_store *s = open_store(*state);
	struct digest d = digest_text(text);
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
	struct img_blob *blob = NULL;
	struct err err = ERR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct img_store *own = open_store(*state);

		if (img_blob_begin(own, &d, strlen(text), NULL, &blob, &err) == 0 &&
		    img_blob_write(blob, text, 17, &err) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(img_blob_has(s, &d, NULL, &err), 0);
	assert_ok(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err));
	assert_int_equal(img_blob_have(blob), 17);
	assert_ok(img_blob_replay(blob, collect, &b, &err));
	assert_int_equal(b.len, 17);
	assert_memory_equal(b.data, text, 17);
	assert_ok(img_blob_write(blob, text + 17, strlen(text) - 17, &err));
	assert_ok(img_blob_commit(s, &blob, NULL, NULL, &err));
}

static void
test_wrong_content_never_shows(void **state)
{
	AUTO(img_store) struct img_store *s = open_store(*state);
	struct digest d = digest_text(text);
	struct img_blob *blob = NULL;
	struct err err = ERR_INIT;

	/* Right size, wrong bytes. */
	assert_ok(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err));
	assert_ok(img_blob_write(blob, "The content of a blob, which is not long", strlen(text), &err));
	assert_fails(img_blob_commit(s, &blob, NULL, NULL, &err), E_CORRUPT);
	/* Too short, then too long. */
	assert_ok(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err));
	assert_int_equal(img_blob_have(blob), 0);
	assert_ok(img_blob_write(blob, text, 5, &err));
	assert_fails(img_blob_commit(s, &blob, NULL, NULL, &err), E_CORRUPT);
	assert_ok(img_blob_begin(s, &d, 5, NULL, &blob, &err));
	assert_fails(img_blob_write(blob, text, 6, &err), E_LIMIT);
	img_blob_abort(blob, false);
	assert_int_equal(img_blob_has(s, &d, NULL, &err), 0);
	assert_int_equal(count_files(*state, "images/partial"), 0);
}

static void
test_one_flight(void **state)
{
	AUTO(img_store) struct img_store *s = open_store(*state);
	AUTO(img_store) struct img_store *other = open_store(*state);
	struct digest d = digest_text(text);
	struct img_blob *blob = NULL, *second = NULL;
	const volatile bool cancel = true;
	struct err err = ERR_INIT;

	assert_ok(img_blob_begin(s, &d, strlen(text), NULL, &blob, &err));
	assert_fails(img_blob_try(other, &d, strlen(text), &second, &err), E_BUSY);
	assert_fails(img_blob_begin(other, &d, strlen(text), &cancel, &second, &err), E_INTR);
	assert_ok(img_blob_write(blob, text, 8, &err));
	img_blob_abort(blob, true);
	assert_ok(img_blob_try(other, &d, strlen(text), &second, &err));
	assert_int_equal(img_blob_have(second), 8);
	assert_ok(img_blob_restart(second, &err));
	assert_ok(img_blob_write(second, text, strlen(text), &err));
	assert_ok(img_blob_commit(other, &second, NULL, NULL, &err));
}

static void
test_damaged_blob_is_told(void **state)
{
	const struct scratch *dir = *state;
	AUTO(img_store) struct img_store *s = open_store(dir);
	AUTO_FINI(buf) struct buf b = BUF_INIT(1024);
	char path[200], hex[DIGEST_HEX_LEN];
	struct err err = ERR_INIT;
	struct digest d;

	assert_ok(img_blob_put(s, text, strlen(text), &d, &err));
	snprintf(path, sizeof(path), "images/blobs/sha256/%s", digest_hex(&d, hex));
	assert_sys(fchmodat(dir->fd, path, 0600, 0));
	AUTO(fd) int fd = openat(dir->fd, path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "X", 1, 3), 1);
	assert_fails(img_blob_read(s, &d, &b, &err), E_CORRUPT);
}

static struct reference
reference(const char *name)
{
	struct reference r;
	struct err err = ERR_INIT;

	assert_ok(ref_parse(name, &r, &err));
	return r;
}

static int
add_name(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	char name[REF_TEXT];

	(void)rec;
	(void)e;
	ref_print(ref, name);
	strv_add(arg, name);
	return 0;
}

static void
test_references(void **state)
{
	static const char *const names[] = { "a/b/c:1", "a/b:1", "a:1", "example.org/a:1",
		"localhost:5000/x:latest" };
	AUTO(img_store) struct img_store *s = open_store(*state);
	AUTO_FINI(strv) struct strv found = STRV_INIT(16);
	struct img_ref_record rec = { .set_ns = 1 }, got;
	struct reference r;
	struct err err = ERR_INIT;
	struct digest d = digest_text(text);

	(void)digest_print(&d, rec.manifest);
	(void)digest_print(&d, rec.digest);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		r = reference(names[i]);
		assert_fails(img_ref_get(s, &r, &got, &err), E_NOENT);
		assert_ok(img_ref_set(s, &r, &rec, &err));
		assert_ok(img_ref_get(s, &r, &got, &err));
		assert_string_equal(got.manifest, rec.manifest);
	}
	assert_ok(img_ref_list(s, add_name, &found, &err));
	assert_int_equal(found.n, ARRAY_LEN(names));
	strv_sort(&found);
	for (size_t i = 0; i < found.n; i++)
		assert_string_equal(found.v[i], names[i]);
	/* A name without a tag is that with "latest"; removing one leaves those below and beside it. */
	r = reference("localhost:5000/x");
	assert_ok(img_ref_remove(s, &r, &err));
	assert_fails(img_ref_remove(s, &r, &err), E_NOENT);
	r = reference("a/b:1");
	assert_ok(img_ref_remove(s, &r, &err));
	r = reference("a/b/c:1");
	assert_ok(img_ref_get(s, &r, &got, &err));
	assert_int_equal(
	    faccessat(((struct scratch *)*state)->fd, "images/refs/localhost:5000", F_OK, 0), -1);
}

static void
test_prune_keeps_what_is_needed(void **state)
{
	struct img_store *s = open_store(*state);
	const struct img_prune_args args = { .partial = true };
	struct img_prune_report report;
	struct digest named, pinned, loose;
	struct img_ref_record rec = { .set_ns = 1 };
	struct reference r = reference("kept:1");
	struct img_blob *blob = NULL;
	struct err err = ERR_INIT;

	assert_ok(img_blob_put(s, "named", 5, &named, &err));
	assert_ok(img_blob_put(s, "loose", 5, &loose, &err));
	(void)digest_print(&named, rec.manifest);
	(void)digest_print(&named, rec.digest);
	assert_ok(img_ref_set(s, &r, &rec, &err));
	/* All are pinned by whoever made them. */
	assert_ok(img_prune(s, NULL, &args, &report, &err));
	assert_int_equal(report.blobs, 0);
	img_store_close(s);
	s = open_store(*state);
	assert_ok(img_blob_put(s, "pinned", 6, &pinned, &err));
	assert_ok(img_blob_begin(s, &(struct digest){ DIGEST_SHA256, { 1 } }, 9, NULL, &blob, &err));
	assert_ok(img_blob_write(blob, "12345", 5, &err));
	assert_ok(img_prune(s, NULL, &args, &report, &err));
	assert_int_equal(report.blobs, 1);
	assert_int_equal(report.bytes, 5);
	assert_int_equal(img_blob_has(s, &named, NULL, &err), 1);
	assert_int_equal(img_blob_has(s, &pinned, NULL, &err), 1);
	assert_int_equal(img_blob_has(s, &loose, NULL, &err), 0);
	/* What somebody fills stays; then nobody does. */
	assert_int_equal(count_files(*state, "images/partial"), 1);
	img_blob_abort(blob, true);
	assert_int_equal(count_files(*state, "images/partial"), 1);
	assert_ok(img_prune(s, NULL, &args, &report, &err));
	assert_int_equal(count_files(*state, "images/partial"), 0);
	img_store_close(s);
	s = open_store(*state);
	assert_ok(img_ref_remove(s, &r, &err));
	assert_ok(img_prune(s, NULL, &args, &report, &err));
	assert_int_equal(report.blobs, 2);
	img_store_close(s);
	assert_int_equal(count_files(*state, "images/pins"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blob_comes_in, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_killed_filler_is_continued, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_wrong_content_never_shows, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_one_flight, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_damaged_blob_is_told, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_references, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
		    test_prune_keeps_what_is_needed, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
