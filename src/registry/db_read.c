/* Questions to the catalogue. Texts given to callbacks are SQLite's and live as long as the call. */
#include <stdlib.h>
#include <string.h>

#include "registry/db_impl.h"
#include "registry/path.h"

#define READ "read the catalogue"

static int
not_found(const char *what, const char *name, struct err *e)
{
	return err_set(e, E_NOENT, "%s '%.200s': not known", what, name);
}

int
db_repo_get(struct db *db, const char *repo, int64_t *id, struct err *e)
{
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, "SELECT id FROM repo WHERE name = ?1", e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	rc = db_step(db, st, READ, e);
	if (rc == 0)
		return not_found("repository", repo, e);
	*id = rc < 0 ? 0 : sqlite3_column_int64(st, 0);
	return rc < 0 ? rc : 0;
}

static int
take_blob(struct db *db, sqlite3_stmt *st, const struct digest *d, struct db_blob *out, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	int rc = db_step(db, st, READ, e);

	if (rc == 0)
		return not_found("blob", digest_print(d, text), e);
	if (rc < 0)
		return rc;
	out->id = sqlite3_column_int64(st, 0);
	out->size = (uint64_t)sqlite3_column_int64(st, 1);
	out->seen = sqlite3_column_int64(st, 2);
	return 0;
}

int
db_link_get(struct db *db, const char *repo, const struct digest *d, struct db_blob *out, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT b.id, b.size, l.seen FROM blob b JOIN link l ON l.blob = b.id JOIN repo r ON r.id = "
	    "l.repo"
	    " WHERE b.digest = ?1 AND r.name = ?2 AND b.damaged = 0",
	    e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	bind_text(st, 2, repo);
	return take_blob(db, st, d, out, e);
}

int
db_blob_get(struct db *db, const struct digest *d, struct db_blob *out, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st =
	    db_statement(db, "SELECT id, size, added FROM blob WHERE digest = ?1 AND damaged = 0", e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	return take_blob(db, st, d, out, e);
}

int
db_manifest_get(struct db *db, const char *repo, const char *ref, struct db_manifest *m, struct err *e)
{
	static const char by_tag[] =
	    "SELECT m.id, m.repo, b.digest, b.size, m.media_type FROM repo r JOIN tag t ON t.repo = r.id"
	    " JOIN manifest m ON m.id = t.manifest JOIN blob b ON b.id = m.blob"
	    " WHERE r.name = ?1 AND t.name = ?2 AND b.damaged = 0";
	static const char by_digest[] =
	    "SELECT m.id, m.repo, b.digest, b.size, m.media_type FROM blob b JOIN manifest m ON m.blob = b.id"
	    " JOIN repo r ON r.id = m.repo WHERE r.name = ?1 AND b.digest = ?2 AND b.damaged = 0";
	AUTO(stmt) sqlite3_stmt *st = db_statement(db, strchr(ref, ':') != NULL ? by_digest : by_tag, e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_text(st, 2, ref);
	rc = db_step(db, st, READ, e);
	if (rc == 0)
		return not_found("manifest", ref, e);
	if (rc < 0)
		return rc;
	m->id = sqlite3_column_int64(st, 0);
	m->repo = sqlite3_column_int64(st, 1);
	m->size = (uint64_t)sqlite3_column_int64(st, 3);
	snprintf(m->media_type, sizeof(m->media_type), "%s", column_text(st, 4));
	return column_digest(st, 2, &m->digest, e);
}

static int
each_name(struct db *db, sqlite3_stmt *st, db_name_fn *fn, void *arg, struct err *e)
{
	int rc;

	while ((rc = db_step(db, st, READ, e)) == 1) {
		rc = fn(arg, column_text(st, 0));
		if (rc != 0)
			return rc;
	}
	return rc;
}

int
db_tags(struct db *db, int64_t repo, const char *after, uint64_t n, db_name_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st =
	    db_statement(db, "SELECT name FROM tag WHERE repo = ?1 AND name > ?2 ORDER BY name LIMIT ?3", e);

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, repo);
	bind_text(st, 2, after);
	bind_int(st, 3, n > INT64_MAX ? INT64_MAX : (int64_t)n);
	return each_name(db, st, fn, arg, e);
}

int
db_repos(struct db *db, const char *after, db_name_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db, "SELECT name FROM repo WHERE name > ?1 ORDER BY name", e);

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, after);
	return each_name(db, st, fn, arg, e);
}

