/*
 * Identities of processes on FreeBSD: pid and start time from the kernel's
 * process table, the end from kqueue.  The filter is attached first and the
 * start time compared afterwards, so it watches the process meant or none.
 */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <errno.h>
#include <signal.h>

#include "base/await.h"
#include "base/proc.h"
#include "base/spawn.h"

static int
read_kinfo(pid_t pid, char *state, uint64_t *start)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, (int)pid };
	struct kinfo_proc kp;
	size_t len = sizeof(kp);

	if (sysctl(mib, ARRAY_LEN(mib), &kp, &len, NULL, 0) < 0)
		return -1;
	if (len < sizeof(kp) || kp.ki_pid != pid) {
		errno = ESRCH;
		return -1;
	}
	*state = kp.ki_stat;
	*start = (uint64_t)kp.ki_start.tv_sec * 1000000 + (uint64_t)kp.ki_start.tv_usec;
	return 0;
}

int
proc_id_get(pid_t pid, struct proc_id *id, struct err *e)
{
	uint64_t start;
	char state;

	if (read_kinfo(pid, &state, &start) < 0) {
		if (errno == ESRCH)
			return err_set(e, E_NOENT, "process %d: not there", (int)pid);
		return err_sys(e, "process %d", (int)pid);
	}
	*id = (struct proc_id){ (int32_t)pid, start };
	return 0;
}

bool
proc_id_alive(const struct proc_id *id)
{
	uint64_t start;
	char state;

	return id->pid > 0 && read_kinfo(id->pid, &state, &start) == 0 && start == id->start &&
	    state != SZOMB;
}

int
proc_child_fd(pid_t pid)
{
	return spawn_exit_fd(pid);
}

static int
wait_gone(const struct proc_id *id, int ms, const volatile bool *cancel, struct err *e)
{
	AUTO(fd) int kq = kqueuex(KQUEUE_CLOEXEC);
	struct pollfd p = { kq, POLLIN, 0 };
	struct kevent ev;
	int rc;

	if (kq < 0)
		return err_sys(e, "process %d: wait", (int)id->pid);
	EV_SET(&ev, id->pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
	if (kevent(kq, &ev, 1, NULL, 0, NULL) < 0)
		return errno == ESRCH ? 0 : err_sys(e, "process %d: wait", (int)id->pid);
	if (!proc_id_alive(id))
		return 0;
	rc = await_fds(&p, 1, ms, cancel, e);
	if (rc == 0)
		return err_set(e, E_TIMEOUT, "process %d: still there after %d ms", (int)id->pid, ms);
	return rc < 0 ? err_wrap(e, "process %d", (int)id->pid) : 0;
}

int
proc_id_wait(const struct proc_id *id, int ms, struct err *e)
{
	return wait_gone(id, ms, NULL, e);
}

int
proc_id_wait_or(const struct proc_id *id, const volatile bool *cancel, struct err *e)
{
	return wait_gone(id, -1, cancel, e);
}

int
proc_id_fd(const struct proc_id *id, struct err *e)
{
	AUTO(fd) int kq = proc_child_fd(id->pid);

	if (kq < 0)
		return err_sys(e, "process %d: watch", (int)id->pid);
	/* Compared when the filter is attached: it watches the process meant or none. */
	if (!proc_id_alive(id))
		return err_set(e, E_NOENT, "process %d: gone", (int)id->pid);
	return take_fd(kq);
}

int
proc_id_kill(const struct proc_id *id, int sig, struct err *e)
{
	/* No process descriptor exists for a process that is not a child; the check is as near as it can be. */
	if (!proc_id_alive(id))
		return err_set(e, E_NOENT, "process %d: gone", (int)id->pid);
	if (kill(id->pid, sig) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(e, E_NOENT, "process %d: gone", (int)id->pid);
	return err_sys(e, "process %d: signal %d", (int)id->pid, sig);
}
