/*
 * The event loop over poll(2): sources in one list, timers in a heap. A
 * process is a fd that becomes readable when it has ended (base/proc.h), so
 * that no signal handler is needed and nobody else's children are reaped.
 * A source that is freed during a turn stays in memory, dead, until its end.
 */
#include <sys/wait.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "nomad/loop.h"

struct loop_io {
	struct loop *loop;
	int fd;
	short events;
	void (*fn)(void *arg, short revents); /* NULL: dead */
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	size_t at; /* in the heap, IDLE outside */
	int64_t due;
	void (*fn)(void *arg);
	void *arg;
};
#define IDLE SIZE_MAX

struct loop_child {
	struct loop_io *io;
	int fd;
	pid_t pid;
	void (*fn)(void *arg, int status);
	void *arg;
};

struct loop_end {
	struct loop_io *io;
	struct loop_timer *timer; /* instead, when it was gone already */
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct loop_io **ios;
	struct pollfd *polls; /* as many, in the same order */
	size_t nios, capacity;
	bool has_dead, stopped;
	struct loop_timer **heap;
	size_t ntimers, ntimers_made, heap_capacity; /* waiting; all that exist; places */
};

struct loop *
loop_new(void)
{
	return calloc(1, sizeof(struct loop));
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->nios; i++)
		free(l->ios[i]);
	for (size_t i = 0; i < l->ntimers; i++)
		free(l->heap[i]);
	free(l->ios);
	free(l->polls);
	free(l->heap);
	free(l);
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
}

/* ---- fds ---------------------------------------------------------------- */

static bool
make_room(struct loop *l)
{
	size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
	struct loop_io **ios;
	struct pollfd *polls;

	if (l->nios < l->capacity)
		return true;
	ios = reallocarray(l->ios, capacity, sizeof(*ios));
	if (ios == NULL)
		return false;
	l->ios = ios;
	polls = reallocarray(l->polls, capacity, sizeof(*polls));
	if (polls == NULL)
		return false;
	l->polls = polls;
	l->capacity = capacity;
	return true;
}

struct loop_io *
loop_io_new(struct loop *l, int fd, short events, void (*fn)(void *arg, short revents), void *arg)
{
	struct loop_io *io;

	if (!make_room(l))
		return NULL;
	io = calloc(1, sizeof(*io));
	if (io == NULL)
		return NULL;
	*io = (struct loop_io){ l, fd, events, fn, arg };
	l->ios[l->nios++] = io;
	return io;
}

void
loop_io_set(struct loop_io *io, short events)
{
	io->events = events;
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	io->fn = NULL;
	io->loop->has_dead = true;
}

static void
bury_dead(struct loop *l)
{
	size_t n = 0;

	if (!l->has_dead)
		return;
	for (size_t i = 0; i < l->nios; i++) {
		if (l->ios[i]->fn == NULL)
			free(l->ios[i]);
		else
			l->ios[n++] = l->ios[i];
	}
	l->nios = n;
	l->has_dead = false;
}

/* ---- timers --------------------------------------------------------------- */

static void
heap_put(struct loop *l, size_t at, struct loop_timer *t)
{
	l->heap[at] = t;
	t->at = at;
}

static void
sift_up(struct loop *l, struct loop_timer *t)
{
	size_t at = t->at;

	while (at > 0 && l->heap[(at - 1) / 2]->due > t->due) {
		heap_put(l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(l, at, t);
}

static void
sift_down(struct loop *l, struct loop_timer *t)
{
	size_t at = t->at;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < l->ntimers && l->heap[child + 1]->due < l->heap[child]->due)
			child++;
		if (child >= l->ntimers || l->heap[child]->due >= t->due)
			break;
		heap_put(l, at, l->heap[child]);
		at = child;
	}
	heap_put(l, at, t);
}

static void
heap_remove(struct loop_timer *t)
{
	struct loop *l = t->loop;
	struct loop_timer *last;

	if (t->at == IDLE)
		return;
	last = l->heap[--l->ntimers];
	if (last != t) {
		heap_put(l, t->at, last);
		sift_up(l, last);
		sift_down(l, last);
	}
	t->at = IDLE;
}

/* There is a place for each timer that exists, so that setting one cannot fail. */
struct loop_timer *
loop_timer_new(struct loop *l, int64_t ms, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	struct loop_timer **heap;

	if (t == NULL)
		return NULL;
	if (l->ntimers_made == l->heap_capacity) {
		size_t capacity = l->heap_capacity == 0 ? 16 : l->heap_capacity * 2;

		heap = reallocarray(l->heap, capacity, sizeof(*heap));
		if (heap == NULL) {
			free(t);
			return NULL;
		}
		l->heap = heap;
		l->heap_capacity = capacity;
	}
	l->ntimers_made++;
	*t = (struct loop_timer){ l, IDLE, 0, fn, arg };
	loop_timer_set(t, ms);
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t ms)
{
	struct loop *l = t->loop;

	heap_remove(t);
	if (ms < 0)
		return;
	t->due = text_monotonic_ms() + ms;
	t->at = l->ntimers++;
	sift_up(l, t);
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	heap_remove(t);
	t->loop->ntimers_made--;
	free(t);
}

