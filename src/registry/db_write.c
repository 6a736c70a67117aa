/*
 * Changes of the catalogue. All run inside the committer's transaction; one
 * that fails is taken back to its savepoint by the committer.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "image/mediatype.h"
#include "registry/db_impl.h"

#define CHANGE "change the catalogue"

enum ref_kind { REF_CONFIG, REF_LAYER, REF_MANIFEST };

int
db_repo_make(struct db *db, const char *repo, int64_t now, int64_t *id, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "INSERT INTO repo (name, updated) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET updated = ?2"
	    " RETURNING id",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_int(st, 2, now);
	rc = db_step(db, st, CHANGE, e);
	*id = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
	return rc < 0 ? rc : 0;
}

int
db_blob_put(struct db *db, const struct digest *d, uint64_t size, int64_t now, int64_t *id, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "INSERT INTO blob (digest, size, added) VALUES (?1, ?2, ?3)"
	    " ON CONFLICT (digest) DO UPDATE SET size = ?2, added = ?3, damaged = 0 RETURNING id",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	bind_int(st, 2, (int64_t)size);
	bind_int(st, 3, now);
	rc = db_step(db, st, CHANGE, e);
	*id = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
	return rc < 0 ? rc : 0;
}

int
db_link_put(struct db *db, int64_t repo, int64_t blob, int64_t now, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st =
	    db_statement(db, "INSERT OR REPLACE INTO link (repo, blob, seen) VALUES (?1, ?2, ?3)", e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, repo);
	bind_int(st, 2, blob);
	bind_int(st, 3, now);
	return db_run(db, st, CHANGE, NULL, e);
}

/* A blob that just lost somebody who wanted it is not garbage before the grace is over. */
static int
touch_blob(struct db *db, const struct digest *d, int64_t now, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, "UPDATE blob SET added = ?2 WHERE digest = ?1", e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	bind_int(st, 2, now);
	return db_run(db, st, CHANGE, NULL, e);
}

int
db_link_delete(struct db *db, const char *repo, const struct digest *d, int64_t now, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "DELETE FROM link WHERE repo = (SELECT id FROM repo WHERE name = ?1)"
	    " AND blob = (SELECT id FROM blob WHERE digest = ?2)",
	    e);
	char text[DIGEST_TEXT_LEN];
	int rc, changes;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_digest(st, 2, d);
	if ((rc = db_run(db, st, CHANGE, &changes, e)) < 0)
		return rc;
	if (changes == 0)
		return err_set(e, E_NOENT, "blob '%s': not known", digest_print(d, text));
	return touch_blob(db, d, now, e);
}

int
db_link_touch(struct db *db, const char *repo, const struct digest *d, int64_t now, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "UPDATE link SET seen = ?3 WHERE repo = (SELECT id FROM repo WHERE name = ?1)"
	    " AND blob = (SELECT id FROM blob WHERE digest = ?2)",
	    e);

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_digest(st, 2, d);
	bind_int(st, 3, now);
	return db_run(db, st, CHANGE, NULL, e);
}

/* 1 when the repository has what the descriptor names: a manifest for an index, a blob otherwise. */
static int
has_child(struct db *db, int64_t repo, const struct img_desc *d, enum ref_kind kind, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = kind == REF_MANIFEST
	    ? db_statement(db,
		  "SELECT 1 FROM blob b JOIN manifest m ON m.blob = b.id"
		  " WHERE b.digest = ?1 AND m.repo = ?2 AND b.damaged = 0",
		  e)
	    : db_statement(db,
		  "SELECT 1 FROM blob b JOIN link l ON l.blob = b.id"
		  " WHERE b.digest = ?1 AND l.repo = ?2 AND b.damaged = 0",
		  e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, &d->digest);
	bind_int(st, 2, repo);
	return db_step(db, st, CHANGE, e);
}

static int
put_ref(struct db *db, int64_t manifest, const struct img_desc *d, enum ref_kind kind, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st =
	    db_statement(db, "INSERT OR REPLACE INTO ref (manifest, digest, kind) VALUES (?1, ?2, ?3)", e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, manifest);
	bind_digest(st, 2, &d->digest);
	bind_int(st, 3, kind);
	return db_run(db, st, CHANGE, NULL, e);
}

