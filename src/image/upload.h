/*
 * Blobs from the store to a registry, several at a time: what the registry has
 * is not sent, what another of its repositories has is mounted, the rest goes
 * in parts and is gone on with after a broken connection.
 */
#ifndef IMAGE_UPLOAD_H
#define IMAGE_UPLOAD_H

#include "image/remote.h"
#include "image/store.h"
#include "image/upload_memory.h"

enum upload_step {
	UPLOAD_ASK,    /* does it have it? */
	UPLOAD_START,  /* begin, or mount */
	UPLOAD_PART,   /* PATCH */
	UPLOAD_STATUS, /* how far did it get? */
	UPLOAD_END,    /* PUT */
	UPLOAD_DONE
};

struct upload_set;

struct upload {
	/* Set by the caller. */
	struct digest digest;
	uint64_t size;
	char what[48];
	char from[REF_NAME_MAX + 1]; /* a repository there that may have it, or "" */

	enum upload_step step;
	bool was_there, mounted;
	uint64_t sent;

	struct upload_set *set;
	struct exchange x;
	struct buf location;
	struct upload_memory memory; /* where it stood, of large ones */
	bool resumed;                /* with what an earlier push began */
	int fd;
	uint64_t offset, part; /* what the registry has; length of the part under way */
	unsigned failures;     /* in a row */
};

struct upload_set {
	struct remote *remote;
	struct img_store *store;
	struct upload *v;
	size_t n;
	char scope[CLIENT_SCOPE_MAX];
	struct err err;
	int rc;
};

/* scope: of the tokens. v is borrowed. Returns when all are there, or with why not. */
int upload_all(struct remote *, struct img_store *, const char *scope, struct upload *v, size_t n,
    struct err *) MUST_CHECK;

#endif
