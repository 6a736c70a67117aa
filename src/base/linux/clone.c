/*
 * clone3(2) by its elder, clone(2), which knows no group to be made in, no
 * chosen pid, and does not take signal handlers away.  As in all code between
 * clone and exec: raw system calls only.
 */
#include <signal.h>
#include <stdint.h>

#include "base/linux/rawsys.h"

/* At the far end of the child's stack, which is its alone. */
struct first {
	int (*fn)(void *);
	void *arg;
	unsigned long mask;
};

/* Handlers would run on the caller's memory: they go while all signals are blocked. */
static int
without_handlers(void *at)
{
	static const unsigned long dfl[4] = { 0, 0, 0, 0 };
	struct first *f = at;
	unsigned long old[4];

	for (int sig = 1; sig <= 64; sig++)
		if (raw(__NR_rt_sigaction, sig, 0, old, 8) == 0 &&
		    old[0] != (unsigned long)(uintptr_t)SIG_IGN)
			raw(__NR_rt_sigaction, sig, dfl, 0, 8);
	raw(__NR_rt_sigprocmask, SIG_SETMASK, &f->mask, 0, 8);
	return f->fn(f->arg);
}

static long
clone_at(uint64_t flags, const struct clone_args *a, int (*fn)(void *), void *arg)
{
	long top = (long)(a->stack + a->stack_size), tid = (long)a->parent_tid;

	/* The order of the last two differs, and both are 0. */
	return raw_child(__NR_clone, (long)(flags | a->exit_signal), top, tid, 0, 0, fn, arg);
}

long
raw_clone2(const struct clone_args *a, int (*fn)(void *), void *arg)
{
	const unsigned long all = ~0ul;
	uint64_t flags = a->flags & ~(uint64_t)CLONE_CLEAR_SIGHAND;
	struct first *f = (struct first *)(uintptr_t)a->stack;
	long r;

	if (flags >> 32 != 0 || a->set_tid_size != 0 || a->stack == 0)
		return -ENOSYS;
	if ((a->flags & CLONE_CLEAR_SIGHAND) == 0)
		return clone_at(flags, a, fn, arg);
	*f = (struct first){ fn, arg, 0 };
	raw(__NR_rt_sigprocmask, SIG_SETMASK, &all, &f->mask, 8);
	r = clone_at(flags, a, without_handlers, f);
	raw(__NR_rt_sigprocmask, SIG_SETMASK, &f->mask, 0, 8);
	return r;
}
