/* Waiting on fds in a way that a signal handler's flag ends at once. */
#ifndef BASE_AWAIT_H
#define BASE_AWAIT_H

#include <poll.h>
#include <stdbool.h>

#include "base/err.h"

/*
 * poll(2) for ms at most (-1 for ever): how many are ready, 0 when the time is
 * over.  With cancel (may be NULL): E_INTR as soon as *cancel is true, set by
 * a signal that reaches the calling thread; it cannot slip in between the look
 * at the flag and the wait.
 */
int await_fds(struct pollfd *, unsigned n, int ms, const volatile bool *cancel, struct err *) MUST_CHECK;

#endif
