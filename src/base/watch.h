/*
 * Waiting for a change in a directory, or for the end of a process, whichever
 * comes first: inotify and pidfd on Linux, kqueue on FreeBSD.
 */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include <stdbool.h>

#include "base/proc.h"

struct watch; /* one directory */

int watch_open(struct watch **, int dirfd, struct err *) MUST_CHECK;
void watch_close(struct watch *);
/*
 * Returns when something below was written, made or renamed since the last
 * call, or when the process has ended (*ended; id may be NULL), or after
 * timeout_ms (-1 never): all return 0, look again.  E_INTR when *cancel (may be
 * NULL) becomes true by a signal that reaches the calling thread.
 */
int watch_wait(struct watch *, const struct proc_id *, int timeout_ms, const volatile bool *cancel,
    bool *ended, struct err *) MUST_CHECK;

#endif
