/* Errors keep their cause, stay on one line, and every code has its answers; events reach the callback. */
#include "scratch.h"

#include "base/event.h"

static void
test_set_and_codes(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, E_BUSY, "%s: in use by %d", "web", 7), -E_BUSY);
	assert_int_equal(err.code, E_BUSY);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.msg, "web: in use by 7");
	assert_int_equal(err_hint(&err, "try: pot stop %s", "web"), -E_BUSY);
	assert_string_equal(err.hint, "try: pot stop web");
	err_set(&err, E_NOENT, "gone");
	assert_string_equal(err.hint, "");
	assert_int_equal(err_set(NULL, E_EXIST, "x"), -E_EXIST);
	assert_true(err_wrap(NULL, "x") < 0);
	assert_true(err_hint(NULL, "x") < 0);
	assert_int_equal(err_nomem(&err), -E_NOMEM);
}

static void
test_table(void **state)
{
	assert_int_equal(err_exit_status(E_OK), 0);
	assert_int_equal(err_exit_status(E_USAGE), 2);
	assert_int_equal(err_exit_status(E_NOCMD), 127);
	assert_int_equal(err_exit_status(E_NOEXEC), 126);
	assert_int_equal(err_http_status(E_NOENT), 404);
	assert_int_equal(err_grpc_status(E_NOENT), 5);
	assert_string_equal(err_text(E_TIMEOUT), "timed out");
	for (int code = 0; code < E_COUNT; code++)
		assert_non_null(err_text((enum err_code)code));
	/* A code from elsewhere, a newer peer's say, is a system error and no crash. */
	assert_string_equal(err_text((enum err_code)999), err_text(E_SYS));
	assert_int_equal(err_exit_status((enum err_code) - 1), 1);
}

static void
test_errno(void **state)
{
	static const struct {
		int sys;
		enum err_code code;
	} cases[] = { { ENOENT, E_NOENT }, { EEXIST, E_EXIST }, { EBUSY, E_BUSY }, { ETXTBSY, E_BUSY },
		{ EPERM, E_PERM }, { EACCES, E_PERM }, { ENOSPC, E_NOSPC }, { EDQUOT, E_NOSPC },
		{ EINVAL, E_INVAL }, { ENAMETOOLONG, E_INVAL }, { ELOOP, E_INVAL }, { ENOSYS, E_NOTSUP },
		{ EOPNOTSUPP, E_NOTSUP }, { ENOMEM, E_NOMEM }, { EINTR, E_INTR }, { ETIMEDOUT, E_TIMEOUT },
		{ EMFILE, E_LIMIT }, { ENFILE, E_LIMIT }, { EAGAIN, E_LIMIT }, { EIO, E_SYS } };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		errno = cases[i].sys;
		assert_fails(err_sys(&err, "f"), cases[i].code);
		assert_int_equal(errno, cases[i].sys);
		assert_int_equal(err.sys, cases[i].sys);
	}
	errno = 0;
	assert_fails(err_sysno(&err, ENOENT, "/etc/%s", "x"), E_NOENT);
	assert_int_equal(errno, 0);
	assert_string_equal(err.msg, "/etc/x: No such file or directory");
}

static void
test_wrap(void **state)
{
	struct err err = ERR_INIT;

	err_sysno(&err, ENOSPC, "write");
	err_hint(&err, "free some");
	assert_int_equal(err_wrap(&err, "pot %s", "web"), -E_NOSPC);
	assert_string_equal(err.msg, "pot web: write: No space left on device");
	assert_string_equal(err.hint, "free some");
	/* The message may be an argument of its own replacement. */
	err_set(&err, E_BUSY, "again: %s", err.msg);
	assert_string_equal(err.msg, "again: pot web: write: No space left on device");
}

static void
test_hostile_text(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, E_NOENT, "%s: not there",
	    "a\nb\x1b[31m\xff\xc2\x9b\xe2\x80\xae"
	    "ü");
	assert_string_equal(err.msg, "a\\x0ab\\x1b[31m\\xff\\xc2\\x9b\\xe2\\x80\\xaeü: not there");
	err_hint(&err, "rm '%s'", "\r");
	assert_string_equal(err.hint, "rm '\\x0d'");
	/* Wrapping must not escape the escapes again. */
	err_wrap(&err, "\t");
	assert_memory_equal(err.msg, "\\x09: a\\x0ab", 12);
}

/* However long the names are, the cause at the end is still to be read. */
static void
test_long_text(void **state)
{
	struct err err = ERR_INIT;
	char name[4096];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_sysno(&err, EIO, "%s", name);
	assert_non_null(strstr(err.msg, ": Input/output error"));
	err_set(&err, E_SYS, "the cause");
	err_wrap(&err, "%s", name);
	assert_non_null(strstr(err.msg, ": the cause"));
	/* Cut between characters, never within one. */
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "ü", 2);
	name[sizeof(name) - 2] = '\0';
	for (int pad = 0; pad < 2; pad++) {
		err_set(&err, E_SYS, "%s%s", pad ? "x" : "", name);
		assert_true(strlen(err.msg) >= sizeof(err.msg) - 8);
		assert_null(strstr(err.msg, "\\x"));
	}
}

struct heard {
	int n;
	struct pot_event last;
	char text[64];
};

static void
hear(void *arg, const struct pot_event *event)
{
	struct heard *h = arg;

	h->n++;
	h->last = *event;
	snprintf(h->text, sizeof(h->text), "%s", event->text);
}

static void
test_events(void **state)
{
	struct heard h = { 0 };
	struct pot_events events = { hear, &h }, none = { NULL, NULL };

	event_info(NULL, "x");
	event_warn(&none, "x");
	event_progress(&none, "x", 1, 2);
	event_info(&events, "base %s\n", "b\x1b");
	assert_int_equal(h.last.kind, POT_EV_INFO);
	assert_string_equal(h.text, "base b\\x1b\\x0a");
	event_warn(&events, "low");
	assert_int_equal(h.last.kind, POT_EV_WARN);
	event_progress(&events, "layer", 5, 10);
	assert_int_equal(h.last.kind, POT_EV_PROGRESS);
	assert_int_equal(h.last.done, 5);
	assert_int_equal(h.last.total, 10);
	assert_string_equal(h.text, "layer");
	assert_int_equal(h.n, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_codes),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
