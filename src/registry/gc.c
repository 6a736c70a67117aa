/*
 * Garbage collection: portions of catalogue rows that nothing refers to and
 * nobody saw during the grace, as changes among all others; then their files,
 * then files that never got a row (a kill between the two).  Every step runs
 * in the committer's thread, so a push either comes before, and what it needs
 * is not garbage, or after, and finds it gone.
 */
#include <string.h>

#include "registry/classic.h"
#include "registry/gc.h"

#define PORTION 200
#define ORPHANS 512

struct portion {
	struct change change;
	struct registry *registry;
	int64_t now, links_before, untagged_before;
	bool dry;
	struct gc_result *result;
	unsigned done; /* rows */
	struct digest gone[PORTION];
	size_t n_gone;
};

static int
note_blob(void *arg, const struct digest *d, uint64_t size)
{
	struct portion *p = arg;

	if (p->n_gone < PORTION)
		p->gone[p->n_gone++] = *d;
	p->result->blobs++;
	p->result->bytes += size;
	return 0;
}

static int
collect_rows(struct portion *p, struct db *db, unsigned n, struct err *e)
{
	unsigned count = 0;
	int rc = 0;

	p->done = 0;
	p->n_gone = 0;
	if (p->untagged_before > 0) {
		rc = db_gc_untagged(
		    db, p->untagged_before, p->dry ? p->links_before - 1 : p->now, n, &count, e);
		p->result->manifests += count;
		p->done += count;
	}
	if (rc == 0) {
		rc = db_gc_links(db, p->links_before, n, &count, e);
		p->result->links += count;
		p->done += count;
	}
	if (rc == 0) {
		uint64_t before = p->result->blobs;

		rc = db_gc_blobs(db, p->links_before, n, note_blob, p, e);
		p->done += (unsigned)(p->result->blobs - before);
	}
	return rc;
}

/* A dry run takes everything at once, to be undone: its error says so to the committer. */
static int
apply_dry(struct change *ch, struct db *db, struct err *e)
{
	struct portion *p = (struct portion *)ch;
	int rc;

	do {
		rc = collect_rows(p, db, PORTION, e);
	} while (rc == 0 && p->done > 0);
	return rc < 0 ? rc : err_set(e, E_INTR, "a dry run");
}

static int
apply_rows(struct change *ch, struct db *db, struct err *e)
{
	struct portion *p = (struct portion *)ch;

	return collect_rows(p, db, PORTION, e);
}

/* After the rows are gone for good. A push in between has made a new row, and then the file stays. */
static int
apply_files(struct change *ch, struct db *db, struct err *e)
{
	struct portion *p = (struct portion *)ch;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_gone; i++) {
		struct db_blob blob;
		struct err missing = ERR_INIT;

		rc = db_blob_get(db, &p->gone[i], &blob, &missing);
		if (rc == -E_NOENT)
			rc = store_blob_remove(&p->registry->store, &p->gone[i], e);
		else if (rc < 0)
			*e = missing;
	}
	return rc;
}

static int
change_with(struct portion *p, int (*apply)(struct change *, struct db *, struct err *), struct err *e)
{
	p->change.apply = apply;
	return commit_wait(p->registry->committer, &p->change, e);
}

static int
note_orphan(void *arg, const struct digest *d, uint64_t size, int64_t age)
{
	struct portion *p = arg;
	struct registry *g = p->registry;
	struct db_blob blob;
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);

	if (db == NULL || age * 1000 < g->options->gc_grace || p->n_gone == PORTION)
		return 0;
	if (db_blob_get(db, d, &blob, &e) != -E_NOENT)
		return 0;
	p->gone[p->n_gone++] = *d;
	p->result->orphans++;
	p->result->bytes += size;
	return 0;
}

static int
collect_orphans(struct portion *p, struct err *e)
{
	int rc;

	do {
		p->n_gone = 0;
		rc = store_each_blob(&p->registry->store, note_orphan, p, e);
		if (rc == 0 && p->n_gone > 0 && !p->dry)
			rc = change_with(p, apply_files, e);
	} while (rc == 0 && p->n_gone == PORTION && !p->dry);
	return rc;
}

static int
apply_repos(struct change *ch, struct db *db, struct err *e)
{
	struct portion *p = (struct portion *)ch;

	return db_gc_repos(db, p->links_before, e);
}

static int
collect(struct portion *p, struct err *e)
{
	int rc;

	if (p->dry) {
		rc = change_with(p, apply_dry, e);
		if (rc == -E_INTR)
			rc = 0;
		return rc < 0 ? rc : collect_orphans(p, e);
	}
	do {
		rc = change_with(p, apply_rows, e);
		if (rc == 0 && p->n_gone > 0)
			rc = change_with(p, apply_files, e);
	} while (rc == 0 && p->done > 0);
	if (rc == 0)
		rc = change_with(p, apply_repos, e);
	return rc < 0 ? rc : collect_orphans(p, e);
}

int
gc_run(struct registry *g, bool dry, struct gc_result *result, struct err *e)
{
	const struct options *o = g->options;
	struct portion p = { .registry = g, .dry = dry, .result = result, .now = registry_now() };
	int rc;

	memset(result, 0, sizeof(*result));
	/* "Not seen since" is exclusive: a grace of 0 takes also what was seen in this second. */
	p.links_before = p.now - o->gc_grace / 1000 + (o->gc_grace == 0);
	if (o->gc_untagged_age > 0)
		p.untagged_before = p.now - o->gc_untagged_age / 1000;
	rc = collect(&p, e);
	if (rc == 0 && !dry)
		rc = classic_clean(g, e);
	if (rc == 0 && !dry) {
		cache_forget(g->cache, NULL);
		atomic_fetch_add(&g->metrics.gc_runs, 1);
		atomic_fetch_add(&g->metrics.gc_blobs, result->blobs + result->orphans);
		atomic_fetch_add(&g->metrics.gc_bytes, result->bytes);
	}
	return rc;
}
