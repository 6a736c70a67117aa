/*
 * Running other programs: the parent's side.  Prepares everything for the
 * child (spawn.c), drains what it says, keeps the deadline, reaps it and
 * turns its end into an error.  Identities of processes are in the systems'
 * folders.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/proc.h"
#include "base/spawn.h"
#include "base/text.h"

#define TAIL_MAX 4096u /* of stderr, kept for the message */
#define LOOK_MS 10     /* between two looks for an end that nothing tells of */
#define WORDS_MAX 480u /* of it, what the message has room for */

#define PATHS "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"
#define PATH_ENV "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int
proc_die_with_parent(void)
{
	return spawn_die_with_parent();
}

static int
make_paths(const char *name, struct strv *paths, struct err *e)
{
	static const char *const dirs[] = { PATHS };

	if (strchr(name, '/') != NULL)
		strv_add(paths, name);
	for (size_t i = 0; paths->n < ARRAY_LEN(dirs) && strchr(name, '/') == NULL; i++)
		strv_fmt(paths, "%s/%s", dirs[i], name);
	return strv_check(paths, "search path", e);
}

static int
make_env(struct strv *env, struct err *e)
{
	const char *home = getenv("HOME"), *term = getenv("TERM");

	strv_add(env, PATH_ENV);
	strv_add(env, "LANG=C");
	strv_fmt(env, "HOME=%s", home != NULL ? home : "/");
	if (term != NULL)
		strv_fmt(env, "TERM=%s", term);
	return strv_check(env, "environment", e);
}

