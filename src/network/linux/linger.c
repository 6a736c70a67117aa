/*
 * The kernel removes a veth in 14 to 24 ms and closes a socket after the deletion
 * of elements in 4 to 20 (docs/performance.md). Nobody should wait for that, so a
 * process of its own does: an orphan, which the system's first process reaps, and
 * which holds nothing of the caller's but these two sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/linux/rawsys.h"
#include "network/linux/linger.h"
#include "network/linux/visit.h"

#define STACK 16384

static int
leave_behind(struct remains *l, struct err *e)
{
	AUTO_FREE char *stack = aligned_alloc(16, STACK);
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = STACK,
	};
	long pid;

	if (stack == NULL)
		return err_nomem(e);
	pid = raw_clone3(&a, visit_remain, l);
	if (pid < 0)
		return err_sysno(e, (int)-pid, "cannot make a process");
	while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	return l->error < 0 ? err_sysno(e, -l->error, "cannot make a process") : 0;
}

int
linger(struct nl_sock *rt, struct nl_batch *b, struct nl_sock *nft, struct err *e)
{
	struct remains l = { .send_fd = rt->fd, .hold_fd = nft->fd, .msg = b->b.data, .len = b->b.len };
	int ends[2], rc = buf_check(&b->b, "a netlink message", e);

	if (rc < 0)
		return rc;
	if (pipe2(ends, O_CLOEXEC) == 0) {
		l.released = ends[0];
		l.release = ends[1];
		rc = leave_behind(&l, NULL);
		nl_sock_fini(nft);
		fd_close(ends[0]);
		fd_close(ends[1]);
		if (rc == 0)
			return 0;
	}
	nl_sock_fini(nft);
	return nl_talk(rt, b, NULL, NULL, NULL, e);
}
