/*
 * What runs in processes that share our memory: only system calls, since
 * errno, malloc and stdio are ours, and nothing that an instrumented build would
 * add. Who makes and waits for them: netns.c, linger.c.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/netlink.h>

#include "base/linux/rawsys.h"
#include "network/linux/visit.h"

#define QUARTER 250000000 /* ns */

int
visit_netns(void *arg)
{
	struct visit *v = arg;
	long r = raw(__NR_setns, v->ns_fd, CLONE_NEWNET), fd;

	if (r == 0)
		r = raw(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	v->sock = (int)r;
	if (r < 0 || !v->ip6)
		return 0;
	/* Nobody but us says what a pot's routes are. Where this fails, the rules drop advertisements of pots. */
	fd = raw(__NR_openat, AT_FDCWD, "/proc/sys/net/ipv6/conf/default/accept_ra", O_WRONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		raw(__NR_write, fd, "0", 1);
		raw(__NR_close, fd);
	}
	return 0;
}

/* Closes all fds but three. */
static void
keep_fds(int a, int b, int c)
{
	int v[3] = { a, b, c };
	unsigned from = 0;

	for (int i = 0; i < 3; i++)
		for (int j = i + 1; j < 3; j++)
			if (v[j] < v[i]) {
				int t = v[i];

				v[i] = v[j];
				v[j] = t;
			}
	for (int i = 0; i < 3; i++) {
		if (v[i] < 0 || (unsigned)v[i] < from)
			continue;
		if ((unsigned)v[i] > from)
			raw(__NR_close_range, from, v[i] - 1, 0);
		from = (unsigned)v[i] + 1;
	}
	raw(__NR_close_range, from, ~0u, 0);
}

/*
 * While the kernel closes a netfilter socket it lets nobody change rules, for a grace period if elements were
 * removed of late (nft_rcv_nl_event): short runs in a row would wait for each other's sockets. Those that are
 * closed at the same moment wait once, so all are at the next quarter of a second.
 */
static void
close_together(void)
{
	struct timespec t;

	raw(__NR_chdir, "/");
	if (raw(__NR_clock_gettime, CLOCK_MONOTONIC, &t) != 0)
		return;
	t.tv_nsec = (t.tv_nsec / QUARTER + 1) * QUARTER;
	if (t.tv_nsec >= 4 * QUARTER) {
		t.tv_sec++;
		t.tv_nsec = 0;
	}
	raw(__NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
}

static int
remain(void *arg)
{
	struct remains *l = arg;
	char c;

	raw(__NR_setsid);
	raw(__NR_prctl, PR_SET_NAME, "pot-linger");
	keep_fds(l->send_fd, l->hold_fd, l->released);
	if (l->len > 0)
		raw(__NR_sendto, l->send_fd, l->msg, l->len, 0, 0, 0);
	raw(__NR_read, l->released, &c, 1);
	close_together();
	raw_exit_without(l, l->size);
}

/* By way of a process that ends: whose parent has ended is the system's to reap. */
int
visit_remain(void *arg)
{
	struct remains *l = arg;
	int *error = l->error;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_CLEAR_SIGHAND,
		.stack = (uint64_t)(uintptr_t)l + l->size - 2 * REMAINS_STACK,
		.stack_size = REMAINS_STACK,
	};
	long pid = raw_clone3(&a, remain, l);

	*error = pid < 0 ? (int)pid : 0;
	return 0;
}
