/* A run from start to end: the order of the steps, and that each failing step leaves nothing behind. */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/text.h"
#include "node.h"
#include "record.h"

#define UP "prestart mount files bind bind bind cgroup spawn release poststart"

static int
start(struct node *n, const char *name)
{
	struct pot_start_args a = { 0 };
	struct pot_process p;

	memset(&n->e, 0, sizeof(n->e));
	return eng_start(n->g, name, &a, &p, &n->e);
}

/* No process, no group, nothing in the journal. */
static void
assert_nothing_left(struct node *n, const char *name)
{
	struct state_rec r = node_rec(n, name);

	assert_int_equal(r.steps, 0);
	assert_int_equal(r.init.pid, 0);
	assert_true(r.shim.pid == 0 || !proc_id_alive(&r.shim));
	assert_string_equal(r.cgroup, "");
}

static void
test_order(void **state)
{
	struct node *n = *state;
	struct state_rec r;
	struct pot_exit x;

	node_pot(n, "p", "sleep 1000");
	record_reset();
	node_start(n, "p");
	/* Without resolv.conf on the host there is one mount less. */
	assert_string_equal(record.calls,
	    access("/etc/resolv.conf", F_OK) == 0
		? UP
		: "prestart mount files bind bind cgroup spawn release poststart");
	r = node_rec(n, "p");
	assert_int_equal(r.state, POT_RUNNING);
	assert_int_equal(r.steps, (1 << STEP_COUNT) - 1);
	assert_true(proc_id_alive(&r.init) && proc_id_alive(&r.shim));
	fails(start(n, "p"), E_EXIST, "p is running already");
	hint_is("pot restart p");
	record_reset();
	done(eng_stop(n->g, "p", 60000, &n->e));
	/* What is undone is the clean-up's, in the program that the shim executes. */
	assert_string_equal(record.calls, "prestop");
	r = node_rec(n, "p");
	assert_int_equal(r.state, POT_STOPPED);
	assert_nothing_left(n, "p");
	done(eng_wait(n->g, "p", &x, &n->e));
	assert_true(x.known);
	assert_int_equal(x.status, 128 + SIGTERM);
	assert_int_equal(x.signal, SIGTERM);
	assert_int_equal(r.runs, 1);
	fails(eng_stop(n->g, "p", 0, &n->e), E_STATE, "p is not running");
}

/* The undo of one process, told here by the one that is in the test. */
static void
test_order_of_cleanup(void **state)
{
	struct node *n = *state;
	struct state_rec r;

	node_pot(n, "p", "sleep 1000");
	node_start(n, "p");
	r = node_rec(n, "p");
	done(proc_id_kill(&r.shim, SIGKILL, &n->e));
	done(proc_id_wait(&r.shim, 10000, &n->e));
	record_reset();
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
	assert_string_equal(record.calls, "kill no-cgroup unmount poststop");
	r = node_rec(n, "p");
	assert_int_equal(r.state, POT_FAILED);
	assert_int_equal(r.crashed, 1);
	assert_int_equal(r.status, 128 + SIGKILL);
	assert_string_equal(r.reason, "the shim was killed");
	assert_nothing_left(n, "p");
}

struct failure {
	const char *call;
	enum err_code code;
	const char *calls; /* all of them */
};

/* Each step in turn fails: what was up below it comes down, in the reverse order, and no more. */
static const struct failure failures[] = {
	{ "prestart", E_SYS, "prestart" },
	{ "prestart", E_TIMEOUT, "prestart" },
	{ "mount", E_CORRUPT, "prestart mount unmount poststop" },
	{ "files", E_NOSPC, "prestart mount files unmount poststop" },
	{ "bind", E_SYS, "prestart mount files bind unmount poststop" },
	{ "cgroup", E_PERM, "prestart mount files bind bind bind cgroup no-cgroup unmount poststop" },
	{ "spawn", E_NOTSUP,
	    "prestart mount files bind bind bind cgroup spawn kill no-cgroup unmount poststop" },
	{ "release", E_STATE,
	    "prestart mount files bind bind bind cgroup spawn release kill no-cgroup unmount "
	    "poststop" },
};

