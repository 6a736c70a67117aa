/*
 * tar -> digest -> zstd -> blob. libzstd compresses in threads of its own;
 * this thread hashes meanwhile. What zstd writes depends on its parameters and
 * on the size of its jobs, not on how many threads there are, as long as it is
 * one: so all of them are fixed here and none is left to a default.
 */
#include "image/pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL 3
#define JOB_BYTES (4 * 1024 * 1024)
#define OVERLAP 6 /* ZSTD_c_overlapLog: 1/8 of the window */
#define THREADS_MAX 16
#define STAGE_BYTES ((size_t)256 * 1024)

struct img_pack {
	struct img_store *store;
	const struct img_pack_expect *expect;
	struct img_blob *blob; /* NULL: only its digest is made */
	struct hasher *whole;  /* where there is no blob */
	struct hasher *diff;
	ZSTD_CCtx *z;
	char *out;
	size_t out_size;
	char *stage; /* small pieces wait here for others */
	size_t staged;
};

static int
zstd_error(size_t code, struct err *e)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return err_nomem(e);
	return err_set(e, E_SYS, "compressing: %s", ZSTD_getErrorName(code));
}

static int
setup(struct img_pack *p, struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const struct {
		ZSTD_cParameter key;
		int value;
	} rows[] = {
		{ ZSTD_c_compressionLevel, LEVEL },
		{ ZSTD_c_checksumFlag, 1 },
		{ ZSTD_c_nbWorkers,
		    cpus < 1                 ? 1
			: cpus > THREADS_MAX ? THREADS_MAX
					     : (int)cpus },
		{ ZSTD_c_jobSize, JOB_BYTES },
		{ ZSTD_c_overlapLog, OVERLAP },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t rc = ZSTD_CCtx_setParameter(p->z, rows[i].key, rows[i].value);

		if (ZSTD_isError(rc))
			return zstd_error(rc, e);
	}
	return 0;
}

static int
open_blob(struct img_pack *p, struct err *e)
{
	int r;

	if (p->expect == NULL)
		return img_blob_new(p->store, &p->blob, e);
	r = img_blob_try(p->store, &p->expect->blob, p->expect->size, &p->blob, e);
	if (r == 0)
		return img_blob_have(p->blob) == 0 ? 0 : img_blob_restart(p->blob, e);
	return r == 1 || r == -E_BUSY ? hasher_new(DIGEST_SHA256, &p->whole, e) : r;
}

int
img_pack_begin(
    struct img_store *s, const struct img_pack_expect *expect, struct img_pack **out, struct err *e)
{
	struct img_pack *p = calloc(1, sizeof(*p));
	int r;

	*out = NULL;
	if (p == NULL)
		return err_nomem(e);
	p->store = s;
	p->expect = expect;
	p->out_size = ZSTD_CStreamOutSize();
	p->out = malloc(p->out_size);
	p->stage = malloc(STAGE_BYTES);
	p->z = ZSTD_createCCtx();
	r = p->out == NULL || p->stage == NULL || p->z == NULL ? err_nomem(e) : setup(p, e);
	if (r == 0)
		r = hasher_new(DIGEST_SHA256, &p->diff, e);
	if (r == 0)
		r = open_blob(p, e);
	if (r < 0)
		img_pack_abort(p);
	else
		*out = p;
	return r;
}

static int
keep(struct img_pack *p, size_t n, struct err *e)
{
	if (p->blob != NULL)
		return img_blob_write(p->blob, p->out, n, e);
	return hasher_add(p->whole, p->out, n, e);
}

/* Feeds what is in `in`; with ZSTD_e_end until everything is out. */
static int
compress(struct img_pack *p, ZSTD_inBuffer *in, ZSTD_EndDirective how, struct err *e)
{
	size_t left;

	do {
		ZSTD_outBuffer out = { p->out, p->out_size, 0 };
		int r;

		left = ZSTD_compressStream2(p->z, &out, in, how);
		if (ZSTD_isError(left))
			return zstd_error(left, e);
		if (out.pos > 0 && (r = keep(p, out.pos, e)) < 0)
			return r;
	} while (in->pos < in->size || (how == ZSTD_e_end && left != 0));
	return 0;
}

static int
take_in(struct img_pack *p, const void *data, size_t n, struct err *e)
{
	ZSTD_inBuffer in = { data, n, 0 };
	int r;

	if (p->expect != NULL && n > p->expect->max - hasher_bytes(p->diff))
		return err_set(e, E_LIMIT, "more than %llu bytes", (unsigned long long)p->expect->max);
	r = compress(p, &in, ZSTD_e_continue, e);
	return r < 0 ? r : hasher_add(p->diff, data, n, e);
}

int
img_pack_write(void *pack, const void *data, size_t n, struct err *e)
{
	struct img_pack *p = pack;
	int r;

	if (n > STAGE_BYTES - p->staged) {
		r = take_in(p, p->stage, p->staged, e);
		p->staged = 0;
		if (r < 0)
			return r;
	}
	if (n >= STAGE_BYTES / 2)
		return p->staged == 0 || (r = take_in(p, p->stage, take(p->staged, 0), e)) == 0
		    ? take_in(p, data, n, e)
		    : r;
	memcpy(p->stage + p->staged, data, n);
	p->staged += n;
	return 0;
}

static int
check(const struct img_pack *p, const struct digest *diff, struct err *e)
{
	if (p->expect == NULL || digest_equal(diff, &p->expect->diff))
		return 0;
	return err_set(e, E_CORRUPT, "what it holds is another layer");
}

/* Compared, or made visible, which compares. */
static int
settle(struct img_pack *p, struct digest *blob, uint64_t *size, struct err *e)
{
	int r;

	if (p->blob != NULL)
		return img_blob_commit(p->store, &p->blob, blob, size, e);
	if (hasher_bytes(p->whole) == p->expect->size) {
		if ((r = hasher_end(p->whole, blob, e)) < 0)
			return r;
		*size = p->expect->size;
		if (digest_equal(blob, &p->expect->blob))
			return 0;
	}
	return err_set(e, E_CORRUPT, "packed anew it is another blob");
}

int
img_pack_end(struct img_pack **pp, struct digest *diff, struct digest *blob, uint64_t *size, struct err *e)
{
	struct img_pack *p = take_ptr(*pp);
	ZSTD_inBuffer in = { NULL, 0, 0 };
	int r = take_in(p, p->stage, p->staged, e);

	if (r == 0)
		r = compress(p, &in, ZSTD_e_end, e);
	if (r == 0)
		r = hasher_end(p->diff, diff, e);
	if (r == 0)
		r = check(p, diff, e);
	if (r == 0)
		r = settle(p, blob, size, e);
	img_pack_abort(p);
	return r;
}

void
img_pack_abort(struct img_pack *p)
{
	if (p == NULL)
		return;
	img_blob_abort(p->blob, false);
	hasher_free(p->diff);
	hasher_free(p->whole);
	ZSTD_freeCCtx(p->z);
	free(p->out);
	free(p->stage);
	free(p);
}
