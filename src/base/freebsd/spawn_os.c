/* Starting programs on FreeBSD: dying with the parent, and the end of a child by kqueue. */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/procctl.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/proc.h"
#include "base/spawn.h"

IN_CHILD int
spawn_die_with_parent(void)
{
	int sig = SIGKILL;

	return procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &sig);
}

IN_CHILD void
spawn_default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL); /* refused for SIGKILL and SIGSTOP */
}

int
spawn_exit_fd(pid_t pid)
{
	struct kevent ev;
	int kq;

	kq = kqueuex(KQUEUE_CLOEXEC);
	if (kq < 0)
		return -1;
	EV_SET(&ev, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
	/* ESRCH: it has ended already; a user event makes the descriptor readable at once. */
	if (kevent(kq, &ev, 1, NULL, 0, NULL) < 0) {
		if (errno != ESRCH)
			goto bad;
		EV_SET(&ev, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL);
		if (kevent(kq, &ev, 1, NULL, 0, NULL) < 0)
			goto bad;
		EV_SET(&ev, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
		if (kevent(kq, &ev, 1, NULL, 0, NULL) < 0)
			goto bad;
	}
	return kq;
bad:
	fd_close(kq);
	return -1;
}

pid_t
spawn_in_namespaces(const struct spawn *sp)
{
	return spawn_plain(sp);
}

/* The kernel grows a pipe by itself. */
void
pipe_widen(int fd, size_t bytes)
{
}
