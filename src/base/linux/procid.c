/*
 * Identities of processes on Linux.  A pidfd names a process for ever, but
 * only from the moment it is opened: that the pid still belonged to the
 * process meant is checked by its start time after opening.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/await.h"
#include "base/linux/pidfd.h"
#include "base/proc.h"
#include "base/spawn.h"
#include "base/text.h"

#define LOOK_MS 16 /* the longest that an end is not seen without pidfds */

/* State letter and start time of a process (proc(5), fields 3 and 22 of stat); -1 with errno. */
static int
read_stat(pid_t pid, char *state, uint64_t *start)
{
	AUTO(fd) int fd = -1;
	char path[32], text[1024];
	unsigned long long ticks;
	ssize_t n;
	char *s;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do {
		n = read(fd, text, sizeof(text) - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	text[n] = '\0';
	/* The name in parentheses is the program's choice and may hold anything, ')' too. */
	s = strrchr(text, ')');
	if (s == NULL ||
	    sscanf(s + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		state, &ticks) != 2) {
		errno = EIO;
		return -1;
	}
	*start = ticks;
	return 0;
}

static bool
is_gone(int why)
{
	return why == ENOENT || why == ESRCH;
}

static bool
is_dead(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

int
proc_id_get(pid_t pid, struct proc_id *id, struct err *e)
{
	uint64_t start;
	char state;

	if (read_stat(pid, &state, &start) < 0) {
		if (is_gone(errno))
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

	return id->pid > 0 && read_stat(id->pid, &state, &start) == 0 && start == id->start &&
	    !is_dead(state);
}

/* A pidfd of exactly this process; -1 with errno, ESRCH when it is gone or a zombie. */
static int
open_process(const struct proc_id *id)
{
	AUTO(fd) int fd = -1;
	uint64_t start;
	char state;

	if (id->pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	fd = pidfd_of(id->pid);
	if (fd < 0 && errno == EINVAL) /* the number now belongs to a thread */
		errno = ESRCH;
	if (fd < 0)
		return -1;
	if (read_stat(id->pid, &state, &start) < 0) {
		if (is_gone(errno))
			errno = ESRCH;
		return -1;
	}
	if (start != id->start || is_dead(state)) {
		errno = ESRCH;
		return -1;
	}
	return take_fd(fd);
}

/* Without pidfds nobody tells: looks, at first often. As await_fds. */
static int
look_for_end(const struct proc_id *id, int ms, const volatile bool *cancel, struct err *e)
{
	int64_t end = text_monotonic_ms() + ms;
	int step = 1, rc = 0;

	while (rc == 0 && proc_id_alive(id)) {
		if (ms >= 0 && text_monotonic_ms() >= end)
			return 0;
		rc = await_fds(NULL, 0, step, cancel, e);
		if (step < LOOK_MS)
			step *= 2;
	}
	return rc < 0 ? rc : 1;
}

static int
wait_gone(const struct proc_id *id, int ms, const volatile bool *cancel, struct err *e)
{
	AUTO(fd) int fd = open_process(id);
	struct pollfd p = { fd, POLLIN, 0 };
	int rc;

	if (fd < 0 && errno != ENOSYS)
		return errno == ESRCH ? 0 : err_sys(e, "process %d", (int)id->pid);
	rc = fd < 0 ? look_for_end(id, ms, cancel, e) : await_fds(&p, 1, ms, cancel, e);
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
	int fd = open_process(id);

	if (fd >= 0)
		return fd;
	if (errno == ESRCH)
		return err_set(e, E_NOENT, "process %d: gone", (int)id->pid);
	if (errno == ENOSYS)
		return err_set(e, E_NOTSUP, "this kernel has no pidfds to watch a process by");
	return err_sys(e, "process %d: watch", (int)id->pid);
}

int
proc_child_fd(pid_t pid)
{
	return spawn_exit_fd(pid);
}

int
proc_id_kill(const struct proc_id *id, int sig, struct err *e)
{
	AUTO(fd) int fd = -1;

	fd = open_process(id);
	if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0)
		return 0;
	/* Without pidfds the number may change hands between the look and the signal. */
	if (fd < 0 && errno == ENOSYS) {
		errno = ESRCH;
		if (proc_id_alive(id) && kill(id->pid, sig) == 0)
			return 0;
	}
	if (errno == ESRCH)
		return err_set(e, E_NOENT, "process %d: gone", (int)id->pid);
	return err_sys(e, "process %d: signal %d", (int)id->pid, sig);
}
