/*
 * The first process of a pot: into the jail, to the gate, then the command.
 * From the moment in which it is in the jail until it has executed, nobody in
 * there can trace it, and it holds nothing of the host but what it reports to.
 */
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/ttycom.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/freebsd/freebsd.h"

#define GROUPS_MAX 1024
#define STATUS 3 /* where the reports go once all else is closed */
#define RESULT 4
#define GATE 5

static void
tell(const struct command *c, uint32_t kind, int status)
{
	struct init_result r = { kind, status };

	(void)c;
	(void)!write(RESULT, &r, sizeof(r));
}

static void
report(int fd, int sys, uint32_t step, const char *what)
{
	struct shim_failure f = { .sys = sys, .step = step };

	snprintf(f.what, sizeof(f.what), "%s", what);
	(void)!write(fd, &f, sizeof(f));
}

static _Noreturn void
fail(const struct command *c, int sys, uint32_t step, const char *what)
{
	tell(c, INIT_FAILED, 0);
	report(STATUS, sys, step, what);
	_exit(127);
}

static int
identity(const struct command *c)
{
	gid_t groups[GROUPS_MAX];
	int n = 0;

	/* The first group is the effective one until FreeBSD 14, an ordinary one from 15 on. */
	groups[n++] = c->gid;
	for (const char *s = c->groups; strcmp(s, "-") != 0 && *s != '\0'; s += *s == ',') {
		char *end;
		unsigned long g = strtoul(s, &end, 10);

		if (end == s || n == GROUPS_MAX)
			return EINVAL;
		groups[n++] = (gid_t)g;
		s = end;
	}
	if (setgroups(n, groups) != 0 || setresgid(c->gid, c->gid, c->gid) != 0 ||
	    setresuid(c->uid, c->uid, c->uid) != 0)
		return errno;
	return 0;
}

static void
default_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
become(const struct command *c)
{
	int on = PROC_TRACE_CTL_ENABLE, sys, dir;

	setsid();
	/* Where it was given a terminal, that is its own now. */
	(void)ioctl(0, TIOCSCTTY, 0);
	umask(022);
	/* As root first; a directory that only the user may enter as the user. */
	dir = chdir(c->workdir) == 0 ? 0 : errno;
	if (dir != 0 && dir != EACCES)
		fail(c, dir, SHIM_STEP_WORKDIR, c->workdir);
	if ((sys = identity(c)) != 0)
		fail(c, sys, SHIM_STEP_USER, "");
	if (dir != 0 && chdir(c->workdir) != 0)
		fail(c, errno, SHIM_STEP_WORKDIR, c->workdir);
	default_signals();
	fcntl(STATUS, F_SETFD, FD_CLOEXEC);
	fcntl(RESULT, F_SETFD, FD_CLOEXEC);
	execvp(c->argv[0], c->argv);
	sys = errno;
	(void)procctl(P_PID, 0, PROC_TRACE_CTL, &on);
	fail(c, sys, SHIM_STEP_EXEC, c->argv[0]);
}

/* ---- with INIT_FLAG_PERSISTENT: what stays, reaps and passes signals on */

static void
reap(const struct command *c, pid_t *main_pid)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == *main_pid) {
			*main_pid = 0;
			tell(c, INIT_ENDED, status);
		}
	}
}

static void
noted(int sig)
{
	(void)sig;
}

static _Noreturn void
stay(const struct command *c)
{
	struct sigaction sa = { .sa_handler = noted };
	sigset_t all;
	pid_t pid;

	/* Who looks at it from inside sees a name and nothing of the host. */
	setproctitle("-pot-init");
	sigfillset(&all);
	/* Those that are ignored by default would not even wait to be asked for. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL); /* refused for SIGKILL and SIGSTOP */
	(void)procctl(P_PID, 0, PROC_REAP_ACQUIRE, NULL);
	tell(c, INIT_EXECUTED, 0);
	pid = vfork();
	if (pid == 0)
		become(c);
	if (pid < 0)
		fail(c, errno, SHIM_STEP_EXEC, c->argv[0]);
	close(STATUS); /* the command has executed, or has said why not */
	closefrom(GATE);
	close(0);
	close(1);
	close(2);
	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(&all, &info);

		reap(c, &pid);
		if (sig <= 0 || sig == SIGCHLD)
			continue;
		if (pid > 0)
			(void)kill(pid, sig);
		else if (sig == SIGTERM)
			_exit(0);
	}
}

/* Only what is needed from here on, under numbers that the command will not see. */
static void
narrow(const struct command *c)
{
	int status = fcntl(FREEBSD_FD_STATUS, F_DUPFD_CLOEXEC, 64),
	    gate = fcntl(FREEBSD_FD_GATE, F_DUPFD_CLOEXEC, 64),
	    result = fcntl(c->result, F_DUPFD_CLOEXEC, 64), io[3];

	for (int i = 0; i < 3; i++)
		io[i] = fcntl(FREEBSD_FD_STDIN + i, F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < 3; i++)
		(void)dup2(io[i], i);
	(void)dup2(status, STATUS);
	(void)dup2(result, RESULT);
	(void)dup2(gate, GATE);
	closefrom(GATE + 1);
}

void
first_run(const struct command *c)
{
	int off = PROC_TRACE_CTL_DISABLE;
	char who[64], byte;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	snprintf(who, sizeof(who), "%d %d", (int)getppid(), (int)getpid());
	narrow(c);
	if (procctl(P_PID, 0, PROC_TRACE_CTL, &off) != 0 || jail_attach(c->jid) != 0)
		fail(c, errno, SHIM_STEP_JAIL, "");
	report(STATUS, 0, SHIM_STEP_READY, who);
	if (read(GATE, &byte, 1) != 1)
		_exit(0);
	close(GATE);
	report(STATUS, 0, SHIM_STEP_DIRECT, ""); /* executed, unless a second report says why not */
	if (c->persistent)
		stay(c);
	tell(c, INIT_EXECUTED, 0);
	become(c);
}
