/*
 * The crew: making workers, hearing of them, ending them. A worker sends
 * fixed messages over a socket and the output of commands through a pipe,
 * which is emptied before a message counts, so that a step's output comes
 * before its end. It dies with its parent.
 */
#include "builder/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/await.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/text.h"

#define END_MS 30000 /* for workers to clean up when they are told to end */
#define TEXT_MAX 2048

enum msg_kind { MSG_STEP, MSG_STEP_END, MSG_EVENT, MSG_RESULT };
struct msg {
	enum msg_kind kind;
	unsigned seq;
	/* STEP */
	char text[TEXT_MAX], where[96];
	/* STEP_END */
	struct bld_did did;
	bool failed;
	int64_t ms;
	/* EVENT: text */
	enum pot_event_kind event;
	unsigned long long done, total;
	/* RESULT */
	int rc;
	size_t on;
	struct err err;
};

struct walker {
	pid_t pid; /* 0: none */
	int sock, out;
	unsigned told;  /* steps that were told of */
	unsigned begun; /* that were told to begin */
	char text[TEXT_MAX], where[96];
};

struct bld_crew {
	const struct bld_crew_args *args;
	struct bld *b;
	struct plan plan;
	struct walker *v;
	struct pot_events events; /* the caller's */
	int tokens[2];
	unsigned held; /* by this process */
	/* Of the walk under way. */
	size_t index;
	unsigned seq;
	int64_t since_ms;
	size_t on;
	/* In a worker. */
	bool worker;
	pid_t parent;
	int sock, out;
};

/* ---- telling ---------------------------------------------------------------------------------- */

static void
tell(struct bld_crew *c, size_t index, struct pot_build_event *ev)
{
	const struct bld_crew_args *a = c->args;

	if (a->fn == NULL)
		return;
	ev->stage = (unsigned)index;
	ev->stages = (unsigned)a->n;
	ev->stage_name = a->names != NULL && a->names[index] != NULL ? a->names[index] : "";
	ev->steps = a->steps != NULL ? a->steps[index] : 0;
	ev->text = c->v[index].text;
	ev->where = c->v[index].where;
	a->fn(a->fn_arg, ev);
}

static void
tell_step(struct bld_crew *c, size_t index, unsigned seq, const char *text, const char *where)
{
	struct walker *w = &c->v[index];
	struct pot_build_event ev = { .kind = POT_BUILD_STEP, .step = seq };

	snprintf(w->text, sizeof(w->text), "%s", text);
	snprintf(w->where, sizeof(w->where), "%s", where);
	if (seq <= w->begun)
		return;
	w->begun = seq;
	tell(c, index, &ev);
}

static void
tell_end(struct bld_crew *c, size_t index, unsigned seq, const struct bld_did *did, bool failed, int64_t ms)
{
	struct walker *w = &c->v[index];
	struct pot_build_event ev = { .kind = POT_BUILD_STEP_END,
		.step = seq,
		.cached = did->cached,
		.failed = failed,
		.layer = did->layer,
		.size = did->size,
		.ms = ms };

	if (seq <= w->told)
		return;
	w->told = seq;
	if (!failed && c->args->nsteps != NULL)
		++*c->args->nsteps;
	if (!failed && did->cached && c->args->ncached != NULL)
		++*c->args->ncached;
	tell(c, index, &ev);
}

/* A parent that is gone has killed us, or will. */
static void
send_msg(struct bld_crew *c, const struct msg *m)
{
	while (send(c->sock, m, sizeof(*m), MSG_NOSIGNAL | MSG_EOR) < 0 && errno == EINTR)
		;
}

static void
send_event(void *arg, const struct pot_event *ev)
{
	struct msg m = { .kind = MSG_EVENT, .event = ev->kind, .done = ev->done, .total = ev->total };

	snprintf(m.text, sizeof(m.text), "%s", ev->text);
	send_msg(arg, &m);
}

