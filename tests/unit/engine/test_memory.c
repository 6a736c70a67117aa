/*
 * Memory that runs out at each single allocation in turn: an error every time,
 * nothing taken halfway, nothing leaked (the sanitizer tells), and with
 * enough memory the same result as ever.
 */
#include "../model/expect.h"

#include "base/kv.h"
#include "base/text.h"
#include "engine/aptsources.h"
#include "model/potconf.h"

/* The nth allocation from now fails; 0: none. */
static unsigned long fail_at, made;

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_reallocarray(void *, size_t, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_reallocarray(void *, size_t, size_t);
char *__wrap_strdup(const char *);
char *__wrap_strndup(const char *, size_t);

static bool
fails_now(void)
{
	return ++made == fail_at;
}

void *
__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return fails_now() ? NULL : __real_strndup(s, n);
}

static const char potconf[] = "pot.version=1\npot.id=0123456789abcdef\npot.base=b\npot.cmd=echo 'a b' c\n"
			      "pot.env=A=1\npot.env=B=2\npot.hosts=10.0.0.1 db\npot.mount=/srv /mnt ro\n"
			      "pot.attr.prunable=YES\nsome.later.key=kept\n";

static int
parse_potconf(struct err *e)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;

	return potconf_parse(&pc, potconf, strlen(potconf), "pot.conf", e);
}

static int
change_potconf(struct err *e)
{
	AUTO_FINI(potconf) struct potconf pc = POTCONF_INIT;
	struct potconf_mount m = { .source = (char *)"/etc", .target = (char *)"/data", .ro = true }, *list;
	size_t n;
	int rc = potconf_parse(&pc, potconf, strlen(potconf), "pot.conf", e);

	if (rc == 0)
		rc = potconf_env_add(&pc, "A=3", e);
	if (rc == 0)
		rc = potconf_env_remove(&pc, "B", e);
	if (rc == 0)
		rc = potconf_hosts_add(&pc, "web:10.0.0.2", e);
	if (rc == 0)
		rc = potconf_mount_add(&pc, &m, e);
	if (rc == 0)
		rc = potconf_set(&pc, PC_CMD, "true", e);
	if (rc == 0)
		rc = potconf_mounts(&pc, &list, &n, e);
	if (rc < 0)
		return rc;
	if (n != 2)
		rc = -E_CORRUPT;
	potconf_mounts_free(list, n);
	return rc == 0 ? potconf_mount_remove(&pc, "/data", e) : rc;
}

static int
round_kv(struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(KV_FILE_MAX);
	static const char in[] = "a=1\nb=two words\na=3\nc=\\n\n";
	int rc = kv_parse(&kv, in, strlen(in), "kv", e);

	if (rc == 0)
		rc = kv_set(&kv, "b", "other", e);
	if (rc == 0)
		rc = kv_set(&kv, "a", NULL, e);
	if (rc == 0)
		rc = kv_add(&kv, "d", "4", e);
	if (rc < 0)
		return rc;
	kv_print(&kv, &text);
	rc = buf_check(&text, "kv", e);
	return rc < 0 || kv.n == 3 ? rc : -E_CORRUPT;
}

static int
split(struct err *e)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(100);
	AUTO_FINI(buf) struct buf b = BUF_INIT(1000);
	int rc = text_split("one 'two three' \"fo\\\"ur\" fi\\ ve '' six seven eight nine ten", &v, e);

	if (rc == 0)
		rc = strv_check(&v, "words", e);
	if (rc < 0)
		return rc;
	text_join(strv_argv(&v), &b);
	rc = strv_check(&v, "words", e);
	if (rc == 0)
		rc = buf_check(&b, "words", e);
	return rc < 0 || v.n == 10 ? rc : -E_CORRUPT;
}

static int
attributes(struct err *e)
{
	for (size_t i = 0; i < attr_count; i++) {
		char *v = attr_normalize(&attr_table[i], attr_table[i].def, e);

		if (v == NULL && e->code == E_NOMEM)
			return -E_NOMEM;
		free(v);
	}
	return 0;
}

static int
apt_lists(struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(100);
	static const char deb822[] = "Types: deb\nURIs: http://deb.example/debian\nSuites: bookworm "
				     "bookworm-updates\nComponents: main\n";
	int rc = apt_parse_list(
	    "deb [signed-by=/k] http://deb.example/debian bookworm main\n", "l", "bookworm", "", &lines, e);

	if (rc == 0)
		rc = apt_parse_deb822(deb822, "d", "bookworm", "bookworm", &lines, e);
	return rc == 0 ? strv_check(&lines, "lines", e) : rc;
}

static const struct {
	const char *name;
	int (*run)(struct err *);
} jobs[] = {
	{ "potconf_parse", parse_potconf },
	{ "potconf changes", change_potconf },
	{ "kv", round_kv },
	{ "text_split", split },
	{ "attr_normalize", attributes },
	{ "apt sources", apt_lists },
};

static int
run_with(int (*job)(struct err *), unsigned long nth, struct err *e)
{
	int rc;

	memset(e, 0, sizeof(*e));
	made = 0;
	fail_at = nth;
	rc = job(e);
	fail_at = 0;
	return rc;
}

static void
test_each_allocation(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		unsigned long total;
		int rc = run_with(jobs[i].run, 0, &e);

		if (rc != 0)
			print_error("%s: %s\n", jobs[i].name, e.msg);
		assert_int_equal(rc, 0);
		total = made;
		assert_true(total > 0);
		for (unsigned long nth = 1; nth <= total; nth++) {
			rc = run_with(jobs[i].run, nth, &e);
			if (rc != -E_NOMEM)
				print_error("%s, allocation %lu of %lu: %d %s\n", jobs[i].name, nth, total,
				    rc, e.msg);
			assert_int_equal(rc, -E_NOMEM);
			assert_int_equal(e.code, E_NOMEM);
			assert_true(e.msg[0] != '\0');
		}
		print_message("%s: %lu allocations\n", jobs[i].name, total);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
