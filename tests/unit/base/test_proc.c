/* Programs are run with what they are given and nothing else, end when they must, and their identities last. */
#include "scratch.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/proc.h"
#include "base/text.h"

#define SH(script)                       \
	(const char *[])                 \
	{                                \
		"sh", "-c", script, NULL \
	}

static int
run(const char *const *argv, struct buf *out, int *status, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = argv;
	spec.out = out;
	return proc_run(&spec, status, e);
}

static void
test_output_and_status(void **state)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 20);
	AUTO_FINI(buf) struct buf errors = BUF_INIT(100);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int status = -1, before = open_fds();

	assert_ok(run(SH("echo hello"), &out, &status, &err));
	assert_string_equal(buf_cstr(&out), "hello\n");
	assert_int_equal(status, 0);
	assert_fails(
	    run(SH("echo first >&2; printf 'last\\033 words\\n\\n' >&2; exit 3"), NULL, &status, &err),
	    E_SYS);
	assert_int_equal(status, 3);
	assert_string_equal(err.msg, "sh: exit status 3: first | last\\x1b words");
	assert_fails(run(SH("kill -9 $$"), NULL, &status, &err), E_SYS);
	assert_int_equal(status, 137);
	assert_string_equal(err.msg, "sh: killed by signal 9");
	spec.argv = SH("echo oops >&2");
	spec.err = &errors;
	assert_ok(proc_run(&spec, NULL, NULL));
	assert_string_equal(buf_cstr(&errors), "oops\n");
	assert_int_equal(open_fds(), before);
}

/* Both streams are read, so a flood on either cannot stop the program; a buffer keeps to its maximum. */
static void
test_flood(void **state)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 20);
	AUTO_FINI(buf) struct buf small = BUF_INIT(1000);
	struct err err = ERR_INIT;
	int status;

	assert_fails(run(SH("head -c 500000 /dev/zero | tr '\\0' e >&2; head -c 500000 /dev/zero; echo end "
			    ">&2; exit 1"),
			 &out, &status, &err),
	    E_SYS);
	assert_int_equal(out.len, 500000);
	assert_non_null(strstr(err.msg, "eeeeend"));
	assert_fails(run(SH("head -c 500000 /dev/zero"), &small, &status, &err), E_LIMIT);
	assert_int_equal(status, 0);
	assert_true(small.len <= 1000);
}

static void
test_no_exec(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	char path[128];

	assert_fails(run((const char *[]){ "pot-no-such-program", NULL }, NULL, NULL, &err), E_NOCMD);
	assert_string_equal(err.msg, "pot-no-such-program: command not found");
	snprintf(path, sizeof(path), "%s/file", s->path);
	assert_fails(run((const char *[]){ path, NULL }, NULL, NULL, &err), E_NOCMD);
	put(s->fd, "file", "#!/no/such/shell\n");
	assert_fails(run((const char *[]){ path, NULL }, NULL, NULL, &err), E_NOEXEC);
	assert_sys(fchmodat(s->fd, "file", 0755, 0));
	assert_fails(run((const char *[]){ path, NULL }, NULL, NULL, &err), E_NOEXEC);
	assert_non_null(strstr(err.msg, "interpreter"));
	put(s->fd, "file", "garbage");
	assert_fails(run((const char *[]){ path, NULL }, NULL, NULL, &err), E_NOEXEC);
	assert_fails(run((const char *[]){ s->path, NULL }, NULL, NULL, &err), E_NOEXEC);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
test_surroundings(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 16);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int leak = open("/etc/passwd", O_RDONLY), in;

	setenv("SECRET", "x", 1);
	signal(SIGPIPE, SIG_IGN);
	spec.out = &out;
	/* The signals of grep: the shell's own mask changes while it waits. */
	spec.argv = SH("pwd; env | sort | cut -d= -f1 | tr '\\n' ' '; echo $(ls /proc/self/fd); grep -E "
		       "'Sig(Blk|Ign)' /proc/self/status | cut -f2 | tr '\\n' ' '; read x || echo eof");
	assert_ok(proc_run(&spec, NULL, &err));
	assert_memory_equal(buf_cstr(&out), "/\nHOME LANG PATH PWD ", 20);
	if (strstr(buf_cstr(&out), "0 1 2 3\n0000000000000000 000000000000") == NULL)
		fail_msg("descriptors and signals: %s", buf_cstr(&out));
	assert_non_null(strstr(buf_cstr(&out), "0 eof"));
	assert_null(strstr(buf_cstr(&out), "SECRET"));
	signal(SIGPIPE, SIG_DFL);
	/* Given: environment, directory, stdin, one more descriptor. */
	buf_reset(&out);
	put(s->fd, "in", "line\n");
	in = openat(s->fd, "in", O_RDONLY | O_CLOEXEC);
	spec.fd_in = in;
	spec.cwd = s->path;
	spec.envp = (const char *[]){ "A=b c", NULL };
	spec.pass_fd = fcntl(leak, F_DUPFD_CLOEXEC, 77);
	spec.argv =
	    SH("pwd; echo \"$A\"; read x; echo $x; echo $(ls /proc/self/fd); set -- $(cat /proc/$$/stat); "
	       "test $5 = $$ && echo own group");
	assert_ok(proc_run(&spec, NULL, &err));
	assert_memory_equal(buf_cstr(&out), s->path, strlen(s->path));
	assert_non_null(strstr(buf_cstr(&out), "\nb c\nline\n0 1 2 3 77\nown group\n"));
	close(spec.pass_fd);
	spec.pass_fd = -1;
	spec.cwd = "/no/such/place";
	assert_fails(proc_run(&spec, NULL, &err), E_NOENT);
	assert_string_equal(err.msg, "sh: directory /no/such/place: No such file or directory");
	close(leak);
	close(in);
	unsetenv("SECRET");
}

