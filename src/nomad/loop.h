/*
 * The one event loop: fds, timers, ends of processes. Not re-entrant. A
 * source may be freed at any time, also by its own function. All of them are
 * heap objects that are NULL when memory is short or a process is gone.
 */
#ifndef NOMAD_LOOP_H
#define NOMAD_LOOP_H

#include <sys/types.h>
#include <poll.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_child;
struct loop_end;

struct loop *loop_new(void);
/* Sources in it are to be freed before. */
void loop_free(struct loop *);
/* Runs until loop_stop. */
int loop_run(struct loop *, struct err *) MUST_CHECK;
void loop_stop(struct loop *);

/* fn when one of events (POLLIN, POLLOUT; 0: idle) is there, or an error. The fd stays the caller's. */
struct loop_io *loop_io_new(
    struct loop *, int fd, short events, void (*fn)(void *arg, short revents), void *arg);
void loop_io_set(struct loop_io *, short events);
void loop_io_free(struct loop_io *); /* NULL is fine */

/* fn once, after ms (0: in the next turn); then it is idle until loop_timer_set. */
struct loop_timer *loop_timer_new(struct loop *, int64_t ms, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *, int64_t ms); /* again; -1: idle */
void loop_timer_free(struct loop_timer *);            /* NULL is fine */

/*
 * fn when this child of ours has ended; it is reaped, status as of waitpid(2).
 * Frees itself before fn. To free it earlier leaves a zombie unless somebody else waits for it.
 */
struct loop_child *loop_child_new(
    struct loop *, pid_t, void (*fn)(void *arg, int status), void *arg, struct err *);
void loop_child_free(struct loop_child *);

/* fn when a process that need not be ours is gone (or in the next turn if it already is). Frees itself before fn. */
struct loop_end *loop_end_new(
    struct loop *, const struct proc_id *, void (*fn)(void *arg), void *arg, struct err *);
void loop_end_free(struct loop_end *);

#endif
