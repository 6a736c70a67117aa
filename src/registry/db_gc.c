/*
 * What the catalogue holds that nobody wants any more.  Everything goes in
 * portions of n, so that pushes never wait long for the committer.
 */
#include "registry/db_impl.h"

#define CLEAN "clean the catalogue"

/* Untagged, in no index, without a subject, older than before. Of several levels each call takes the outermost. */
int
db_gc_untagged(struct db *db, int64_t before, int64_t now, unsigned n, unsigned *deleted, struct err *e)
{
	int64_t ids[256];
	size_t found = 0;
	int rc;
	{
		AUTO(stmt)
		sqlite3_stmt *st = db_statement(db,
		    "SELECT m.id FROM manifest m JOIN blob b ON b.id = m.blob WHERE m.pushed < ?1 AND "
		    "m.subject IS NULL"
		    " AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest = m.id)"
		    " AND NOT EXISTS (SELECT 1 FROM ref f JOIN manifest p ON p.id = f.manifest"
		    " WHERE f.digest = b.digest AND p.repo = m.repo) LIMIT ?2",
		    e);

		if (st == NULL)
			return -e->code;
		bind_int(st, 1, before);
		bind_int(st, 2, n < ARRAY_LEN(ids) ? (int64_t)n : (int64_t)ARRAY_LEN(ids));
		while ((rc = db_step(db, st, CLEAN, e)) == 1)
			ids[found++] = sqlite3_column_int64(st, 0);
	}
	for (size_t i = 0; rc == 0 && i < found; i++)
		rc = db_manifest_remove(db, ids[i], now, e);
	*deleted = (unsigned)found;
	return rc;
}

int
db_gc_links(struct db *db, int64_t before, unsigned n, unsigned *deleted, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "DELETE FROM link WHERE (repo, blob) IN (SELECT l.repo, l.blob FROM link l JOIN blob b ON b.id = "
	    "l.blob"
	    " WHERE l.seen < ?1 AND NOT EXISTS (SELECT 1 FROM ref f JOIN manifest m ON m.id = f.manifest"
	    " WHERE f.digest = b.digest AND m.repo = l.repo) LIMIT ?2)",
	    e);
	int rc, changes;

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, before);
	bind_int(st, 2, n);
	rc = db_run(db, st, CLEAN, &changes, e);
	*deleted = rc < 0 ? 0 : (unsigned)changes;
	return rc;
}

int
db_gc_blobs(struct db *db, int64_t before, unsigned n, db_digest_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "DELETE FROM blob WHERE id IN (SELECT b.id FROM blob b WHERE b.added < ?1"
	    " AND NOT EXISTS (SELECT 1 FROM link l WHERE l.blob = b.id)"
	    " AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.blob = b.id) LIMIT ?2) RETURNING digest, size",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, before);
	bind_int(st, 2, n);
	while ((rc = db_step(db, st, CLEAN, e)) == 1) {
		struct digest d;

		rc = column_digest(st, 0, &d, e);
		if (rc == 0)
			rc = fn(arg, &d, (uint64_t)sqlite3_column_int64(st, 1));
		if (rc < 0)
			return rc;
	}
	return rc;
}

int
db_gc_repos(struct db *db, int64_t before, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "DELETE FROM repo WHERE updated < ?1 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.repo = repo.id)"
	    " AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.repo = repo.id)",
	    e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, before);
	return db_run(db, st, CLEAN, NULL, e);
}

int
db_blob_damaged(struct db *db, const struct digest *d, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, "UPDATE blob SET damaged = 1 WHERE digest = ?1", e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	return db_run(db, st, CLEAN, NULL, e);
}
