/* Inside the catalogue's files only: the connection and its statements. */
#ifndef REGISTRY_DB_IMPL_H
#define REGISTRY_DB_IMPL_H

#include <sqlite3.h>

#include "registry/db.h"

#define DB_STATEMENTS 64

/* Statements are prepared once per connection; a slot is found by the address of its text. */
struct db {
	sqlite3 *h;
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} cache[DB_STATEMENTS];
	size_t n;
};

/* A statement ready to be bound; NULL with e set. Given back with db_done. */
sqlite3_stmt *db_statement(struct db *, const char *sql, struct err *);
void db_done(sqlite3_stmt *);
DEFINE_AUTO(stmt, sqlite3_stmt *, NULL, db_done)

int db_failed(struct db *, const char *what, struct err *);
void bind_text(sqlite3_stmt *, int i, const char *);
void bind_text_n(sqlite3_stmt *, int i, const char *, size_t);
void bind_int(sqlite3_stmt *, int i, int64_t);
void bind_digest(sqlite3_stmt *, int i, const struct digest *);
/* 1 a row, 0 the end, <0. */
int db_step(struct db *, sqlite3_stmt *, const char *what, struct err *) MUST_CHECK;
/* Steps a statement that has no rows; *changes may be NULL. */
int db_run(struct db *, sqlite3_stmt *, const char *what, int *changes, struct err *) MUST_CHECK;
const char *column_text(sqlite3_stmt *, int i); /* "" for NULL */
int column_digest(sqlite3_stmt *, int i, struct digest *, struct err *) MUST_CHECK;

/* db_write.c, also for garbage: the manifest, its tags and references. */
int db_manifest_remove(struct db *, int64_t id, int64_t now, struct err *) MUST_CHECK;

#endif