/* stdout to where stderr was and the other way round, by numbers that overlap. */
static void
test_fds_swapped(void **state)
{
	struct scratch *s = *state;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int a = openat(s->fd, "a", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), rc;
	int b = openat(s->fd, "b", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int keep1 = dup(1), keep2 = dup(2);

	dup2(a, 1);
	dup2(b, 2);
	spec.argv = SH("echo out; echo err >&2");
	spec.fd_out = 2;
	spec.fd_err = 1;
	rc = proc_run(&spec, NULL, &err);
	dup2(keep1, 1);
	dup2(keep2, 2);
	assert_ok(rc);
	assert_content(s->fd, "a", "err\n");
	assert_content(s->fd, "b", "out\n");
	close(a);
	close(b);
	close(keep1);
	close(keep2);
}

/* The pid in the file has ended: gone, or a zombie for whoever adopted it. Waits for the event. */
static void
assert_ended(int dirfd, const char *name)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64);
	struct err err = ERR_INIT;
	struct proc_id id;

	assert_ok(file_read(dirfd, name, &b, &err));
	if (proc_id_get(atoi(buf_cstr(&b)), &id, &err) == 0)
		assert_ok(proc_id_wait(&id, 20000, &err));
}

static void
test_timeout(void **state)
{
	struct scratch *s = *state;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	spec.cwd = s->path;
	spec.timeout_ms = 300;
	spec.argv = SH("trap '' TERM; sleep 1000 & echo $! > child; wait");
	assert_fails(proc_run(&spec, &status, &err), E_TIMEOUT);
	assert_string_equal(err.msg, "sh: not finished after 300 ms");
	assert_int_equal(status, 137);
	assert_ended(s->fd, "child");
	spec.timeout_ms = 60000;
	spec.argv = SH("true");
	assert_ok(proc_run(&spec, &status, &err));
}

/* A descendant that keeps the pipe open does not keep us. */
static void
test_daemon(void **state)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(1000);
	struct err err = ERR_INIT;

	assert_ok(run(SH("echo a; sleep 1000 & echo $!"), &out, NULL, &err));
	assert_memory_equal(buf_cstr(&out), "a\n", 2);
	assert_sys(kill(atoi(buf_cstr(&out) + 2), SIGKILL));
}

static volatile bool cancelled;

static void
on_alarm(int sig)
{
	(void)sig;
	cancelled = true;
}

