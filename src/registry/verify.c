/*
 * Verification: every blob of the catalogue is read and hashed, in the calling
 * thread, a page of names at a time.  What is damaged is moved aside by the
 * committer after a second look, as it may just have been pushed again.
 */
#include <stdlib.h>
#include <string.h>

#include "registry/gc.h"

#define NAMES 100

struct names {
	char v[NAMES][DIGEST_TEXT_LEN];
	uint64_t sizes[NAMES];
	size_t n;
};

static int
note_name(void *arg, const char *digest, uint64_t size)
{
	struct names *names = arg;

	snprintf(names->v[names->n], DIGEST_TEXT_LEN, "%s", digest);
	names->sizes[names->n++] = size;
	return names->n == NAMES ? 1 : 0;
}

/* 0 fine, 1 damaged, 2 missing, <0. */
static int
look(const struct store *s, const struct digest *d, uint64_t size, struct err *e)
{
	struct digest found;
	uint64_t read = 0, on_disk;
	struct err missing = ERR_INIT;
	AUTO(fd) int fd = store_blob_open(s, d, &on_disk, &missing);
	int rc;

	if (fd == -E_NOENT)
		return 2;
	if (fd == -E_CORRUPT)
		return 1;
	if (fd < 0) {
		*e = missing;
		return fd;
	}
	rc = digest_of_fd(d->alg, fd, &found, &read, &missing);
	if (rc < 0) /* what the disk cannot read is damaged too */
		return 1;
	return read != size || !digest_equal(&found, d);
}

struct quarantine {
	struct change change;
	struct registry *registry;
	struct digest digest;
	uint64_t size;
	int verdict;
};

static int
apply_quarantine(struct change *ch, struct db *db, struct err *e)
{
	struct quarantine *q = (struct quarantine *)ch;
	int rc;

	q->verdict = look(&q->registry->store, &q->digest, q->size, e);
	if (q->verdict <= 0)
		return q->verdict;
	rc = db_blob_damaged(db, &q->digest, e);
	return rc < 0 ? rc : store_blob_quarantine(&q->registry->store, &q->digest, e);
}

static int
verify_one(struct registry *g, const char *name, uint64_t size, verify_fn *fn, void *arg,
    struct verify_result *result, struct err *e)
{
	struct quarantine q = {
		.change = { .apply = apply_quarantine, .layout = true }, .registry = g, .size = size
	};
	int rc = digest_parse(name, &q.digest, e);

	if (rc < 0)
		return rc;
	rc = look(&g->store, &q.digest, size, e);
	result->checked++;
	result->bytes += size;
	if (rc <= 0)
		return rc;
	rc = commit_wait(g->committer, &q.change, e);
	if (rc < 0 || q.verdict == 0)
		return rc;
	cache_forget(g->cache, NULL);
	atomic_fetch_add(&g->metrics.damaged, 1);
	if (q.verdict == 1)
		result->damaged++;
	else
		result->missing++;
	fn(arg, name, q.verdict == 1 ? "damaged; moved to quarantine/" : "its file is missing");
	return 0;
}

int
verify_run(struct registry *g, verify_fn *fn, void *arg, struct verify_result *result, struct err *e)
{
	struct names *names = calloc(1, sizeof(*names));
	char after[DIGEST_TEXT_LEN] = "";
	struct db *db = registry_db(g, e);
	int rc = names == NULL ? err_nomem(e) : db == NULL ? -e->code : db_check(db, e);

	memset(result, 0, sizeof(*result));
	while (rc == 0) {
		names->n = 0;
		rc = db_blobs(db, after, NAMES, note_name, names, e);
		if (rc > 0)
			rc = 0;
		for (size_t i = 0; rc == 0 && i < names->n; i++)
			rc = verify_one(g, names->v[i], names->sizes[i], fn, arg, result, e);
		if (names->n < NAMES)
			break;
		memcpy(after, names->v[NAMES - 1], sizeof(after));
	}
	free(names);
	return rc;
}