int
db_blob_repos(struct db *db, const struct digest *d, db_name_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT r.name FROM blob b JOIN link l ON l.blob = b.id JOIN repo r ON r.id = l.repo"
	    " WHERE b.digest = ?1 AND b.damaged = 0",
	    e);

	if (st == NULL)
		return -e->code;
	bind_digest(st, 1, d);
	return each_name(db, st, fn, arg, e);
}

int
db_referrers(struct db *db, const char *repo, const char *subject, const char *type, int64_t after,
    db_referrer_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT m.id, m.artifact_type, m.descriptor FROM repo r JOIN manifest m ON m.repo = r.id"
	    " JOIN blob b ON b.id = m.blob WHERE r.name = ?1 AND m.subject = ?2 AND m.id > ?3 AND b.damaged "
	    "= 0"
	    " AND (?4 IS NULL OR m.artifact_type = ?4) ORDER BY m.id",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_text(st, 2, subject);
	bind_int(st, 3, after);
	bind_text(st, 4, type);
	while ((rc = db_step(db, st, READ, e)) == 1) {
		rc = fn(arg, sqlite3_column_int64(st, 0), column_text(st, 1), column_text(st, 2));
		if (rc != 0)
			return rc;
	}
	return rc;
}

/* %q% with what LIKE takes for more than itself escaped. */
static void
like_pattern(const char *q, struct buf *out)
{
	buf_str(out, "%");
	for (; *q != '\0'; q++) {
		if (*q == '%' || *q == '_' || *q == '\\')
			buf_str(out, "\\");
		buf_add(out, q, 1);
	}
	buf_str(out, "%");
}

int
db_search(struct db *db, const char *q, const char *after, db_image_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(buf) struct buf pattern = BUF_INIT(4096);
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT id, name, title, description, updated FROM repo WHERE name > ?1 AND (?2 IS NULL OR"
	    " name LIKE ?2 ESCAPE '\\' OR title LIKE ?2 ESCAPE '\\' OR description LIKE ?2 ESCAPE '\\') "
	    "ORDER BY name",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	if (q != NULL)
		like_pattern(q, &pattern);
	if ((rc = buf_check(&pattern, "search text", e)) < 0)
		return rc;
	bind_text(st, 1, after);
	bind_text(st, 2, q == NULL ? NULL : buf_cstr(&pattern));
	while ((rc = db_step(db, st, READ, e)) == 1) {
		struct db_image image = { column_text(st, 1), column_text(st, 2), column_text(st, 3),
			sqlite3_column_int64(st, 4) };

		rc = fn(arg, &image, sqlite3_column_int64(st, 0));
		if (rc != 0)
			return rc;
	}
	return rc;
}

int
db_tag_details(struct db *db, int64_t repo, uint64_t n, db_tag_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT t.name, b.digest, m.media_type, m.os, m.arch, m.total, t.updated FROM tag t"
	    " JOIN manifest m ON m.id = t.manifest JOIN blob b ON b.id = m.blob WHERE t.repo = ?1"
	    " ORDER BY t.updated DESC, t.name LIMIT ?2",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_int(st, 1, repo);
	bind_int(st, 2, (int64_t)n);
	while ((rc = db_step(db, st, READ, e)) == 1) {
		struct db_tag t = { column_text(st, 0), column_text(st, 1), column_text(st, 2),
			column_text(st, 3), column_text(st, 4), (uint64_t)sqlite3_column_int64(st, 5),
			sqlite3_column_int64(st, 6) };

		rc = fn(arg, &t);
		if (rc != 0)
			return rc;
	}
	return rc;
}

void
db_classic_fini(struct db_classic *c)
{
	free(c->meta);
	free(c->skein);
	free(c->sig);
	memset(c, 0, sizeof(*c));
}

static char *
column_dup(sqlite3_stmt *st, int i)
{
	return sqlite3_column_type(st, i) == SQLITE_NULL ? NULL : strdup(column_text(st, i));
}

int
db_classic_get(struct db *db, const char *repo, const char *tag, struct db_classic *c, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "WITH top AS (SELECT r.id AS repo, m.id AS id, b.digest AS digest FROM repo r JOIN tag t ON "
	    "t.repo = r.id"
	    "  JOIN manifest m ON m.id = t.manifest JOIN blob b ON b.id = m.blob WHERE r.name = ?1 AND "
	    "t.name = ?2),"
	    " near AS (SELECT id FROM top UNION SELECT m.id FROM top JOIN ref f ON f.manifest = top.id"
	    "  JOIN blob b ON b.digest = f.digest JOIN manifest m ON m.blob = b.id AND m.repo = top.repo"
	    "  UNION SELECT m.id FROM top JOIN manifest m ON m.repo = top.repo AND m.subject = top.digest)"
	    " SELECT c.digest, c.media_type, c.meta, c.skein, c.sig FROM classic c JOIN near ON near.id = "
	    "c.manifest"
	    " JOIN blob b ON b.digest = c.digest AND b.damaged = 0 ORDER BY c.manifest LIMIT 1",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, repo);
	bind_text(st, 2, tag);
	rc = db_step(db, st, READ, e);
	if (rc == 0)
		return not_found("classic image", repo, e);
	if (rc < 0)
		return rc;
	memset(c, 0, sizeof(*c));
	snprintf(c->media_type, sizeof(c->media_type), "%s", column_text(st, 1));
	c->meta = column_dup(st, 2);
	c->skein = column_dup(st, 3);
	c->sig = column_dup(st, 4);
	return c->meta == NULL ? err_nomem(e) : column_digest(st, 0, &c->digest, e);
}