static int
add_ref(struct db *db, const struct db_manifest_new *n, int64_t id, const struct img_desc *d,
    enum ref_kind kind, bool sparse, struct err *e)
{
	const struct media_type *type = media_find(d->media_type);
	char text[DIGEST_TEXT_LEN];
	int rc = sparse || (type != NULL && type->foreign) ? 1 : has_child(db, n->repo, d, kind, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOENT, "%s %s: the repository does not have it",
		    kind == REF_MANIFEST ? "manifest" : "blob", digest_print(&d->digest, text));
	return put_ref(db, id, d, kind, e);
}

static int
put_refs(struct db *db, const struct db_manifest_new *n, int64_t id, bool sparse, struct err *e)
{
	const struct img_manifest *m = n->parsed;
	int rc = 0;

	if (!m->is_index)
		rc = add_ref(db, n, id, &m->config, REF_CONFIG, sparse, e);
	for (size_t i = 0; rc == 0 && i < m->n_layers; i++)
		rc = add_ref(db, n, id, &m->layers[i], REF_LAYER, sparse, e);
	for (size_t i = 0; rc == 0 && i < m->n_manifests; i++)
		rc = add_ref(db, n, id, &m->manifests[i], REF_MANIFEST, sparse, e);
	return rc;
}

/* The descriptor that the referrers API will give for this manifest; NULL without memory. */
static char *
referrer_descriptor(const struct db_manifest_new *n)
{
	const struct img_manifest *m = n->parsed;
	const char *type = img_manifest_artifact_type(m);
	char text[DIGEST_TEXT_LEN], *out;
	json_t *d = json_pack("{s:s, s:s, s:I}", "mediaType", m->media_type, "digest",
	    digest_print(n->digest, text), "size", (json_int_t)n->size);

	if (d == NULL)
		return NULL;
	if (type != NULL)
		json_object_set_new(d, "artifactType", json_string(type));
	if (m->annotations.n > 0) {
		json_t *map = json_object();

		for (size_t i = 0; i < m->annotations.n; i++)
			json_object_set_new(
			    map, m->annotations.v[i].key, json_string(m->annotations.v[i].value));
		json_object_set_new(d, "annotations", map);
	}
	out = json_dumps(d, JSON_COMPACT);
	json_decref(d);
	return out;
}

static uint64_t
total_size(const struct db_manifest_new *n)
{
	const struct img_manifest *m = n->parsed;
	uint64_t sum = n->size + m->config.size;

	for (size_t i = 0; i < m->n_layers; i++)
		sum += m->layers[i].size < INT64_MAX - (sum & INT64_MAX) ? m->layers[i].size : 0;
	return sum & INT64_MAX;
}

static int
put_row(struct db *db, const struct db_manifest_new *n, int64_t *id, struct err *e)
{
	const struct img_manifest *m = n->parsed;
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "INSERT INTO manifest (repo, blob, media_type, pushed, total, subject, artifact_type, descriptor,"
	    " os, arch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (repo, blob) DO UPDATE "
	    "SET media_type = ?3,"
	    " pushed = ?4 RETURNING id",
	    e);
	AUTO_FREE char *descriptor = NULL;
	int rc;

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, n->repo);
	bind_int(st, 2, n->blob);
	bind_text(st, 3, m->media_type);
	bind_int(st, 4, n->now);
	bind_int(st, 5, (int64_t)total_size(n));
	bind_text(st, 9, n->os);
	bind_text(st, 10, n->arch);
	if (m->subject != NULL) {
		descriptor = referrer_descriptor(n);
		if (descriptor == NULL)
			return err_nomem(e);
		bind_digest(st, 6, &m->subject->digest);
		bind_text(st, 7, img_manifest_artifact_type(m));
		bind_text(st, 8, descriptor);
	}
	rc = db_step(db, st, CHANGE, e);
	*id = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
	return rc < 0 ? rc : 0;
}

