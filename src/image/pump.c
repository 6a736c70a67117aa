/*
 * One lane a layer: waiting, open (an unpacker runs), closing (it has got all),
 * made (checked, not yet visible), done. The bytes go through the file of the
 * blob: so a slow unpacker never holds up what comes from the registry, and
 * what was there before comes first.
 *
 * A lane that is not done holds its layer's lock. Nobody waits for a lock with
 * something made in hand that could be made visible: so of all who wait, the
 * one with the lowest layer can always go on.
 */
#include "image/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

#define CHUNK ((size_t)128 * 1024)

enum lane_state { LANE_WAITING, LANE_OPEN, LANE_CLOSING, LANE_MADE, LANE_DONE };

struct pump_lane {
	struct digest diff, chain;
	enum lane_state state;
	bool on_top; /* only on what is below */
	struct img_unpack *u;
	unsigned restarts; /* of the blob when it began */
	int fd;            /* of the blob */
	int ending;        /* becomes readable when a closing one ends */
	uint64_t offset;   /* bytes of the blob read */
	size_t len, off;   /* what stands in buf and is not written yet */
	char *buf;
};

static size_t
processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 2 ? 2 : n > PUMP_FDS_MAX ? PUMP_FDS_MAX : (size_t)n;
}

int
pump_init(struct pump *p, struct img_store *store, struct stor *stor, struct pump_blob *blobs,
    const struct digest *diffs, size_t n, struct err *e)
{
	int r = 0;

	*p = (struct pump){ .store = store, .stor = stor, .blobs = blobs, .n = n };
	p->apart = (stor->caps & STOR_CAP_STACK) != 0;
	p->most = p->apart ? processors() : 1;
	p->lanes = calloc(n + 1, sizeof(*p->lanes));
	if (p->lanes == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		p->lanes[i].fd = p->lanes[i].ending = -1;
	for (size_t i = 0; r == 0 && i < n; i++) {
		p->lanes[i].diff = diffs[i];
		r = img_chain_id(i > 0 ? &p->lanes[i - 1].chain : NULL, &diffs[i], &p->lanes[i].chain, e);
	}
	return r;
}

bool
pump_is_done(const struct pump *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->lanes[i].state != LANE_DONE)
			return false;
	return true;
}

uint64_t
pump_done(const struct pump *p)
{
	uint64_t done = 0;

	for (size_t i = 0; i < p->n; i++)
		done += p->lanes[i].state >= LANE_MADE ? p->blobs[i].size : p->lanes[i].offset;
	return done;
}

const struct digest *
pump_chain(const struct pump *p)
{
	return &p->lanes[p->n - 1].chain;
}

unsigned
pump_wants(const struct pump *p, struct pollfd v[static PUMP_FDS_MAX])
{
	unsigned n = 0;

	for (size_t i = 0; i < p->n && n < PUMP_FDS_MAX; i++) {
		const struct pump_lane *l = &p->lanes[i];

		if (l->state == LANE_CLOSING)
			v[n++] = (struct pollfd){ .fd = l->ending, .events = POLLIN };
		else if (l->state == LANE_OPEN && (l->off < l->len || l->offset < p->blobs[i].have))
			v[n++] = (struct pollfd){ .fd = img_unpack_fd(l->u), .events = POLLOUT };
	}
	return n;
}

static int
naming(const struct pump *p, const struct pump_lane *l, int r, struct err *e)
{
	if (r < 0)
		err_wrap(e, "%s", p->blobs[l - p->lanes].what);
	return r;
}

/* Back to the beginning, or to the end: nothing of the blob is held any more. */
static void
rest(struct pump_lane *l, enum lane_state state)
{
	l->state = state;
	l->offset = 0;
	l->len = l->off = 0;
	l->ending = -1;
	free(take_ptr(l->buf));
	fd_close(take_fd(l->fd));
}

/* ---- one lane ----------------------------------------------------------------------- */

