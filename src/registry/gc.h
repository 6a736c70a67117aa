/* Collecting garbage and verifying blobs, while pushes and pulls go on. */
#ifndef REGISTRY_GC_H
#define REGISTRY_GC_H

#include "registry/registry.h"

struct gc_result {
	uint64_t manifests, links, blobs, bytes, orphans;
};
/* dry: says what would go, changes nothing. From any thread but the committer's. */
int gc_run(struct registry *, bool dry, struct gc_result *, struct err *) MUST_CHECK;

struct verify_result {
	uint64_t checked, bytes, damaged, missing;
};
typedef void verify_fn(void *, const char *digest, const char *what);
/* Reads every blob; a damaged one is moved to quarantine/ and forgotten, so that it can be pushed again. */
int verify_run(struct registry *, verify_fn *, void *, struct verify_result *, struct err *) MUST_CHECK;

#endif