/* A stream that is a whole classic image is remembered, so that /classic/ finds it. */
static int
put_classic(struct db *db, const struct db_manifest_new *n, int64_t id, struct err *e)
{
	for (size_t i = 0; i < n->parsed->n_layers; i++) {
		const struct img_desc *d = &n->parsed->layers[i];
		const char *meta = img_annotation(&d->annotations, ANN_CLASSIC_META);
		AUTO(stmt) sqlite3_stmt *st = NULL;

		if (meta == NULL || media_role(d->media_type) != MEDIA_STREAM || strlen(meta) > 512)
			continue;
		st = db_statement(db,
		    "INSERT OR REPLACE INTO classic (manifest, digest, media_type, meta, skein, sig)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		    e);
		if (st == NULL)
			return -e->code;
		bind_int(st, 1, id);
		bind_digest(st, 2, &d->digest);
		bind_text(st, 3, d->media_type);
		bind_text(st, 4, meta);
		bind_text(st, 5, img_annotation(&d->annotations, ANN_CLASSIC_SKEIN));
		bind_text(st, 6, img_annotation(&d->annotations, ANN_CLASSIC_SIG));
		return db_run(db, st, CHANGE, NULL, e);
	}
	return 0;
}

static int
describe_repo(struct db *db, const struct db_manifest_new *n, struct err *e)
{
	const char *title = img_annotation(&n->parsed->annotations, ANN_TITLE);
	const char *text = img_annotation(&n->parsed->annotations, ANN_DESCRIPTION);
	AUTO(stmt) sqlite3_stmt *st = NULL;

	if (title == NULL && text == NULL)
		return 0;
	st = db_statement(db,
	    "UPDATE repo SET title = coalesce(substr(?2, 1, 256), title),"
	    " description = coalesce(substr(?3, 1, 2048), description) WHERE id = ?1",
	    e);
	if (st == NULL)
		return -e->code;
	bind_int(st, 1, n->repo);
	bind_text(st, 2, title);
	bind_text(st, 3, text);
	return db_run(db, st, CHANGE, NULL, e);
}

int
db_manifest_put(struct db *db, const struct db_manifest_new *n, bool sparse, int64_t *id, struct err *e)
{
	int rc;

	if ((rc = put_row(db, n, id, e)) < 0 || (rc = put_refs(db, n, *id, sparse, e)) < 0 ||
	    (rc = put_classic(db, n, *id, e)) < 0)
		return rc;
	return n->parsed->subject == NULL ? describe_repo(db, n, e) : 0;
}

static int
run_with(struct db *db, const char *sql, int64_t id, int64_t now, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, sql, e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, id);
	if (sqlite3_bind_parameter_count(st) > 1)
		bind_int(st, 2, now);
	return db_run(db, st, CHANGE, NULL, e);
}

int
db_manifest_remove(struct db *db, int64_t id, int64_t now, struct err *e)
{
	static const char *const steps[] = {
		("UPDATE link SET seen = ?2 WHERE repo = (SELECT repo FROM manifest WHERE id = ?1) AND blob "
		 "IN"
		 " (SELECT b.id FROM ref f JOIN blob b ON b.digest = f.digest WHERE f.manifest = ?1)"),
		"UPDATE blob SET added = ?2 WHERE id = (SELECT blob FROM manifest WHERE id = ?1)",
		"DELETE FROM ref WHERE manifest = ?1",
		"DELETE FROM classic WHERE manifest = ?1",
		"DELETE FROM tag WHERE manifest = ?1",
		"DELETE FROM manifest WHERE id = ?1",
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(steps); i++)
		rc = run_with(db, steps[i], id, now, e);
	return rc;
}

int
db_manifest_delete(struct db *db, const char *repo, const struct digest *d, int64_t now, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	struct db_manifest m;
	int rc = db_manifest_get(db, repo, digest_print(d, text), &m, e);

	return rc < 0 ? rc : db_manifest_remove(db, m.id, now, e);
}

int
db_tag_put(struct db *db, int64_t repo, const char *tag, int64_t manifest, int64_t now, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(
	    db, "INSERT OR REPLACE INTO tag (repo, name, manifest, updated) VALUES (?1, ?2, ?3, ?4)", e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, repo);
	bind_text(st, 2, tag);
	bind_int(st, 3, manifest);
	bind_int(st, 4, now);
	return db_run(db, st, CHANGE, NULL, e);
}

int
db_tag_delete(struct db *db, const char *repo, const char *tag, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(
	    db, "DELETE FROM tag WHERE name = ?2 AND repo = (SELECT id FROM repo WHERE name = ?1)", e);
	int rc, changes;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_text(st, 2, tag);
	if ((rc = db_run(db, st, CHANGE, &changes, e)) < 0)
		return rc;
	return changes > 0 ? 0 : err_set(e, E_NOENT, "tag '%s': not known", tag);
}