/* An unpacker has been started: opens what it gets. */
static int
feed_from(struct pump *p, struct pump_lane *l, struct err *e)
{
	const struct pump_blob *b = &p->blobs[l - p->lanes];
	int flags = fcntl(img_unpack_fd(l->u), F_GETFL);

	l->state = LANE_OPEN;
	l->restarts = b->restarts;
	l->fd = b->state == PUMP_WHOLE ? img_blob_open(p->store, &b->digest, NULL, e)
				       : img_blob_open_partial(p->store, &b->digest, e);
	if (l->fd < 0)
		return l->fd;
	if ((l->buf = malloc(CHUNK)) == NULL)
		return err_nomem(e);
	if (flags < 0 || fcntl(img_unpack_fd(l->u), F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, "the unpacker's pipe");
	return 0;
}

/* E_BUSY: another process has it, and waiting was not asked for. */
static int
begin(struct pump *p, struct pump_lane *l, bool wait, struct err *e)
{
	const struct img_unpack_args args = { l > p->lanes ? &l[-1].chain : NULL, &l->diff, p->max_size,
		p->cancel, !wait, p->apart && !l->on_top };
	int r;

	fault_point("image.pull.unpack");
	r = img_unpack_begin(p->store, p->stor, &args, &l->u, NULL, e);
	if (r < 0)
		return r;
	if (r == 0)
		return feed_from(p, l, e);
	l->state = LANE_DONE;
	return 0;
}

/* 1: something was read, 0: nothing is there yet. */
static int
fill(struct pump *p, struct pump_lane *l, struct err *e)
{
	const struct pump_blob *b = &p->blobs[l - p->lanes];
	uint64_t left = b->have > l->offset ? b->have - l->offset : 0;
	ssize_t n;

	if (left == 0)
		return 0;
	do {
		n = pread(l->fd, l->buf, left > CHUNK ? CHUNK : (size_t)left, (off_t)l->offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "reading it");
	if (n == 0)
		return err_set(e, E_CORRUPT, "became shorter meanwhile");
	l->offset += (uint64_t)n;
	l->off = 0;
	l->len = (size_t)n;
	return 1;
}

/* Checked. What can only be made on top of the others is begun anew when they stand. */
static int
check(struct pump_lane *l, struct err *e)
{
	int r;

	fault_point("image.pull.unpacked");
	r = img_unpack_check(&l->u, e);
	if (r < 0)
		return r;
	l->on_top = r == 1;
	rest(l, r == 1 ? LANE_WAITING : LANE_MADE);
	return 0;
}

/* The unpacker has given up: what it says counts. */
static int
broken(struct pump_lane *l, struct err *e)
{
	int r = img_unpack_check(&l->u, e);

	if (r == 1) { /* it only has to be made differently */
		l->on_top = true;
		rest(l, LANE_WAITING);
		return 0;
	}
	return r < 0 ? r : err_set(e, E_SYS, "the unpacker ended early");
}

/* 1: written, 0: the pipe is full, or it has ended. */
static int
drain(struct pump_lane *l, struct err *e)
{
	while (l->off < l->len) {
		ssize_t n = write(img_unpack_fd(l->u), l->buf + l->off, l->len - l->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == EPIPE)
			return broken(l, e);
		if (n < 0)
			return err_sys(e, "the unpacker's pipe");
		l->off += (size_t)n;
	}
	return 1;
}

/* It has got all of a blob that is as it should be. */
static int
finish(const struct pump *p, struct pump_lane *l, struct err *e)
{
	int r;

	if (p->apart && !l->on_top) {
		l->ending = img_unpack_close(l->u);
		l->state = LANE_CLOSING;
		return 1;
	}
	fault_point("image.pull.unpacked");
	if ((r = img_unpack_end(&l->u, true, e)) < 0)
		return r;
	rest(l, LANE_DONE);
	return 1;
}

/* What it got so far was taken back. */
static int
start_over(struct pump_lane *l, struct err *e)
{
	int r = img_unpack_end(&l->u, false, NULL);

	if (r == -E_INTR)
		return err_set(e, E_INTR, "interrupted");
	rest(l, LANE_WAITING);
	return 0;
}

static int
end_closing(struct pump_lane *l, struct err *e)
{
	struct pollfd v = { .fd = l->ending, .events = POLLIN };

	return poll(&v, 1, 0) > 0 ? check(l, e) : 0;
}

/* Moves what can be moved of an open lane: 1 goes on, 0 has to wait. */
static int
step(struct pump *p, struct pump_lane *l, struct err *e)
{
	const struct pump_blob *b = &p->blobs[l - p->lanes];
	int r;

	if (b->restarts != l->restarts)
		return start_over(l, e);
	r = l->off < l->len ? drain(l, e) : fill(p, l, e);
	if (r != 0)
		return r;
	if (l->state != LANE_OPEN || l->off < l->len || b->state != PUMP_WHOLE || l->offset < b->size)
		return 0;
	return finish(p, l, e);
}

static int
move(struct pump *p, struct pump_lane *l, struct err *e)
{
	int r = 1;

	if (l->state == LANE_CLOSING)
		return naming(p, l, end_closing(l, e), e);
	/* A bounded number of steps, so that the registry's side and the other lanes get their turn. */
	for (int i = 0; r == 1 && i < 16 && l->state == LANE_OPEN; i++)
		r = step(p, l, e);
	return naming(p, l, r, e);
}

/* ---- all of them ---------------------------------------------------------------------- */

/*
 * While we fetch we begin only what we hold or have: another process that
 * unpacks a layer has all it needs, and is never waited for with a lock of
 * ours that it wants.
 */
static bool
may_begin(const struct pump_blob *b, bool idle)
{
	return b->state == PUMP_COMING || (b->state == PUMP_WHOLE && (idle || !b->was_there));
}

static size_t
count(const struct pump *p, enum lane_state from, enum lane_state to)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->lanes[i].state >= from && p->lanes[i].state <= to;
	return n;
}

/* Makes what is made visible, as far as all below it is. One sync for all. */
static int
flush(struct pump *p, struct err *e)
{
	bool synced = false;
	int r = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct pump_lane *l = &p->lanes[i];

		if (l->state == LANE_DONE)
			continue;
		if (l->state != LANE_MADE)
			break;
		if (!synced && (r = stor_sync(p->stor, e)) < 0)
			return r;
		synced = true;
		fault_point("image.pull.synced");
		if ((r = img_unpack_stack(&l->u, e)) < 0)
			return naming(p, l, r, e);
		l->on_top = r == 1;
		l->state = r == 1 ? LANE_WAITING : LANE_DONE;
		if (r == 1)
			break;
	}
	return 0;
}

