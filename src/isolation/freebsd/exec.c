/*
 * Being with a running pot: a command in it, its root, signals, its end,
 * pausing it, mounts into and out of it.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/ttycom.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/inroot.h"
#include "model/shimproto.h"

#define GROUPS_MAX 1024
#define FREEZE_ROUNDS 100

static int
ended(struct err *e)
{
	return err_set(e, E_STATE, "the pot has ended");
}

/* The jail of a pot that runs. */
static int
jail_of_ref(const struct iso_ref *ref, struct err *e)
{
	const char *name = jail_of(ref->cgroup);
	int jid = name == NULL ? -E_NOENT : jail_find(name, e);

	return jid == -E_NOENT ? ended(e) : jid;
}

int
iso_root(const struct iso_ref *ref, struct err *e)
{
	int jid = jail_of_ref(ref, e), rc, fd;
	char path[MAXPATHLEN];

	if (jid < 0)
		return jid;
	rc = jail_path(jid, path, sizeof(path), e);
	if (rc < 0)
		return rc;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open %s", path);
}

/* ---- exec */

extern char **environ;

struct exec {
	const struct iso_exec_spec *s;
	int jid;
	int report; /* struct shim_failure, and with a terminal its master in a message */
};

static _Noreturn void
fail(const struct exec *x, uint32_t step, int sys, const char *what)
{
	struct shim_failure f = { .sys = sys, .step = step };

	snprintf(f.what, sizeof(f.what), "%s", what);
	(void)!write(x->report, &f, sizeof(f));
	_exit(127);
}

static bool
send_fd(int socket, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} u = { .room = { 0 } };
	struct shim_failure ready = { .step = SHIM_STEP_READY };
	struct iovec iov = { &ready, sizeof(ready) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = sizeof(u.room)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, MSG_NOSIGNAL) > 0;
}

/* A terminal that belongs to the jail: its devfs shows it. Becomes 0, 1 and 2. */
static void
terminal(const struct exec *x)
{
	struct winsize ws = { .ws_row = x->s->rows, .ws_col = x->s->cols };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	const char *name;

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || (name = ptsname(master)) == NULL ||
	    (slave = open(name, O_RDWR | O_NOCTTY)) < 0)
		fail(x, SHIM_STEP_DIRECT, errno, "terminal");
	if (x->s->rows != 0 && x->s->cols != 0)
		(void)ioctl(master, TIOCSWINSZ, &ws);
	(void)fchown(slave, x->s->user.uid, (gid_t)-1);
	if (!send_fd(x->report, master))
		fail(x, SHIM_STEP_DIRECT, errno, "terminal");
	(void)ioctl(slave, TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(slave, i);
}

static int
identity(const struct iso_user *u)
{
	gid_t groups[GROUPS_MAX];
	int n = 0;

	groups[n++] = u->gid;
	for (size_t i = 0; i < u->ngroups && n < GROUPS_MAX; i++)
		groups[n++] = u->groups[i];
	if (setgroups(n, groups) != 0 || setresgid(u->gid, u->gid, u->gid) != 0 ||
	    setresuid(u->uid, u->uid, u->uid) != 0)
		return errno;
	return 0;
}

static _Noreturn void
exec_child(struct exec *x)
{
	const char *dir = x->s->workdir != NULL ? x->s->workdir : "/";
	int off = PROC_TRACE_CTL_DISABLE, cwd, sys, high[3];
	sigset_t none;

	/* Above all that becomes 0, 1, 2; the rest of the caller's stays outside. */
	x->report = fcntl(x->report, F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < 3; i++)
		high[i] = x->s->tty ? -1 : fcntl(x->s->fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < 3 && !x->s->tty; i++)
		(void)dup2(high[i], i);
	if (x->report != 3) {
		(void)dup2(x->report, 3);
		x->report = 3;
		(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	}
	closefrom(4);
	setsid();
	if (procctl(P_PID, 0, PROC_TRACE_CTL, &off) != 0 || jail_attach(x->jid) != 0)
		fail(x, SHIM_STEP_JAIL, errno, "");
	if (x->s->tty)
		terminal(x);
	cwd = chdir(dir) == 0 ? 0 : errno;
	if (cwd != 0 && cwd != EACCES)
		fail(x, SHIM_STEP_WORKDIR, cwd, dir);
	if ((sys = identity(&x->s->user)) != 0)
		fail(x, SHIM_STEP_USER, sys, "");
	if (cwd != 0 && chdir(dir) != 0)
		fail(x, SHIM_STEP_WORKDIR, errno, dir);
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	environ = (char **)(uintptr_t)x->s->envp; /* PATH too is the pot's */
	execvp(x->s->argv[0], x->s->argv);
	fail(x, SHIM_STEP_EXEC, errno, x->s->argv[0]);
}

static int
exec_failure(const struct shim_failure *f, struct err *e)
{
	if (f->step == SHIM_STEP_JAIL)
		return f->sys == EINVAL ? ended(e) : err_sysno(e, f->sys, "cannot enter the jail");
	if (f->step == SHIM_STEP_EXEC && (f->sys == ENOENT || f->sys == ENOTDIR))
		return err_set(e, E_NOCMD, "\"%.200s\": no such file in the pot", f->what);
	if (f->step == SHIM_STEP_EXEC)
		return err_set(
		    e, E_NOEXEC, "\"%.200s\" cannot be executed in the pot: %s", f->what, strerror(f->sys));
	if (f->step == SHIM_STEP_WORKDIR)
		return err_sysno(e, f->sys, "cannot change to the directory \"%.200s\" of the pot", f->what);
	if (f->step == SHIM_STEP_DIRECT)
		return err_sysno(e, f->sys, "cannot make a terminal in the pot");
	return err_sysno(e, f->sys, "cannot become the user of the command");
}

/* One report: 1 and perhaps a descriptor, 0 at the end, when the command was executed. */
static int
take_report(int socket, struct shim_failure *f, int *fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} u;
	struct iovec iov = { f, sizeof(*f) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.room, .msg_controllen = sizeof(u.room)
	};
	ssize_t n;

	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*f))
		return 0;
	f->what[sizeof(f->what) - 1] = '\0';
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 1;
}

