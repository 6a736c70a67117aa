/*
 * Namespaces that are made ahead of a start, beside what the caller does
 * meanwhile: the user namespace, because the root's mount needs it, and the
 * network namespace, because the kernel needs longer for it than for all others
 * together.  One process does both and ends; iso_ahead_net waits for it.  It
 * shares the caller's memory and table of fds (child.h).
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/linux/rawsys.h"
#include "isolation/linux/child.h"

struct iso_ahead {
	struct child_ahead child;
	pid_t pid; /* 0: reaped */
	char *stack;
};

static void
ahead_go(struct iso_ahead *a)
{
	if (!a->child.net)
		return;
	__atomic_store_n(&a->child.go, 1, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, &a->child.go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
ahead_reap(struct iso_ahead *a)
{
	while (a->pid > 0 && waitpid(a->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	a->pid = 0;
}

static pid_t
ahead_clone(struct iso_ahead *a, bool userns)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_FILES | (userns ? CLONE_NEWUSER : 0),
		.stack = (uint64_t)(uintptr_t)a->stack,
		.stack_size = CHILD_STACK,
	};
	unsigned long saved;
	long pid;

	child_block_signals(&saved);
	pid = raw_clone3(&args, child_ahead_run, &a->child);
	child_restore_signals(&saved);
	return (pid_t)pid;
}

int
iso_ahead(uint32_t first, uint32_t ids, bool net, struct iso_ahead **out, int *userns_fd, struct err *e)
{
	struct iso_ahead *a = calloc(1, sizeof(*a));
	pid_t pid;
	int r = 0;

	*out = NULL;
	*userns_fd = -1;
	if (a == NULL || (a->stack = child_stack_new(1)) == NULL) {
		free(a);
		return err_nomem(e);
	}
	a->child = (struct child_ahead){ .net = net, .ns_fd = -1, .sock = -1 };
	pid = ahead_clone(a, ids != 0);
	a->pid = pid > 0 ? pid : 0;
	if (pid < 0)
		r = ids != 0 ? userns_refused(-pid, e) : err_sysno(e, -pid, "cannot make a process");
	else if (ids != 0)
		r = *userns_fd = userns_map(pid, first, ids, e);
	ahead_go(a);
	if (r < 0) {
		iso_ahead_free(a);
		return r;
	}
	*out = a;
	return 0;
}

bool
iso_ahead_net(struct iso_ahead *a, int fds[static 2])
{
	ahead_reap(a);
	if (a->child.ns_fd < 0 || a->child.sock < 0)
		return false;
	fds[0] = a->child.ns_fd;
	fds[1] = a->child.sock;
	a->child.ns_fd = a->child.sock = -1;
	return true;
}

void
iso_ahead_free(struct iso_ahead *a)
{
	if (a == NULL)
		return;
	ahead_reap(a);
	fd_close(a->child.ns_fd);
	fd_close(a->child.sock);
	child_stack_free(a->stack, 1);
	free(a);
}
