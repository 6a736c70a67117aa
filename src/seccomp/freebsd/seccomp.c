/* FreeBSD has no filters of system calls (seccomp.h): pots without one are the rule, and none can be made. */
#include "seccomp/seccomp.h"

int
seccomp_default(const void **prog, size_t *len, struct err *e)
{
	*prog = NULL;
	*len = 0;
	return 0;
}

bool
seccomp_default_fits(uint64_t caps)
{
	return true;
}

int
seccomp_compile(const struct seccomp_job *job, struct err *e)
{
	return err_set(e, E_NOTSUP, "%s: FreeBSD has no system call filters", job->what);
}

int
seccomp_check(const void *prog, size_t len, struct err *e)
{
	return err_set(e, E_NOTSUP, "FreeBSD has no system call filters");
}
