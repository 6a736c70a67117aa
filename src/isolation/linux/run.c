/*
 * The caller's side of processes that share its memory: their stacks, the
 * signals that must not run handlers in them, and the errors that they report.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/linux/rawsys.h"
#include "isolation/linux/child.h"

void
child_block_signals(unsigned long *saved)
{
	const unsigned long all = ~0ul;

	/* libc would leave its own two signals open. */
	raw(__NR_rt_sigprocmask, SIG_SETMASK, &all, saved, sizeof(all));
}

void
child_restore_signals(const unsigned long *saved)
{
	raw(__NR_rt_sigprocmask, SIG_SETMASK, saved, 0, sizeof(*saved));
}

char *
child_stack_new(unsigned n)
{
	void *p = mmap(NULL, (size_t)n * CHILD_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
child_stack_free(char *p, unsigned n)
{
	if (p != NULL)
		munmap(p, (size_t)n * CHILD_STACK);
}

int
child_begin(int (*fn)(void *), void *arg, char *stack)
{
	struct clone_args a = {
		.flags = CLONE_VM,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = CHILD_STACK,
	};
	unsigned long saved;
	long pid;

	child_block_signals(&saved);
	pid = raw_clone3(&a, fn, arg);
	child_restore_signals(&saved);
	return (int)pid;
}

void
child_end(int pid)
{
	while (pid > 0 && raw(__NR_wait4, pid, 0, __WALL, 0) == -EINTR)
		;
}

int
child_run(int (*fn)(void *), void *arg, char *stack, int cgroup, int exit_signal)
{
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = (uint64_t)exit_signal,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = CHILD_STACK,
		.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
	};
	unsigned long saved;
	long pid;

	child_block_signals(&saved);
	pid = raw_clone3(&a, fn, arg);
	if (pid > 0)
		while (raw(__NR_wait4, pid, 0, __WALL, 0) == -EINTR)
			;
	child_restore_signals(&saved);
	return (int)pid;
}

static const char *
step_text(uint32_t step)
{
	static const char *const texts[STEP_COUNT] = { [STEP_NONE] = "cannot start the pot",
#define X(name, text) [STEP_##name] = text,
		ISO_STEPS(X)
#undef X
	};

	if (step == SHIM_STEP_WORKDIR)
		step = STEP_WORKDIR;
	else if (step == SHIM_STEP_USER)
		step = STEP_USER;
	else if (step == SHIM_STEP_CAPS)
		step = STEP_CAPS;
	else if (step == SHIM_STEP_FILTER)
		step = STEP_FILTER;
	return texts[step < STEP_COUNT ? step : STEP_NONE];
}

static int
exec_error(struct err *e, int sys, const char *what)
{
	int r;

	if (sys == ENOENT || sys == ENOTDIR) {
		r = err_set(e, E_NOCMD, "\"%s\": no such file in the pot", what);
		err_hint(e, "the interpreter of a script or program must be in the pot too");
	} else if (sys == EACCES) {
		r = err_set(e, E_NOEXEC, "\"%s\" cannot be executed in the pot: %s", what, strerror(sys));
		err_hint(e, "it must be a file with execute permission");
	} else {
		r = err_set(e, E_NOEXEC, "\"%s\" cannot be executed in the pot: %s", what, strerror(sys));
	}
	if (e != NULL)
		e->sys = sys;
	return r;
}

int
child_error(struct err *e, int sys, uint32_t step, const char *what)
{
	int r;

	if (step == SHIM_STEP_EXEC)
		return exec_error(e, sys, what);
	if (what == NULL || what[0] == '\0')
		r = err_sysno(e, sys, "%s", step_text(step));
	else
		r = err_sysno(e, sys, "%s: \"%s\"", step_text(step), what);
	if (sys == ENOSYS || (step == STEP_CLONE_INIT && sys == EINVAL)) {
		r = err_set(e, E_NOTSUP, "%s: this kernel lacks it", step_text(step));
		err_hint(e, "see which features are missing: pot doctor");
	} else if (step == STEP_MOUNT && sys == EPERM && what != NULL &&
	    (strcmp(what, "/proc") == 0 || strcmp(what, "/sys") == 0)) {
		err_hint(e, "parts of the host's %s are hidden, so a user namespace gets none: --userns off",
		    what);
	} else if (sys == EPERM) {
		err_hint(e, "pots are made by root with CAP_SYS_ADMIN; see pot doctor");
	}
	return r;
}
