/*
 * The files below the data directory.  It is one OCI image layout that other
 * tools can read while the registry runs:
 *
 *   oci-layout, index.json   every tag, named REPOSITORY:TAG
 *   blobs/<alg>/<hex>        blobs and manifests, each once for all repositories
 *   catalogue.db             who has what (db.h)
 *   uploads/                 what is on its way in
 *   classic/                 classic image files made from streams
 *   quarantine/              what verify found damaged
 *   lock, control, token.key
 *
 * A blob gets its name only when its bytes are on disk; all naming and
 * removing in blobs/ is the committer's, so that garbage collection and a push
 * of the same blob never cross.
 */
#ifndef REGISTRY_STORE_H
#define REGISTRY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "image/digest.h"

struct db;

struct store {
	char *dir;
	int dirfd, blobs[DIGEST_ALGS], uploads, classic, quarantine;
	int lock;
	bool dirty[DIGEST_ALGS]; /* names changed since the last store_sync; the committer's */
};

/* Makes what is missing. */
int store_open(const char *dir, struct store *, struct err *) MUST_CHECK;
void store_close(struct store *);
/* Only one process changes a data directory. E_BUSY when another one does. */
int store_lock(struct store *, struct err *) MUST_CHECK;

/* Opens a blob for reading; *size is what it has. E_NOENT. Returns the fd. */
int store_blob_open(const struct store *, const struct digest *, uint64_t *size, struct err *) MUST_CHECK;

/* Committer only. */
int store_publish(struct store *, const char *upload, const struct digest *, struct err *) MUST_CHECK;
int store_blob_remove(struct store *, const struct digest *, struct err *) MUST_CHECK;
int store_blob_quarantine(struct store *, const struct digest *, struct err *) MUST_CHECK;
int store_sync(struct store *, struct err *) MUST_CHECK;
/* Writes index.json anew. */
int store_write_index(struct store *, struct db *, struct err *) MUST_CHECK;

/* Calls fn for each file in blobs/ with its age in seconds. */
typedef int store_blob_fn(void *, const struct digest *, uint64_t size, int64_t age);
int store_each_blob(const struct store *, store_blob_fn *, void *, struct err *) MUST_CHECK;

#endif
