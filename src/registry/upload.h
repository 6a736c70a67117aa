/*
 * Blobs on their way in.  A session is a file in uploads/ named by its id; the
 * id's last part is derived from the repository, so that it is good there
 * only.  The digest so far is kept in memory; after a restart the file is
 * still there and is hashed at the end.  What was acknowledged is in the file.
 */
#ifndef REGISTRY_UPLOAD_H
#define REGISTRY_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "image/digest.h"
#include "registry/store.h"

#define UPLOAD_ID_LEN 49 /* 32 random digits, 16 of the repository, NUL */

struct uploads;

/* While taken it belongs to one request. */
struct upload {
	char id[UPLOAD_ID_LEN];
	enum digest_alg alg;
	struct hasher *hasher; /* over all so far; NULL: to be hashed from the file */
	uint64_t size;
	int fd;
};

int uploads_open(struct store *, unsigned max, struct uploads **, struct err *) MUST_CHECK;
void uploads_close(struct uploads *);
unsigned uploads_count(struct uploads *);

/* A new session, taken. E_LIMIT when there are too many. */
int upload_new(
    struct uploads *, const char *repo, enum digest_alg, struct upload **, struct err *) MUST_CHECK;
/* E_NOENT; E_BUSY while another request has it. Opens the file. */
int upload_take(
    struct uploads *, const char *repo, const char *id, struct upload **, struct err *) MUST_CHECK;
/* The size so far, also while it is taken. */
int upload_size(struct uploads *, const char *repo, const char *id, uint64_t *, struct err *) MUST_CHECK;
/* Gives it back; it goes on later. */
void upload_give(struct uploads *, struct upload *);
/* Ends it and removes the file (which may have been published: then there is none any more). */
void upload_end(struct uploads *, struct upload *);

int upload_add(struct upload *, const void *, size_t, struct err *) MUST_CHECK;
/* Another algorithm; what is there already is hashed at the end. */
void upload_use(struct upload *, enum digest_alg);
/* The digest of all. Reads the file when it must: for a worker. Then the file is synced. */
int upload_finish(struct upload *, struct digest *, struct err *) MUST_CHECK;

/* Removes sessions nobody used for idle_s seconds. */
void uploads_expire(struct uploads *, int64_t idle_s);

#endif
