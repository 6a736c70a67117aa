/* The table of attributes: every row, every kind of value. */
#include "expect.h"
#include <ctype.h>
#include <stdio.h>
#include "model/attr.h"

static void
normal(const char *name, const char *value, const char *want)
{
	struct err e = ERR_INIT;
	const struct attr *a = attr_find(name, &e);
	AUTO_FREE char *got = NULL;

	assert_non_null(a);
	got = attr_normalize(a, value, &e);
	if (got == NULL)
		fail_msg("%s=%s: %s", name, value, e.msg);
	assert_string_equal(got, want);
}

static void
refused(const char *name, const char *value, enum err_code code, const char *fragment)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *got = attr_normalize(attr_find(name, NULL), value, &e);

	assert_null(got);
	expect_err(-e.code, code, fragment);
	got = attr_normalize(attr_find(name, NULL), value, NULL);
	assert_null(got);
}

static void
rows(void **state)
{
	static const struct {
		const char *name, *def;
		bool linux_effect, read_only;
	} want[] = { { "start-at-boot", "NO", false, false }, { "early-start-at-boot", "NO", false, false },
		{ "persistent", "NO", true, false }, { "no-rc-script", "NO", false, false },
		{ "prunable", "NO", true, false }, { "localhost-tunnel", "NO", false, false },
		{ "no-tmpfs", "YES", true, false }, { "no-etc-hosts", "NO", true, false },
		{ "to-be-pruned", "NO", true, true }, { "exec_stop", "", true, false },
		{ "stop_timeout", "10", true, false }, { "stop_signal", "TERM", true, false },
		{ "no_new_privs", "YES", true, false }, { "enforce_statfs", "2", false, false },
		{ "mount", "NO", false, false }, { "fdescfs", "NO", false, false },
		{ "linprocfs", "NO", false, false }, { "nullfs", "NO", false, false },
		{ "procfs", "NO", false, false }, { "tmpfs", "NO", false, false },
		{ "zfs", "NO", false, false }, { "zfs_dataset", "", false, false },
		{ "raw_sockets", "NO", false, false }, { "sysvshm", "new", false, false },
		{ "sysvsem", "new", false, false }, { "sysvmsg", "new", false, false },
		{ "children", "0", false, false }, { "mlock", "NO", false, false },
		{ "chflags", "YES", false, false }, { "socket_af", "YES", false, false },
		{ "set_hostname", "NO", false, false }, { "securelevel", "-1", false, false },
		{ "devfs_ruleset", "4", false, false } };

	assert_int_equal(attr_count, ARRAY_LEN(want));
	for (size_t i = 0; i < attr_count; i++) {
		const struct attr *a = &attr_table[i];
		char key[64];

		assert_string_equal(a->name, want[i].name);
		assert_string_equal(a->def, want[i].def);
		assert_int_equal((a->flags & ATTR_LINUX) != 0, want[i].linux_effect);
		assert_int_equal((a->flags & ATTR_READONLY) != 0, want[i].read_only);
		snprintf(key, sizeof(key), "pot.attr.%s", a->name);
		assert_string_equal(a->key, key);
		assert_true(a->summary[0] != '\0' && strlen(a->summary) < 60);
		assert_ptr_equal(attr_find(a->name, NULL), a);
		/* A default is a value, and in normal form. */
		normal(a->name, a->def, a->def);
	}
}

static void
unknown(void **state)
{
	struct err e = ERR_INIT;

	assert_null(attr_find("start-at-bot", &e));
	expect_err(-e.code, E_INVAL, "attribute 'start-at-bot': there is no such attribute");
	expect_hint("did you mean start-at-boot?");
	assert_null(attr_find("whatever", &e));
	expect_hint("pot-attributes(7)");
	assert_null(attr_find("", &e));
	assert_null(attr_find("Persistent", &e));
}

