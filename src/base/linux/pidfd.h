/* pidfd_open(2), which kernels before 5.3 lack, and some filters around containers. */
#ifndef BASE_LINUX_PIDFD_H
#define BASE_LINUX_PIDFD_H

#include <sys/syscall.h>
#include <sys/types.h>
#include <errno.h>
#include <unistd.h>

/* A fd that is readable when the process has ended; -1 with errno. */
static inline int
pidfd_of(pid_t pid)
{
#ifdef POT_NO_PIDFD
	(void)pid;
	errno = ENOSYS;
	return -1;
#else
	return (int)syscall(SYS_pidfd_open, pid, 0);
#endif
}

#endif
