/*
 * The child's side of starting a program: between vfork and exec.  The parent
 * is stopped meanwhile and all signals are blocked, so nothing here may touch
 * memory that the parent needs unchanged, allocate, or return.
 */
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/spawn.h"

IN_CHILD void
spawn_fail(const struct spawn *sp, enum spawn_stage stage)
{
	struct spawn_failure failure = { stage, errno };
	ssize_t n;

	do {
		n = write(sp->report, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	_exit(127);
}

IN_CHILD static int
close_from_to(unsigned int from, unsigned int to)
{
	struct rlimit limit;

	if (from > to || close_range(from, to, 0) == 0)
		return 0;
	if (errno != ENOSYS || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	if (to > limit.rlim_max)
		to = (unsigned int)limit.rlim_max;
	for (; from <= to; from++)
		close((int)from);
	return 0;
}

/* Closes 3 and above, but for the (few) fds of keep, which may hold -1. */
IN_CHILD static int
close_all_but(const int *keep, int n)
{
	int from = 3;

	for (;;) {
		int next = INT_MAX;

		for (int i = 0; i < n; i++) {
			if (keep[i] >= from && keep[i] < next)
				next = keep[i];
		}
		if (next == INT_MAX)
			return close_from_to((unsigned int)from, UINT_MAX);
		if (close_from_to((unsigned int)from, (unsigned int)next - 1) < 0)
			return -1;
		from = next + 1;
	}
}

IN_CHILD int
spawn_close_others(const struct spawn *sp)
{
	const int keep[] = { sp->report, sp->pass_fd, sp->fds[0], sp->fds[1], sp->fds[2] };

	return close_all_but(keep, 5);
}

IN_CHILD static int
set_fds(const struct spawn *sp)
{
	const int keep[] = { sp->report, sp->pass_fd };

	for (int i = 0; i < 3; i++) {
		if (dup2(sp->fds[i], i) < 0)
			return -1;
	}
	if (sp->pass_fd >= 0 && fcntl(sp->pass_fd, F_SETFD, 0) < 0)
		return -1;
	return close_all_but(keep, 2);
}

/* Handlers must be gone before the mask is lifted: they would run on the parent's memory. */
IN_CHILD static int
set_signals(void)
{
	sigset_t none;

	spawn_default_signals();
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The parent may have died before we asked to die with it; then nobody reads the report. */
IN_CHILD static bool
is_orphan(const struct spawn *sp)
{
	struct pollfd p = { sp->report, 0, 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

IN_CHILD static void
exec_first(const struct spawn *sp)
{
	int why = ENOENT;

	for (const char *const *path = sp->paths; *path != NULL; path++) {
		execve(*path, sp->argv, sp->envp);
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return;
		if (errno == EACCES)
			why = EACCES;
	}
	errno = why;
}

IN_CHILD static void
run(const struct spawn *sp)
{
	if (setpgid(0, 0) < 0 && errno != EPERM)
		spawn_fail(sp, SPAWN_SETUP);
	if (set_fds(sp) < 0)
		spawn_fail(sp, SPAWN_SETUP);
	if (sp->dies_with_parent && (spawn_die_with_parent() < 0 || is_orphan(sp)))
		spawn_fail(sp, SPAWN_SETUP);
	if (chdir(sp->cwd) < 0)
		spawn_fail(sp, SPAWN_CWD);
	if (set_signals() < 0)
		spawn_fail(sp, SPAWN_SETUP);
	exec_first(sp);
	spawn_fail(sp, SPAWN_EXEC);
}

IN_CHILD pid_t
spawn_plain(const struct spawn *sp)
{
	pid_t pid = vfork();

	if (pid == 0)
		run(sp);
	return pid;
}