void
crew_step_begin(struct bld *b, const char *text, const char *where)
{
	struct bld_crew *c = b->crew;

	if (c == NULL)
		return;
	crew_bind(b);
	c->seq++;
	c->since_ms = text_monotonic_ms();
	if (c->worker) {
		struct msg m = { .kind = MSG_STEP, .seq = c->seq };

		snprintf(m.text, sizeof(m.text), "%s", text);
		snprintf(m.where, sizeof(m.where), "%s", where);
		send_msg(c, &m);
	} else {
		tell_step(c, c->index, c->seq, text, where);
	}
}

void
crew_step_end(struct bld *b, const struct bld_did *did, bool failed)
{
	struct bld_crew *c = b->crew;
	int64_t ms;

	if (c == NULL)
		return;
	ms = text_monotonic_ms() - c->since_ms;
	if (c->worker) {
		const struct msg m = {
			.kind = MSG_STEP_END, .seq = c->seq, .did = *did, .failed = failed, .ms = ms
		};

		send_msg(c, &m);
	} else {
		tell_end(c, c->index, c->seq, did, failed, ms);
	}
}

/* ---- for walks ----------------------------------------------------------------------------------- */

int
crew_needs(struct bld *b, size_t index)
{
	struct bld_crew *c = b->crew;

	if (c == NULL || plan_is_done(&c->plan, index))
		return 0;
	c->on = index;
	return BLD_BLOCKED;
}

int
crew_out(const struct bld *b)
{
	return b->crew != NULL && b->crew->worker ? b->crew->out : STDERR_FILENO;
}

int
crew_token_take(struct bld *b, struct err *e)
{
	struct bld_crew *c = b->crew;
	char byte;

	if (c == NULL || c->held++ > 0)
		return 0;
	for (;;) {
		struct pollfd p = { c->tokens[0], POLLIN, 0 };
		int rc = await_fds(&p, 1, -1, b->eng->cancel, e);

		if (rc < 0) {
			c->held = 0;
			return rc;
		}
		/* Another one may have been quicker: it does not block. */
		if (read(c->tokens[0], &byte, 1) == 1)
			return 0;
	}
}

void
crew_token_give(struct bld *b)
{
	struct bld_crew *c = b->crew;

	if (c == NULL || c->held == 0 || --c->held > 0)
		return;
	while (write(c->tokens[1], "", 1) < 0 && errno == EINTR)
		;
}

void
crew_bind(struct bld *b)
{
	const struct bld_crew *c = b->crew;

	if (c != NULL && c->worker && (proc_die_with_parent() != 0 || getppid() != c->parent))
		_exit(1);
}

static void
become_worker(struct bld_crew *c, int sock, int out)
{
	for (size_t i = 0; i < c->args->n; i++) {
		fd_close(take_fd(c->v[i].sock));
		fd_close(take_fd(c->v[i].out));
	}
	c->worker = true;
	c->sock = sock;
	c->out = out;
	c->b->eng->events = (struct pot_events){ send_event, c };
}

int
crew_work(struct bld *b, struct err *e)
{
	struct bld_crew *c = b->crew;
	int sock[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t parent = getpid();
	struct walker *w;

	if (c == NULL || c->worker)
		return 0;
	w = &c->v[c->index];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) != 0)
		return err_sys(e, "making a worker");
	if (pipe2(out, O_CLOEXEC) != 0 || (fflush(NULL), w->pid = fork()) < 0) {
		int rc = err_sys(e, "making a worker");

		w->pid = 0;
		for (int i = 0; i < 2; i++) {
			fd_close(sock[i]);
			fd_close(out[i]);
		}
		return rc;
	}
	if (w->pid == 0) {
		fd_close(sock[0]);
		fd_close(out[0]);
		become_worker(c, sock[1], out[1]);
		c->parent = parent;
		crew_bind(b);
		fault_point("build.worker");
		return 0;
	}
	fd_close(sock[1]);
	fd_close(out[1]);
	w->sock = sock[0];
	w->out = out[0];
	(void)fcntl(w->out, F_SETFL, O_NONBLOCK);
	return BLD_LEFT;
}

