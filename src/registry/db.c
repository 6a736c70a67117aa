/*
 * Connections to the catalogue, its tables, statements and transactions.
 * Queries are in db_read.c, changes in db_write.c, garbage in db_gc.c.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/db_impl.h"

#define SCHEMA_VERSION 1
#define BUSY_MS 20000

/*
 * blob: a file in blobs/; damaged ones wait for somebody to push them again.
 * link: a repository has a blob; seen is renewed while somebody may be about
 * to refer to it.  manifest: a repository has a manifest, whose bytes are a
 * blob.  ref: what a manifest refers to, by digest, as it may be missing.
 */
static const char schema[] =
    "CREATE TABLE repo (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, updated INTEGER NOT NULL,"
    " title TEXT, description TEXT);"
    "CREATE TABLE blob (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,"
    " added INTEGER NOT NULL, damaged INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE link (repo INTEGER NOT NULL, blob INTEGER NOT NULL, seen INTEGER NOT NULL,"
    " PRIMARY KEY (repo, blob)) WITHOUT ROWID;"
    "CREATE INDEX link_blob ON link (blob);"
    "CREATE TABLE manifest (id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, blob INTEGER NOT NULL,"
    " media_type TEXT NOT NULL, pushed INTEGER NOT NULL, total INTEGER NOT NULL, os TEXT, arch TEXT,"
    " subject TEXT, artifact_type TEXT, descriptor TEXT, UNIQUE (repo, blob));"
    "CREATE INDEX manifest_blob ON manifest (blob);"
    "CREATE INDEX manifest_subject ON manifest (repo, subject, id) WHERE subject IS NOT NULL;"
    "CREATE TABLE ref (manifest INTEGER NOT NULL, digest TEXT NOT NULL, kind INTEGER NOT NULL,"
    " PRIMARY KEY (manifest, digest)) WITHOUT ROWID;"
    "CREATE INDEX ref_digest ON ref (digest);"
    "CREATE TABLE tag (repo INTEGER NOT NULL, name TEXT NOT NULL, manifest INTEGER NOT NULL,"
    " updated INTEGER NOT NULL, PRIMARY KEY (repo, name)) WITHOUT ROWID;"
    "CREATE INDEX tag_manifest ON tag (manifest);"
    "CREATE TABLE classic (manifest INTEGER PRIMARY KEY, digest TEXT NOT NULL, media_type TEXT NOT NULL,"
    " meta TEXT NOT NULL, skein TEXT, sig TEXT);"
    "PRAGMA user_version = 1;";

int
db_failed(struct db *db, const char *what, struct err *e)
{
	int code = sqlite3_errcode(db->h);

	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return err_nomem(e);
	case SQLITE_FULL:
		return err_set(e, E_NOSPC, "%s: the disk is full", what);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(e, E_CORRUPT, "%s: the catalogue is damaged", what);
	case SQLITE_BUSY:
		return err_set(e, E_BUSY, "%s: the catalogue is in use", what);
	default:
		return err_set(e, E_SYS, "%s: %s", what, sqlite3_errmsg(db->h));
	}
}

static int
execute(struct db *db, const char *sql, const char *what, struct err *e)
{
	return sqlite3_exec(db->h, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_failed(db, what, e);
}

static int
get_version(struct db *db, int *version, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, "PRAGMA user_version", e);
	int rc = st == NULL ? -e->code : db_step(db, st, "read the catalogue", e);

	*version = rc == 1 ? sqlite3_column_int(st, 0) : 0;
	return rc < 0 ? rc : 0;
}

static int
make_tables(struct db *db, struct err *e)
{
	int version, rc = get_version(db, &version, e);

	if (rc < 0)
		return rc;
	if (version == SCHEMA_VERSION)
		return 0;
	if (version != 0) {
		err_set(e, E_NOTSUP, "catalogue: its version %d is not known", version);
		return err_hint(e, "a newer pot-registry made it");
	}
	if ((rc = db_begin(db, e)) < 0)
		return rc;
	if ((rc = execute(db, schema, "make the catalogue", e)) < 0) {
		db_rollback(db);
		return rc;
	}
	return db_commit(db, e);
}

