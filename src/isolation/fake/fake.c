/*
 * Isolation without any: plain children of the real pot-shim, for tests of the
 * engine without root.  Processes, gate, log, exit slot and clean-up are as in
 * the real thing; namespaces, mounts, groups and users are not made, so
 * commands run on the host with the caller's identity.  Never in a program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolation/isolation.h"
#include "model/shimproto.h"

#define END_MS 10000
#define FD_HIGH 32
#define ARGS_MAX (1u << 20)
#define SHIM_PID_ROOM "4294967295" /* stands in the arguments until the pid is known */

enum { GATE, STATUS, RESULT, SYNC, OUT, ERR, CLIENT, NPIPES };

struct fake {
	const struct iso_spec *spec;
	int p[NPIPES][2];
	struct strv shim, init;
	pid_t pids[2]; /* A, B: sent through the sync pipe */
};

static void
fake_fini(struct fake *f)
{
	for (int i = 0; i < NPIPES; i++) {
		fd_close(f->p[i][0]);
		fd_close(f->p[i][1]);
	}
	strv_fini(&f->shim);
	strv_fini(&f->init);
}
DEFINE_AUTO_FINI(fake, struct fake)

/* src[i] becomes i; everything above n closes at exec. */
static void
place(const int *src, int n)
{
	int high[16];

	for (int i = 0; i < n; i++)
		high[i] = src[i] < 0 ? -1 : fcntl(src[i], F_DUPFD_CLOEXEC, FD_HIGH);
	for (int i = 0; i < n; i++) {
		if (high[i] < 0 || dup2(high[i], i) < 0)
			close(i);
	}
	for (int fd = n; fd < FD_HIGH; fd++)
		(void)!fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In a child: the program, or its errno into the sync pipe. */
static _Noreturn void
become(struct fake *f, const int *fds, int n, char *const *argv, char *const *envp)
{
	int sync = fcntl(f->p[SYNC][1], F_DUPFD_CLOEXEC, 64), sys;

	place(fds, n);
	execve(f->spec->shim_path, argv, envp);
	sys = errno;
	(void)!write(sync, &sys, sizeof(sys));
	_exit(127);
}

static _Noreturn void
become_init(struct fake *f, int null)
{
	const struct iso_spec *s = f->spec;
	bool own = s->io == ISO_IO_FDS;
	int fds[6] = { own ? s->fds[0] : null, own ? s->fds[1] : f->p[OUT][1],
		own                       ? s->fds[2]
		    : s->io == ISO_IO_LOG ? f->p[OUT][1]
					  : f->p[ERR][1],
		f->p[GATE][0], f->p[STATUS][1], f->p[RESULT][1] };

	setsid();
	become(f, fds, 6, strv_argv(&f->init), s->envp);
}

static _Noreturn void
become_shim(struct fake *f, int null, pid_t init)
{
	const struct iso_spec *s = f->spec;
	char *const none[] = { NULL };
	int fds[10] = { null, null, null, s->state_fd, s->io == ISO_IO_FDS ? -1 : s->log_dirfd, f->p[OUT][0],
		f->p[ERR][0], f->p[CLIENT][1], -1, f->p[RESULT][0] };
	char *const *argv = strv_argv(&f->shim);

	snprintf(argv[2], sizeof(SHIM_PID_ROOM), "%d", (int)init);
	become(f, fds, 10, argv, none);
}

/* A0: makes A and ends. A: makes B. Their pids go through the sync pipe. */
static _Noreturn void
intermediate(struct fake *f)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pids[2];
	sigset_t all;

	/* Blocked until the shim is ready for them, and none ignored: an end must not be missed. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (null < 0 || (pids[0] = fork()) != 0)
		_exit(null < 0 || pids[0] < 0);
	setsid();
	pids[0] = getpid();
	pids[1] = fork();
	if (pids[1] == 0)
		become_init(f, null);
	if (pids[1] < 0 || write(f->p[SYNC][1], pids, sizeof(pids)) != (ssize_t)sizeof(pids))
		_exit(127);
	become_shim(f, null, pids[1]);
}

static int
fake_prepare(struct fake *f, struct err *e)
{
	const struct iso_spec *s = f->spec;

	for (int i = 0; i < NPIPES; i++) {
		bool want = (i != OUT || s->io != ISO_IO_FDS) && (i < ERR || s->io == ISO_IO_ATTACH);
		int r = !want     ? 0
		    : i == CLIENT ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->p[i])
				  : pipe2(f->p[i], O_CLOEXEC);

		if (r != 0)
			return err_sys(e, "cannot make a pipe");
		if (want && (i == RESULT || i == OUT || i == ERR))
			(void)!fcntl(f->p[i][0], F_SETFL, O_NONBLOCK);
	}
	strv_fmt(&f->shim, "pot-shim %s", s->name);
	strv_add(&f->shim, "run");
	strv_add(&f->shim, SHIM_PID_ROOM);
	strv_fmt(&f->shim, "%llu", (unsigned long long)s->run_id);
	strv_fmt(&f->shim, "%llu", (unsigned long long)(s->log_max < 16384 ? 16384 : s->log_max));
	strv_fmt(&f->shim, "%u", s->log_files);
	strv_add(&f->shim, "--");
	for (char *const *a = s->cleanup_argv; *a != NULL; a++)
		strv_add(&f->shim, *a);
	strv_fmt(&f->init, "pot-init %s", s->name);
	strv_add(&f->init, "init");
	strv_fmt(&f->init, "-%s%s", s->persistent ? "p" : "", s->direct_init ? "d" : "");
	for (int i = 0; i < 3; i++)
		strv_add(&f->init, "-"); /* identity stays */
	strv_add(&f->init, "/");
	strv_add(&f->init, "-"); /* and so do its rights */
	strv_add(&f->init, "--");
	for (char *const *a = s->argv; *a != NULL; a++)
		strv_add(&f->init, *a);
	int r = strv_check(&f->shim, "arguments of the shim", e);

	return r < 0 ? r : strv_check(&f->init, "command line", e);
}