/* ---- hearing of workers --------------------------------------------------------------------------- */

static void
drain(struct bld_crew *c, size_t index)
{
	struct walker *w = &c->v[index];
	char data[8192];
	ssize_t n;

	while ((n = read(w->out, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR)) {
		struct pot_build_event ev = {
			.kind = POT_BUILD_OUTPUT, .step = w->begun, .data = data, .len = n > 0 ? (size_t)n : 0
		};

		if (n > 0)
			tell(c, index, &ev);
	}
	if (n == 0)
		fd_close(take_fd(w->out));
}

static void
pass_event(struct bld_crew *c, const struct msg *m)
{
	const struct pot_event ev = { m->event, m->text, m->done, m->total };

	if (c->events.fn != NULL)
		c->events.fn(c->events.arg, &ev);
}

static void
reap(struct walker *w)
{
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	w->pid = 0;
	fd_close(take_fd(w->sock));
	fd_close(take_fd(w->out));
}

/* 1: it has ended, and *m says how; 0: it goes on. */
static int
hear(struct bld_crew *c, size_t index, struct msg *m)
{
	struct walker *w = &c->v[index];
	ssize_t n;

	do
		n = recv(w->sock, m, sizeof(*m), 0);
	while (n < 0 && errno == EINTR);
	drain(c, index);
	if (n != (ssize_t)sizeof(*m)) {
		*m = (struct msg){ .kind = MSG_RESULT, .err = ERR_INIT };
		m->rc = err_set(&m->err, E_SYS, "a worker of the build was killed");
	}
	switch (m->kind) {
	case MSG_STEP:
		tell_step(c, index, m->seq, m->text, m->where);
		return 0;
	case MSG_STEP_END:
		tell_end(c, index, m->seq, &m->did, m->failed, m->ms);
		return 0;
	case MSG_EVENT:
		pass_event(c, m);
		return 0;
	case MSG_RESULT:
		reap(w);
		return 1;
	}
	return 0;
}

static unsigned
gather(struct bld_crew *c, struct pollfd *p)
{
	unsigned n = 0;

	for (size_t i = 0; i < c->args->n; i++)
		if (c->v[i].pid != 0) {
			p[n++] = (struct pollfd){ c->v[i].sock, POLLIN, 0 };
			p[n++] = (struct pollfd){ c->v[i].out, POLLIN, 0 };
		}
	return n;
}

static struct walker *
by_sock(struct bld_crew *c, int sock, size_t *index)
{
	for (*index = 0; *index < c->args->n; ++*index)
		if (c->v[*index].pid != 0 && c->v[*index].sock == sock)
			return &c->v[*index];
	return NULL;
}

/* How a worker's walk ended. */
static int
take_result(struct bld_crew *c, size_t index, const struct msg *m, struct err *e)
{
	if (m->rc == BLD_BLOCKED) {
		plan_blocked(&c->plan, index, m->on);
		return 0;
	}
	if (m->rc == 0) {
		plan_again(&c->plan, index);
		return 0;
	}
	*e = m->err;
	return m->rc;
}

/* Waits until something is told. ms: as poll's. */
static int
wait_workers(struct bld_crew *c, int ms, const volatile bool *cancel, bool *heard, struct err *e)
{
	AUTO_FREE struct pollfd *p = calloc(2 * c->args->n, sizeof(*p));
	unsigned n;
	int rc, first = 0;

	if (p == NULL)
		return err_nomem(e);
	n = gather(c, p);
	rc = await_fds(p, n, ms, cancel, e);
	*heard = rc > 0;
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < n; i += 2) {
		size_t index;
		struct msg m;

		if ((p[i].revents | p[i + 1].revents) == 0 || by_sock(c, p[i].fd, &index) == NULL)
			continue;
		if (p[i + 1].revents != 0)
			drain(c, index);
		if (p[i].revents != 0 && hear(c, index, &m) == 1 &&
		    (rc = take_result(c, index, &m, first == 0 ? e : &m.err)) < 0 && first == 0)
			first = rc;
	}
	return first;
}