/* A descriptor for the child's 0..2, above them so that none overwrites another. Returned fd is owned. */
static int
source_fd(int given, int flags, struct err *e)
{
	int fd, high;

	if (given >= 0) {
		fd = fcntl(given, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_sys(e, "descriptor %d", given) : fd;
	}
	fd = open("/dev/null", flags | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "/dev/null");
	if (fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	fd_close(fd);
	return high < 0 ? err_sys(e, "/dev/null") : high;
}

/* A pipe with both ends above 2. */
static int
make_pipe(int ends[static 2], struct err *e)
{
	int low[2], rc = 0;

	ends[0] = ends[1] = -1;
	if (pipe2(low, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	for (int i = 0; i < 2; i++) {
		if (low[i] > 2) {
			ends[i] = low[i];
			continue;
		}
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 3);
		if (ends[i] < 0)
			rc = err_sys(e, "pipe");
		fd_close(low[i]);
	}
	if (rc < 0) {
		fd_close(take_fd(ends[0]));
		fd_close(take_fd(ends[1]));
	}
	return rc;
}

static int
exec_error(const char *name, const char *path, int why, struct err *e)
{
	int rc;

	switch (why) {
	case ENOENT:
	case ENOTDIR:
		/* The file is there but the kernel does not find what its first line or ELF header names. */
		if (strchr(name, '/') != NULL && access(path, F_OK) == 0)
			return err_set(e, E_NOEXEC, "%s: its interpreter does not exist", name);
		return err_set(e, E_NOCMD, "%s: command not found", name);
	case EACCES:
	case ENOEXEC:
	case EPERM:
	case ELOOP:
	case EISDIR:
	case ENAMETOOLONG:
		rc = err_sysno(e, why, "%s: cannot be executed", name);
		if (e != NULL)
			e->code = E_NOEXEC;
		return rc < 0 ? -E_NOEXEC : rc;
	default:
		return err_sysno(e, why, "%s: exec", name);
	}
}

static int
spawn_error(const struct spawn *sp, const struct spawn_failure *f, struct err *e)
{
	const char *name = sp->argv[0];

	switch (f->stage) {
	case SPAWN_EXEC:
		return exec_error(name, sp->paths[0], f->sys, e);
	case SPAWN_CWD:
		return err_sysno(e, f->sys, "%s: directory %s", name, sp->cwd);
	case SPAWN_NAMESPACE:
		return err_sysno(e, f->sys, "%s: own namespaces", name);
	case SPAWN_SETUP:
		break;
	}
	return err_sysno(e, f->sys, "%s: prepare to run", name);
}

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

/* All signals are blocked around it: a handler must not run in the child, which shares our memory. */
static int
start(struct spawn *sp, bool own_ns, pid_t *pid, struct err *e)
{
	AUTO(fd) int reader = -1;
	struct spawn_failure failure;
	sigset_t all, before;
	int report[2], rc;
	ssize_t n;

	rc = make_pipe(report, e);
	if (rc < 0)
		return rc;
	reader = report[0];
	sp->report = report[1];
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = own_ns ? spawn_in_namespaces(sp) : spawn_plain(sp);
	rc = *pid < 0 ? err_sys(e, "%s: new process", sp->argv[0]) : 0;
	fd_close(sp->report);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc < 0)
		return rc;
	do {
		n = read(reader, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(failure))
		return 0;
	(void)wait_for(*pid);
	return spawn_error(sp, &failure, e);
}

/* The write ends of what is captured are in fds; these are closed when the child has them. */
static int
start_spec(
    const struct proc_spec *spec, const int fds[static 3], bool dies_with_parent, pid_t *pid, struct err *e)
{
	AUTO_FINI(strv) struct strv paths = STRV_INIT(16);
	AUTO_FINI(strv) struct strv env = STRV_INIT(16);
	struct spawn sp = {
		.argv = (char *const *)(uintptr_t)spec->argv,
		.envp = (char *const *)(uintptr_t)spec->envp,
		.cwd = spec->cwd != NULL ? spec->cwd : "/",
		.fds = { fds[0], fds[1], fds[2] },
		.pass_fd = spec->pass_fd,
		.dies_with_parent = dies_with_parent,
	};
	int rc;

	rc = make_paths(spec->argv[0], &paths, e);
	if (rc == 0 && spec->envp == NULL)
		rc = make_env(&env, e);
	if (rc < 0)
		return rc;
	sp.paths = (const char *const *)paths.v;
	if (spec->envp == NULL)
		sp.envp = strv_argv(&env);
	return start(&sp, spec->own_ns, pid, e);
}

/* What a program said last, on one line: the end of its stderr. */
static const char *
last_words(struct buf *tail, struct buf *words)
{
	size_t end = tail->len, start = 0;
	const char *s = buf_cstr(tail);

	while (end > 0 && strchr(" \t\r\n", s[end - 1]) != NULL)
		end--;
	if (end > WORDS_MAX)
		start = end - WORDS_MAX;
	for (size_t i = start; i < end; i++) {
		if (s[i] == '\n')
			buf_str(words, " | ");
		else if (s[i] != '\r')
			buf_add(words, &s[i], 1);
	}
	return buf_cstr(words);
}

static int
end_error(int status, const char *name, struct buf *tail, int *code, struct err *e)
{
	AUTO_FINI(buf) struct buf words = BUF_INIT(TAIL_MAX);
	bool exited = WIFEXITED(status);
	int number = exited ? WEXITSTATUS(status) : WTERMSIG(status);
	const char *said;

	if (code != NULL)
		*code = exited ? number : 128 + number;
	if (exited && number == 0)
		return 0;
	said = tail == NULL ? "" : last_words(tail, &words);
	return err_set(e, E_SYS, "%s: %s %d%s%s", name, exited ? "exit status" : "killed by signal", number,
	    *said != '\0' ? ": " : "", said);
}

struct run {
	const struct proc_spec *spec;
	pid_t pid;
	int exit_fd, out, err; /* -1: not (or no longer) open */
	bool blind;            /* nothing tells of the end */
	struct buf tail;
	int64_t end;
};

static void
keep_tail(struct buf *tail, const char *data, size_t n)
{
	if (n > TAIL_MAX) {
		data += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	if (tail->len + n > TAIL_MAX) {
		size_t drop = tail->len + n - TAIL_MAX;

		memmove(tail->data, tail->data + drop, tail->len - drop);
		tail->len -= drop;
		tail->data[tail->len] = '\0';
	}
	buf_add(tail, data, n);
}

/* Reads what is there; what the buffers cannot hold is dropped, so that the child never waits for us. */
static void
drain(int *fd, struct buf *into, struct buf *tail)
{
	char chunk[16384];
	ssize_t n;

	if (*fd < 0)
		return;
	while ((n = read(*fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		if (into != NULL)
			buf_add(into, chunk, (size_t)n);
		if (tail != NULL)
			keep_tail(tail, chunk, (size_t)n);
		if ((size_t)n < sizeof(chunk))
			return;
	}
	if (n == 0 || errno != EAGAIN)
		fd_close(take_fd(*fd));
}

static int
stop_reason(const struct run *r, const struct timespec **left, struct timespec *space)
{
	int64_t ms;

	*left = NULL;
	if (r->spec->cancel != NULL && *r->spec->cancel)
		return E_INTR;
	if (r->spec->timeout_ms < 0 && r->exit_fd >= 0)
		return 0;
	ms = r->spec->timeout_ms < 0 ? LOOK_MS : r->end - text_monotonic_ms();
	if (ms <= 0)
		return E_TIMEOUT;
	if (r->exit_fd < 0 && ms > LOOK_MS)
		ms = LOOK_MS;
	*space = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	*left = space;
	return 0;
}

/* Where no fd tells of the child's end, a look does; it stays to be reaped. */
static bool
has_ended(const struct run *r)
{
	siginfo_t info = { 0 };

	return r->exit_fd < 0 && waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == r->pid;
}

/*
 * Until the child has ended, or a reason to end it (returned). Signals are
 * blocked but within ppoll, so that *cancel cannot change unseen before it.
 */
static int
attend(struct run *r)
{
	const struct timespec *left;
	struct timespec space;
	sigset_t all, before;
	int why = 0, rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while ((why = stop_reason(r, &left, &space)) == 0 && !has_ended(r)) {
		struct pollfd p[] = { { r->exit_fd, POLLIN, 0 }, { r->out, POLLIN, 0 },
			{ r->err, POLLIN, 0 } };

		rc = ppoll(p, ARRAY_LEN(p), left, &before);
		if (rc < 0 && errno != EINTR) {
			why = E_SYS;
			break;
		}
		if (rc <= 0)
			continue;
		if (p[1].revents != 0)
			drain(&r->out, r->spec->out, NULL);
		if (p[2].revents != 0)
			drain(&r->err, r->spec->err, &r->tail);
		if (p[0].revents != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return why;
}

/* What is still in the pipes at the end; a descendant may keep them open and full for ever. */
static void
drain_rest(struct run *r)
{
	for (int i = 0; i < 64 && r->out >= 0; i++)
		drain(&r->out, r->spec->out, NULL);
	for (int i = 0; i < 64 && r->err >= 0; i++)
		drain(&r->err, r->spec->err, &r->tail);
}

static int
finish(struct run *r, int why, int *code, struct err *e)
{
	const char *name = r->spec->argv[0];
	int sys = errno, status, rc;

	if (why != 0)
		kill(-r->pid, SIGKILL);
	if (why != 0)
		kill(r->pid, SIGKILL); /* had it not yet become a group */
	status = wait_for(r->pid);
	if (status < 0)
		return err_sys(e, "%s: wait", name);
	drain_rest(r);
	rc = end_error(status, name, &r->tail, code, why == 0 ? e : NULL);
	if (why == E_TIMEOUT)
		return err_set(e, E_TIMEOUT, "%s: not finished after %d ms", name, r->spec->timeout_ms);
	if (why == E_INTR)
		return err_set(e, E_INTR, "%s: interrupted", name);
	if (why != 0)
		return err_sysno(e, sys, "%s: wait", name);
	if (rc == 0 && r->spec->out != NULL && r->spec->fd_out < 0)
		rc = buf_check(r->spec->out, name, e);
	return rc;
}

/* The write end for the child, the read end for us when it is captured. */
static int
capture(int given, bool wanted, int *reader, struct err *e)
{
	int ends[2], rc;

	if (given >= 0 || !wanted)
		return source_fd(given, O_WRONLY, e);
	rc = make_pipe(ends, e);
	if (rc < 0)
		return rc;
	*reader = ends[0];
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) {
		rc = err_sys(e, "pipe");
		fd_close(ends[1]);
		return rc;
	}
	return ends[1];
}

static int
start_captured(struct run *r, struct err *e)
{
	const struct proc_spec *spec = r->spec;
	AUTO(fd) int in = -1;
	AUTO(fd) int out = -1;
	AUTO(fd) int err = -1;
	int rc;

	in = source_fd(spec->fd_in, O_RDONLY, e);
	if (in < 0)
		return take_fd(in);
	out = capture(spec->fd_out, spec->out != NULL, &r->out, e);
	if (out < 0)
		return take_fd(out);
	err = capture(spec->fd_err, true, &r->err, e);
	if (err < 0)
		return take_fd(err);
	rc = start_spec(spec, (int[]){ in, out, err }, true, &r->pid, e);
	if (rc < 0)
		return rc;
	r->exit_fd = spawn_exit_fd(r->pid);
	r->blind = r->exit_fd < 0 && errno == ENOSYS;
	return 0;
}

int
proc_run(const struct proc_spec *spec, int *status, struct err *e)
{
	struct run r = { spec, 0, -1, -1, -1, false, BUF_INIT(TAIL_MAX),
		text_monotonic_ms() + spec->timeout_ms };
	int rc, why;

	rc = start_captured(&r, e);
	if (rc == 0) {
		why = r.exit_fd < 0 && !r.blind ? E_SYS : attend(&r);
		rc = finish(&r, why, status, e);
	}
	fd_close(r.exit_fd);
	fd_close(r.out);
	fd_close(r.err);
	buf_fini(&r.tail);
	return rc;
}

int
proc_start(const struct proc_spec *spec, pid_t *pid, struct err *e)
{
	const int given[3] = { spec->fd_in, spec->fd_out, spec->fd_err };
	int fds[3] = { -1, -1, -1 }, rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++) {
		fds[i] = source_fd(given[i], i == 0 ? O_RDONLY : O_WRONLY, e);
		if (fds[i] < 0)
			rc = take_fd(fds[i]);
	}
	if (rc == 0)
		rc = start_spec(spec, fds, false, pid, e);
	for (int i = 0; i < 3; i++)
		fd_close(fds[i]);
	return rc;
}

int
proc_finish(pid_t pid, const char *argv0, int *code, struct err *e)
{
	int status = wait_for(pid);

	if (status < 0)
		return err_sys(e, "%s: wait", argv0);
	return end_error(status, argv0, NULL, code, e);
}
