/*
 * How long a pot's processes take: iso_spawn, iso_release and the end, in a
 * loop inside one process, beside fork and exec of the same program.
 *
 *   iso_bench SHIM ROOT [ROUNDS] [COMMAND]     as root; ROOT holds COMMAND (/bin/true)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "base/auto.h"
#include "isolation/isolation.h"
#include "model/shimproto.h"

static void
report(const char *what, double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	printf("%-34s min %8.0f  median %8.0f us\n", what, v[0], v[n / 2]);
}

static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "iso_bench: %s: %s\n", what, e->msg);
	exit(1);
}

struct setup {
	const char *shim, *root, *command;
	int state, logdir;
	char cgroup[2][ISO_CGROUP_MAX]; /* the first group alone; with those of v1 that each start makes */
};

/* One pot; adds the times of its parts. */
static void
one(const struct setup *s, const char *group, double *spawn, double *release, double *all)
{
	struct err e = ERR_INIT;
	char *argv[] = { (char *)s->command, NULL }, *envp[] = { "PATH=/bin", NULL };
	char *cleanup[] = { "/bin/true", NULL };
	struct iso_child c;
	double t0 = now_us(), t1, t2;
	int root = iso_bind(AT_FDCWD, s->root, false, false, &e);
	struct iso_spec spec = { .name = "bench",
		.hostname = "bench",
		.root_fd = root,
		.argv = argv,
		.envp = envp,
		.own_net = false,
		.io = ISO_IO_LOG,
		.shim_path = s->shim,
		.run_id = 1,
		.state_fd = s->state,
		.log_dirfd = s->logdir,
		.log_max = 1 << 20,
		.log_files = 1,
		.cleanup_argv = cleanup };

	if (root < 0)
		die("bind", &e);
	if (group != NULL && iso_cgroup_make(group, &e) < 0)
		die("cgroup", &e);
	spec.cgroup = group;
	if (iso_spawn(&spec, &c, &e) < 0)
		die("spawn", &e);
	t1 = now_us();
	if (iso_release(&c, &e) < 0)
		die("release", &e);
	t2 = now_us();
	if (proc_id_wait(&c.init, 10000, &e) < 0)
		die("wait", &e);
	*all = now_us() - t0;
	*spawn = t1 - t0;
	*release = t2 - t1;
	close(root);
	if (proc_id_wait(&c.shim, 10000, &e) < 0)
		die("wait for the shim", &e);
	if (group != NULL && iso_cgroup_remove(group, &e) < 0)
		die("cgroup", &e);
	iso_child_fini(&c);
}

static double
fork_exec(const char *root, const char *command)
{
	double t0 = now_us();
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		char *argv[] = { (char *)command, NULL };

		execv(root, argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return now_us() - t0;
}

static double
run_program(char *const *argv)
{
	double t0 = now_us();
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return now_us() - t0;
}

/* iso_exec beside nsenter(1) into the same pot. */
static void
bench_exec(const struct setup *s, size_t n)
{
	struct err e = ERR_INIT;
	char *sleeper[] = { "/bin/sleep", "1000", NULL }, *envp[] = { "PATH=/bin", NULL };
	char *argv[] = { (char *)s->command, NULL }, *cleanup[] = { "/bin/true", NULL }, pid[16];
	char *nsenter[] = { "nsenter", "-a", "-t", pid, (char *)s->command, NULL };
	struct iso_exec_spec x = { .argv = argv, .envp = envp, .fds = { 0, 1, 2 } };
	int root = iso_bind(AT_FDCWD, s->root, false, false, &e), pty, status;
	struct iso_spec spec = { .name = "bench",
		.hostname = "bench",
		.root_fd = root,
		.argv = sleeper,
		.envp = envp,
		.io = ISO_IO_LOG,
		.shim_path = s->shim,
		.run_id = 1,
		.state_fd = s->state,
		.log_dirfd = s->logdir,
		.log_max = 1 << 20,
		.log_files = 1,
		.cleanup_argv = cleanup,
		.own_net = true };
	double *ours = calloc(n, sizeof(double)), *theirs = calloc(n, sizeof(double));
	struct iso_child c;
	pid_t child;

	if (root < 0 || iso_spawn(&spec, &c, &e) < 0 || iso_release(&c, &e) < 0)
		die("pot for exec", &e);
	snprintf(pid, sizeof(pid), "%d", (int)c.init.pid);
	struct iso_ref ref = { c.init, NULL };
	for (size_t i = 0; i < n; i++) {
		double t0 = now_us();

		if (iso_exec(&ref, &x, &child, &pty, &e) < 0)
			die("exec", &e);
		waitpid(child, &status, 0);
		ours[i] = now_us() - t0;
		theirs[i] = run_program(nsenter);
	}
	report("iso_exec + wait", ours, n);
	report("nsenter -a", theirs, n);
	if (iso_kill_all(&ref, &e) < 0)
		die("kill", &e);
	iso_child_fini(&c);
	close(root);
	free(ours);
	free(theirs);
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	size_t n = argc > 3 ? (size_t)atoi(argv[3]) : 200;
	struct setup s = { .command = argc > 4 ? argv[4] : "/bin/true" };
	double *v[10];
	char tmp[] = "/tmp/iso-bench-XXXXXX", path[4096];

	if (argc < 3 || n == 0) {
		fprintf(stderr, "usage: iso_bench SHIM ROOT [ROUNDS] [COMMAND]\n");
		return 2;
	}
	s.shim = argv[1];
	s.root = argv[2];
	if (mkdtemp(tmp) == NULL || (s.logdir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    (s.state = openat(s.logdir, "state", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0 ||
	    ftruncate(s.state, STATE_FILE_SIZE) != 0) {
		perror("iso_bench");
		return 1;
	}
	if (iso_cgroup_path(NULL, "pot-bench", "bench", 0, s.cgroup[0], &e) < 0 ||
	    iso_cgroup_path(NULL, "pot-bench", "bench", ISO_CG_ALWAYS, s.cgroup[1], &e) < 0)
		die("cgroup", &e);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i] = calloc(n, sizeof(double));
	snprintf(path, sizeof(path), "%s%s", s.root, s.command);
	for (size_t i = 0; i < n; i++) {
		v[0][i] = fork_exec(path, s.command);
		one(&s, NULL, &v[1][i], &v[2][i], &v[3][i]);
		one(&s, s.cgroup[0], &v[4][i], &v[5][i], &v[6][i]);
		one(&s, s.cgroup[1], &v[7][i], &v[8][i], &v[9][i]);
	}
	report("vfork + exec + wait", v[0], n);
	report("no group: spawn", v[1], n);
	report("no group: release", v[2], n);
	report("no group: all, to PID 1's end", v[3], n);
	report("first group: spawn", v[4], n);
	report("first group: release", v[5], n);
	report("first group: all, to PID 1's end", v[6], n);
	report("all groups: spawn", v[7], n);
	report("all groups: release", v[8], n);
	report("all groups: all, to PID 1's end", v[9], n);
	bench_exec(&s, n);
	unlinkat(s.logdir, "state", 0);
	rmdir(tmp);
	return 0;
}
