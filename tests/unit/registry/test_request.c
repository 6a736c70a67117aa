/* Requests: paths, names, ranges, entity tags, classic file names. */
#include <stdio.h>

#include "../model/expect.h"
#include "registry/path.h"
#include "registry/range.h"

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void
paths(void **state)
{
	static const struct {
		const char *target;
		enum path_kind kind;
		const char *repo, *rest;
		bool valid;
	} rows[] = {
		{ "/v2/", PATH_BASE, "", "", false },
		{ "/v2", PATH_BASE, "", "", false },
		{ "/v2/_catalog?n=1", PATH_CATALOG, "", "", false },
		{ "/v2/a/tags/list", PATH_TAGS, "a", "list", true },
		{ "/v2/a/b/c/tags/list", PATH_TAGS, "a/b/c", "list", true },
		{ "/v2/a/tags/other", PATH_NONE, "a", "other", true },
		{ "/v2/tags/list/tags/list", PATH_TAGS, "tags/list", "list", true },
		{ "/v2/a/manifests/latest", PATH_MANIFEST, "a", "latest", true },
		{ "/v2/a/manifests/sha256%3A" HEX64, PATH_MANIFEST, "a", "sha256:" HEX64, true },
		{ "/v2/a/manifests/b/manifests/c", PATH_MANIFEST, "a/manifests/b", "c", true },
		{ "/v2/a/blobs/sha256:" HEX64, PATH_BLOB, "a", "sha256:" HEX64, true },
		{ "/v2/a/blobs/uploads/", PATH_UPLOADS, "a", "", true },
		{ "/v2/a/blobs/uploads", PATH_UPLOADS, "a", "uploads", true },
		{ "/v2/a/blobs/uploads/?digest=x", PATH_UPLOADS, "a", "", true },
		{ "/v2/a/blobs/uploads/id", PATH_UPLOAD, "a", "id", true },
		{ "/v2/blobs/uploads/blobs/uploads/id", PATH_UPLOAD, "blobs/uploads", "id", true },
		{ "/v2/A/referrers/x", PATH_REFERRERS, "A", "x", false },
		{ "/v2/manifests/x", PATH_NONE, "", "", false },
		{ "/v2/a", PATH_NONE, "", "", false },
		{ "/classic/x_1.xz", PATH_CLASSIC, "", "x_1.xz", false },
		{ "/classic/", PATH_NONE, "", "", false },
		{ "/token?scope=x", PATH_TOKEN, "", "", false },
		{ "/api/v1/images", PATH_SEARCH, "", "", false },
		{ "/healthz", PATH_HEALTH, "", "", false },
		{ "/metrics", PATH_METRICS, "", "", false },
		{ "/", PATH_NONE, "", "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct path p;
		struct query q;

		assert_int_equal(path_parse(rows[i].target, &p, &q, &e), 0);
		query_fini(&q);
		assert_int_equal(p.kind, rows[i].kind);
		assert_string_equal(p.repo, rows[i].repo);
		assert_string_equal(p.rest, rows[i].rest);
		assert_int_equal(p.repo_valid, rows[i].valid);
	}
}

static void
hostile_paths(void **state)
{
	static const char *const bad[] = { "", "v2/", "*", "/v2/%", "/v2/%4", "/v2/%zz", "/v2/%00",
		"/v2/a%2fb/tags/list", "/v2/../x", "/v2/a/./b", "/v2/..", "/v2/%2e%2e/x", "/v2/a%0d%0ab",
		"/v2/%2561", "/v2/a\\b", "/v2/\x7f", "http://x/v2/" };
	struct path p;
	struct query q;
	char target[3000];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (path_parse(bad[i], &p, &q, &e) == 0)
			fail_msg("accepted: '%s'", bad[i]);
		query_fini(&q);
	}
	memset(target, 'a', sizeof(target));
	memcpy(target, "/v2/", 4);
	snprintf(target + 2000, 100, "/tags/list");
	expect_err(path_parse(target, &p, &q, &e), E_LIMIT, "too long");
	target[2000] = '\0';
	memcpy(target, "/v2/a/blobs/", 12);
	expect_err(path_parse(target, &p, &q, &e), E_LIMIT, "too long");
}

