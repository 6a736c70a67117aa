/*
 * Starting programs on Linux: dying with the parent, waiting by pidfd, and
 * namespaces.  A program in a pid namespace runs below a first process of
 * ours: as PID 1 itself it would not get signals' default actions and would
 * have to reap strangers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/linux/pidfd.h"
#include "base/linux/rawsys.h"
#include "base/proc.h"
#include "base/spawn.h"

IN_CHILD int
spawn_die_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Not by sigaction(3), which refuses the two that libc keeps for itself: they too may have come ignored. */
IN_CHILD void
spawn_default_signals(void)
{
	static const unsigned long dfl[4] = { 0, 0, 0, 0 };

	for (int sig = 1; sig < NSIG; sig++)
		raw(__NR_rt_sigaction, sig, dfl, 0, 8);
}

int
spawn_exit_fd(pid_t pid)
{
	return pidfd_of(pid);
}

IN_CHILD static void
set_up_namespace(const struct spawn *sp)
{
	if (setpgid(0, 0) < 0 || spawn_close_others(sp) < 0)
		spawn_fail(sp, SPAWN_SETUP);
	if (spawn_die_with_parent() < 0)
		spawn_fail(sp, SPAWN_SETUP);
	if (poll(&(struct pollfd){ sp->report, 0, 0 }, 1, 0) > 0)
		_exit(127);
	/*
	 * What is mounted in here stays in here and goes with the last process. What is unmounted
	 * outside goes in here as well: a copy would keep the file system in use.
	 */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		spawn_fail(sp, SPAWN_NAMESPACE);
	/* A /proc of the new pids; a container around us may refuse it, and most programs do not care. */
	(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* Reaps everybody until the program ends, and ends as it did: then the kernel kills what is left. */
IN_CHILD static void
be_first(const struct spawn *sp)
{
	int status;
	pid_t pid, program;

	program = spawn_plain(sp);
	if (program < 0)
		spawn_fail(sp, SPAWN_NAMESPACE);
	close(sp->report);
	do {
		pid = waitpid(-1, &status, 0);
	} while (pid != program && (pid > 0 || errno == EINTR));
	if (pid != program)
		_exit(127);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* A real fork: the first process lives as long as the program does. */
IN_CHILD pid_t
spawn_in_namespaces(const struct spawn *sp)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		set_up_namespace(sp);
		be_first(sp);
	}
	return pid;
}

void
pipe_widen(int fd, size_t bytes)
{
	(void)fcntl(fd, F_SETPIPE_SZ, (int)bytes);
}
