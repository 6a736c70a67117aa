/*
 * The way into a pot's network namespace. A child that shares our memory and our
 * table of fds enters it, makes a netlink socket there and ends; the socket
 * stays. No thread of the caller ever stands in another namespace than
 * it believes, as a setns to and fro could leave it when the way back fails.
 * What the child does is in visit.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/linux/rawsys.h"
#include "network/linux/link.h"
#include "network/linux/visit.h"

#define STACK 16384

struct visit_with_stack {
	struct visit visit;
	_Alignas(16) char stack[STACK];
};

static int
run_visit(struct visit_with_stack *w, struct err *e)
{
	struct visit *v = &w->visit;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_CLEAR_SIGHAND,
		.stack = (uint64_t)(uintptr_t)w->stack,
		.stack_size = sizeof(w->stack),
	};
	long pid = raw_clone3(&a, visit_netns, v);

	if (pid < 0)
		return err_sysno(e, (int)-pid, "cannot make a process that enters the pot's network");
	/* It has ended or the call would not have returned; its exit sends no signal. */
	while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (v->sock < 0)
		return err_sysno(e, -v->sock, "cannot enter the pot's network");
	return 0;
}

int
link_netns(int32_t pid, struct err *e)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open the network of process %d", (int)pid);
}

int
link_enter(int ns_fd, bool ip6, struct nl_sock *inner, struct err *e)
{
	AUTO_FREE struct visit_with_stack *w = malloc(sizeof(*w));
	int rc;

	if (w == NULL)
		return err_nomem(e);
	w->visit = (struct visit){ .ns_fd = ns_fd, .ip6 = ip6, .sock = -ENOSYS };
	rc = run_visit(w, e);
	return rc < 0 ? rc : nl_adopt(inner, w->visit.sock, e);
}
