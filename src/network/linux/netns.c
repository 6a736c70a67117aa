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
link_enter(int32_t pid, bool ip6, struct nl_sock *inner, int *ns_fd, struct err *e)
{
	AUTO(fd) int ns = -1;
	AUTO_FREE struct visit_with_stack *w = NULL;
	char path[48];
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_sys(e, "cannot open the network of process %d", (int)pid);
	w = malloc(sizeof(*w));
	if (w == NULL)
		return err_nomem(e);
	w->visit = (struct visit){ .ns_fd = ns, .ip6 = ip6, .sock = -ENOSYS };
	rc = run_visit(w, e);
	if (rc == 0)
		rc = nl_adopt(inner, w->visit.sock, e);
	if (rc == 0)
		*ns_fd = take_fd(ns);
	return rc;
}
