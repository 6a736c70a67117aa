/*
 * Running other programs: the one function that does it, and identities of
 * processes that cannot be mistaken for another after a pid is reused.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * argv[0] is looked up in PATH=/usr/local/sbin:…:/bin unless it has a slash;
 * no shell, environment exactly envp (NULL: PATH, LANG=C, HOME, TERM only),
 * fds 0..2 as given and no other, default signals and mask, own process group.
 */
struct proc_spec {
	const char *const *argv;
	const char *const *envp;
	int fd_in, fd_out, fd_err;   /* -1: /dev/null for in; out and err captured */
	struct buf *out;             /* captured stdout (NULL: discarded when fd_out is -1) */
	struct buf *err;             /* captured stderr, last 4 KiB end up in the message on failure */
	const char *cwd;             /* NULL: "/" */
	int timeout_ms;              /* -1 none; over it the group is killed: E_TIMEOUT */
	int pass_fd;                 /* one extra fd kept open under its own number, or -1 */
	bool own_ns;                 /* Linux: own mount and pid namespace, so that a kill takes
	                           every descendant and every mount of the program with it */
	const volatile bool *cancel; /* becomes true (signal handler): kill, E_INTR; may be NULL */
};
#define PROC_SPEC_INIT                                                        \
	{                                                                     \
		NULL, NULL, -1, -1, -1, NULL, NULL, NULL, -1, -1, false, NULL \
	}

/*
 * Runs to the end, and dies with the calling thread: a killed pot leaves no
 * program behind.  A signal that sets *cancel must reach the calling thread.
 * E_LIMIT when more came out than `out` may hold.  0 when it exited 0. E_NOCMD / E_NOEXEC when exec failed,
 * E_SYS with program, status and its last words when it failed; *status (may
 * be NULL) gets the exit status, or 128+signal.
 */
int proc_run(const struct proc_spec *, int *status, struct err *) MUST_CHECK;
/*
 * Starts it and returns the pid; proc_finish reaps (same errors as proc_run;
 * no capture, no deadline).  Without own_ns it outlives the caller.
 */
int proc_start(const struct proc_spec *, pid_t *, struct err *) MUST_CHECK;
int proc_finish(pid_t, const char *argv0, int *status, struct err *) MUST_CHECK;

/* In a process that was forked: SIGKILL when its parent is gone. Ask getppid() afterwards. 0, or -1 with errno. */
int proc_die_with_parent(void);

/* Room for this many bytes in a pipe, where the system lets it be chosen; not a promise. */
void pipe_widen(int fd, size_t bytes);

/* A process for ever: pid and the kernel's start time of it (Linux: field 22 of stat, in ticks). */
struct proc_id {
	int32_t pid;
	uint64_t start;
};
int proc_id_get(pid_t, struct proc_id *, struct err *) MUST_CHECK; /* E_NOENT */
bool proc_id_alive(const struct proc_id *);                        /* false for zombies too */
/* Waits until it is gone, at most ms (-1 for ever): 0 or E_TIMEOUT. Event, no polling. */
int proc_id_wait(const struct proc_id *, int ms, struct err *) MUST_CHECK;
/* For ever, but E_INTR when *cancel (may be NULL) becomes true by a signal that reaches the calling thread. */
int proc_id_wait_or(const struct proc_id *, const volatile bool *cancel, struct err *) MUST_CHECK;
/* For loops: a fd that becomes readable when the process is gone; the caller closes it. E_NOENT when it already is. */
int proc_id_fd(const struct proc_id *, struct err *) MUST_CHECK;
/* The same of a child, which is still to be reaped; -1 with errno. */
int proc_child_fd(pid_t);
/* Signals exactly this process: 0, E_NOENT when it is gone. */
int proc_id_kill(const struct proc_id *, int sig, struct err *) MUST_CHECK;

#endif
