/* Proves: exec, mounts, freezing and top work on a running pot, and hostile roots gain nothing. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pot.h"

static struct iso_ref
idle(struct pot *p)
{
	pot_script(p, "echo ready; exec sleep 1000");
	pot_start(p);
	pot_until(p, "ready");
	return pot_ref(p);
}

/* Runs sh -c script by iso_exec; its output in text; gives the wait status. */
static int
exec_script(struct pot *p, const struct iso_ref *ref, struct iso_exec_spec *s, const char *script,
    char text[static 4096])
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	char *envp[] = { (char *)"PATH=/bin", NULL };
	size_t got = 0;
	int out[2], status, pty;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	s->argv = argv;
	s->envp = envp;
	s->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->fds[1] = s->fds[2] = out[1];
	assert_done(iso_exec(ref, s, &pid, &pty, &p->e), p);
	close(out[1]);
	close(s->fds[0]);
	if (s->tty)
		dup3(pty, out[0], O_CLOEXEC);
	while ((n = read(out[0], text + got, 4095 - got)) > 0)
		got += (size_t)n;
	text[got] = '\0';
	close(out[0]);
	fd_close(pty);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
exec_inside(void **state)
{
	struct pot *p = *state;
	struct iso_exec_spec s = { .workdir = "/dev" };
	gid_t groups[] = { 7 };
	char text[4096];

	pot_group(p);
	struct iso_ref ref = idle(p);
	assert_int_equal(exec_script(p, &ref, &s,
			     "hostname; pwd; readlink /proc/1/exe >/dev/null; cat /proc/1/comm "
			     "/proc/self/cgroup; echo $PPID;"
			     "for f in /proc/self/fd/*; do echo fd ${f##*/}; done; exit 5",
			     text),
	    5 << 8);
	assert_int_equal(strncmp(text, "web.pot\n/dev\npot-init\n", 21), 0);
	/* Its own group is the root of what it sees: no path of the host. */
	assert_null(strstr(text, "pot-unit-test"));
	assert_non_null(strstr(text, "0::/\n"));
	assert_null(strstr(text, "fd 4"));
	s.user = (struct iso_user){ 1000, 1001, groups, 1 };
	assert_int_equal(exec_script(p, &ref, &s,
			     "id -u; id -g; id -G; grep -E '^(SigBlk|SigIgn)' /proc/self/status; true", text),
	    0);
	assert_string_equal(
	    text, "1000\n1001\n1001 7\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_int_equal(exec_script(p, &ref, &s, "kill -KILL $$", text), SIGKILL);
}

static void
exec_terminal(void **state)
{
	struct pot *p = *state;
	struct iso_exec_spec s = { .tty = true, .rows = 33, .cols = 99, .user = { 1000, 1000, NULL, 0 } };
	char text[4096];
	struct iso_ref ref = idle(p);

	assert_int_equal(exec_script(p, &ref, &s,
			     "tty; stty size; stat -c '%u %g %a' $(tty); echo x > /dev/tty; exit 2", text),
	    2 << 8);
	assert_string_equal(text, "/dev/pts/0\r\n33 99\r\n1000 5 620\r\nx\r\n");
}

static void
exec_failures(void **state)
{
	struct pot *p = *state;
	char *argv[] = { (char *)"/bin/nothere", NULL }, *envp[] = { NULL };
	struct iso_exec_spec s = { .argv = argv, .envp = envp, .fds = { 0, 1, 2 } };
	struct iso_ref ref = idle(p);
	pid_t pid;
	int pty;

	assert_int_equal(iso_exec(&ref, &s, &pid, &pty, &p->e), -E_NOCMD);
	assert_non_null(strstr(p->e.msg, "/bin/nothere"));
	argv[0] = (char *)"/bin";
	assert_int_equal(iso_exec(&ref, &s, &pid, &pty, &p->e), -E_NOEXEC);
	argv[0] = (char *)"/bin/true";
	s.workdir = "/not/there";
	assert_int_equal(iso_exec(&ref, &s, &pid, &pty, &p->e), -E_NOENT);
	assert_non_null(strstr(p->e.msg, "\"/not/there\""));
	/* A directory of the host as stdin is no way out. */
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s.fds[0] = dir;
	s.workdir = "/proc/self/fd/0";
	assert_true(iso_exec(&ref, &s, &pid, &pty, &p->e) < 0);
	s.workdir = "/proc/self/fd/3";
	assert_true(iso_exec(&ref, &s, &pid, &pty, &p->e) < 0);
	close(dir);
	s.fds[0] = 0;
	s.workdir = NULL;
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(iso_exec(&ref, &s, &pid, &pty, &p->e), -E_STATE);
	assert_int_equal(iso_root(&ref, &p->e), -E_STATE);
	/* No child was left to us. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* PID 1 ends while commands are being executed: each either ran or was refused with E_STATE. */
static void
exec_into_dying(void **state)
{
	struct pot *p = *state;
	char *argv[] = { (char *)"/bin/true", NULL }, *envp[] = { NULL };
	struct iso_exec_spec s = { .argv = argv, .envp = envp, .fds = { 0, 1, 2 } };
	struct iso_ref ref;
	unsigned ran = 0;
	int status, pty, r;
	pid_t pid;

	pot_group(p);
	ref = idle(p);
	if (fork() == 0) {
		struct timespec ts = { 0, 20000000 };

		nanosleep(&ts, NULL); /* some have run by then; nothing depends on how many */
		kill(ref.init.pid, SIGKILL);
		_exit(0);
	}
	while ((r = iso_exec(&ref, &s, &pid, &pty, &p->e)) == 0) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(status == 0 || status == SIGKILL);
		ran++;
	}
	if (r != -E_STATE)
		fail_msg("%d %s", r, p->e.msg);
	while (wait(NULL) > 0)
		;
	print_message("%u ran\n", ran);
}

static void
frozen(void **state)
{
	struct pot *p = *state;
	struct iso_ref ref;
	struct iso_task t;
	char last[4096];

	(void)t;
	pot_group(p);
	pot_script(p, "i=0; while :; do echo $i; i=$((i+1)); done");
	pot_start(p);
	ref = pot_ref(p);
	pot_until(p, "3\n");
	assert_done(iso_freeze(&ref, true, &p->e), p);
	/* The kernel's word, not the clock's. */
	const char *path = strchr(p->cgroup, '/');
	snprintf(last, sizeof(last), "/sys/fs/cgroup%s%.*s/cgroup.events",
	    access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/unified" : "", (int)strcspn(path, " "), path);
	FILE *f = fopen(last, "re");
	assert_non_null(f);
	size_t n = fread(last, 1, sizeof(last) - 1, f);
	last[n] = '\0';
	fclose(f);
	assert_non_null(strstr(last, "frozen 1"));
	assert_done(iso_freeze(&ref, true, &p->e), p);
	assert_done(iso_freeze(&ref, false, &p->e), p);
	assert_done(iso_freeze(&ref, true, &p->e), p);
	/* Also a frozen pot can be ended. */
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(pot_wait(p), SIGKILL);
	struct iso_ref none = { ref.init, NULL };
	assert_int_equal(iso_freeze(&none, true, &p->e), -E_NOTSUP);
}

/* The same on the v1 freezer, where this machine has one: a frozen pot is thawed to be ended. */
static void
frozen_v1(void **state)
{
	struct pot *p = *state;
	struct iso_exec_spec s = { 0 };
	struct iso_ref ref;
	char text[4096];

	snprintf(p->cgroup, sizeof(p->cgroup), "freezer:/pot-unit-test/%s", strrchr(p->dir, '/') + 1);
	if (iso_cgroup_make(p->cgroup, &p->e) < 0) {
		print_message("skipped: %s\n", p->e.msg);
		p->cgroup[0] = '\0';
		skip();
	}
	p->spec.cgroup = p->cgroup;
	ref = idle(p);
	assert_int_equal(exec_script(p, &ref, &s, "grep freezer /proc/self/cgroup", text), 0);
	assert_non_null(strstr(text, "freezer:/\n"));
	assert_done(iso_freeze(&ref, true, &p->e), p);
	assert_done(iso_kill_all(&ref, &p->e), p);
	assert_int_equal(pot_wait(p), SIGKILL);
}

struct seen {
	unsigned n, sleeps, ones;
	uint64_t shell; /* its memory */
	struct iso_task t;
};

static int
see(void *arg, const struct iso_task *t)
{
	struct seen *s = arg;

	s->n++;
	s->ones += t->pid == 1 && strcmp(t->comm, "pot-init") == 0 && strcmp(t->args, "pot-init web") == 0 &&
	    t->ppid == 0;
	if (t->pid == 2)
		s->shell = t->rss;
	if (strcmp(t->args, "sleep 999") == 0) {
		s->sleeps++;
		s->t = *t;
	}
	return 0;
}

/*
 * How far the kernel's count of a process's memory may be behind: each CPU keeps up to a batch of pages
 * (percpu_counter_batch) of each of three kinds to itself. A small process may seem to have none.
 */
static uint64_t
memory_unseen(void)
{
	uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_CONF), batch = cpus > 16 ? 2 * cpus : 32;

	return 3 * cpus * batch * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
tasks(void **state)
{
	struct pot *p = *state;
	uint64_t unseen = memory_unseen();
	char script[128];

	snprintf(script, sizeof(script),
	    "x=$(head -c %llu /dev/zero | tr '\\0' x); sleep 999 & echo ready; wait",
	    (unsigned long long)unseen + (1 << 20));

	for (int group = 0; group < 2; group++) {
		struct seen s = { 0 };
		struct iso_ref ref;

		if (group)
			pot_group(p);
		p->spec.user = (struct iso_user){ 1000, 1000, NULL, 0 };
		pot_script(p, script);
		pot_start(p);
		ref = pot_ref(p);
		pot_until(p, "ready");
		/* The child may not have executed sleep when the shell has said ready. */
		do {
			memset(&s, 0, sizeof(s));
			assert_done(iso_tasks(&ref, see, &s, &p->e), p);
		} while (s.sleeps == 0);
		assert_int_equal(s.n, 3);
		assert_int_equal(s.ones, 1);
		assert_int_equal(s.t.ppid, 2);
		assert_int_equal(s.t.uid, 1000);
		assert_true(s.t.pid > 2 && s.t.host_pid > 2);
		assert_true(s.shell >= 1 << 20);
		assert_true(s.t.start_ns > (int64_t)1700000000 * 1000000000);
		assert_done(iso_kill_all(&ref, &p->e), p);
		assert_int_equal(iso_tasks(&ref, see, &s, &p->e), -E_STATE);
		assert_done(proc_id_wait(&p->child.shim, 10000, &p->e), p);
		assert_int_equal(unlinkat(p->log_fd, "log", 0), 0);
	}
}

static bool
host_has(struct pot *p, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/root/%s", p->dir, name);
	return access(path, F_OK) == 0;
}

static char *
host_mounts(void)
{
	static char text[1 << 20];
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	close(fd);
	return text;
}

static void
mounts_given(void **state)
{
	struct pot *p = *state;
	struct iso_mount m[4];
	char dir[128], *before = strdup(host_mounts());

	snprintf(dir, sizeof(dir), "%s/log", p->dir);
	m[0] = (struct iso_mount){ iso_bind(AT_FDCWD, dir, true, false, &p->e), "/data/deep", true };
	m[1] =
	    (struct iso_mount){ iso_bind(AT_FDCWD, "/etc/passwd", false, false, &p->e), "/etc/file", false };
	m[2] = (struct iso_mount){ iso_tmpfs(1 << 20, 01777, 0, &p->e), "/tmp", true };
	m[3] = (struct iso_mount){ iso_tmpfs(0, 0700, 0, &p->e), "/tmp/inner", true };
	p->spec.mounts = m;
	p->spec.nmounts = 4;
	assert_int_equal(pot_run(p,
			     "touch /data/deep/x; grep -c root: /etc/file; stat -c %a /tmp /tmp/inner; dd "
			     "if=/dev/zero of=/tmp/f bs=4096 count=1000"),
	    1 << 8);
	const char *t = pot_text(p);
	assert_non_null(strstr(t, "Read-only file system"));
	assert_non_null(strstr(t, "\n1\n1777\n700\n"));
	assert_non_null(strstr(t, "No space left"));
	for (int i = 0; i < 4; i++)
		close(m[i].fd);
	assert_string_equal(before, host_mounts());
	free(before);
}

static void
mount_while_running(void **state)
{
	struct pot *p = *state;
	struct iso_exec_spec s = { 0 };
	char text[4096], *before = strdup(host_mounts());
	struct iso_ref ref = idle(p);
	struct iso_mount m = { iso_tmpfs(1 << 20, 0755, 0, &p->e), "/mnt/a", true };
	struct iso_mount file = { iso_bind(AT_FDCWD, "/etc/passwd", true, false, &p->e), "/mnt/file", false };

	assert_done(iso_mount_into(&ref, &m, &p->e), p);
	assert_done(iso_mount_into(&ref, &file, &p->e), p);
	close(m.fd);
	close(file.fd);
	assert_int_equal(
	    exec_script(p, &ref, &s, "stat -f -c %T /mnt/a; grep -c ^root: /mnt/file; ln -s /mnt/a /l", text),
	    0);
	assert_string_equal(text, "tmpfs\n1\n");
	assert_done(iso_unmount_from(&ref, "/l/../file", &p->e), p);
	assert_done(iso_unmount_from(&ref, "/l", &p->e), p);
	assert_int_equal(iso_unmount_from(&ref, "/mnt/a", &p->e), -E_NOENT);
	assert_int_equal(iso_unmount_from(&ref, "/not/there", &p->e), -E_NOENT);
	assert_true(iso_unmount_from(&ref, "/", &p->e) < 0);
	assert_int_equal(
	    exec_script(p, &ref, &s, "ls /mnt/a | wc -l; grep -c /mnt /proc/mounts", text), 1 << 8);
	assert_string_equal(text, "0\n0\n");
	assert_string_equal(before, host_mounts());
	free(before);
}

/* T19: whatever the root has in the place of a mount point, mounts land inside or the start fails. */
static void
hostile_roots(void **state)
{
	static const struct {
		const char *link, *to;
	} cases[] = { { "dev", "/../../../../tmp" }, { "dev", "nowhere" }, { "dev", "dev" },
		{ "dev", "/bin" }, { "proc", "/etc/proc" }, { "proc", "proc" }, { "sys", "../../.." },
		{ "sys", "/dev" }, { "data", "/proc/self/fd/3" }, { "data", "/proc/1/root" },
		{ "data", "/proc/self/cwd" }, { "data", "/dev/fd/0" }, { "data", "/" },
		{ "data", "../../../../../../etc/iso-test-canary" } };
	struct pot *p = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct iso_mount m = { iso_tmpfs(1 << 20, 0755, 0, &p->e), "/data", true };
		char *before = strdup(host_mounts()), cmd[128];

		root_link(p, cases[i].link, cases[i].to);
		p->spec.mounts = &m;
		p->spec.nmounts = 1;
		pot_script(p, "true");
		if (pot_spawn(p) == 0) {
			/* "dev" to "/bin" hides the command, which is the root's own affair. */
			if (iso_release(&p->child, &p->e) == 0)
				assert_done(proc_id_wait(&p->child.shim, 10000, &p->e), p);
		} else {
			assert_non_null(strchr(p->e.msg, '"'));
		}
		close(m.fd);
		assert_string_equal(before, host_mounts());
		assert_int_equal(access("/etc/iso-test-canary", F_OK), -1);
		free(before);
		snprintf(cmd, sizeof(cmd), "rm -rf %s/root/%s", p->dir, cases[i].link);
		assert_int_equal(system(cmd), 0);
	}
	assert_true(host_has(p, "bin/busybox"));
}

/* T17: a working directory outside the root, or none. */
static void
hostile_workdirs(void **state)
{
	static const char *const dirs[] = { "/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/fd/4",
		"/bin/busybox", "relative/x", "/loop" };
	struct pot *p = *state;

	root_link(p, "loop", "loop");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		pot_script(p, "true");
		p->spec.workdir = dirs[i];
		assert_true(pot_spawn(p) < 0);
		assert_non_null(strstr(p->e.msg, dirs[i]));
	}
	p->spec.workdir = "/../../../../..";
	assert_int_equal(pot_run(p, "ls /bin/busybox; pwd -P"), 0);
	assert_string_equal(pot_text(p), "/bin/busybox\n/\n");
}

