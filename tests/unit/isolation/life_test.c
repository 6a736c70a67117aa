/* Proves: a pot's processes start, end, are reaped and recorded as promised, on real namespaces. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pot.h"

static void
exit_codes(void **state)
{
	struct pot *p = *state;

	assert_int_equal(pot_run(p, "exit 7"), 7 << 8);
}

static void
exit_true(void **state)
{
	struct pot *p = *state;

	p->argv[0] = (char *)"true"; /* by PATH */
	pot_start(p);
	assert_int_equal(pot_wait(p), 0);
}

static void
death_by_signal(void **state)
{
	struct pot *p = *state;

	assert_int_equal(pot_run(p, "kill -SEGV $$"), SIGSEGV);
}

/* Not executed: no exit record, no clean-up, nothing alive. */
static void
refused(struct pot *p, int code, const char *words)
{
	struct shim_exit x;

	assert_done(pot_spawn(p), p);
	assert_int_equal(iso_release(&p->child, &p->e), -code);
	assert_non_null(strstr(p->e.msg, words));
	assert_false(proc_id_alive(&p->child.shim));
	assert_false(proc_id_alive(&p->child.init));
	assert_false(pot_slot(p, &x));
	assert_false(pot_cleaned(p));
}

static void
missing_command(void **state)
{
	struct pot *p = *state;

	p->argv[0] = (char *)"/bin/nothere";
	refused(p, E_NOCMD, "\"/bin/nothere\"");
	p->argv[0] = (char *)"nothere";
	refused(p, E_NOCMD, "\"nothere\"");
	p->argv[0] = (char *)"/bin/sh/x";
	refused(p, E_NOCMD, "\"/bin/sh/x\"");
}

static void
not_executable(void **state)
{
	struct pot *p = *state;

	root_file(p, "bin/plain", "x", 0644);
	root_file(p, "bin/noformat", "garbage", 0755);
	root_file(p, "bin/nointerp", "#!/not/there\n", 0755);
	p->argv[0] = (char *)"/bin/plain";
	refused(p, E_NOEXEC, "Permission denied");
	p->argv[0] = (char *)"plain"; /* found in PATH but refused: not "no such file" */
	refused(p, E_NOEXEC, "Permission denied");
	p->argv[0] = (char *)"/bin";
	refused(p, E_NOEXEC, "\"/bin\"");
	p->argv[0] = (char *)"/bin/noformat";
	refused(p, E_NOEXEC, "Exec format");
	p->argv[0] = (char *)"/bin/nointerp";
	refused(p, E_NOCMD, "\"/bin/nointerp\"");
}

static void
direct_refused(void **state)
{
	struct pot *p = *state;

	p->spec.direct_init = true;
	p->argv[0] = (char *)"/bin/nothere";
	refused(p, E_NOCMD, "\"/bin/nothere\"");
}

static void
direct_init(void **state)
{
	struct pot *p = *state;

	p->spec.direct_init = true;
	assert_int_equal(pot_run(p, "echo pid $$; exit 9"), 9 << 8);
	assert_string_equal(pot_text(p), "pid 1\n");
}

static void
is_pid_2_with_clean_fds(void **state)
{
	struct pot *p = *state;

	assert_int_equal(pot_run(p,
			     "echo $$; for f in /proc/self/fd/*; do echo ${f##*/}; done; exec 2>&1; "
			     /* What PID 1 has is nobody's business in the pot. */
			     "ls -l /proc/1/fd; ls -l /proc/1/exe; tty"),
	    1 << 8);
	const char *t = pot_text(p);
	/* The glob itself opens the directory: one more number, of the shell's own. */
	assert_int_equal(strncmp(t, "2\n0\n1\n2\n3\n", 10), 0);
	assert_null(strstr(t, "/tmp"));
	assert_null(strstr(t, " -> "));
	assert_non_null(strstr(t, "Permission denied"));
	assert_non_null(strstr(t, "not a tty"));
}

/* As the host sees it: only the pipe to the shim. */
static void
pid_1_has_one_pipe(void **state)
{
	struct pot *p = *state;
	char path[64], to[64];
	unsigned n = 0;
	struct dirent *de;
	DIR *d;

	/* The command runs when PID 1 has closed all that it closes, or is about to: the last is the status pipe. */
	pot_script(p, "echo up; exec sleep 1000");
	pot_start(p);
	pot_until(p, "up");
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->child.init.pid);
	assert_non_null(d = opendir(path));
	while ((de = readdir(d)) != NULL) {
		ssize_t len = de->d_name[0] == '.' ? 0 : readlinkat(dirfd(d), de->d_name, to, sizeof(to) - 1);

		if (len <= 0)
			continue;
		to[len] = '\0';
		assert_int_equal(strncmp(to, "pipe:", 5), 0);
		n++;
	}
	closedir(d);
	assert_true(n == 1 || n == 2);
}