/* pids, then an errno if an exec failed, then the end of file. */
static int
fake_sync(struct fake *f, struct iso_child *out, struct err *e)
{
	pid_t pids[2];
	int sys = 0;
	ssize_t n;

	fd_close(take_fd(f->p[SYNC][1]));
	n = read(f->p[SYNC][0], pids, sizeof(pids));
	/* B may fail before A has written: then the errno comes first. */
	if (n == (ssize_t)sizeof(int))
		return err_sysno(e, *(int *)(void *)pids, "cannot execute the shim");
	if (n != (ssize_t)sizeof(pids))
		return err_set(e, E_SYS, "cannot make processes");
	if (read(f->p[SYNC][0], &sys, sizeof(sys)) == (ssize_t)sizeof(sys))
		return err_sysno(e, sys, "cannot execute the shim");
	if (proc_id_get(pids[0], &out->shim, e) < 0 || proc_id_get(pids[1], &out->init, e) < 0)
		return -E_STATE;
	return 0;
}

int
iso_spawn(const struct iso_spec *spec, struct iso_child *out, struct err *e)
{
	AUTO_FINI(fake)
	struct fake f = { .spec = spec, .shim = STRV_INIT(ARGS_MAX), .init = STRV_INIT(ARGS_MAX) };
	int r;
	pid_t pid;

	*out = (struct iso_child)ISO_CHILD_INIT;
	for (int i = 0; i < NPIPES; i++)
		f.p[i][0] = f.p[i][1] = -1;
	r = fake_prepare(&f, e);
	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		intermediate(&f);
	if (pid < 0)
		return err_sys(e, "cannot make a process");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	r = fake_sync(&f, out, e);
	if (r == 0 && spec->sync_state && fdatasync(spec->state_fd) != 0) {
		r = err_sys(e, "cannot write the state file to the disk");
		iso_abort(out);
	}
	if (r < 0)
		return r;
	out->gate_fd = take_fd(f.p[GATE][1]);
	out->status_fd = take_fd(f.p[STATUS][0]);
	out->client_fd = take_fd(f.p[CLIENT][0]);
	return 0;
}

static int
fake_failure(const struct shim_failure *f, struct err *e)
{
	if (f->step == SHIM_STEP_EXEC && (f->sys == ENOENT || f->sys == ENOTDIR))
		return err_set(e, E_NOCMD, "\"%.200s\": no such file in the pot", f->what);
	if (f->step == SHIM_STEP_EXEC)
		return err_set(
		    e, E_NOEXEC, "\"%.200s\" cannot be executed in the pot: %s", f->what, strerror(f->sys));
	return err_sysno(e, f->sys, "cannot set up \"%.200s\"", f->what);
}

int
iso_release(struct iso_child *c, struct err *e)
{
	struct shim_failure f = { .sys = ESRCH };
	bool direct = false;
	ssize_t n;

	(void)!write(c->gate_fd, "", 1);
	fd_close(take_fd(c->gate_fd));
	while ((n = read(c->status_fd, &f, sizeof(f))) == (ssize_t)sizeof(f) && f.step == SHIM_STEP_DIRECT)
		direct = true;
	fd_close(take_fd(c->status_fd));
	if (n == 0 && !direct)
		return err_set(e, E_STATE, "the pot was killed before its command was executed");
	if (n == 0 || f.sys == 0)
		return 0;
	(void)!proc_id_wait(&c->shim, END_MS, NULL);
	return fake_failure(&f, e);
}