/* T18: the shim as the host has it cannot be written from inside. */
static void
shim_is_protected(void **state)
{
	struct pot *p = *state;
	struct stat before, after;

	assert_int_equal(stat(p->spec.shim_path, &before), 0);
	p->spec.persistent = false;
	assert_int_equal(pot_run(p,
			     "echo x 2>&1 >> /proc/1/exe; (sleep 0; echo y > /proc/1/exe) 2>&1; cat "
			     "/proc/1/exe > /copy; exit 0"),
	    0);
	assert_non_null(strstr(pot_text(p), "can't create /proc/1/exe"));
	assert_int_equal(stat(p->spec.shim_path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	/* The program's own image as the command: harmless. */
	root_file(p, "bin/evil", "#!/proc/self/exe\n", 0755);
	p->argv[0] = (char *)"/bin/evil";
	p->argv[1] = NULL;
	assert_done(pot_spawn(p), p);
	if (iso_release(&p->child, &p->e) == 0)
		assert_done(proc_id_wait(&p->child.shim, 10000, &p->e), p);
	assert_int_equal(stat(p->spec.shim_path, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

#define T(f) cmocka_unit_test_setup_teardown(f, pot_setup, pot_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = { T(exec_inside), T(exec_terminal), T(exec_failures),
		T(exec_into_dying), T(frozen), T(frozen_v1), T(tasks), T(mounts_given),
		T(mount_while_running), T(hostile_roots), T(hostile_workdirs), T(shim_is_protected) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
