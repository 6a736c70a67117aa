/* See commit.h. The queue's lock is held for moments only, never while anything is written. */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/fault.h"
#include "base/text.h"
#include "registry/commit.h"
#include "registry/db.h"
#include "registry/store.h"

#define BATCH_MAX 256
/* An index.json that takes longer than this is written later, and at most this part of the time. */
#define INDEX_QUICK_MS 10
#define INDEX_SHARE 20

struct committer {
	struct store *store;
	struct db *db;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct change *first, **last;
	bool stopping;
	/* The thread's own. */
	bool index_dirty;
	int64_t index_cost, index_not_before;
};

static struct change *
take_batch(struct committer *c)
{
	struct change *batch, *end;
	int n = 1;

	pthread_mutex_lock(&c->lock);
	while (c->first == NULL && !c->stopping) {
		struct timespec until;

		if (!c->index_dirty) {
			pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		if (text_monotonic_ms() >= c->index_not_before)
			break;
		until.tv_sec = c->index_not_before / 1000;
		until.tv_nsec = c->index_not_before % 1000 * 1000000;
		(void)pthread_cond_timedwait(&c->wake, &c->lock, &until);
	}
	batch = c->first;
	if (batch != NULL) {
		for (end = batch; end->next != NULL && n < BATCH_MAX; n++)
			end = end->next;
		c->first = end->next;
		if (c->first == NULL)
			c->last = &c->first;
		end->next = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	return batch;
}

static int
apply_one(struct committer *c, struct change *ch)
{
	int rc = db_savepoint(c->db, &ch->err);

	if (rc < 0)
		return rc;
	rc = ch->apply(ch, c->db, &ch->err);
	if (rc == 0)
		rc = db_release(c->db, &ch->err);
	if (rc < 0)
		db_undo(c->db);
	return rc;
}

static void
fail_all(struct change *batch, const struct err *e)
{
	for (; batch != NULL; batch = batch->next) {
		if (batch->rc == 0) {
			batch->rc = -e->code;
			batch->err = *e;
		}
	}
}

static void
write_index(struct committer *c)
{
	int64_t begun = text_monotonic_ms();
	struct err e = ERR_INIT;

	/* A failure (a full disk) leaves the old one; the next change tries again. */
	(void)!store_write_index(c->store, c->db, &e);
	c->index_dirty = false;
	c->index_cost = text_monotonic_ms() - begun;
	c->index_not_before = text_monotonic_ms() + INDEX_SHARE * c->index_cost;
}

static void
commit_batch(struct committer *c, struct change *batch)
{
	struct err e = ERR_INIT;
	int rc = db_begin(c->db, &e);

	if (rc < 0) {
		fail_all(batch, &e);
		return;
	}
	for (struct change *ch = batch; ch != NULL; ch = ch->next) {
		ch->rc = apply_one(c, ch);
		c->index_dirty |= ch->rc == 0 && ch->layout;
	}
	fault_point("registry.commit.applied");
	rc = store_sync(c->store, &e);
	if (rc < 0)
		db_rollback(c->db);
	else
		rc = db_commit(c->db, &e);
	if (rc < 0)
		fail_all(batch, &e);
	fault_point("registry.commit.committed");
}

static void *
run(void *arg)
{
	struct committer *c = arg;

	for (;;) {
		struct change *batch = take_batch(c), *next;

		if (batch == NULL && c->stopping && c->first == NULL)
			break;
		if (batch != NULL)
			commit_batch(c, batch);
		if (c->index_dirty &&
		    (c->index_cost < INDEX_QUICK_MS || text_monotonic_ms() >= c->index_not_before))
			write_index(c);
		for (; batch != NULL; batch = next) {
			next = batch->next;
			batch->done(batch);
		}
	}
	if (c->index_dirty)
		write_index(c);
	return NULL;
}

int
committer_start(struct store *store, struct committer **out, struct err *e)
{
	struct committer *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	int rc;

	if (c == NULL)
		return err_nomem(e);
	c->store = store;
	c->last = &c->first;
	c->index_dirty = true;
	rc = db_open(store->dir, true, &c->db, e);
	if (rc < 0) {
		free(c);
		return rc;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&c->thread, NULL, run, c);
	if (rc != 0) {
		db_close(c->db);
		free(c);
		return err_sysno(e, rc, "start a thread");
	}
	*out = c;
	return 0;
}

void
committer_stop(struct committer *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->wake);
	db_close(c->db);
	free(c);
}

void
commit_submit(struct committer *c, struct change *ch)
{
	ch->next = NULL;
	ch->rc = 0;
	pthread_mutex_lock(&c->lock);
	*c->last = ch;
	c->last = &ch->next;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

struct waiter {
	struct change change;
	struct change *inner;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
};

static int
apply_inner(struct change *ch, struct db *db, struct err *e)
{
	struct waiter *w = (struct waiter *)ch;

	return w->inner->apply(w->inner, db, e);
}

static void
tell_waiter(struct change *ch)
{
	struct waiter *w = (struct waiter *)ch;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
}

int
commit_wait(struct committer *c, struct change *inner, struct err *e)
{
	struct waiter w = { .change = { .apply = apply_inner, .done = tell_waiter, .layout = inner->layout },
		.inner = inner };

	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.ended, NULL);
	commit_submit(c, &w.change);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.ended, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.ended);
	if (w.change.rc < 0)
		*e = w.change.err;
	return w.change.rc;
}