static void
environment_and_place(void **state)
{
	struct pot *p = *state;

	p->envp[1] = (char *)"A=b c";
	p->spec.workdir = "/proc/sys";
	assert_int_equal(
	    pot_run(
		p, "env -u PWD -u SHLVL; pwd; hostname; umask; cat /proc/sys/kernel/hostname; ip -o link"),
	    0);
	const char *t = pot_text(p);
	assert_non_null(strstr(t, "PATH=/bin\n"));
	assert_non_null(strstr(t, "A=b c\n"));
	assert_non_null(strstr(t, "\n/proc/sys\nweb.pot\n0022\nweb.pot\n"));
	assert_non_null(strstr(t, "lo: <LOOPBACK,UP,LOWER_UP>"));
	assert_null(strstr(t, "\n2: "));
}

static void
user_and_groups(void **state)
{
	struct pot *p = *state;
	gid_t groups[] = { 7, 70000 };

	p->spec.user = (struct iso_user){ 1000, 1001, groups, 2 };
	assert_int_equal(
	    pot_run(p,
		"grep -E '^(Uid|Gid|Groups|CapEff|SigBlk|SigIgn)' /proc/self/status; echo x > /dev/stdout"),
	    0);
	const char *t = pot_text(p);
	assert_non_null(
	    strstr(t, "Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nGroups:\t7 70000 \n"));
	assert_non_null(
	    strstr(t, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nCapEff:\t0000000000000000\n"));
	assert_non_null(strstr(t, "\nx\n"));
}

static void
ignored_signals_are_reset(void **state)
{
	struct pot *p = *state;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	int status = pot_run(p, "grep SigIgn /proc/self/status; exit 3");
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(status, 3 << 8);
	assert_string_equal(pot_text(p), "SigIgn:\t0000000000000000\n");
}

static void
devices(void **state)
{
	struct pot *p = *state;

	assert_int_equal(
	    pot_run(p,
		"for n in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$n; done;"
		"readlink /dev/fd; readlink /dev/ptmx; stat -f -c %T /dev/pts /dev/shm /dev/mqueue /proc "
		"/sys;"
		"echo x > /dev/null && echo y > /dev/shm/z && touch /sys/x; head -c 3 /dev/zero | wc -c"),
	    0);
	const char *t = pot_text(p);
	assert_non_null(strstr(t, "/dev/null character special file 1:3 666\n"));
	assert_non_null(strstr(t, "/dev/tty character special file 5:0 666\n"));
	assert_non_null(strstr(t, "/proc/self/fd\npts/ptmx\n"));
	assert_non_null(strstr(t, "Read-only file system"));
	assert_non_null(strstr(t, "\n3\n"));
}

static void
zombies_are_reaped(void **state)
{
	struct pot *p = *state;

	assert_int_equal(pot_run(p,
			     "i=0; while [ $i -lt 1000 ]; do (true & ) ; i=$((i+1)); done;"
			     "while [ $(ls -d /proc/[0-9]* | wc -l) -gt 5 ]; do :; done; grep -l zombie "
			     "/proc/[0-9]*/status | wc -l"),
	    0);
	assert_string_equal(pot_text(p), "0\n");
}

static void
signals_reach_the_command(void **state)
{
	struct pot *p = *state;
	struct iso_ref ref;

	pot_script(p,
	    "trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 1000 & wait "
	    "$!; done");
	pot_start(p);
	ref = pot_ref(p);
	pot_until(p, "ready");
	assert_done(iso_signal(&ref, SIGUSR1, &p->e), p);
	pot_until(p, "usr1");
	/* To the shim: the same. */
	assert_done(proc_id_kill(&p->child.shim, SIGTERM, &p->e), p);
	assert_int_equal(pot_wait(p), 5 << 8);
	assert_int_equal(iso_signal(&ref, SIGTERM, &p->e), -E_STATE);
}

static int
count(void *arg, const struct iso_task *t)
{
	++*(unsigned *)arg;
	return 0;
}

static void
persistent(void **state)
{
	struct pot *p = *state;
	struct iso_ref ref;
	unsigned n;

	p->spec.persistent = true;
	pot_script(p, "sleep 1000 & echo gone");
	pot_start(p);
	ref = pot_ref(p);
	pot_until(p, "gone");
	assert_true(proc_id_alive(&p->child.init));
	/* While the command lives a signal is its own: wait until it is seen to have ended. */
	do {
		n = 0;
		assert_done(iso_tasks(&ref, count, &n, &p->e), p);
	} while (n > 2);
	assert_done(iso_signal(&ref, SIGTERM, &p->e), p);
	assert_int_equal(pot_wait(p), 0);
}

static void
killed(void **state)
{
	struct pot *p = *state;
	struct iso_ref ref;

	pot_group(p);
	pot_script(p, "sleep 1000 & setsid sleep 1000 & echo ready; sleep 1000");
	pot_start(p);
	ref = pot_ref(p);
	pot_until(p, "ready");
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(pot_wait(p), SIGKILL);
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_done(iso_cgroup_remove(p->cgroup, &p->e), p);
	assert_done(iso_cgroup_remove(p->cgroup, &p->e), p);
}

static void
dies_with_its_shim(void **state)
{
	struct pot *p = *state;

	pot_script(p, "echo ready; sleep 1000");
	pot_start(p);
	pot_until(p, "ready");
	assert_done(proc_id_kill(&p->child.shim, SIGKILL, &p->e), p);
	assert_done(proc_id_wait(&p->child.init, 10000, &p->e), p);
	assert_false(pot_cleaned(p));
}

static void
aborted(void **state)
{
	struct pot *p = *state;
	struct shim_exit x;

	pot_script(p, "true");
	assert_done(pot_spawn(p), p);
	assert_true(proc_id_alive(&p->child.init));
	iso_abort(&p->child);
	assert_false(proc_id_alive(&p->child.init));
	assert_false(proc_id_alive(&p->child.shim));
	assert_false(pot_slot(p, &x));
	assert_false(pot_cleaned(p));
}

/* The caller dies between spawn and release: everything goes with it. */
static void
caller_dies(void **state)
{
	struct pot *p = *state;
	struct iso_child *shared =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int status;

	pot_script(p, "true");
	pid = fork();
	if (pid == 0) {
		if (pot_spawn(p) < 0)
			_exit(1);
		*shared = p->child;
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, SIGKILL);
	assert_true(shared->init.pid > 0);
	assert_done(proc_id_wait(&shared->init, 10000, &p->e), p);
	assert_done(proc_id_wait(&shared->shim, 10000, &p->e), p);
	assert_false(pot_cleaned(p));
	munmap(shared, 4096);
}

static void
bad_set_up_leaves_nothing(void **state)
{
	struct pot *p = *state;

	pot_group(p);
	pot_script(p, "true");
	p->spec.workdir = "/not/there";
	assert_int_equal(pot_spawn(p), -E_NOENT);
	assert_non_null(strstr(p->e.msg, "\"/not/there\""));
	p->spec.workdir = NULL;
	p->spec.shim_path = "/not/there";
	assert_int_equal(pot_spawn(p), -E_NOENT);
	p->spec.shim_path = "/etc/passwd"; /* exists, but is no program */
	assert_true(pot_spawn(p) < 0);
	assert_non_null(strstr(p->e.msg, "\"/etc/passwd\""));
	assert_done(iso_cgroup_remove(p->cgroup, &p->e), p); /* fails while anyone is in it */
}

static bool
someone_holds_lock(struct pot *p)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof(path), "%s/state", p->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	r = flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return r != 0 && errno == EWOULDBLOCK;
}

/* The lock on the state file lives as long as shim and clean-up, and no longer. */
static void
lock_means_alive(void **state)
{
	struct pot *p = *state;
	char path[128];
	int own;

	snprintf(path, sizeof(path), "%s/state", p->dir);
	own = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(own, LOCK_EX), 0);
	p->spec.state_fd = own;
	pot_script(p, "echo ready; sleep 1000");
	pot_start(p);
	pot_until(p, "ready");
	close(own);
	assert_true(someone_holds_lock(p));
	struct iso_ref ref = pot_ref(p);
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(pot_wait(p), SIGKILL);
	assert_false(someone_holds_lock(p));
}

