/* The exit statuses of pot-seccomp, for who runs it. */
#ifndef SECCOMP_LINUX_EXIT_H
#define SECCOMP_LINUX_EXIT_H

enum sec_exit {
	SEC_EXIT_DONE = 0,
	SEC_EXIT_SYSTEM = 1,
	SEC_EXIT_USAGE = 2,
	SEC_EXIT_INVALID = 3,
	SEC_EXIT_LIMIT = 4,
	SEC_EXIT_NOTSUP = 5
};

#endif
