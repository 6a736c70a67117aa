/*
 * The cache: what steps gave, one small record (base/kv.h) for each key.
 * A record is believed only while its layer and blob are there; it appears by
 * rename, and a second one for the same key says the same.
 */
#ifndef BUILDER_CACHE_H
#define BUILDER_CACHE_H

#include "builder/builder.h"
#include "builder/key.h"

struct bld_record {
	struct bld_tree tree; /* the outcome */
	struct bld_did did;   /* cached is not in it */
	uint64_t bytes;       /* of the files of its layer */
	char build[24];       /* who made it */
	char text[512];       /* the step, for people */
	int64_t used_ns;      /* the file's time; not in it */
};

/* 1: *r is it, whole and pinned, and its use is noted; 0: there is none that counts. */
int bld_cache_get(struct bld *, const char *key, struct bld_record *, struct err *) MUST_CHECK;
int bld_cache_put(struct bld *, const char *key, const struct bld_record *, struct err *) MUST_CHECK;
/* The one flight of a key: an fd that is the lock. Waits; E_INTR. */
int bld_cache_lock(struct bld *, const char *key, struct err *) MUST_CHECK;
void bld_cache_unlock(struct bld *, const char *key, int fd);
/* Takes a lock's file away where its holder is dead. */
int bld_cache_recover(struct bld *, const char *lock, struct err *) MUST_CHECK;

/* Names that begin with prefix, without it, in order; hidden ones only where the prefix is. */
int bld_names(int dirfd, const char *prefix, struct strv *, struct err *) MUST_CHECK;
/* In order of keys. dir: ROOT/build. Damaged records are passed over. Non-zero ends it. */
typedef int bld_record_fn(void *arg, const char *key, const struct bld_record *, struct err *);
int bld_cache_each(int dir, bld_record_fn *, void *arg, struct err *) MUST_CHECK;

/* ---- prune (pure) ---- */

struct bld_entry {
	char key[BLD_KEY_LEN];
	int64_t used_ns, created_ns;
	uint64_t bytes;
	bool gone; /* the decision */
};
struct bld_prune_rule {
	bool all;          /* everything */
	int64_t before_ns; /* those not used since then; 0: no matter */
	uint64_t keep;     /* of the rest the latest used ones up to so many bytes; UINT64_MAX: no matter */
};
void bld_prune_decide(struct bld_entry *, size_t n, const struct bld_prune_rule *);

#endif
