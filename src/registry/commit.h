/*
 * The one thread that changes the catalogue and the names in blobs/.  It takes
 * all changes that wait, applies them in one transaction, syncs the
 * directories and commits: many pushes share one fsync.  Only then is anybody
 * told.  A change that fails is undone alone.
 */
#ifndef REGISTRY_COMMIT_H
#define REGISTRY_COMMIT_H

#include <stdbool.h>

#include "base/err.h"

struct committer;
struct db;
struct store;

struct change {
	struct change *next;
	int (*apply)(struct change *, struct db *, struct err *);
	/* After the commit, in the committer's thread; rc and err tell what happened. May free the change. */
	void (*done)(struct change *);
	bool layout; /* index.json has to follow */
	int rc;
	struct err err;
};

int committer_start(struct store *, struct committer **, struct err *) MUST_CHECK;
/* Finishes what waits, then ends. */
void committer_stop(struct committer *);
void commit_submit(struct committer *, struct change *);
/* Submits and waits; the change's done is not used. Not from the committer's own thread. */
int commit_wait(struct committer *, struct change *, struct err *) MUST_CHECK;

#endif