static void
test_cancel(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, was;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;

	assert_sys(sigaction(SIGUSR1, &sa, &was));
	spec.cancel = &cancelled;
	/* The program itself sends the signal: it arrives while we wait. */
	spec.argv = SH("kill -USR1 $PPID; sleep 1000");
	assert_fails(proc_run(&spec, NULL, &err), E_INTR);
	/* And before: nothing runs on. */
	spec.argv = SH("sleep 1000");
	assert_fails(proc_run(&spec, NULL, &err), E_INTR);
	assert_sys(sigaction(SIGUSR1, &was, NULL));
}

/* Own namespaces: a mount stays inside, an escaped descendant dies with the first process. */
static void
test_own_ns(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(buf) struct buf out = BUF_INIT(1 << 16);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int status;

	spec.own_ns = true;
	spec.cwd = s->path;
	spec.out = &out;
	spec.argv =
	    SH("mkdir m; mount -t tmpfs tmpfs m && touch m/inside; setsid sh -c 'sleep 1000' & echo $$; "
	       "readlink /proc/self/ns/pid; echo $(ls /proc/self/fd); exit 5");
	assert_fails(proc_run(&spec, &status, &err), E_SYS);
	assert_int_equal(status, 5);
	assert_memory_equal(buf_cstr(&out), "2\npid:[", 7);
	assert_non_null(strstr(buf_cstr(&out), "0 1 2 3\n"));
	assert_false(is_there(s->fd, "m/inside"));
	spec.argv = SH("setsid sleep 1000 & setsid sleep 1000 & sleep 1000");
	spec.timeout_ms = 300;
	assert_fails(proc_run(&spec, &status, &err), E_TIMEOUT);
	spec.argv = (const char *[]){ "pot-no-such-program", NULL };
	assert_fails(proc_run(&spec, &status, &err), E_NOCMD);
}

/* In a namespace with shared mounts, as most systems have them: 0, or what went wrong. */
static int
unmount_under_own_ns(const char *dir)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	int go[2], ready[2], status = 1;
	pid_t program;
	char c;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0 || chdir(dir) < 0 || mkdir("m", 0700) < 0 ||
	    mount("pot-test-outer", "m", "tmpfs", 0, NULL) < 0)
		return 100;
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return 101;
	spec.own_ns = true;
	spec.fd_in = go[0];
	spec.fd_out = ready[1];
	spec.argv = SH("grep -q pot-test-outer /proc/self/mountinfo || exit 102; echo; read x; "
		       "! grep -q pot-test-outer /proc/self/mountinfo");
	if (proc_start(&spec, &program, NULL) < 0)
		return 103;
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1 && (umount2("m", 0) < 0 || write(go[1], "\n", 1) != 1))
		return 104;
	return proc_finish(program, "sh", &status, NULL) < 0 ? status : 0;
}