static void
test_failures(void **state)
{
	struct node *n = *state;

	node_pot(n, "p", "sleep 1000");
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		const struct failure *f = &failures[i];
		int fds = open_fds();
		struct state_rec r;
		struct pot_exit x;

		record_reset();
		record.fail = f->call;
		record.code = f->code;
		fails(start(n, "p"), f->code, "cannot start p: ");
		expect_text(n->e.msg, "was made to fail", __FILE__, __LINE__);
		if (access("/etc/resolv.conf", F_OK) == 0)
			assert_string_equal(record.calls, f->calls);
		r = node_rec(n, "p");
		assert_int_equal(r.state, POT_FAILED);
		expect_text(r.reason, "was made to fail", __FILE__, __LINE__);
		assert_nothing_left(n, "p");
		assert_int_equal(open_fds(), fds);
		done(eng_wait(n->g, "p", &x, &n->e));
		assert_false(x.known);
		expect_text(x.reason, f->call, __FILE__, __LINE__);
	}
	record_reset();
	node_start(n, "p");
	assert_string_equal(node_rec(n, "p").reason, "");
}

/* What cannot be taken down stays in the journal, and its first reason with it. */
static void
test_stuck_undo(void **state)
{
	struct node *n = *state;
	struct state_rec r;

	node_pot(n, "p", "/does/not/exist");
	record_reset();
	record.fail = "unmount";
	record.code = E_BUSY;
	fails(start(n, "p"), E_NOCMD, "/does/not/exist");
	expect_text(n->warning, "cleaning up pot p: unmount", __FILE__, __LINE__);
	r = node_rec(n, "p");
	assert_int_equal(r.state, POT_STOPPING);
	assert_int_equal(r.steps, 1 << STEP_ROOT | 1 << STEP_HOOKS);
	assert_true(eng_exists(n->g, "p", &n->e) < 0);
	record_reset();
	assert_int_equal(eng_exists(n->g, "p", &n->e), 1);
	assert_string_equal(record.calls, "unmount poststop");
	r = node_rec(n, "p");
	assert_int_equal(r.state, POT_FAILED);
	assert_int_equal(r.status, -1);
	expect_text(r.reason, "/does/not/exist", __FILE__, __LINE__);
}

static void
test_commands(void **state)
{
	struct node *n = *state;
	struct state_rec r;

	node_pot(n, "none", NULL);
	fails(start(n, "none"), E_INVAL, "pot none has no command and its root no system to start");
	hint_is("pot set-cmd -p none");
	node_pot(n, "nocmd", "no-such-program-here");
	fails(start(n, "nocmd"), E_NOCMD, "no-such-program-here");
	node_pot(n, "noexec", "/etc/passwd");
	fails(start(n, "noexec"), E_NOEXEC, "/etc/passwd");
	for (int i = 0; i < 3; i++) {
		const char *name = i == 0 ? "none" : i == 1 ? "nocmd" : "noexec";

		r = node_rec(n, name);
		assert_int_equal(r.state, POT_FAILED);
		assert_int_equal(r.status, -1);
		assert_nothing_left(n, name);
	}
	fails(start(n, "nobody"), E_NOENT, "no pot is named nobody");
	hint_is("pot ps -a");
}

static void
assert_noted(struct node *n, const char *lines)
{
	assert_content(n->fd, "noted", lines);
}

/* poststop follows prestart, and nothing else. */
static void
test_hooks(void **state)
{
	struct node *n = *state;
	char note[256];
	struct pot_exit x;

	node_pot(n, "p", "true");
	for (int i = 0; i < HOOK_COUNT; i++) {
		snprintf(note, sizeof(note),
		    "echo $_POT_HOOK $_POT_NAME $_POT_STATE${_POT_EXIT_STATUS:+ $_POT_EXIT_STATUS} "
		    ">> %s/noted",
		    n->path);
		node_hook(n, "p", hook_names[i], note);
	}
	done(eng_set_command(n->g, "p", "sh -c 'exit 3'", &n->e));
	node_start(n, "p");
	done(eng_wait(n->g, "p", &x, &n->e));
	assert_int_equal(x.status, 3);
	/* The command may have ended before poststart: both orders of those two are right. */
	{
		char got[256];
		AUTO(fd) int fd = openat(n->fd, "noted", O_RDONLY);
		ssize_t len = read(fd, got, sizeof(got) - 1);

		assert_true(len > 0);
		got[len] = '\0';
		assert_ptr_equal(strstr(got, "prestart p starting\n"), got);
		assert_non_null(strstr(got, "poststart p running\n"));
		assert_non_null(strstr(got, "poststop p stopping 3\n"));
	}
	assert_sys(unlinkat(n->fd, "noted", 0));
	snprintf(note, sizeof(note), "echo failing >> %s/noted; echo its words >&2; exit 9", n->path);
	node_hook(n, "p", "prestart", note);
	fails(start(n, "p"), E_SYS, "its words");
	expect_text(n->e.msg, "the prestart hook", __FILE__, __LINE__);
	assert_noted(n, "failing\n");
	done(eng_set_hook(n->g, "p", "prestart", NULL, &n->e));
	assert_sys(unlinkat(n->fd, "noted", 0));
	done(eng_set_command(n->g, "p", "/does/not/exist", &n->e));
	fails(start(n, "p"), E_NOCMD, "/does/not/exist");
	assert_noted(n, "poststop p stopping 3\n");
}

