/*
 * The fetching of blobs. Each is one exchange whose body goes into the store's
 * partial file; the store checks size and digest before anything is visible.
 * Blobs of ours are locked by us: so we never wait for another process while
 * one of them is under way, and two processes cannot wait for each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "image/fetch.h"

static void begin_exchange(struct fetch *);

static void
fail(struct fetch *f, int rc, const struct err *e)
{
	f->state = FETCH_FAILED;
	if (f->set->rc == 0) {
		f->set->rc = rc;
		f->set->err = *e;
	}
}

static void
tell(const struct fetch *f)
{
	event_progress(f->set->remote->net->events, f->what, f->have, f->size);
}

/* ---- the exchange -------------------------------------------------------------- */

static int
prepare(void *arg, struct exchange *x, struct err *e)
{
	struct fetch *f = arg;

	f->have = img_blob_have(f->blob);
	if (f->have > 0)
		exchange_header(x, "Range: bytes=%llu-", (unsigned long long)f->have);
	return 0;
}

/* Does "bytes A-B/C" go on where we are? */
static bool
continues(const struct exchange *x, uint64_t have, uint64_t size)
{
	const char *range = exchange_answer_header(x, "Content-Range");
	unsigned long long from, to, whole;
	int end = 0;

	if (range == NULL || sscanf(range, "bytes %20llu-%20llu/%20llu%n", &from, &to, &whole, &end) != 3 ||
	    range[end] != '\0')
		return false;
	return from == have && to < size && whole == size;
}

/* Forgets what is there. */
static int
restart(struct fetch *f, struct err *e)
{
	f->resumed = false;
	f->have = 0;
	f->restarts++;
	return img_blob_restart(f->blob, e);
}

static int
on_head(void *arg, struct exchange *x, struct err *e)
{
	struct fetch *f = arg;

	if (f->have == 0)
		return x->status == 206 ? err_set(e, E_INVAL, "a part came that nobody asked for") : 0;
	if (x->status == 206 && continues(x, f->have, f->size))
		return 0;
	if (x->status == 206)
		return err_set(e, E_CORRUPT, "another part came than was asked for");
	/* It cannot go on in the middle, and sends everything. */
	return restart(f, e);
}

static int
on_data(void *arg, struct exchange *x, const void *data, size_t n, struct err *e)
{
	struct fetch *f = arg;
	int rc;

	fault_point("image.pull.data");
	if ((rc = img_blob_write(f->blob, data, n, e)) < 0)
		return rc;
	f->have = img_blob_have(f->blob);
	tell(f);
	return 0;
}

/* Checks it and makes it visible. */
static int
commit(struct fetch *f, struct err *e)
{
	int rc;

	if (f->have < f->size) {
		img_blob_abort(take_ptr(f->blob), false);
		return err_set(e, E_CORRUPT, "%s: %llu bytes came of %llu announced", f->what,
		    (unsigned long long)f->have, (unsigned long long)f->size);
	}
	fault_point("image.pull.commit");
	rc = img_blob_commit(f->set->store, &f->blob, NULL, NULL, e);
	fault_point("image.pull.committed");
	if (rc < 0)
		err_wrap(e, "%s", f->what);
	return rc;
}

/* What came is not what was announced, and part of it was there before: once more, all of it. */
static int
start_afresh(struct fetch *f, struct err *e)
{
	struct img_store *s = f->set->store;
	int rc;

	f->fresh_tried = true;
	if (f->blob == NULL) {
		rc = img_blob_try(s, &f->digest, f->size, &f->blob, e);
		if (rc != 0)
			return rc;
	}
	if ((rc = restart(f, e)) < 0)
		return rc;
	begin_exchange(f);
	return 0;
}

