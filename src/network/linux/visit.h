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
 * and holds another one open until `released` says end of file. It goes on in our memory, so that no page table is
 * copied, even when we end: the mapping of `size` bytes that begins with this, with the message and the stacks
 * behind it, is its from then on. *error: -errno when it could not be made, and the mapping is still the caller's.
 */
#define REMAINS_STACK 16384
struct remains {
	size_t size;
	int send_fd, hold_fd, released;
	int *error;
	size_t len;
	char msg[];
};
/* The stack of who runs this is the last of the mapping, that of the process the one before. */
int visit_remain(void *);

#endif