int
db_open(const char *dir, bool write, struct db **out, struct err *e)
{
	AUTO(db) struct db *db = calloc(1, sizeof(*db));
	AUTO_FINI(buf) struct buf path = BUF_INIT(8192);
	int flags = SQLITE_OPEN_NOMUTEX |
	    (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE);
	int rc;

	if (db == NULL)
		return err_nomem(e);
	buf_fmt(&path, "%s/catalogue.db", dir);
	if ((rc = buf_check(&path, "path", e)) < 0)
		return rc;
	if (sqlite3_open_v2(buf_cstr(&path), &db->h, flags, NULL) != SQLITE_OK) {
		if (db->h == NULL)
			return err_nomem(e);
		return db_failed(db, "open the catalogue", e);
	}
	(void)sqlite3_extended_result_codes(db->h, 0);
	(void)sqlite3_busy_timeout(db->h, BUSY_MS);
	rc = execute(db,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024; PRAGMA "
	    "temp_store = MEMORY;"
	    " PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF; PRAGMA case_sensitive_like "
	    "= OFF;",
	    "open the catalogue", e);
	if (rc == 0 && write)
		rc = make_tables(db, e);
	if (rc == 0 && !write)
		rc = execute(db, "PRAGMA query_only = ON", "open the catalogue", e);
	if (rc == 0)
		*out = take_ptr(db);
	return rc;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->n; i++)
		sqlite3_finalize(db->cache[i].st);
	sqlite3_close(db->h);
	free(db);
}

sqlite3_stmt *
db_statement(struct db *db, const char *sql, struct err *e)
{
	sqlite3_stmt *st = NULL;

	for (size_t i = 0; i < db->n; i++) {
		if (db->cache[i].sql == sql && !sqlite3_stmt_busy(db->cache[i].st))
			return db->cache[i].st;
	}
	if (db->n == DB_STATEMENTS) {
		err_set(e, E_LIMIT, "catalogue: too many statements");
		return NULL;
	}
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
		(void)db_failed(db, "ask the catalogue", e);
		return NULL;
	}
	db->cache[db->n].sql = sql;
	db->cache[db->n++].st = st;
	return st;
}

void
db_done(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

void
bind_text(sqlite3_stmt *st, int i, const char *text)
{
	(void)sqlite3_bind_text(st, i, text, -1, SQLITE_TRANSIENT);
}

void
bind_text_n(sqlite3_stmt *st, int i, const char *text, size_t n)
{
	(void)sqlite3_bind_text64(st, i, text, n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void
bind_int(sqlite3_stmt *st, int i, int64_t v)
{
	(void)sqlite3_bind_int64(st, i, v);
}

void
bind_digest(sqlite3_stmt *st, int i, const struct digest *d)
{
	char text[DIGEST_TEXT_LEN];

	bind_text(st, i, digest_print(d, text));
}

int
db_step(struct db *db, sqlite3_stmt *st, const char *what, struct err *e)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return db_failed(db, what, e);
	}
}

int
db_run(struct db *db, sqlite3_stmt *st, const char *what, int *changes, struct err *e)
{
	int rc = db_step(db, st, what, e);

	if (changes != NULL)
		*changes = sqlite3_changes(db->h);
	return rc < 0 ? rc : 0;
}

const char *
column_text(sqlite3_stmt *st, int i)
{
	const unsigned char *text = sqlite3_column_text(st, i);

	return text == NULL ? "" : (const char *)text;
}

int
column_digest(sqlite3_stmt *st, int i, struct digest *d, struct err *e)
{
	int rc = digest_parse(column_text(st, i), d, e);

	return rc < 0 ? err_set(e, E_CORRUPT, "catalogue: a digest in it is damaged") : 0;
}

int
db_begin(struct db *db, struct err *e)
{
	return execute(db, "BEGIN IMMEDIATE", "change the catalogue", e);
}

int
db_commit(struct db *db, struct err *e)
{
	int rc = execute(db, "COMMIT", "change the catalogue", e);

	if (rc < 0)
		db_rollback(db);
	return rc;
}

void
db_rollback(struct db *db)
{
	(void)sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

int
db_savepoint(struct db *db, struct err *e)
{
	return execute(db, "SAVEPOINT job", "change the catalogue", e);
}

int
db_release(struct db *db, struct err *e)
{
	return execute(db, "RELEASE job", "change the catalogue", e);
}

void
db_undo(struct db *db)
{
	(void)sqlite3_exec(db->h, "ROLLBACK TO job; RELEASE job", NULL, NULL, NULL);
}

int
db_read_begin(struct db *db, struct err *e)
{
	return execute(db, "BEGIN", "read the catalogue", e);
}

void
db_read_end(struct db *db)
{
	(void)sqlite3_exec(db->h, "COMMIT", NULL, NULL, NULL);
}

int
db_check(struct db *db, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, "PRAGMA quick_check(1)", e);
	int rc = st == NULL ? -e->code : db_step(db, st, "check the catalogue", e);

	if (rc == 1 && strcmp(column_text(st, 0), "ok") != 0)
		return err_set(e, E_CORRUPT, "catalogue: %.200s", column_text(st, 0));
	return rc < 0 ? rc : 0;
}