/* The mean PSS of 50 shims and their 50 PID 1 is at most 16 KiB each. */
static unsigned
pss_of(pid_t pid)
{
	char path[64], line[256];
	unsigned kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Pss: %u", &kib) == 1)
			break;
	}
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

static void
small_in_memory(void **state)
{
	enum { N = 50 };
	struct pot *p = *state;
	struct iso_child c[N];
	unsigned shim = 0, init = 0;

	pot_script(p, "exec sleep 1000");
	for (int i = 0; i < N; i++) {
		pot_start(p);
		c[i] = p->child;
		p->child = (struct iso_child)ISO_CHILD_INIT;
	}
	for (int i = 0; i < N; i++) {
		shim += pss_of(c[i].shim.pid);
		init += pss_of(c[i].init.pid);
	}
	print_message("PSS of %d shims: %.1f KiB, of their PID 1: %.1f KiB each\n", N, (double)shim / N,
	    (double)init / N);
	for (int i = 0; i < N; i++) {
		struct iso_ref ref = { c[i].init, NULL };

		assert_done(iso_kill_all(&ref, &p->e), p);
		assert_done(proc_id_wait(&c[i].shim, 10000, &p->e), p);
	}
	assert_true(shim <= 16 * N);
	assert_true(init <= 16 * N);
}

#define T(f) cmocka_unit_test_setup_teardown(f, pot_setup, pot_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(exit_codes), T(exit_true), T(death_by_signal),
		T(missing_command), T(not_executable), T(direct_refused), T(direct_init),
		T(is_pid_2_with_clean_fds), T(pid_1_has_one_pipe), T(environment_and_place),
		T(user_and_groups), T(ignored_signals_are_reset), T(devices), T(zombies_are_reaped),
		T(signals_reach_the_command), T(persistent), T(killed), T(dies_with_its_shim), T(aborted),
		T(caller_dies), T(bad_set_up_leaves_nothing), T(lock_means_alive), T(small_in_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
