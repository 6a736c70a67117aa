/* Lines of the log are JSON objects of strings, whole, and hold nobody up. */
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "../base/scratch.h"

#include "nomad/log.h"

/* The lines that stand in a pipe, parsed one after the other. */
static json_t *
next_line(int fd)
{
	char line[8192];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	assert_true(n > 0 && n < PIPE_BUF);
	return json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
}

static const char *
get(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static void
test_lines(void **state)
{
	struct log *log;
	json_t *line;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	log = log_new(fds[1]);
	log_set_level(log, LOG_LEVEL_INFO);
	log_debug(log, "not this");
	log_with(log, LOG_LEVEL_WARN, "a \"quoted\"\n\xff\\ \xc3\xa4", "key", "v\x01", "other", "", NULL);
	line = next_line(fds[0]);
	assert_string_equal(get(line, "@level"), "warn");
	assert_string_equal(get(line, "@module"), "pot");
	assert_string_equal(get(line, "@message"), "a \"quoted\"\\x0a\\xff\\ \xc3\xa4");
	assert_string_equal(get(line, "key"), "v\\x01");
	assert_string_equal(get(line, "other"), "");
	assert_int_equal(strlen(get(line, "@timestamp")), strlen("2026-01-02T15:04:05.000000Z"));
	json_decref(line);
	log_free(log);
	close(fds[0]);
	close(fds[1]);
}

static void
test_long_lines(void **state)
{
	static char text[20000];
	struct log *log;
	json_t *line;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	log = log_new(fds[1]);
	/* Of each kind of character that may stand where the line is cut. */
	for (size_t kind = 0; kind < 3; kind++) {
		static const char *const fill[] = { "\"", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
		size_t n = strlen(fill[kind]);

		for (size_t i = 0; i + n < sizeof(text); i += n)
			memcpy(text + i, fill[kind], n);
		log_with(log, LOG_LEVEL_ERROR, text, "key", text, NULL);
		line = next_line(fds[0]);
		assert_non_null(line);
		assert_string_equal(get(line, "@level"), "error");
		json_decref(line);
	}
	log_free(log);
	close(fds[0]);
	close(fds[1]);
}

static void
test_nobody_reads(void **state)
{
	struct log *log;
	json_t *line;
	int fds[2], lines = 0;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	log = log_new(fds[1]);
	for (int i = 0; i < 3000; i++)
		log_info(log, "line %d of many that do not fit into a pipe", i);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		char c;

		if (read(fds[0], &c, 1) != 1)
			break;
		lines += c == '\n';
	}
	assert_true(lines > 0 && lines < 3000);
	log_info(log, "after that");
	line = next_line(fds[0]);
	assert_int_equal(atoi(get(line, "lines_lost")), 3000 - lines);
	json_decref(line);
	close(fds[0]);
	log_info(log, "to nobody"); /* SIGPIPE is ignored by the program */
	log_free(log);
	close(fds[1]);
}

static void
test_file(void **state)
{
	char path[] = "/tmp/pot-test-log-XXXXXX";
	struct err err = ERR_INIT;
	struct log *log;
	json_t *line;
	int fd = mkstemp(path), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	log = log_new(null);
	assert_ok(log_to_file(log, path, &err));
	log_info(log, "kept");
	line = next_line(fd);
	assert_string_equal(get(line, "@message"), "kept");
	json_decref(line);
	assert_ok(log_to_file(log, NULL, &err));
	log_info(log, "not kept");
	assert_int_equal(read(fd, &(char){ 0 }, 1), 0);
	assert_int_equal(log_to_file(log, "/nowhere/at/all", &err), -E_NOENT);
	log_free(log);
	close(fd);
	close(null);
	unlink(path);
}

static void
test_levels(void **state)
{
	struct err err = ERR_INIT;
	enum log_level level;

	assert_ok(log_level_parse("WARN", &level, &err));
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("loud", &level, &err), -E_INVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_levels),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
