/*
 * The catalogue: what repositories, blobs, manifests and tags there are, in
 * SQLite (WAL, synchronous=FULL: what is committed survives a power cut).  A
 * connection belongs to one thread.  Everything that changes something runs in
 * the committer's thread, inside its transaction; see commit.h.
 *
 * Digests are text ("sha256:…"), times seconds since the epoch.
 */
#ifndef REGISTRY_DB_H
#define REGISTRY_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "image/manifest.h"

struct db; /* one connection */

/* Opens, and makes or upgrades the tables when write. dir: the data directory. */
int db_open(const char *dir, bool write, struct db **, struct err *) MUST_CHECK;
void db_close(struct db *);
DEFINE_AUTO(db, struct db *, NULL, db_close)

/* Transactions, of the committer. */
int db_begin(struct db *, struct err *) MUST_CHECK;
int db_commit(struct db *, struct err *) MUST_CHECK;
void db_rollback(struct db *);
int db_savepoint(struct db *, struct err *) MUST_CHECK;
int db_release(struct db *, struct err *) MUST_CHECK; /* keeps what was done since the savepoint */
void db_undo(struct db *);                            /* takes it back */
/* A snapshot over several reads. */
int db_read_begin(struct db *, struct err *) MUST_CHECK;
void db_read_end(struct db *);

struct db_blob {
	int64_t id;
	uint64_t size;
	int64_t seen; /* of its link */
};
struct db_manifest {
	int64_t id, repo;
	struct digest digest;
	uint64_t size;
	char media_type[256];
};

/* Readers: E_NOENT when there is none; then no message is made when e is NULL. */
int db_repo_get(struct db *, const char *repo, int64_t *id, struct err *) MUST_CHECK;
int db_link_get(
    struct db *, const char *repo, const struct digest *, struct db_blob *, struct err *) MUST_CHECK;
/* ref: a tag or a digest. */
int db_manifest_get(
    struct db *, const char *repo, const char *ref, struct db_manifest *, struct err *) MUST_CHECK;
/* A blob that is there at all, whoever has it. */
int db_blob_get(struct db *, const struct digest *, struct db_blob *, struct err *) MUST_CHECK;
/* Calls fn for each name in order after `after`, at most n; a non-zero result ends the walk and is returned. */
typedef int db_name_fn(void *, const char *name);
int db_tags(
    struct db *, int64_t repo, const char *after, uint64_t n, db_name_fn *, void *, struct err *) MUST_CHECK;
int db_repos(struct db *, const char *after, db_name_fn *, void *, struct err *) MUST_CHECK;
/* Repositories that have the blob. */
int db_blob_repos(struct db *, const struct digest *, db_name_fn *, void *, struct err *) MUST_CHECK;
/* Ready descriptors (JSON) of manifests with this subject, after the row `after`. */
typedef int db_referrer_fn(void *, int64_t row, const char *artifact_type, const char *descriptor);
int db_referrers(struct db *, const char *repo, const char *subject, const char *artifact_type, int64_t after,
    db_referrer_fn *, void *, struct err *) MUST_CHECK;

struct db_image {
	const char *repo, *title, *description;
	int64_t updated;
};
typedef int db_image_fn(void *, const struct db_image *, int64_t repo_id);
/* Repositories whose name, title or description has the text q in it (NULL: all), in order of names. */
int db_search(struct db *, const char *q, const char *after, db_image_fn *, void *, struct err *) MUST_CHECK;
struct db_tag {
	const char *name, *digest, *media_type, *os, *arch;
	uint64_t size; /* of all that it refers to */
	int64_t updated;
};
typedef int db_tag_fn(void *, const struct db_tag *);
int db_tag_details(struct db *, int64_t repo, uint64_t n, db_tag_fn *, void *, struct err *) MUST_CHECK;

struct db_classic {
	struct digest digest; /* of the stream */
	char media_type[128];
	char *meta, *skein, *sig; /* the last two may be NULL; all owned */
};
void db_classic_fini(struct db_classic *);
/* The classic stream of a tag: in its manifest, one of its index's, or one that refers to it. */
int db_classic_get(
    struct db *, const char *repo, const char *tag, struct db_classic *, struct err *) MUST_CHECK;

/* Writers. now: seconds. */
int db_repo_make(struct db *, const char *repo, int64_t now, int64_t *id, struct err *) MUST_CHECK;
int db_blob_put(
    struct db *, const struct digest *, uint64_t size, int64_t now, int64_t *id, struct err *) MUST_CHECK;
int db_link_put(struct db *, int64_t repo, int64_t blob, int64_t now, struct err *) MUST_CHECK;
/* E_NOENT when the repository does not have it. */
int db_link_delete(
    struct db *, const char *repo, const struct digest *, int64_t now, struct err *) MUST_CHECK;
int db_link_touch(struct db *, const char *repo, const struct digest *, int64_t now, struct err *) MUST_CHECK;

struct db_manifest_new {
	int64_t repo, blob;
	const struct img_manifest *parsed;
	const struct digest *digest;
	uint64_t size; /* of its text */
	int64_t now;
	const char *os, *arch; /* of an image, when its config says so; NULL: not known */
};
/*
 * Stores it with its references. E_NOENT naming the first descriptor that the
 * repository does not have, unless sparse; foreign layers are never looked for.
 */
int db_manifest_put(
    struct db *, const struct db_manifest_new *, bool sparse, int64_t *id, struct err *) MUST_CHECK;
int db_manifest_delete(
    struct db *, const char *repo, const struct digest *, int64_t now, struct err *) MUST_CHECK;
int db_tag_put(
    struct db *, int64_t repo, const char *tag, int64_t manifest, int64_t now, struct err *) MUST_CHECK;
int db_tag_delete(struct db *, const char *repo, const char *tag, struct err *) MUST_CHECK;

/* Collection of garbage: what nothing refers to and nobody saw since `before`. */
typedef int db_digest_fn(void *, const struct digest *, uint64_t size);
int db_gc_untagged(
    struct db *, int64_t before, int64_t now, unsigned n, unsigned *deleted, struct err *) MUST_CHECK;
int db_gc_links(struct db *, int64_t before, unsigned n, unsigned *deleted, struct err *) MUST_CHECK;
int db_gc_blobs(struct db *, int64_t before, unsigned n, db_digest_fn *, void *, struct err *) MUST_CHECK;
int db_gc_repos(struct db *, int64_t before, struct err *) MUST_CHECK;

/* For verify: every blob after the digest `after` (text). */
typedef int db_blob_fn(void *, const char *digest, uint64_t size);
int db_blobs(struct db *, const char *after, unsigned n, db_blob_fn *, void *, struct err *) MUST_CHECK;
/* The file is gone: nobody has it until somebody pushes it again. */
int db_blob_damaged(struct db *, const struct digest *, struct err *) MUST_CHECK;

/* For index.json: every tag. */
typedef int db_layout_fn(
    void *, const char *repo, const char *tag, const char *digest, uint64_t size, const char *media_type);
int db_layout(struct db *, db_layout_fn *, void *, struct err *) MUST_CHECK;

struct db_totals {
	uint64_t repos, tags, manifests, blobs, bytes;
};
int db_totals(struct db *, struct db_totals *, struct err *) MUST_CHECK;
/* SQLite's own check. E_CORRUPT with its first complaint. */
int db_check(struct db *, struct err *) MUST_CHECK;

#endif
