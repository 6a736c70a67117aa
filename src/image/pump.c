/*
 * One layer at a time, because each is unpacked onto the one below it. The
 * bytes go through the file of the blob: so a slow unpacker never holds up
 * what comes from the registry, and what was there before comes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "image/pump.h"

int
pump_init(struct pump *p, struct img_store *store, struct stor *stor, struct fetch *layers,
    const struct digest *diffs, size_t n, struct err *e)
{
	*p =
	    (struct pump){ .store = store, .stor = stor, .layers = layers, .diffs = diffs, .n = n, .fd = -1 };
	p->buf = malloc(PUMP_CHUNK);
	return p->buf != NULL ? 0 : err_nomem(e);
}

bool
pump_is_done(const struct pump *p)
{
	return p->at == p->n;
}

int
pump_wants(const struct pump *p)
{
	if (p->u == NULL || (p->off == p->len && p->offset == p->layers[p->at].have))
		return -1;
	return img_unpack_fd(p->u);
}

/* Someone else's or ours: it is unpacked. */
static void
advance(struct pump *p)
{
	p->below = p->chain;
	p->at++;
	p->offset = 0;
	p->len = p->off = 0;
	if (p->fd >= 0)
		close(take_fd(p->fd));
}

/*
 * While we fetch we begin only what we hold or have: another process that
 * unpacks a layer has all it needs, and is never waited for with a lock of
 * ours that it wants.
 */
static bool
may_begin(const struct fetch *f, bool idle)
{
	return f->state == FETCH_RUNNING || (f->state == FETCH_DONE && (idle || !f->was_there));
}

static int
begin(struct pump *p, struct err *e)
{
	const struct img_unpack_args args = { p->at > 0 ? &p->below : NULL, &p->diffs[p->at], p->max_size,
		p->cancel };
	int rc, flags;

	fault_point("image.pull.unpack");
	rc = img_unpack_begin(p->store, p->stor, &args, &p->u, &p->chain, e);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		advance(p);
		return 0;
	}
	p->restarts = p->layers[p->at].restarts;
	p->fd = fetch_open(&p->layers[p->at], e);
	if (p->fd < 0)
		return p->fd;
	flags = fcntl(img_unpack_fd(p->u), F_GETFL);
	if (flags < 0 || fcntl(img_unpack_fd(p->u), F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, "the unpacker's pipe");
	return 0;
}

/* 1: something was read, 0: nothing is there yet. */
static int
fill(struct pump *p, struct err *e)
{
	uint64_t left = p->layers[p->at].have > p->offset ? p->layers[p->at].have - p->offset : 0;
	size_t want = left > PUMP_CHUNK ? PUMP_CHUNK : (size_t)left;
	ssize_t n;

	if (want == 0)
		return 0;
	do {
		n = pread(p->fd, p->buf, want, (off_t)p->offset);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "%s", p->layers[p->at].what);
	if (n == 0)
		return err_set(e, E_CORRUPT, "%s became shorter meanwhile", p->layers[p->at].what);
	p->offset += (uint64_t)n;
	p->off = 0;
	p->len = (size_t)n;
	return 1;
}

/* The unpacker has given up: what it says counts. */
static int
broken(struct pump *p, struct err *e)
{
	int rc = img_unpack_end(&p->u, false, e);

	if (rc == 0)
		rc = err_set(e, E_SYS, "the unpacker ended early");
	err_wrap(e, "%s", p->layers[p->at].what);
	return rc;
}

/* 1: written, 0: the pipe is full. */
static int
drain(struct pump *p, struct err *e)
{
	while (p->off < p->len) {
		ssize_t n = write(img_unpack_fd(p->u), p->buf + p->off, p->len - p->off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == EPIPE)
			return broken(p, e);
		if (n < 0)
			return err_sys(e, "the unpacker's pipe");
		p->off += (size_t)n;
	}
	return 1;
}

static int
finish(struct pump *p, struct err *e)
{
	int rc;

	fault_point("image.pull.unpacked");
	rc = img_unpack_end(&p->u, true, e);
	if (rc < 0) {
		err_wrap(e, "%s", p->layers[p->at].what);
		return rc;
	}
	advance(p);
	return 0;
}

/* What it got so far was taken back. */
static int
start_over(struct pump *p, struct err *e)
{
	int rc = img_unpack_end(&p->u, false, NULL);

	if (rc == -E_INTR)
		return err_set(e, E_INTR, "interrupted");
	p->offset = 0;
	p->len = p->off = 0;
	if (p->fd >= 0)
		close(take_fd(p->fd));
	return 0;
}

/* 1: goes on, 0: has to wait. */
static int
step(struct pump *p, bool idle, struct err *e)
{
	struct fetch *f = &p->layers[p->at];
	int rc;

	if (p->u == NULL) {
		if (!may_begin(f, idle))
			return 0;
		rc = begin(p, e);
		return rc < 0 ? rc : 1;
	}
	if (f->restarts != p->restarts) {
		rc = start_over(p, e);
		return rc < 0 ? rc : 1;
	}
	rc = p->off < p->len ? drain(p, e) : fill(p, e);
	if (rc != 0)
		return rc;
	if (p->off < p->len || f->state != FETCH_DONE || p->offset < f->size)
		return 0;
	rc = finish(p, e);
	return rc < 0 ? rc : 1;
}

int
pump_turn(struct pump *p, bool idle, struct err *e)
{
	/* A bounded number of steps, so that the registry's side gets its turn. */
	for (int i = 0; i < 32 && p->at < p->n; i++) {
		int rc = step(p, idle, e);

		if (rc <= 0)
			return rc;
	}
	return 0;
}

void
pump_fini(struct pump *p)
{
	if (p->u != NULL)
		(void)!img_unpack_end(&p->u, false, NULL);
	if (p->fd >= 0)
		close(take_fd(p->fd));
	free(take_ptr(p->buf));
}
