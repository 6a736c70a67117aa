/*
 * The kernel removes a veth in 14 to 24 ms and closes a socket after the deletion
 * of elements in 4 to 20 (docs/performance.md). Nobody should wait for that, so a
 * process of its own does: an orphan, which the system's first process reaps, and
 * which holds nothing of the caller's but these two sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/linux/rawsys.h"
#include "network/linux/linger.h"
#include "network/linux/visit.h"

#define PAGE 4096

/* The two stacks at the end of the mapping are aligned as it is. */
static struct remains *
remains_new(int send_fd, int hold_fd, int released, const struct buf *msg)
{
	size_t size = (sizeof(struct remains) + msg->len + PAGE - 1) / PAGE * PAGE + 2 * REMAINS_STACK;
	struct remains *l =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (l == MAP_FAILED)
		return NULL;
	l->size = size;
	l->send_fd = send_fd;
	l->hold_fd = hold_fd;
	l->released = released;
	l->len = msg->len;
	if (msg->len > 0)
		memcpy(l->msg, msg->data, msg->len);
	return l;
}

/* 0: it has been left behind, or -errno. */
static int
leave_behind(int send_fd, int hold_fd, int released, const struct buf *msg)
{
	struct remains *l = remains_new(send_fd, hold_fd, released, msg);
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND,
		.stack_size = REMAINS_STACK,
	};
	int error = -ENOMEM;
	size_t size;
	long pid;

	if (l == NULL)
		return error;
	size = l->size;
	l->error = &error;
	a.stack = (uint64_t)(uintptr_t)l + size - REMAINS_STACK;
	pid = raw_clone3(&a, visit_remain, l);
	if (pid < 0)
		error = (int)pid;
	while (pid > 0 && waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	if (error < 0)
		munmap(l, size);
	return error;
}

int
linger(struct nl_sock *rt, struct nl_batch *b, struct nl_sock *nft, struct err *e)
{
	int ends[2], rc = buf_check(&b->b, "a netlink message", e);

	if (rc < 0)
		return rc;
	if (pipe2(ends, O_CLOEXEC) == 0) {
		rc = leave_behind(rt->fd, nft->fd, ends[0], &b->b);
		nl_sock_fini(nft);
		fd_close(ends[0]);
		fd_close(ends[1]);
		if (rc == 0)
			return 0;
	}
	nl_sock_fini(nft);
	return nl_talk(rt, b, NULL, NULL, NULL, e);
}
