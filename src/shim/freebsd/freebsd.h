/* pot-shim on FreeBSD: an ordinary program of libc; arguments and fds are in model/shimproto.h. */
#ifndef SHIM_FREEBSD_FREEBSD_H
#define SHIM_FREEBSD_FREEBSD_H

#include <sys/types.h>

#include "shim/shim.h"

struct command {
	int jid;
	bool persistent;
	uid_t uid;
	gid_t gid;
	const char *groups, *workdir;
	char *const *argv;
	int result; /* a pipe of the shim's: struct init_result */
};

/* first.c: in the child; never returns. */
_Noreturn void first_run(const struct command *);
/* run.c */
_Noreturn void shim_run(int argc, char **argv);

#endif