/* What is unmounted outside is not kept in use by what runs in namespaces of its own. */
static void
test_own_ns_follows_unmounts(void **state)
{
	struct scratch *s = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(unmount_under_own_ns(s->path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* We are killed: what we run does not go on, in namespaces with all below it. */
static void
test_death_of_parent(void **state)
{
	static const char *const plain[] = { "sh", "-c", "echo; exec sleep 1000", NULL };
	static const char *const in_ns[] = { "sh", "-c", "setsid sh -c 'echo; sleep 1000' & sleep 1000",
		NULL };

	for (int own_ns = 0; own_ns < 2; own_ns++) {
		struct err err = ERR_INIT;
		struct proc_id id;
		int ready[2];
		pid_t pid;
		char c;

		assert_sys(pipe(ready));
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct proc_spec spec = PROC_SPEC_INIT;

			spec.own_ns = own_ns;
			spec.fd_out = ready[1];
			spec.argv = own_ns ? in_ns : plain;
			close(ready[0]);
			_exit(proc_run(&spec, NULL, NULL) != 0);
		}
		close(ready[1]);
		assert_int_equal(read(ready[0], &c, 1), 1);
		assert_ok(proc_id_get(pid, &id, &err));
		assert_sys(kill(pid, SIGKILL));
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		/* End of file: nobody is left that could write. */
		assert_int_equal(poll(&(struct pollfd){ ready[0], POLLIN, 0 }, 1, 20000), 1);
		assert_int_equal(read(ready[0], &c, 1), 0);
		close(ready[0]);
	}
}

static void
test_start_finish(void **state)
{
	struct scratch *s = *state;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;
	int status, before = open_fds();
	pid_t pid;

	spec.cwd = s->path;
	spec.argv = SH("echo x > file; exit 7");
	assert_ok(proc_start(&spec, &pid, &err));
	assert_fails(proc_finish(pid, "sh", &status, &err), E_SYS);
	assert_int_equal(status, 7);
	assert_content(s->fd, "file", "x\n");
	spec.argv = (const char *[]){ "pot-no-such-program", NULL };
	assert_fails(proc_start(&spec, &pid, &err), E_NOCMD);
	assert_true(proc_finish(pid, "sh", &status, &err) < 0);
	assert_int_equal(open_fds(), before);
}

/* With 0, 1 and 2 closed in ourselves, nothing lands on the wrong number. */
static void
test_without_stdio(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct buf out = BUF_INIT(100);
		struct proc_spec spec = PROC_SPEC_INIT;

		close(0);
		close(1);
		close(2);
		spec.argv = SH("echo out; echo err >&2; exit 4");
		spec.out = &out;
		if (proc_run(&spec, &status, NULL) != -E_SYS || status != 4)
			_exit(1);
		_exit(strcmp(buf_cstr(&out), "out\n") == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_identity(void **state)
{
	struct err err = ERR_INIT;
	struct proc_id self, id, other;
	pid_t pid;

	assert_ok(proc_id_get(getpid(), &self, &err));
	assert_true(proc_id_alive(&self));
	assert_ok(proc_id_kill(&self, 0, &err));
	assert_fails(proc_id_wait(&self, 10, &err), E_TIMEOUT);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_ok(proc_id_get(pid, &id, &err));
	/* The same pid with another start is another process: it gets no signal and is not waited for. */
	other = id;
	other.start--;
	assert_false(proc_id_alive(&other));
	assert_fails(proc_id_kill(&other, SIGKILL, &err), E_NOENT);
	assert_ok(proc_id_wait(&other, -1, &err));
	assert_true(proc_id_alive(&id));
	assert_fails(proc_id_wait(&id, 0, &err), E_TIMEOUT);
	assert_ok(proc_id_kill(&id, SIGKILL, &err));
	assert_ok(proc_id_wait(&id, -1, &err));
	/* A zombie is dead. */
	assert_false(proc_id_alive(&id));
	assert_fails(proc_id_kill(&id, SIGKILL, &err), E_NOENT);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(proc_id_alive(&id));
	assert_ok(proc_id_wait(&id, -1, &err));
	assert_fails(proc_id_kill(&id, 0, &err), E_NOENT);
	assert_fails(proc_id_get(pid, &other, &err), E_NOENT);
	assert_false(proc_id_alive(&(struct proc_id){ 0, 0 }));
	assert_false(proc_id_alive(&(struct proc_id){ -1, 5 }));
	assert_fails(proc_id_kill(&(struct proc_id){ -1, 5 }, SIGKILL, &err), E_NOENT);
}

/* A program may call itself ") R 1 2 3 …" and is still told from others. */
static void
test_hostile_name(void **state)
{
	struct err err = ERR_INIT;
	struct proc_id id;
	int ready[2];
	pid_t pid;
	char c;

	assert_sys(pipe(ready));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open("/proc/self/comm", O_WRONLY);

		if (write(fd, ") Z 1 (x", 8) != 8 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	assert_ok(proc_id_get(pid, &id, &err));
	assert_true(proc_id_alive(&id));
	assert_ok(proc_id_kill(&id, SIGKILL, &err));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_output_and_status),
		scratch_test(test_flood),
		scratch_test(test_no_exec),
		scratch_test(test_surroundings),
		scratch_test(test_fds_swapped),
		scratch_test(test_timeout),
		scratch_test(test_daemon),
		scratch_test(test_cancel),
		scratch_test(test_own_ns),
		scratch_test(test_own_ns_follows_unmounts),
		scratch_test(test_death_of_parent),
		scratch_test(test_start_finish),
		scratch_test(test_without_stdio),
		scratch_test(test_identity),
		scratch_test(test_hostile_name),
	};

	unsetenv("TERM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