/* Starts what can be started without waiting. */
static int
start(struct pump *p, bool idle, struct err *e)
{
	size_t open = count(p, LANE_OPEN, LANE_CLOSING);
	bool below = true; /* all below is done */

	for (size_t i = 0; i < p->n && open < p->most; i++) {
		struct pump_lane *l = &p->lanes[i];

		if (l->state == LANE_WAITING && may_begin(&p->blobs[i], idle) &&
		    (below || (p->apart && !l->on_top))) {
			int r = begin(p, l, false, e);

			if (r < 0 && r != -E_BUSY)
				return naming(p, l, r, e);
			open += l->state == LANE_OPEN;
		}
		below = below && l->state == LANE_DONE;
	}
	return 0;
}

/* Nothing of ours is under way: what is made is shown, and then another process is waited for. */
static int
stand(struct pump *p, bool idle, struct err *e)
{
	size_t made = count(p, LANE_MADE, LANE_MADE);
	int r = flush(p, e);

	if (r < 0 || made != count(p, LANE_MADE, LANE_MADE) || !idle)
		return r;
	for (size_t i = 0; i < p->n; i++)
		if (p->lanes[i].state == LANE_WAITING && p->blobs[i].state != PUMP_ABSENT)
			return naming(p, &p->lanes[i], begin(p, &p->lanes[i], true, e), e);
		else if (p->lanes[i].state != LANE_DONE)
			return 0; /* its blob is what has to come */
	return 0;
}

int
pump_turn(struct pump *p, bool idle, struct err *e)
{
	int r;

	for (size_t i = 0; i < p->n; i++)
		if ((r = move(p, &p->lanes[i], e)) < 0)
			return r;
	if ((r = start(p, idle, e)) < 0)
		return r;
	/* Shown at the end, together; before that only where somebody may be waiting for it. */
	if (count(p, LANE_OPEN, LANE_CLOSING) > 0 || pump_is_done(p) ||
	    (!idle && count(p, LANE_WAITING, LANE_WAITING) > 0 && count(p, LANE_MADE, LANE_MADE) == 0))
		return 0;
	return stand(p, idle, e);
}

void
pump_fini(struct pump *p)
{
	for (size_t i = 0; p->lanes != NULL && i < p->n; i++) {
		if (p->lanes[i].u != NULL)
			(void)!img_unpack_end(&p->lanes[i].u, false, NULL);
		rest(&p->lanes[i], LANE_WAITING);
	}
	free(take_ptr(p->lanes));
}

int
pump_run(struct pump *p, img_progress_fn *progress, void *arg, struct digest *chain, struct err *e)
{
	struct pollfd v[PUMP_FDS_MAX];
	unsigned n;
	int r = 0;

	while (r == 0 && !pump_is_done(p)) {
		if (p->cancel != NULL && *p->cancel)
			return err_set(e, E_INTR, "interrupted while unpacking");
		n = pump_wants(p, v);
		if (n > 0 && poll(v, n, -1) < 0 && errno != EINTR)
			return err_sys(e, "waiting for the unpacker");
		r = pump_turn(p, true, e);
		if (progress != NULL)
			progress(arg, pump_done(p));
	}
	if (r == 0)
		*chain = *pump_chain(p);
	return r;
}