int
db_blobs(struct db *db, const char *after, unsigned n, db_blob_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT digest, size FROM blob WHERE digest > ?1 AND damaged = 0 ORDER BY digest LIMIT ?2", e);
	int rc;

	if (st == NULL)
		return -e->code;
	bind_text(st, 1, after);
	bind_int(st, 2, n);
	while ((rc = db_step(db, st, READ, e)) == 1) {
		rc = fn(arg, column_text(st, 0), (uint64_t)sqlite3_column_int64(st, 1));
		if (rc != 0)
			return rc;
	}
	return rc;
}

int
db_layout(struct db *db, db_layout_fn *fn, void *arg, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT r.name, t.name, b.digest, b.size, m.media_type FROM tag t JOIN repo r ON r.id = t.repo"
	    " JOIN manifest m ON m.id = t.manifest JOIN blob b ON b.id = m.blob WHERE b.damaged = 0"
	    " ORDER BY r.name, t.name",
	    e);
	int rc;

	if (st == NULL)
		return -e->code;
	while ((rc = db_step(db, st, READ, e)) == 1) {
		rc = fn(arg, column_text(st, 0), column_text(st, 1), column_text(st, 2),
		    (uint64_t)sqlite3_column_int64(st, 3), column_text(st, 4));
		if (rc != 0)
			return rc;
	}
	return rc;
}

int
db_totals(struct db *db, struct db_totals *t, struct err *e)
{
	AUTO(stmt)
	sqlite3_stmt *st = db_statement(db,
	    "SELECT (SELECT count(*) FROM repo), (SELECT count(*) FROM tag), (SELECT count(*) FROM manifest),"
	    " (SELECT count(*) FROM blob WHERE damaged = 0), (SELECT coalesce(sum(size), 0) FROM blob WHERE "
	    "damaged = 0)",
	    e);
	int rc = st == NULL ? -e->code : db_step(db, st, READ, e);

	if (rc < 0)
		return rc;
	t->repos = (uint64_t)sqlite3_column_int64(st, 0);
	t->tags = (uint64_t)sqlite3_column_int64(st, 1);
	t->manifests = (uint64_t)sqlite3_column_int64(st, 2);
	t->blobs = (uint64_t)sqlite3_column_int64(st, 3);
	t->bytes = (uint64_t)sqlite3_column_int64(st, 4);
	return 0;
}