static bool
anybody(const struct bld_crew *c)
{
	for (size_t i = 0; i < c->args->n; i++)
		if (c->v[i].pid != 0)
			return true;
	return false;
}

/* They undo what they were at, each step as a whole. */
static void
end_workers(struct bld_crew *c)
{
	int64_t until = text_monotonic_ms() + END_MS, left;
	struct err ignored;
	bool heard = true;

	for (size_t i = 0; i < c->args->n; i++)
		if (c->v[i].pid != 0)
			kill(c->v[i].pid, SIGTERM);
	while (anybody(c) && heard && (left = until - text_monotonic_ms()) > 0)
		(void)!wait_workers(c, (int)left, NULL, &heard, &ignored);
	for (size_t i = 0; i < c->args->n; i++)
		if (c->v[i].pid != 0) {
			kill(c->v[i].pid, SIGKILL);
			reap(&c->v[i]);
		}
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

/* In the worker: never returns. */
static void
worker_end(struct bld_crew *c, int rc, const struct err *why)
{
	struct msg m = { .kind = MSG_RESULT, .rc = rc, .on = c->on, .err = *why };

	send_msg(c, &m);
	/* Nothing of the parent's, whose copy we are, is flushed or removed. */
	_exit(0);
}

static int
walk_once(struct bld_crew *c, size_t index, struct err *e)
{
	int rc;

	c->index = index;
	c->seq = 0;
	rc = c->args->walk(c->args->arg, c->b, index, e);
	if (c->worker)
		worker_end(c, rc, e);
	switch (rc) {
	case 0:
		plan_done(&c->plan, index);
		return 0;
	case BLD_LEFT:
		plan_left(&c->plan, index);
		return 0;
	case BLD_BLOCKED:
		plan_blocked(&c->plan, index, c->on);
		return 0;
	default:
		return rc;
	}
}

static int
work(struct bld_crew *c, struct err *e)
{
	bool heard;
	size_t index;
	int rc = 0;

	while (rc == 0 && !plan_is_finished(&c->plan)) {
		if (plan_next(&c->plan, &index))
			rc = walk_once(c, index, e);
		else if (plan_is_stuck(&c->plan))
			rc = err_set(e, E_STATE, "the stages wait for each other");
		else
			rc = wait_workers(c, -1, c->b->eng->cancel, &heard, e);
	}
	return rc;
}

static unsigned
processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 64 ? 64 : (unsigned)n;
}

static int
make_tokens(struct bld_crew *c, struct err *e)
{
	char bytes[64] = { 0 };
	unsigned n = c->args->jobs != 0 ? c->args->jobs : processors();

	n = n > sizeof(bytes) ? sizeof(bytes) : n;
	if (pipe2(c->tokens, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(e, "making a pipe");
	return fd_write_all(c->tokens[1], bytes, n, "a pipe", e);
}

int
bld_crew_run(struct bld *b, const struct bld_crew_args *a, struct err *e)
{
	AUTO_FREE struct plan_walk *states = calloc(a->n, sizeof(*states));
	AUTO_FREE struct walker *walkers = calloc(a->n, sizeof(*walkers));
	struct bld_crew c = { .args = a,
		.b = b,
		.v = walkers,
		.events = b->eng->events,
		.tokens = { -1, -1 },
		.sock = -1,
		.out = -1 };
	struct err own = ERR_INIT;
	int rc;

	if (states == NULL || walkers == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < a->n; i++)
		walkers[i].sock = walkers[i].out = -1;
	plan_init(&c.plan, states, a->n, a->needed);
	b->crew = &c;
	rc = make_tokens(&c, &own);
	if (rc == 0)
		rc = work(&c, &own);
	end_workers(&c);
	b->crew = NULL;
	fd_close(c.tokens[0]);
	fd_close(c.tokens[1]);
	if (rc < 0 && e != NULL)
		*e = own;
	return rc;
}