/* Milliseconds until the next one, -1: there is none. */
static int
until_next(const struct loop *l)
{
	int64_t ms;

	if (l->ntimers == 0)
		return -1;
	ms = l->heap[0]->due - text_monotonic_ms();
	return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

/* Those that are due now; one that is set to "at once" meanwhile has its turn later, so that fds are not starved. */
static void
run_timers(struct loop *l)
{
	int64_t now = text_monotonic_ms();

	for (size_t left = l->ntimers; left > 0 && l->ntimers > 0 && l->heap[0]->due <= now; left--) {
		struct loop_timer *t = l->heap[0];

		heap_remove(t);
		t->fn(t->arg);
	}
}

/* ---- processes ------------------------------------------------------------ */

#define REAPED_BY_OTHERS 0xff00 /* as if it had exited with 255: certainly not a success */

static void
child_readable(void *arg, short revents)
{
	struct loop_child *c = arg;
	struct loop_child ended = *c;
	int status = 0;
	pid_t pid;

	pid = waitpid(c->pid, &status, WNOHANG);
	if (pid == 0 || (pid < 0 && errno == EINTR))
		return;
	if (pid < 0)
		status = REAPED_BY_OTHERS;
	loop_child_free(c);
	ended.fn(ended.arg, status);
}

struct loop_child *
loop_child_new(struct loop *l, pid_t pid, void (*fn)(void *arg, int status), void *arg, struct err *e)
{
	struct loop_child *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_nomem(e);
		return NULL;
	}
	*c = (struct loop_child){ NULL, proc_child_fd(pid), pid, fn, arg };
	if (c->fd < 0)
		err_sys(e, "process %d: watch", (int)pid);
	else if ((c->io = loop_io_new(l, c->fd, POLLIN, child_readable, c)) == NULL)
		err_nomem(e);
	if (c->io == NULL) {
		loop_child_free(c);
		return NULL;
	}
	return c;
}

void
loop_child_free(struct loop_child *c)
{
	if (c == NULL)
		return;
	loop_io_free(c->io);
	if (c->fd >= 0)
		fd_close(c->fd);
	free(c);
}

static void
tell_end(void *arg)
{
	struct loop_end *end = arg;
	struct loop_end gone = *end;

	loop_end_free(end);
	gone.fn(gone.arg);
}

static void
end_readable(void *arg, short revents)
{
	tell_end(arg);
}

struct loop_end *
loop_end_new(struct loop *l, const struct proc_id *id, void (*fn)(void *arg), void *arg, struct err *e)
{
	struct loop_end *end = calloc(1, sizeof(*end));

	if (end == NULL) {
		err_nomem(e);
		return NULL;
	}
	*end = (struct loop_end){ NULL, NULL, proc_id_fd(id, e), fn, arg };
	if (end->fd >= 0)
		end->io = loop_io_new(l, end->fd, POLLIN, end_readable, end);
	else if (end->fd == -E_NOENT)
		end->timer = loop_timer_new(l, 0, tell_end, end);
	else
		goto bad;
	if (end->io != NULL || end->timer != NULL)
		return end;
	err_nomem(e);
bad:
	loop_end_free(end);
	return NULL;
}

void
loop_end_free(struct loop_end *end)
{
	if (end == NULL)
		return;
	loop_io_free(end->io);
	loop_timer_free(end->timer);
	if (end->fd >= 0)
		fd_close(end->fd);
	free(end);
}

/* ---- running -------------------------------------------------------------- */

static void
run_fds(struct loop *l, size_t n)
{
	for (size_t i = 0; i < n && !l->stopped; i++) {
		struct loop_io *io = l->ios[i];

		if (l->polls[i].revents != 0 && io->fn != NULL)
			io->fn(io->arg, l->polls[i].revents);
	}
}

/* One that is idle is not looked at: a hang-up cannot be waited out. */
static struct pollfd
to_poll(const struct loop_io *io)
{
	return (struct pollfd){ io->events == 0 ? -1 : io->fd, io->events, 0 };
}

int
loop_run(struct loop *l, struct err *e)
{
	while (!l->stopped) {
		size_t n;
		int ready;

		bury_dead(l);
		n = l->nios;
		for (size_t i = 0; i < n; i++)
			l->polls[i] = to_poll(l->ios[i]);
		ready = poll(l->polls, (nfds_t)n, until_next(l));
		if (ready < 0 && errno != EINTR)
			return err_sys(e, "wait for events");
		run_timers(l);
		if (ready > 0)
			run_fds(l, n);
	}
	return 0;
}