int
iso_exec(const struct iso_ref *ref, const struct iso_exec_spec *s, pid_t *pid, int *pty, struct err *e)
{
	struct exec x = { .s = s, .jid = jail_of_ref(ref, e) };
	struct shim_failure f = { .sys = 0 };
	AUTO(fd) int master = -1;
	int p[2], rc = 0;

	*pid = 0;
	if (pty != NULL)
		*pty = -1;
	if (x.jid < 0)
		return x.jid;
	if (s->argv == NULL || s->argv[0] == NULL)
		return err_set(e, E_INVAL, "no command to execute");
	rc = rlimits_check(s->rlimits, s->nrlimits, e);
	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) != 0)
		return err_sys(e, "cannot make a pipe");
	x.report = p[1];
	*pid = fork();
	if (*pid == 0)
		exec_child(&x);
	fd_close(p[1]);
	if (*pid < 0)
		rc = err_sys(e, "cannot make a process");
	else
		(void)!rlimits_give(*pid, s->rlimits, s->nrlimits, NULL);
	while (rc == 0 && take_report(p[0], &f, &master))
		if (f.sys != 0)
			rc = exec_failure(&f, e);
	fd_close(p[0]);
	if (rc < 0) {
		if (*pid > 0)
			while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
				;
		*pid = 0;
		return rc;
	}
	if (pty != NULL)
		*pty = take_fd(master);
	return 0;
}

/* ---- signals */

int
iso_signal(const struct iso_ref *ref, int sig, struct err *e)
{
	int r = proc_id_kill(&ref->init, sig, e);

	return r == -E_NOENT ? ended(e) : r;
}

int
iso_kill_all(const struct iso_ref *ref, struct err *e)
{
	const char *name = jail_of(ref->cgroup);
	struct plan_record r;
	int rc;

	if (name == NULL)
		return 0;
	/* Only a jail that pot made. */
	rc = record_read(name, &r, e);
	return rc == -E_NOENT ? 0 : rc < 0 ? rc : jail_drop(name, e);
}

/* To all processes of the jail at once, and by none of their ids: those could be others' by now. */
static int
signal_inside(void *arg)
{
	return kill(-1, *(int *)arg) == 0 || errno == ESRCH ? 0 : errno;
}

static int
count_running(void *arg, const struct kinfo_proc *k)
{
	if (k->ki_stat != SSTOP && k->ki_stat != SZOMB)
		++*(unsigned *)arg;
	return 0;
}

int
iso_freeze(const struct iso_ref *ref, bool frozen, struct err *e)
{
	int jid = jail_of_ref(ref, e), sig = frozen ? SIGSTOP : SIGCONT, sys = 0, rc = 0;
	unsigned running = 1;

	if (jid < 0)
		return jid;
	/* A process that was being made while the others were stopped is there at the second look. */
	for (int i = 0; i < FREEZE_ROUNDS && running > 0 && rc == 0; i++) {
		rc = jail_inside(jid, signal_inside, &sig, &sys, e);
		if (rc == 0 && sys != 0)
			rc = err_sysno(e, sys, "cannot signal the processes of the pot");
		running = 0;
		if (rc == 0 && frozen)
			rc = procs_each(jid, count_running, &running, e);
	}
	/* What it was told while it was paused may have ended it, and us in there with it. */
	if (!frozen && rc == -E_STATE)
		return 0;
	if (rc == 0 && running > 0) {
		sig = SIGCONT;
		(void)!jail_inside(jid, signal_inside, &sig, &sys, NULL);
		return err_set(e, E_TIMEOUT, "the pot makes processes faster than they are stopped");
	}
	return rc;
}

/* ---- mounts */

int
iso_mount_into(const struct iso_ref *ref, const struct iso_mount *m, struct err *e)
{
	AUTO(fd) int root = iso_root(ref, e);
	struct mount_wish w;
	int rc;

	if (root < 0)
		return root;
	rc = mount_wish_get(m->fd, &w, e);
	if (rc < 0)
		return rc;
	w.mount.target = m->target;
	w.mount.dir = m->dir;
	rc = mount_make(root, NULL, &w.mount, e);
	fd_close(w.mount.from_fd);
	return rc;
}

int
iso_unmount_from(const struct iso_ref *ref, const char *target, struct err *e)
{
	AUTO(fd) int root = iso_root(ref, e), on = -1;
	char path[1024];
	int rc;

	if (root < 0)
		return root;
	on = inroot_open(root, target, O_PATH, 0, e);
	if (on < 0)
		return on;
	rc = fd_path(on, path, sizeof(path), e);
	fd_close(take_fd(on));
	return rc < 0 ? rc : mount_drop_one(path, e);
}