static void
test_signals(void **state)
{
	struct node *n = *state;
	struct pot_exit x;
	struct state_rec r;

	node_pot(n, "p", "sleep 1000");
	fails(eng_kill(n->g, "p", SIGTERM, &n->e), E_STATE, "p is not running");
	fails(eng_pause(n->g, "p", true, &n->e), E_STATE, "p is not running");
	fails(eng_pause(n->g, "p", false, &n->e), E_STATE, "p is not paused");
	node_start(n, "p");
	done(eng_pause(n->g, "p", true, &n->e));
	assert_int_equal(node_rec(n, "p").state, POT_PAUSED);
	fails(eng_kill(n->g, "p", SIGTERM, &n->e), E_STATE, "p is paused");
	hint_is("pot unpause p");
	fails(eng_pause(n->g, "p", true, &n->e), E_STATE, "p is paused");
	done(eng_pause(n->g, "p", false, &n->e));
	done(eng_pause(n->g, "p", true, &n->e));
	/* A paused one hears of its stop. */
	done(eng_stop(n->g, "p", 60000, &n->e));
	assert_int_equal(node_rec(n, "p").state, POT_STOPPED);
	node_start(n, "p");
	r = node_rec(n, "p");
	done(eng_kill(n->g, "p", SIGKILL, &n->e));
	done(eng_wait(n->g, "p", &x, &n->e));
	assert_int_equal(x.signal, SIGKILL);
	assert_false(proc_id_alive(&r.init));
	done(eng_last_exit(n->g, "p", &x, &n->e));
	assert_int_equal(x.status, 128 + SIGKILL);
}

/* A clean-up of another run, or of none, changes nothing. */
static void
test_cleanup(void **state)
{
	struct node *n = *state;
	struct state_rec r;

	done(eng_cleanup(n->g, "nobody", 0, &n->e));
	node_pot(n, "p", "sleep 1000");
	done(eng_cleanup(n->g, "p", 0, &n->e));
	node_start(n, "p");
	r = node_rec(n, "p");
	done(eng_cleanup(n->g, "p", r.run_id + 1, &n->e));
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
	assert_true(proc_id_alive(&r.init));
}

static volatile bool *flag;

static void
on_alarm(int sig)
{
	(void)sig;
	*flag = true;
}

static int
no_line(void *arg, const struct pot_log_line *l)
{
	(void)arg;
	(void)l;
	return 0;
}