void
iso_abort(struct iso_child *c)
{
	fd_close(take_fd(c->gate_fd));
	(void)!proc_id_wait(&c->init, END_MS, NULL);
	(void)!proc_id_wait(&c->shim, END_MS, NULL);
	iso_child_fini(c);
}

void
iso_child_fini(struct iso_child *c)
{
	fd_close(take_fd(c->gate_fd));
	fd_close(take_fd(c->status_fd));
	fd_close(take_fd(c->client_fd));
}

int
iso_signal(const struct iso_ref *ref, int sig, struct err *e)
{
	int r = proc_id_kill(&ref->init, sig, e);

	return r == -E_NOENT ? err_set(e, E_STATE, "the pot has ended") : r;
}

int
iso_kill_all(const struct iso_ref *ref, struct err *e)
{
	int r = proc_id_kill(&ref->init, SIGKILL, e);

	return r < 0 && r != -E_NOENT ? r : proc_id_wait(&ref->init, END_MS, e);
}

int
iso_freeze(const struct iso_ref *ref, bool frozen, struct err *e)
{
	return iso_signal(ref, frozen ? SIGSTOP : SIGCONT, e);
}

static _Noreturn void
exec_child(const struct iso_exec_spec *s, int report)
{
	int sys;

	report = fcntl(report, F_DUPFD_CLOEXEC, FD_HIGH);
	place(s->fds, 3);
	execvpe(s->argv[0], s->argv, s->envp);
	sys = errno;
	(void)!write(report, &sys, sizeof(sys));
	_exit(127);
}

int
iso_exec(const struct iso_ref *ref, const struct iso_exec_spec *s, pid_t *pid, int *pty, struct err *e)
{
	struct shim_failure f = { .step = SHIM_STEP_EXEC };
	int p[2];

	if (s->tty)
		return err_set(e, E_NOTSUP, "the fake isolation has no terminals");
	if (!proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	if (pty != NULL)
		*pty = -1;
	*pid = fork();
	if (*pid == 0)
		exec_child(s, p[1]);
	fd_close(p[1]);
	(void)!read(p[0], &f.sys, sizeof(f.sys));
	fd_close(p[0]);
	if (f.sys == 0)
		return *pid < 0 ? err_sys(e, "cannot make a process") : 0;
	waitpid(*pid, NULL, 0);
	snprintf(f.what, sizeof(f.what), "%s", s->argv[0]);
	return fake_failure(&f, e);
}

static int
open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "cannot open \"%s\"", path);
}

