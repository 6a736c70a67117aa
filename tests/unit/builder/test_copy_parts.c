/* The parts of COPY and ADD by themselves: modes, paths, names of URLs, the table of sums. */
#include "copy_lab.h"

#include "base/text.h"

static void
test_mode(void **state)
{
	static const struct {
		const char *spec;
		mode_t from, to;
	} rows[] = {
		{ "0755", 0600, 0755 },
		{ "4755", 0, 04755 },
		{ "7", 0777, 07 },
		{ "u+x", 0644, 0744 },
		{ "+x", 0644, 0755 },
		{ "a-w", 0666, 0444 },
		{ "go=", 0777, 0700 },
		{ "u=rwX,go=rX", 0600, 0644 },
		{ "u=rwX,go=rX", 0711, 0755 },
		{ "X", 0600, 0600 },
		{ "a+X", S_IFDIR | 0600, S_IFDIR | 0711 },
		{ "u+s", 0755, 04755 },
		{ "g+s", 0755, 02755 },
		{ "o+s", 0755, 0755 },
		{ "+t", 0755, 01755 },
		{ "u=rw", 04755, 0655 },
		{ "u+x-r", 0644, 0344 },
		{ "=", 0777, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(copy_mode_apply(rows[i].spec, rows[i].from), rows[i].to);
}

static void
test_clean(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = { { "", "" }, { ".", "" }, { "/", "" }, { "a/b", "a/b" }, { "./a//b/", "a/b" },
		{ "../../x", "x" }, { "a/../../b", "b" }, { "a/b/..", "a" }, { "...", "..." },
		{ "/a/./b", "a/b" } };
	AUTO_FINI(buf) struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ok(scan_clean(rows[i].from, &out, &err));
		assert_string_equal(out.data, rows[i].to);
	}
}

static void
test_fixed(void **state)
{
	static const struct {
		const char *path;
		size_t length;
	} rows[] = { { "", 0 }, { "a/b", 3 }, { "a/*", 1 }, { "*", 0 }, { "a/b?/c", 1 }, { "a\\*/b", 5 },
		{ "a/[x]", 1 }, { "a\\", 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(scan_fixed_length(rows[i].path), rows[i].length);
}

static void
test_url_names(void **state)
{
	static const struct {
		const char *url, *name;
	} rows[] = {
		{ "http://h/a/b.tar.gz", "b.tar.gz" },
		{ "https://h/a/b?x=/y#z", "b" },
		{ "http://h/a/b/", "b" },
		{ "http://h", "" },
		{ "http://h/", "" },
		{ "http://h?x=/y", "" },
		{ "http://h/a%20b", "a b" },
		{ "http://h/a%2Fb", "b" },
		{ "http://h/..", "" },
		{ "http://h/%2e%2e", "" },
		{ "http://h/x%00y", "" },
		{ "http://h/x%0ay", "" },
		{ "http://h/a%zz", "a%zz" },
		{ "http://h/a%", "a%" },
	};
	char name[256], url[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bld_url_name(rows[i].url, name);
		assert_string_equal(name, rows[i].name);
	}
	snprintf(url, sizeof(url), "http://h/%0300d", 1);
	bld_url_name(url, name);
	assert_string_equal(name, "");
}

static void
test_archive_begins(void **state)
{
	unsigned char block[512] = "name";

	(void)state;
	assert_true(archive_begins((const unsigned char *)"\x1f\x8b\x08", 3));
	assert_true(archive_begins((const unsigned char *)"BZh9", 4));
	assert_false(archive_begins((const unsigned char *)"\x1f", 1));
	assert_false(archive_begins((const unsigned char *)"", 0));
	assert_false(archive_begins(block, sizeof(block)));
	/* The sum of "name", 8 blanks, nothing else. */
	snprintf((char *)block + 148, 8, "%06o", (unsigned)('n' + 'a' + 'm' + 'e' + 8 * ' '));
	assert_true(archive_begins(block, sizeof(block)));
	assert_false(archive_begins(block, sizeof(block) - 1));
	block[0]++;
	assert_false(archive_begins(block, sizeof(block)));
	memset(block, 0, sizeof(block));
	assert_false(archive_begins(block, sizeof(block)));
}

/* ---- the table --------------------------------------------------------------------- */

#define SECOND INT64_C(1000000000)

static struct stat
some_stat(uint64_t i)
{
	struct stat st = { .st_dev = 1, .st_ino = i, .st_size = 10 };

	st.st_mtim.tv_sec = st.st_ctim.tv_sec = 1000;
	return st;
}

static struct sum
some_sum(uint64_t i)
{
	struct sum s = { { 1 }, { 2 } };

	memcpy(s.content + 8, &i, sizeof(i));
	return s;
}

static void
test_sums_are_kept(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sums *s;
	struct sum got, want;
	struct stat st;

	for (int round = 0; round < 3; round++) {
		assert_ok(sums_open(&s, l->build, -1, &err));
		for (uint64_t i = 0; i < 3000; i++) {
			st = some_stat(i);
			want = some_sum(i);
			assert_int_equal(sums_get(s, &st, &got), round > 0);
			if (round > 0)
				assert_memory_equal(&got, &want, sizeof(got));
			else
				sums_put(s, &st, &want, 2000 * SECOND);
		}
		sums_close(s);
	}
}

static void
test_sums_know_changes(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	AUTO(sums) struct sums *s = NULL;
	struct stat st = some_stat(1);
	struct sum sum = some_sum(1);

	assert_ok(sums_open(&s, l->build, -1, &err));
	sums_put(s, &st, &sum, 2000 * SECOND);
	assert_true(sums_get(s, &st, &sum));
	for (int i = 0; i < 7; i++) {
		struct stat other = st;

		other.st_dev += i == 0;
		other.st_ino += i == 1;
		other.st_size += i == 2;
		other.st_mtim.tv_sec += i == 3;
		other.st_mtim.tv_nsec += i == 4;
		other.st_ctim.tv_sec += i == 5;
		other.st_ctim.tv_nsec += i == 6;
		assert_false(sums_get(s, &other, &sum));
	}
}

/* What was changed about when it was read may be changed again without a trace. */
static void
test_sums_are_not_racy(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sum sum = some_sum(1);
	struct stat st;
	struct sums *s;

	for (int i = 0; i < 5; i++) {
		st = some_stat((uint64_t)i);
		if (i == 0)
			st.st_ctim.tv_sec = 1999;
		else if (i == 1)
			st.st_mtim.tv_sec = 1999;
		else if (i == 2)
			st.st_mtim.tv_sec = 2001;
		else if (i == 3)
			st.st_ctim.tv_sec = 5000; /* a clock that was set back */
		else
			st.st_mtim.tv_sec = 5000; /* far away, which says nothing of when it was changed */
		assert_ok(sums_open(&s, l->build, -1, &err));
		sums_put(s, &st, &sum, 2000 * SECOND);
		sums_close(s);
		assert_ok(sums_open(&s, l->build, -1, &err));
		assert_int_equal(sums_get(s, &st, &sum), i == 4);
		sums_close(s);
	}
}

/* In the same build it is known, as the copy is checked; in the next one it is not. */
static void
test_sums_of_this_build(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sum sum = some_sum(1), got;
	struct stat st = some_stat(1);
	struct sums *s;

	assert_ok(sums_open(&s, l->build, l->tmp, &err));
	sums_put(s, &st, &sum, 1001 * SECOND);
	assert_true(sums_get(s, &st, &got));
	sums_close(s);
	assert_ok(sums_open(&s, l->build, l->tmp, &err));
	assert_true(sums_get(s, &st, &got));
	assert_memory_equal(&got, &sum, sizeof(got));
	sums_close(s);
	assert_ok(sums_open(&s, l->build, -1, &err));
	assert_false(sums_get(s, &st, &got));
	sums_close(s);
}

/* Any byte of the file may be wrong: then nothing is known, and nothing wrong is told. */
static void
test_sums_survive_damage(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sums *s;
	struct stat st = some_stat(1), file;
	struct sum sum = some_sum(1), got;
	int fd;

	assert_ok(sums_open(&s, l->build, -1, &err));
	sums_put(s, &st, &sum, 2000 * SECOND);
	sums_close(s);
	assert_sys(fstatat(l->build, "sums", &file, 0));
	fd = openat(l->build, "sums", O_RDWR | O_CLOEXEC);
	for (off_t at = 0; at < file.st_size; at += 61) {
		unsigned char byte, other;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		other = byte ^ 0x55;
		assert_int_equal(pwrite(fd, &other, 1, at), 1);
		assert_ok(sums_open(&s, l->build, -1, &err));
		if (sums_get(s, &st, &got))
			assert_memory_equal(&got, &sum, sizeof(got));
		sums_close(s);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	for (off_t size = file.st_size; size > 0; size /= 2) {
		assert_sys(ftruncate(fd, size - 1));
		assert_ok(sums_open(&s, l->build, -1, &err));
		assert_false(sums_get(s, &st, &got));
		sums_close(s);
	}
	close(fd);
}

/* Two builds at a time: what both found is there afterwards. */
static void
test_sums_are_merged(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sums *a, *b;
	struct stat one = some_stat(1), two = some_stat(2);
	struct sum sum = some_sum(1);

	assert_ok(sums_open(&a, l->build, -1, &err));
	assert_ok(sums_open(&b, l->build, -1, &err));
	sums_put(a, &one, &sum, 2000 * SECOND);
	sums_put(b, &two, &sum, 2000 * SECOND);
	sums_close(a);
	sums_close(b);
	assert_ok(sums_open(&a, l->build, -1, &err));
	assert_true(sums_get(a, &one, &sum) && sums_get(a, &two, &sum));
	sums_close(a);
}

static void
test_sums_of_what_is_fixed(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct digest name, d, got;
	struct sums *s;

	assert_ok(digest_of(DIGEST_SHA256, "name", 4, &name, &err));
	assert_ok(digest_of(DIGEST_SHA256, "what", 4, &d, &err));
	assert_ok(sums_open(&s, l->build, -1, &err));
	assert_false(sums_get_fixed(s, &name, &got));
	sums_put_fixed(s, &name, &d);
	sums_close(s);
	assert_ok(sums_open(&s, l->build, -1, &err));
	assert_true(sums_get_fixed(s, &name, &got));
	assert_true(digest_equal(&got, &d));
	assert_false(sums_get_fixed(s, &d, &got));
	sums_close(s);
}

/* A scan that looks at old files the second time takes their sums from the table. */
static void
test_scan_reads_once(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	struct sum other = some_sum(7);
	struct stat st;

	lab_file(l->src, "f", "f");
	assert_sys(fstatat(l->src, "f", &st, 0));
	for (int round = 0; round < 2; round++) {
		AUTO(sums) struct sums *sums = NULL;
		AUTO_FINI(scan) struct scan s = { .root = -1 };

		assert_ok(sums_open(&sums, l->build, -1, &err));
		scan_init(&s, &l->bld, sums, l->src, "the context");
		s.now += 10 * SECOND;
		assert_ok(scan_source(&s, "f", false, &err));
		if (round == 0) {
			assert_true(sums_get(sums, &st, &(struct sum){ { 0 }, { 0 } }));
			/* Nobody but the table could say this. */
			sums_put(sums, &st, &other, s.now);
		} else {
			assert_memory_equal(&s.nodes[0].sum, &other, sizeof(other));
		}
	}
}

/* ---- the list ------------------------------------------------------------------------- */

static void
test_sort(void **state)
{
	struct lab *l = *state;
	struct err err = ERR_INIT;
	AUTO_FINI(scan) struct scan s = { .root = -1 };
	struct stat st = { .st_mode = S_IFDIR };
	char name[16], last[16] = "";
	unsigned n = 0;

	scan_init(&s, &l->bld, NULL, -1, "test");
	assert_ok(scan_add(&s, SCAN_NONE, "top", &st, &err));
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%05u", i * 7919 % 1000);
		assert_ok(scan_add(&s, 0, name, &st, &err));
	}
	scan_sort(&s, 0);
	for (uint32_t at = s.nodes[0].child; at != SCAN_NONE; at = s.nodes[at].next, n++) {
		assert_true(strcmp(last, scan_text(&s, s.nodes[at].name)) < 0);
		snprintf(last, sizeof(last), "%s", scan_text(&s, s.nodes[at].name));
	}
	assert_int_equal(n, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_url_names),
		cmocka_unit_test(test_archive_begins),
		lab_test(test_sums_are_kept),
		lab_test(test_sums_know_changes),
		lab_test(test_sums_are_not_racy),
		lab_test(test_sums_of_this_build),
		lab_test(test_sums_survive_damage),
		lab_test(test_sums_are_merged),
		lab_test(test_sums_of_what_is_fixed),
		lab_test(test_scan_reads_once),
		lab_test(test_sort),
	};

	return cmocka_run_group_tests_name("copy parts", tests, NULL, NULL);
}