static void
on_done(void *arg, struct exchange *x, int rc, struct err *e)
{
	struct fetch *f = arg;

	if (rc == 0)
		rc = commit(f, e);
	else if (x->status == 0 && (rc == -E_CORRUPT || rc == -E_LIMIT || rc == -E_INVAL))
		img_blob_abort(take_ptr(f->blob), false); /* what came is not to be trusted */
	else if (x->status != 416)
		img_blob_abort(take_ptr(f->blob), true);
	if ((rc == -E_CORRUPT || (rc < 0 && x->status == 416)) && f->resumed && !f->fresh_tried) {
		rc = start_afresh(f, e);
		if (rc == 0)
			return;
		rc = rc == 1 ? 0 : rc;
	}
	if (rc < 0) {
		img_blob_abort(take_ptr(f->blob), false);
		fail(f, rc, e);
		return;
	}
	f->have = f->size;
	f->state = FETCH_DONE;
	tell(f);
}

static void
begin_exchange(struct fetch *f)
{
	f->state = FETCH_RUNNING;
	exchange_start(&f->x);
}

static int
init_exchange(struct fetch *f, struct err *e)
{
	const struct exchange_ops ops = { prepare, on_head, on_data, on_done, f };
	struct remote *r = f->set->remote;
	char text[DIGEST_TEXT_LEN];
	int rc;

	if (f->x.client != NULL)
		return 0;
	if ((rc = exchange_init(&f->x, r->client, &ops, 0, e)) < 0)
		return rc;
	f->x.what = f->what;
	remote_scope(r, "pull", f->x.scope);
	exchange_url(&f->x, "/v2/%s/blobs/%s", r->name, digest_print(&f->digest, text));
	return 0;
}

/* ---- the set ------------------------------------------------------------------------ */

/* r: what img_blob_begin or _try said. */
static int
taken(struct fetch *f, int r, struct err *e)
{
	if (r == -E_BUSY) {
		f->state = FETCH_ELSEWHERE;
		return 0;
	}
	if (r < 0)
		return r;
	if (r == 1) {
		f->was_there = true;
		f->have = f->size;
		f->state = FETCH_DONE;
		return 0;
	}
	f->have = img_blob_have(f->blob);
	f->resumed = f->have > 0;
	if (f->have == f->size) { /* killed just before it would have been checked */
		if ((r = img_blob_replay(f->blob, NULL, NULL, e)) < 0 || (r = commit(f, e)) < 0) {
			if (r != -E_CORRUPT || f->size == 0)
				return r;
			return start_afresh(f, e);
		}
		f->state = FETCH_DONE;
		return 0;
	}
	begin_exchange(f);
	return 0;
}

static int
try_one(struct fetch *f, struct err *e)
{
	int rc;

	if ((rc = init_exchange(f, e)) < 0)
		return rc;
	return taken(f, img_blob_try(f->set->store, &f->digest, f->size, &f->blob, e), e);
}

int
fetch_set_begin(
    struct fetch_set *s, struct remote *r, struct img_store *store, struct fetch *v, size_t n, struct err *e)
{
	int rc;

	*s = (struct fetch_set){ .remote = r, .store = store, .v = v, .n = n };
	for (size_t i = 0; i < n; i++) {
		v[i].set = s;
		v[i].state = FETCH_NEW;
	}
	for (size_t i = 0; i < n; i++)
		if ((rc = try_one(&v[i], e)) < 0)
			return rc;
	return 0;
}

int
fetch_set_turn(struct fetch_set *s, struct err *e)
{
	int rc;

	if (s->rc < 0) {
		*e = s->err;
		return s->rc;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == FETCH_ELSEWHERE && (rc = try_one(&s->v[i], e)) < 0)
			return rc;
	return 0;
}

int
fetch_set_wait(struct fetch_set *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		struct fetch *f = &s->v[i];

		if (f->state != FETCH_ELSEWHERE)
			continue;
		event_info(s->remote->net->events, "%s: another pull fetches it", f->what);
		return taken(
		    f, img_blob_begin(s->store, &f->digest, f->size, s->remote->net->cancel, &f->blob, e), e);
	}
	return 0;
}

bool
fetch_set_is_running(const struct fetch_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == FETCH_RUNNING)
			return true;
	return false;
}

bool
fetch_set_is_done(const struct fetch_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state != FETCH_DONE)
			return false;
	return true;
}

void
fetch_set_fini(struct fetch_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		exchange_fini(&s->v[i].x);
		img_blob_abort(take_ptr(s->v[i].blob), true);
	}
	s->n = 0;
}
