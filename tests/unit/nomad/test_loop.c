/* The loop: timers in order, fds that come and go while it turns, ends of processes. */
#include <sys/wait.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "../base/scratch.h"

#include "base/text.h"
#include "nomad/loop.h"

struct seen {
	struct loop *loop;
	char text[64];
	int status;
	struct loop_timer *timer;
	struct loop_io *io[2];
};

static struct seen *seen_by; /* of the test that runs: timers have one argument, a letter */

static void
letter(void *arg)
{
	size_t n = strlen(seen_by->text);

	seen_by->text[n] = *(const char *)arg;
	seen_by->text[n + 1] = '\0';
}

static void
stop(void *arg)
{
	struct seen *s = arg;

	loop_stop(s->loop);
}

static void
begin(struct seen *s)
{
	*s = (struct seen){ .loop = loop_new() };
	assert_non_null(s->loop);
	seen_by = s;
}

#define TIMERS 10
#define GAP_MS 10

/* Due in another order than that in which they are made; false: making them took so long that the order is another. */
static bool
make_timers(struct seen *s, struct loop_timer *timers[])
{
	static const char letters[] = "abcdefghij";
	static const int order[TIMERS] = { 9, 2, 6, 1, 4, 5, 7, 3, 8, 0 };
	int64_t begun = text_monotonic_ms();

	for (size_t i = 0; i < TIMERS; i++)
		timers[i] =
		    loop_timer_new(s->loop, order[i] * GAP_MS, letter, (void *)(uintptr_t)&letters[i]);
	loop_timer_set(timers[1], 10 * GAP_MS);
	loop_timer_set(timers[2], -1);
	loop_timer_free(timers[6]);
	timers[6] = loop_timer_new(s->loop, 11 * GAP_MS, stop, s);
	return text_monotonic_ms() - begun < GAP_MS;
}

static void
test_timers(void **state)
{
	struct loop_timer *timers[TIMERS];
	struct err err = ERR_INIT;
	struct seen s;

	begin(&s);
	while (!make_timers(&s, timers)) {
		for (size_t i = 0; i < TIMERS; i++)
			loop_timer_free(timers[i]);
	}
	assert_ok(loop_run(s.loop, &err));
	assert_string_equal(s.text, "jdhefiab");
	for (size_t i = 0; i < TIMERS; i++)
		loop_timer_free(timers[i]);
	loop_free(s.loop);
}

/* The first that is called frees both; the second must not be called any more. */
static void
free_both(void *arg, short revents)
{
	struct seen *s = arg;

	letter((void *)(uintptr_t) "x");
	loop_io_free(s->io[0]);
	loop_io_free(s->io[1]);
	loop_stop(s->loop);
}

static void
test_freed_while_it_turns(void **state)
{
	struct err err = ERR_INIT;
	struct seen s;
	int fds[2];

	begin(&s);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	s.io[0] = loop_io_new(s.loop, fds[0], POLLIN, free_both, &s);
	s.io[1] = loop_io_new(s.loop, fds[1], POLLOUT, free_both, &s);
	assert_ok(loop_run(s.loop, &err));
	assert_string_equal(s.text, "x");
	loop_free(s.loop);
	close(fds[0]);
	close(fds[1]);
}

static void
not_to_be_called(void *arg, short revents)
{
	fail();
}

/* A hang-up of one that is idle neither calls nor spins. */
static void
test_idle(void **state)
{
	struct err err = ERR_INIT;
	struct seen s;
	int fds[2];

	begin(&s);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	s.io[0] = loop_io_new(s.loop, fds[0], 0, not_to_be_called, &s);
	s.timer = loop_timer_new(s.loop, 20, stop, &s);
	assert_ok(loop_run(s.loop, &err));
	loop_io_free(s.io[0]);
	loop_timer_free(s.timer);
	loop_free(s.loop);
	close(fds[0]);
}

static void
ended(void *arg, int status)
{
	struct seen *s = arg;

	s->status = status;
	loop_stop(s->loop);
}

static void
test_children(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct err err = ERR_INIT;
		struct seen s;
		pid_t pid;

		begin(&s);
		pid = fork();
		if (pid == 0)
			_exit(7);
		assert_true(pid > 0);
		/* The second is dead before it is watched. */
		if (i == 1)
			assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
		assert_non_null(loop_child_new(s.loop, pid, ended, &s, &err));
		assert_ok(loop_run(s.loop, &err));
		assert_int_equal(WEXITSTATUS(s.status), 7);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
		loop_free(s.loop);
	}
}

static void
test_others(void **state)
{
	struct err err = ERR_INIT;
	struct proc_id id;
	struct seen s;
	pid_t pid;

	begin(&s);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_ok(proc_id_get(pid, &id, &err));
	assert_non_null(loop_end_new(s.loop, &id, stop, &s, &err));
	kill(pid, SIGKILL);
	assert_ok(loop_run(s.loop, &err));
	loop_free(s.loop);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* One that is gone already is told of as well, and so is one whose number is another's now. */
	begin(&s);
	assert_non_null(loop_end_new(s.loop, &id, stop, &s, &err));
	assert_ok(loop_run(s.loop, &err));
	loop_free(s.loop);
	begin(&s);
	id.pid = getpid();
	assert_non_null(loop_end_new(s.loop, &id, stop, &s, &err));
	assert_ok(loop_run(s.loop, &err));
	loop_free(s.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_freed_while_it_turns),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
