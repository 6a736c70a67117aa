/*
 * The end of a jail, for pot-shim and for who cleans up behind it: what its
 * processes made of System V's objects in a namespace that is not its own
 * (sysvshm=inherit …) goes with it. The kernel removes by whose they are, but
 * only from a jail that has a namespace; so it is given one first.
 */
#ifndef BASE_FREEBSD_JAILEND_H
#define BASE_FREEBSD_JAILEND_H

#include <sys/param.h>
#include <sys/jail.h>
#include <sys/uio.h>
#include <string.h>

static inline void
jail_own_sysv(int jid, const char *param)
{
	int own = JAIL_SYS_NEW;
	struct iovec iov[4] = {
		{ (void *)(uintptr_t) "jid", 4 },
		{ &jid, sizeof(jid) },
		{ (void *)(uintptr_t)param, strlen(param) + 1 },
		{ &own, sizeof(own) },
	};

	/* A kernel without System V's objects does not know the name. */
	(void)jail_set(iov, 4, JAIL_UPDATE);
}

/* As jail_remove(2). */
static inline int
jail_end(int jid)
{
	jail_own_sysv(jid, "sysvmsg");
	jail_own_sysv(jid, "sysvsem");
	jail_own_sysv(jid, "sysvshm");
	return jail_remove(jid);
}

#endif
