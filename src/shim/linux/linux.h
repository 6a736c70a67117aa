/* pot-shim on Linux: no libc, system calls by number. */
#ifndef SHIM_LINUX_LINUX_H
#define SHIM_LINUX_LINUX_H

#include <linux/errno.h>

#include "base/linux/rawsys.h"
#include "shim/shim.h"

#define SIGBIT(sig) (1ul << ((sig)-1))
enum {
	SIG_HUP = 1,
	SIG_INT = 2,
	SIG_QUIT = 3,
	SIG_KILL = 9,
	SIG_USR1 = 10,
	SIG_USR2 = 12,
	SIG_TERM = 15,
	SIG_CHLD = 17
};

_Noreturn void shim_run(char **argv);
_Noreturn void shim_init(char **argv, char **envp);
/* Makes `ps` show argv[0] only. */
void shim_title(char **argv, const char *comm);

#endif