/* The flag ends the long calls; already set or set by a signal in the middle. */
static void
test_cancel(void **state)
{
	struct node *n = *state;
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	const struct itimerspec soon = { { 0, 0 }, { 0, 20000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct pot_logs_args follow = { .follow = true, .lines = -1 };
	timer_t timer;
	struct pot_exit x;

	flag = &n->cancel;
	node_pot(n, "p", "sleep 1000");
	node_start(n, "p");
	n->cancel = true;
	fails(eng_wait(n->g, "p", &x, &n->e), E_INTR, "interrupted");
	fails(eng_logs(n->g, "p", &follow, no_line, NULL, &n->e), E_INTR, "interrupted");
	assert_sys(sigaction(SIGUSR1, &sa, &old));
	assert_sys(timer_create(CLOCK_MONOTONIC, &ev, &timer));
	n->cancel = false;
	assert_sys(timer_settime(timer, 0, &soon, NULL));
	fails(eng_wait(n->g, "p", &x, &n->e), E_INTR, "interrupted");
	n->cancel = false;
	assert_sys(timer_settime(timer, 0, &soon, NULL));
	fails(eng_logs(n->g, "p", &follow, no_line, NULL, &n->e), E_INTR, "interrupted");
	assert_sys(timer_delete(timer));
	assert_sys(sigaction(SIGUSR1, &old, NULL));
	n->cancel = false;
	assert_int_equal(node_rec(n, "p").state, POT_RUNNING);
}

static size_t
read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t r;

	while (len < size - 1 && (r = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)r;
	text[len] = '\0';
	return len;
}

static void
test_attach(void **state)
{
	struct node *n = *state;
	struct pot_start_args a = { .attach = true };
	struct pot_process p;
	int out[2], err[2], status = -1;
	char text[64];

	node_pot(n, "p", "sh -c 'echo to out; echo to err >&2; exit 7'");
	assert_sys(pipe2(out, O_CLOEXEC));
	assert_sys(pipe2(err, O_CLOEXEC));
	done(eng_start(n->g, "p", &a, &p, &n->e));
	done(eng_attach(n->g, "p", &p, out[1], err[1], -1, &status, &n->e));
	close(out[1]);
	close(err[1]);
	assert_int_equal(status, 7);
	read_all(out[0], text, sizeof(text));
	assert_string_equal(text, "to out\n");
	read_all(err[0], text, sizeof(text));
	assert_string_equal(text, "to err\n");
	close(out[0]);
	close(err[0]);
	/* Attached means until it is cleaned up. */
	assert_int_equal(node_rec(n, "p").state, POT_STOPPED);
}

/* Signals go through; a shim that dies tells nothing, and that is told. */
static void
test_attach_signals(void **state)
{
	struct node *n = *state;
	struct pot_start_args a = { .attach = true };
	struct pot_process p;
	struct state_rec r;
	const unsigned char term = SIGTERM;
	int sigs[2], status = -1;

	node_pot(n, "p", "sleep 1000");
	done(eng_start(n->g, "p", &a, &p, &n->e));
	assert_sys(pipe2(sigs, O_CLOEXEC));
	assert_int_equal(write(sigs[1], &term, 1), 1);
	done(eng_attach(n->g, "p", &p, -1, -1, sigs[0], &status, &n->e));
	assert_int_equal(status, 128 + SIGTERM);
	close(sigs[0]);
	close(sigs[1]);
	done(eng_start(n->g, "p", &a, &p, &n->e));
	r = node_rec(n, "p");
	done(proc_id_kill(&r.shim, SIGKILL, &n->e));
	fails(eng_attach(n->g, "p", &p, -1, -1, -1, &status, &n->e), E_STATE, "the shim was killed");
	assert_int_equal(status, 128 + SIGKILL);
}

static void
test_exec(void **state)
{
	struct node *n = *state;
	char sh[] = "sh", c[] = "-c", show[] = "echo $A $_POT_NAME; exit 5", no[] = "no-such-program",
	     env[] = "A=b";
	char *argv[] = { sh, c, show, NULL }, *missing[] = { no, NULL }, *extra[] = { env, NULL };
	AUTO(fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct pot_exec_args a = { .argv = argv, .env = extra, .fds = { null, null, null } };
	struct pot_process p = { 0, -1 };
	char text[64];
	int out[2], status;

	node_pot(n, "p", "sleep 1000");
	fails(eng_exec(n->g, "p", &a, &p, &n->e), E_STATE, "p is not running");
	hint_is("pot start p");
	node_start(n, "p");
	assert_sys(pipe2(out, O_CLOEXEC));
	a.fds[1] = out[1];
	done(eng_exec(n->g, "p", &a, &p, &n->e));
	close(out[1]);
	done(pot_exec_wait(&p, &status, &n->e));
	assert_int_equal(status, 5);
	read_all(out[0], text, sizeof(text));
	assert_string_equal(text, "b p\n");
	close(out[0]);
	a.fds[1] = null;
	a.argv = missing;
	fails(eng_exec(n->g, "p", &a, &p, &n->e), E_NOCMD, "no-such-program");
	a.argv = argv;
	env[1] = 'x';
	fails(eng_exec(n->g, "p", &a, &p, &n->e), E_INVAL, "");
	a.env = NULL;
	a.user = "nobody-of-that-name";
	assert_true(eng_exec(n->g, "p", &a, &p, &n->e) < 0);
}

static int
tests(void)
{
	const struct CMUnitTest all[] = {
		node_test(test_order),
		node_test(test_order_of_cleanup),
		node_test(test_failures),
		node_test(test_stuck_undo),
		node_test(test_commands),
		node_test(test_hooks),
		node_test(test_signals),
		node_test(test_cleanup),
		node_test(test_cancel),
		node_test(test_attach),
		node_test(test_attach_signals),
		node_test(test_exec),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}

int
main(int argc, char **argv)
{
	return node_main(argc, argv, tests);
}
