/* Signal names in both directions. */
#include "expect.h"
#include <signal.h>
#include <stdio.h>
#include "model/signame.h"

static void
parse(void **state)
{
	const struct {
		const char *text;
		int sig;
	} rows[] = { { "TERM", SIGTERM }, { "SIGTERM", SIGTERM }, { "sigterm", SIGTERM }, { "Kill", SIGKILL },
		{ "15", 15 }, { "1", 1 }, { "9", 9 }, { "CHLD", SIGCHLD }, { "USR1", SIGUSR1 },
		{ "RTMIN", SIGRTMIN }, { "rtmin+3", SIGRTMIN + 3 }, { "SIGRTMIN+0", SIGRTMIN },
		{ "RTMAX", SIGRTMAX }, { "RTMAX-2", SIGRTMAX - 2 }, { "SIGIOT", SIGABRT } };
	struct err e = ERR_INIT;
	char text[8];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(signame_parse(rows[i].text, &e), rows[i].sig);
	snprintf(text, sizeof(text), "%d", SIGRTMAX);
	assert_int_equal(signame_parse(text, &e), SIGRTMAX);
}

static void
refuse(void **state)
{
	static const char *const rows[] = { "SIG", "SIGSIGTERM", "TERM ", " TERM", "-1", "+1", "RTMIN-1",
		"RTMAX+1", "RTMIN+", "RTMIN+99", "RTMIN+-1", "RTMAX-99", "RTMIN+1x", "FOO", "\n", "-" };
	static const char *const numbers[] = { "0", "999", "15x", "1 ", "4294967311",
		"18446744073709551631" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_err(signame_parse(rows[i], &e), E_INVAL, "there is no such signal");
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		expect_err(signame_parse(numbers[i], &e), E_INVAL, "signal");
	expect_err(signame_parse("", &e), E_INVAL, "signal: it is empty");
	expect_err(signame_parse(NULL, &e), E_INVAL, "signal: it is empty");
	expect_err(signame_parse("TREM", &e), E_INVAL, "signal 'TREM': there is no such signal");
	expect_hint("did you mean TERM?");
	expect_err(signame_parse("sigwinhc", &e), E_INVAL, "signal 'sigwinhc'");
	expect_hint("did you mean WINCH?");
	expect_err(signame_parse("entirely else", &e), E_INVAL, "signal 'entirely else'");
	expect_hint("or a number from 1 to");
	assert_int_equal(signame_parse("FOO", NULL), -E_INVAL);
}

static void
print(void **state)
{
	struct err e = ERR_INIT;
	char out[16], want[32];

	signame_print(SIGTERM, out);
	assert_string_equal(out, "SIGTERM");
	signame_print(SIGABRT, out);
	assert_string_equal(out, "SIGABRT");
	signame_print(SIGRTMIN, out);
	assert_string_equal(out, "SIGRTMIN");
	signame_print(SIGRTMIN + 3, out);
	assert_string_equal(out, "SIGRTMIN+3");
	signame_print(SIGRTMAX, out);
	assert_string_equal(out, "SIGRTMAX");
	signame_print(0, out);
	assert_string_equal(out, "signal 0");
	signame_print(SIGRTMAX + 1, out);
	snprintf(want, sizeof(want), "signal %d", SIGRTMAX + 1);
	assert_string_equal(out, want);
	signame_print(-2147483647 - 1, out);
	assert_string_equal(out, "signal -2147483");
	/* What is printed with a name is read again as the same signal. */
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		signame_print(sig, out);
		if (strncmp(out, "SIG", 3) == 0)
			assert_int_equal(signame_parse(out, &e), sig);
	}
}

static void
all(void **state)
{
	const char *const *names = signame_all();
	struct err e = ERR_INIT;
	size_t n = 0;

	for (; names[n] != NULL; n++) {
		assert_true(signame_parse(names[n], &e) > 0);
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(names[i], names[n]);
	}
	assert_true(n >= 31);
	assert_string_equal(names[0], "HUP");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(refuse),
		cmocka_unit_test(print),
		cmocka_unit_test(all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
