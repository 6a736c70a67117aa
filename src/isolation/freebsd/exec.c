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

/* The jail of a pot that runs. */
static int
jail_of_ref(const struct iso_ref *ref, struct err *e)
{
	const char *name = jail_of(ref->cgroup);
	int jid = name == NULL ? -E_NOENT : jail_find(name, e);

	return jid == -E_NOENT ? err_set(e, E_STATE, "the pot has ended") : jid;
}

/* The name of its jail; "" is none. */
static const char *
name_of(const struct iso_ref *ref)
{
	const char *name = jail_of(ref->cgroup);

	return name != NULL ? name : "";
}

int
iso_root(const struct iso_ref *ref, struct err *e)
{
	return kern_freebsd.root_open(NULL, name_of(ref), e);
}

/* ---- exec */

extern char **environ;

struct exec {
	const struct iso_exec_spec *s;
	int jid;
	int report; /* struct shim_failure, and with a terminal its master in a message */
};

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
	return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_EOR) > 0;
}

/* ---- in the child: the steps of entry_walk */

static int
go_untraceable(void *arg)
{
	int off = PROC_TRACE_CTL_DISABLE;

	return procctl(P_PID, 0, PROC_TRACE_CTL, &off) == 0 ? 0 : errno;
}

static int
go_in(void *arg)
{
	const struct exec *x = arg;

	return jail_attach(x->jid) == 0 ? 0 : errno;
}

/* A terminal that belongs to the jail: its devfs shows it. Becomes 0, 1 and 2. */
static int
get_terminal(void *arg)
{
	const struct exec *x = arg;
	struct winsize ws = { .ws_row = x->s->rows, .ws_col = x->s->cols };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	const char *name;

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || (name = ptsname(master)) == NULL ||
	    (slave = open(name, O_RDWR | O_NOCTTY)) < 0)
		return errno;
	if (x->s->rows != 0 && x->s->cols != 0)
		(void)ioctl(master, TIOCSWINSZ, &ws);
	(void)fchown(slave, x->s->user.uid, (gid_t)-1);
	if (!send_fd(x->report, master))
		return errno;
	(void)ioctl(slave, TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(slave, i);
	return 0;
}

static const char *
workdir(const struct exec *x)
{
	return x->s->workdir != NULL ? x->s->workdir : "/";
}

static int
go_to_workdir(void *arg)
{
	return chdir(workdir(arg)) == 0 ? 0 : errno;
}

static int
become_user(void *arg)
{
	const struct exec *x = arg;
	const struct iso_user *u = &x->s->user;
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

static void
default_signals(void *arg)
{
	sigset_t none;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
execute(void *arg)
{
	const struct exec *x = arg;

	environ = (char **)(uintptr_t)x->s->envp; /* PATH too is the pot's */
	execvp(x->s->argv[0], x->s->argv);
	return errno;
}

/* Above all that becomes 0, 1, 2; the rest of the caller's stays outside: the kernel lets nobody in with a directory. */
static void
place(struct exec *x)
{
	int high[3];

	x->report = fcntl(x->report, F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < 3; i++)
		high[i] = x->s->tty ? -1 : fcntl(x->s->fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < 3 && !x->s->tty; i++)
		(void)dup2(high[i], i);
	(void)dup2(x->report, 3);
	x->report = 3;
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	closefrom(4);
}

static _Noreturn void
exec_child(struct exec *x)
{
	const struct entry entry = { .arg = x,
		.untraceable = go_untraceable,
		.attach = go_in,
		.terminal = x->s->tty ? get_terminal : NULL,
		.change_dir = go_to_workdir,
		.identity = become_user,
		.signals = default_signals,
		.execute = execute };
	struct shim_failure f = { .sys = 0 };

	place(x);
	setsid();
	f.step = entry_walk(&entry, &f.sys);
	snprintf(f.what, sizeof(f.what), "%s",
	    f.step == SHIM_STEP_EXEC          ? x->s->argv[0]
		: f.step == SHIM_STEP_WORKDIR ? workdir(x)
					      : "");
	(void)!write(x->report, &f, sizeof(f));
	_exit(127);
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
			rc = entry_failure(&f, e);
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

	return r == -E_NOENT ? err_set(e, E_STATE, "the pot has ended") : r;
}

int
iso_kill_all(const struct iso_ref *ref, struct err *e)
{
	return *name_of(ref) == '\0' ? 0 : verb_kill(&kern_freebsd, name_of(ref), e);
}

int
iso_freeze(const struct iso_ref *ref, bool frozen, struct err *e)
{
	return verb_freeze(&kern_freebsd, name_of(ref), frozen, e);
}

/* ---- mounts */

int
iso_mount_into(const struct iso_ref *ref, const struct iso_mount *m, struct err *e)
{
	struct mount_wish w;
	int rc = mount_wish_get(m->fd, &w, e);

	if (rc < 0)
		return rc;
	w.mount.target = m->target;
	w.mount.dir = m->dir;
	rc = verb_mount_in(&kern_freebsd, name_of(ref), &w.mount, e);
	fd_close(w.mount.from_fd);
	return rc;
}

int
iso_unmount_from(const struct iso_ref *ref, const char *target, struct err *e)
{
	return verb_mount_out(&kern_freebsd, name_of(ref), target, e);
}