static void
booleans(void **state)
{
	static const char *const yes[] = { "yes", "YES", "Yes", "true", "TRUE", "on", "On", "1" };
	static const char *const no[] = { "no", "NO", "false", "False", "off", "OFF", "0" };
	static const char *const bad[] = { "", "y", "n", "2", "yes ", " yes", "yess", "00", "\n" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		normal("persistent", yes[i], "YES");
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		normal("no-tmpfs", no[i], "NO");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused("persistent", bad[i], E_INVAL, "attribute persistent: '");
	refused("prunable", "maybe", E_INVAL, "attribute prunable: 'maybe' is neither YES nor NO");
}

static void
numbers(void **state)
{
	normal("enforce_statfs", "0", "0");
	normal("devfs_ruleset", "65535", "65535");
	refused("enforce_statfs", "3", E_INVAL, "attribute enforce_statfs");
	refused("devfs_ruleset", "65536", E_INVAL, "attribute devfs_ruleset");
	refused("children", "-1", E_INVAL, "attribute children");
	refused("children", "0x1", E_INVAL, "attribute children");
	refused("children", "", E_INVAL, "attribute children");
}

static void
strings(void **state)
{
	char text[4098];

	normal("sysvshm", "inherit", "inherit");
	normal("sysvmsg", "disable", "disable");
	refused("sysvsem", "New", E_INVAL, "attribute sysvsem: 'New' is not one of new|inherit|disable");
	refused("sysvsem", "", E_INVAL, "is not one of");
	refused("sysvsem", "new|inherit", E_INVAL, "is not one of");
	normal("exec_stop", "/bin/sh -c 'a=b; exit 0'", "/bin/sh -c 'a=b; exit 0'");
	normal("exec_stop", "", "");
	refused("exec_stop", "sh -c 'open", E_INVAL, "attribute exec_stop: ");
	memset(text, 'x', sizeof(text));
	text[4097] = '\0';
	refused("exec_stop", text, E_LIMIT, "attribute exec_stop: longer than 4096 bytes");
	text[4096] = '\0';
	normal("exec_stop", text, text);
}

static void
durations(void **state)
{
	normal("stop_timeout", "0", "0");
	normal("stop_timeout", "10", "10");
	normal("stop_timeout", "10s", "10");
	normal("stop_timeout", "1.5m", "90");
	normal("stop_timeout", "0.5", "0.5");
	normal("stop_timeout", "100", "100");
	normal("stop_timeout", "1d", "86400");
	refused(
	    "stop_timeout", "86401", E_INVAL, "attribute stop_timeout: '86401' is more than 86400 seconds");
	refused("stop_timeout", "-1", E_INVAL, "attribute stop_timeout");
	refused("stop_timeout", "soon", E_INVAL, "attribute stop_timeout");
	refused("stop_timeout", "", E_INVAL, "attribute stop_timeout");
}

static void
signals(void **state)
{
	normal("stop_signal", "SIGINT", "INT");
	normal("stop_signal", "int", "INT");
	normal("stop_signal", "2", "INT");
	normal("stop_signal", "RTMIN+3", "RTMIN+3");
	normal("stop_signal", "rtmax", "RTMAX");
	refused(
	    "stop_signal", "TREM", E_INVAL, "attribute stop_signal: signal 'TREM': there is no such signal");
	refused("stop_signal", "0", E_INVAL, "attribute stop_signal: signal");
	refused("stop_signal", "", E_INVAL, "attribute stop_signal: signal: it is empty");
}

/* Every value that a number of a signal is normalised to is accepted again. */
static void
normal_form_is_stable(void **state)
{
	const struct attr *a = attr_find("stop_signal", NULL);
	struct err e = ERR_INIT;

	for (int sig = 1; sig <= 64; sig++) {
		AUTO_FREE char *once = NULL, *twice = NULL;
		char text[16];

		snprintf(text, sizeof(text), "%d", sig);
		once = attr_normalize(a, text, &e);
		assert_non_null(once);
		twice = attr_normalize(a, once, &e);
		assert_non_null(twice);
		assert_string_equal(once, twice);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(unknown),
		cmocka_unit_test(booleans),
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings),
		cmocka_unit_test(durations),
		cmocka_unit_test(signals),
		cmocka_unit_test(normal_form_is_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