static void
queries(void **state)
{
	static const char text[] = "a=1&b&=x&&a=%41+%2B&c=";
	struct err e = ERR_INIT;
	struct query q;
	char many[400] = "";
	size_t pos = 0;

	assert_int_equal(query_parse(&q, text, strlen(text), &e), 0);
	assert_int_equal(q.n, 5);
	assert_string_equal(query_next(&q, "a", &pos), "1");
	assert_string_equal(query_next(&q, "a", &pos), "A +");
	assert_null(query_next(&q, "a", &pos));
	assert_string_equal(query_get(&q, "b"), "");
	assert_string_equal(query_get(&q, "c"), "");
	assert_string_equal(query_get(&q, ""), "x");
	assert_null(query_get(&q, "d"));
	query_fini(&q);
	expect_err(query_parse(&q, "a=%0", 4, &e), E_INVAL, "encoding");
	expect_err(query_parse(&q, "a=%00", 5, &e), E_INVAL, "encoding");
	for (int i = 0; i < 100; i++)
		memcpy(many + 3 * i, "k=&", 4);
	assert_int_equal(query_parse(&q, many, strlen(many), &e), 0);
	assert_int_equal(q.n, QUERY_MAX);
	query_fini(&q);
}

static void
names(void **state)
{
	static const char *const good[] = { "a", "0", "a.b", "a_b", "a__b", "a-b", "a----b", "a/b",
		"a.b/c_d/e" };
	static const char *const bad[] = { "", "/", "A", "a/", "/a", "a//b", ".a", "a.", "a..b", "a._b",
		"a___b", "_a", "a-", "a/-b", "a b", "a:b", "a@b", "\xc3\xa4" };
	static const char *const bad_tags[] = { "", ".a", "-a", "a/b", "a:b", "a b", "\xc3\xa4" };
	char text[REPO_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(repo_name_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(repo_name_is_valid(bad[i]));
	memset(text, 'a', sizeof(text));
	text[REPO_NAME_MAX] = '\0';
	assert_true(repo_name_is_valid(text));
	text[REPO_NAME_MAX] = 'a';
	text[REPO_NAME_MAX + 1] = '\0';
	assert_false(repo_name_is_valid(text));
	text[TAG_MAX] = '\0';
	assert_true(tag_is_valid(text) && tag_is_valid("_") && tag_is_valid("A.-_z"));
	text[TAG_MAX] = 'a';
	assert_false(tag_is_valid(text));
	for (size_t i = 0; i < ARRAY_LEN(bad_tags); i++)
		assert_false(tag_is_valid(bad_tags[i]));
}

static void
ranges(void **state)
{
	static const struct {
		const char *header;
		enum range_result result;
		uint64_t first, length;
	} rows[] = {
		{ NULL, RANGE_WHOLE, 0, 0 },
		{ "bytes=0-0", RANGE_PART, 0, 1 },
		{ "bytes=5-", RANGE_PART, 5, 95 },
		{ "Bytes=99-99999", RANGE_PART, 99, 1 },
		{ "bytes=-7", RANGE_PART, 93, 7 },
		{ "bytes=-700", RANGE_PART, 0, 100 },
		{ "bytes=-0", RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=100-", RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=5-4", RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=", RANGE_WHOLE, 0, 0 },
		{ "bytes=1", RANGE_WHOLE, 0, 0 },
		{ "bytes=1-2,4-5", RANGE_WHOLE, 0, 0 },
		{ "bytes=+1-2", RANGE_WHOLE, 0, 0 },
		{ "bytes=1-9223372036854775808", RANGE_WHOLE, 0, 0 },
		{ "items=1-2", RANGE_WHOLE, 0, 0 },
	};
	uint64_t first, length;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(range_parse(rows[i].header, 100, &first, &length), rows[i].result);
		if (rows[i].result == RANGE_PART) {
			assert_int_equal(first, rows[i].first);
			assert_int_equal(length, rows[i].length);
		}
	}
	assert_int_equal(range_parse("bytes=0-", 0, &first, &length), RANGE_UNSATISFIABLE);
	assert_true(chunk_range_parse("0-0", &first, &length));
	assert_false(chunk_range_parse("1-0", &first, &length) || chunk_range_parse("1", &first, &length) ||
	    chunk_range_parse("-1", &first, &length) || chunk_range_parse("1-2/3", &first, &length) ||
	    chunk_range_parse("", &first, &length));
}

static void
entity_tags(void **state)
{
	assert_true(
	    etag_matches("\"x\"", "\"x\"") && etag_matches("W/\"x\"", "\"x\"") && etag_matches("*", "\"x\""));
	assert_true(etag_matches("\"a\", \"x\"", "\"x\"") && etag_matches("\"a\",\"x\" ,\"b\"", "\"x\""));
	assert_false(etag_matches(NULL, "\"x\"") || etag_matches("", "\"x\"") ||
	    etag_matches("\"xy\"", "\"x\"") || etag_matches("x", "\"x\"") || etag_matches("\"x\"y", "\"x\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(paths), cmocka_unit_test(hostile_paths),
		cmocka_unit_test(queries), cmocka_unit_test(names), cmocka_unit_test(ranges),
		cmocka_unit_test(entity_tags) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
