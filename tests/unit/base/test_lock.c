/* Locks exclude between open files, end with the last descriptor, and a wait ends at its deadline or the release. */
#include "scratch.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"

static void
test_exclusion(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int a, b, look;

	a = lock_file(s->fd, "l", true, 0, &err);
	assert_ok(a);
	assert_fails(lock_file(s->fd, "l", true, 0, &err), E_BUSY);
	assert_fails(lock_file(s->fd, "l", false, 0, &err), E_BUSY);
	assert_string_equal(err.msg, "l: locked by another process");
	look = openat(s->fd, "l", O_RDWR | O_CLOEXEC);
	assert_int_equal(lock_held(look, &err), 1);
	assert_int_equal(lock_held(a, &err), 0);
	close(a);
	assert_int_equal(lock_held(look, &err), 0);
	a = lock_file(s->fd, "l", false, 0, &err);
	assert_ok(a);
	b = lock_file(s->fd, "l", false, 0, &err);
	assert_ok(b);
	assert_int_equal(lock_held(look, &err), 1);
	assert_fails(lock_fd(look, true, 0, &err), E_BUSY);
	close(a);
	close(b);
	assert_ok(lock_fd(look, true, -1, &err));
	close(look);
}

static void
test_mistakes(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;

	put(s->fd, "f", "");
	assert_sys(symlinkat("f", s->fd, "link"));
	assert_true(lock_file(s->fd, "link", true, 0, &err) < 0);
	assert_true(lock_fd(-1, true, 0, &err) < 0);
	assert_true(lock_fd(-1, true, 10, &err) < 0);
	assert_true(lock_held(-1, &err) < 0);
}

static void
test_deadline(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int64_t before = text_monotonic_ms();
	int a;

	a = lock_file(s->fd, "l", true, 0, &err);
	assert_ok(a);
	assert_fails(lock_file(s->fd, "l", true, 60, &err), E_BUSY);
	assert_true(text_monotonic_ms() - before >= 60);
	close(a);
}

/* A child that holds the lock: says so on a pipe, holds until killed. */
static pid_t
holder(struct scratch *s)
{
	struct err err = ERR_INIT;
	int ready[2];
	pid_t pid;
	char c;

	assert_sys(pipe(ready));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (lock_file(s->fd, "l", true, 0, &err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

/* Both kinds of waiting get the lock when the holder is killed. */
static void
test_death_releases(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	static const int deadlines[] = { -1, 60000 };

	for (size_t i = 0; i < ARRAY_LEN(deadlines); i++) {
		pid_t pid = holder(s);
		int fd;

		assert_fails(lock_file(s->fd, "l", true, 0, &err), E_BUSY);
		assert_sys(kill(pid, SIGKILL));
		fd = lock_file(s->fd, "l", true, deadlines[i], &err);
		assert_ok(fd);
		close(fd);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

/* The lock lives on in a child that inherited the descriptor. */
static void
test_inherited(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int fd, go[2];
	pid_t pid;
	char c;

	fd = lock_file(s->fd, "l", true, 0, &err);
	assert_ok(fd);
	assert_sys(pipe(go));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &c, 1) == 0 ? 0 : 1);
	}
	close(go[0]);
	close(fd);
	assert_fails(lock_file(s->fd, "l", true, 0, &err), E_BUSY);
	close(go[1]);
	fd = lock_file(s->fd, "l", true, -1, &err);
	assert_ok(fd);
	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_exclusion),
		scratch_test(test_mistakes),
		scratch_test(test_deadline),
		scratch_test(test_death_releases),
		scratch_test(test_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
