/* Processes that work for us on our own memory, or after us (visit.c). They use no libc. */
#ifndef NETWORK_LINUX_VISIT_H
#define NETWORK_LINUX_VISIT_H

#include <stdbool.h>
#include <stddef.h>

/* Into a network namespace: leaves a netlink socket (or -errno). */
struct visit {
	int ns_fd;
	bool ip6;
	int sock;
};
int visit_netns(void *);

/*
 * Leaves a process behind that belongs to nobody: it sends what it is given over a netlink socket
 * and holds another one open until `released` says end of file. error: -errno when it could not be made.
 */
struct remains {
	int send_fd, hold_fd, released, release; /* -1: none; release: the other end, not the process's */
	const void *msg;
	size_t len;
	int error;
};
int visit_remain(void *);

#endif