int
iso_root(const struct iso_ref *ref, struct err *e)
{
	if (!proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	return open_dir("/", e);
}

int
iso_tasks(const struct iso_ref *ref, iso_task_fn *fn, void *arg, struct err *e)
{
	struct iso_task t = { .pid = 1, .host_pid = ref->init.pid, .state = 'S', .comm = "pot-init" };

	if (!proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	return fn(arg, &t);
}

int
iso_bind(int dirfd, const char *path, bool ro, bool recursive, struct err *e)
{
	int fd = *path == '\0' ? fcntl(dirfd, F_DUPFD_CLOEXEC, 3)
			       : openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 ? fd : err_sys(e, "cannot open \"%s\" for a bind mount", path);
}

int
iso_view(const char *path, struct err *e)
{
	return open_dir(path, e);
}

int
iso_system_command(int root_fd, struct strv *argv, bool *direct, bool *stays, struct err *e)
{
	AUTO(fd) int fd = argv->n == 0 ? openat(root_fd, "sbin/init", O_PATH | O_CLOEXEC) : -1;

	*stays = false;
	if (fd >= 0)
		strv_add(argv, "/sbin/init");
	*direct = argv->n > 0 && strcmp(argv->v[0], "/sbin/init") == 0;
	return strv_check(argv, "the command", e);
}

int
iso_tmpfs(uint64_t size, mode_t mode, uint32_t owner, struct err *e)
{
	return open_dir("/", e);
}

int
iso_file(const struct iso_file *f, char named[static ISO_FILE_NAME], struct err *e)
{
	(void)f;
	named[0] = '\0';
	return open_dir("/", e);
}

void
iso_file_done(const char *named, bool mounted)
{
	(void)named;
	(void)mounted;
}

int
iso_mount_into(const struct iso_ref *ref, const struct iso_mount *m, struct err *e)
{
	return proc_id_alive(&ref->init) ? 0 : err_set(e, E_STATE, "the pot has ended");
}

int
iso_unmount_from(const struct iso_ref *ref, const char *target, struct err *e)
{
	return proc_id_alive(&ref->init) ? 0 : err_set(e, E_STATE, "the pot has ended");
}

int
iso_cgroup_path(const char *parent, const char *prefix, const char *name, unsigned controllers,
    char out[static ISO_CGROUP_MAX], struct err *e)
{
	int n = snprintf(out, ISO_CGROUP_MAX, "fake:/%s/%s", prefix, name);

	return n < ISO_CGROUP_MAX ? 0
				  : err_set(e, E_LIMIT, "the path of control group \"%s\" is too long", name);
}

int
iso_cgroup_make(const char *cgroup, struct err *e)
{
	return 0;
}

int
iso_cgroup_remove(const char *cgroup, struct err *e)
{
	return 0;
}

int
iso_cgroup_extend(const struct iso_ref *ref, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *e)
{
	snprintf(out, ISO_CGROUP_MAX, "%s", ref->cgroup);
	return 0;
}

int
iso_cgroup_join(const char *cgroup, struct err *e)
{
	return 0;
}

int
iso_cgroup_follow(const char *cgroup, struct err *e)
{
	return 0;
}

unsigned
iso_limits_controllers(const struct iso_limits *l)
{
	return 0;
}

int
iso_limits_check(const struct iso_limits *l, struct err *e)
{
	return 0;
}

int
iso_limits_apply(
    const char *cgroup, const struct iso_limits *have, const struct iso_limits *want, struct err *e)
{
	return 0;
}

int
iso_limits_used(const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *e)
{
	*memory = *pids = 0;
	return 0;
}

int
iso_oom_kills(const char *cgroup, uint64_t *kills, struct err *e)
{
	*kills = 0;
	return 0;
}

void
iso_host(struct iso_host *h)
{
	*h = (struct iso_host){ 1u << 30, 1 << 15, 1 << 20 };
}

int
iso_block_device(const char *path, unsigned *major, unsigned *minor, struct err *e)
{
	*major = 8;
	*minor = 0;
	return 0;
}

int
iso_cpus_allowed(unsigned *cpus, size_t max, size_t *n, struct err *e)
{
	for (*n = 0; *n < max && *n < 4; (*n)++)
		cpus[*n] = (unsigned)*n;
	return 0;
}

int
iso_restrict(int mount_fd, bool ro, bool noexec, struct err *e)
{
	return 0;
}

int
iso_userns_of(const struct iso_ref *ref, int *fd, uint32_t *first, uint32_t *ids, struct err *e)
{
	*fd = -1;
	*first = *ids = 0;
	return 0;
}

const bool iso_has_userns = true;

int
iso_userns(uint32_t first, uint32_t count, struct err *e)
{
	return err_set(e, E_NOTSUP, "no user namespaces here");
}

int
iso_ahead(uint32_t first, uint32_t ids, bool net, struct iso_ahead **out, int *userns_fd, struct err *e)
{
	*out = NULL;
	*userns_fd = -1;
	return ids == 0 ? 0 : err_set(e, E_NOTSUP, "no user namespaces here");
}

bool
iso_ahead_net(struct iso_ahead *a, int fds[static 2])
{
	return false;
}

void
iso_ahead_free(struct iso_ahead *a)
{
}

int
iso_idmap(int mount_fd, int userns_fd, bool recursive, struct err *e)
{
	return err_set(e, E_NOTSUP, "no user namespaces here");
}

static int
probe_none(struct buf *why)
{
	return 1;
}

const bool iso_has_capabilities = true;

void
iso_words(bool own_net, bool userns, struct buf *out)
{
	buf_str(out, "none");
}

int
iso_facts(const struct iso_ref *ref, struct strv *v, struct err *e)
{
	return 0;
}

const struct iso_feature iso_features[] = { { "processes", "everything", "none", true, probe_none } };
const size_t iso_nfeatures = 1;

struct iso_meter {
	unsigned looks; /* so that one look differs from the next */
};

int
iso_meter_open(struct iso_meter **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : err_nomem(e);
}

void
iso_meter_close(struct iso_meter *m)
{
	free(m);
}

int
iso_stats(struct iso_meter *m, const struct iso_ref *ref, struct iso_stats *s, struct err *e)
{
	if (!proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	memset(s, 0xff, sizeof(*s));
	s->cpu_ns = 1000000u * ++m->looks;
	s->memory = 1 << 20;
	s->memory_limit = 1 << 30;
	s->pids = 1;
	return 0;
}
