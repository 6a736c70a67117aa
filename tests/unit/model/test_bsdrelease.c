/* Releases of FreeBSD: names, addresses of their sets, the list of the sets. */
#include "expect.h"
#include "model/bsdrelease.h"

static void
names(void **state)
{
	static const char *const good[][2] = { { "14.3", "14.3-RELEASE" }, { "14.3-RELEASE", "14.3-RELEASE" },
		{ "freebsd:15.0", "15.0-RELEASE" }, { "15.0-RC2", "15.0-RC2" },
		{ "16.0-CURRENT", "16.0-CURRENT" }, { "15.1-STABLE", "15.1-STABLE" },
		{ "13.5-BETA1", "13.5-BETA1" } };
	static const char *const bad[] = { "", "14", "14.", "14.3-", "14.3-release", "14.3-RC", "14.3-RCx",
		"14.3.1", "8.4", "014.3", "14.03", "14.3-RELEASE/..", "freebsd:", "freebsd:x", "1000.1",
		"14.3 " };
	struct bsd_release r;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(bsd_release_is(good[i][0]));
		if (bsd_release_parse(good[i][0], &r, &e) < 0)
			fail_msg("%s", e.msg);
		assert_string_equal(r.name, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(bsd_release_parse(bad[i], &r, &e), -E_INVAL);
	assert_false(bsd_release_is("bookworm"));
	assert_false(bsd_release_is("debian:bookworm"));
	assert_true(bsd_release_is("freebsd:bookworm"));
}

static void
check_url(const char *release, const char *mirror, const char *want)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(512);
	struct bsd_release r;
	struct err e = ERR_INIT;

	assert_int_equal(bsd_release_parse(release, &r, &e), 0);
	bsd_release_url(&r, mirror, bsd_release_machine("x86_64"), &b);
	assert_string_equal(buf_cstr(&b), want);
}

static void
urls(void **state)
{
	check_url("14.3", NULL, "https://download.freebsd.org/releases/amd64/amd64/14.3-RELEASE");
	check_url("14.3", "", "https://download.freebsd.org/releases/amd64/amd64/14.3-RELEASE");
	check_url("15.1-STABLE", "https://m/", "https://m/snapshots/amd64/amd64/15.1-STABLE");
	/* As people copy it from FreeBSD's pages. */
	check_url("14.3", "https://m/pub/FreeBSD/releases//",
	    "https://m/pub/FreeBSD/releases/amd64/amd64/14.3-RELEASE");
	assert_string_equal(bsd_release_machine("aarch64"), "arm64/aarch64");
	assert_null(bsd_release_machine("vax"));
}

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static int
find(const char *text, struct bsd_set *s)
{
	return bsd_manifest_find(text, strlen(text), "MANIFEST", "base", s, NULL);
}

static void
manifest(void **state)
{
	struct bsd_set s;

	assert_int_equal(find("base-dbg.txz\t" OTHER "\t9\tbase_dbg\t\"Debugging\"\toff\n"
			      "base.txz\t" SUM "\t26431\tbase\t\"Base system (MANDATORY)\"\ton\n",
			     &s),
	    0);
	assert_string_equal(s.file, "base.txz");
	assert_string_equal(s.sha256, SUM);
	assert_string_equal(s.title, "\"Base system (MANDATORY)\"");
	assert_int_equal(find("base.txz\t" SUM "\t1\tbase\t\"t\"\ton", &s), 0); /* no newline */
	assert_int_equal(find("", &s), -E_NOENT);
	assert_int_equal(find("kernel.txz\t" SUM "\t1\tkernel\t\"Kernel\"\ton\n", &s), -E_NOENT);
	/* A mirror's error page, a sum cut off, a file that leaves the directory. */
	assert_int_equal(find("<html>no</html>\n", &s), -E_CORRUPT);
	assert_int_equal(find("base.txz\t0123\t1\tbase\t\"t\"\ton\n", &s), -E_CORRUPT);
	assert_int_equal(find("../base.txz\t" SUM "\t1\tbase\t\"t\"\ton\n", &s), -E_CORRUPT);
	assert_int_equal(find("a/b\t" SUM "\t1\tbase\t\"t\"\ton\n", &s), -E_CORRUPT);
	assert_int_equal(find(".lock\t" SUM "\t1\tbase\t\"t\"\ton\n", &s), -E_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(urls),
		cmocka_unit_test(manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
