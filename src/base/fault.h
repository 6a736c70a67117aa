/*
 * Points where a test kills the process.  A fault point stands between any
 * two changes of state that a crash could separate; tests enumerate them and
 * check for each that the operation afterwards happened or did not.
 *
 * Compiled in only with -Dfaults=true (POT_FAULTS); release builds carry
 * nothing of it.  Then
 *   POT_FAULT=NAME[:N]   SIGKILL to this process at the Nth (default 1st) pass
 *                        of the point NAME;
 *   POT_FAULT_STOP=NAME  SIGSTOP at each pass of the point NAME, for what happens beside it;
 *   POT_FAULT_LOG=FILE   each pass appends the line NAME to FILE.
 * All are read at every pass, so that a test can set them after a fork.
 * Names are "area.operation.step": [a-z0-9._-]+, unique in the code.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef POT_FAULTS
void fault_point(const char *name);
#else
static inline void
fault_point(const char *name)
{
	(void)name;
}
#endif

#endif
