/*
 * Making classic image files: a stream is unpacked (zstd, or as it is), packed
 * as xz and hashed with Skein over the file and its .meta, in one pass and
 * constant memory.  Files get their names when they are complete.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <lzma.h>
#include <zstd.h>

#include "base/file.h"
#include "image/mediatype.h"
#include "image/skein.h"
#include "registry/classic.h"

#define CHUNK ((size_t)256 * 1024)
#define WINDOW_LOG_MAX 27 /* 128 MiB: what zstd makes without --ultra */
#define XZ_PRESET 3       /* a tenth of the memory of 6, three times as fast */

struct maker {
	struct skein sum;
	lzma_stream xz;
	uint8_t *out;
	int fd;
	uint64_t written, max;
};

int
classic_name(const struct db_classic *c, char out[static CLASSIC_NAME_LEN], struct err *e)
{
	char hex[DIGEST_HEX_LEN], meta[DIGEST_HEX_LEN];
	struct digest d;
	int rc = digest_of(DIGEST_SHA256, c->meta, strlen(c->meta), &d, e);

	if (rc == 0)
		snprintf(
		    out, CLASSIC_NAME_LEN, "%s-%.16s", digest_hex(&c->digest, hex), digest_hex(&d, meta));
	return rc;
}

static int
write_out(struct maker *m, const void *data, size_t n, struct err *e)
{
	m->written += n;
	if (m->written > m->max)
		return err_set(e, E_LIMIT, "classic image: it becomes larger than the largest blob");
	skein_add(&m->sum, data, n);
	return m->fd < 0 ? 0 : fd_write_all(m->fd, data, n, "classic image", e);
}

static int
compress(struct maker *m, const void *data, size_t n, lzma_action action, struct err *e)
{
	m->xz.next_in = data;
	m->xz.avail_in = n;
	for (;;) {
		lzma_ret ret;
		int rc;

		m->xz.next_out = m->out;
		m->xz.avail_out = CHUNK;
		ret = lzma_code(&m->xz, action);
		if (ret != LZMA_OK && ret != LZMA_STREAM_END)
			return ret == LZMA_MEM_ERROR ? err_nomem(e)
						     : err_set(e, E_SYS, "classic image: liblzma failed");
		rc = write_out(m, m->out, CHUNK - m->xz.avail_out, e);
		if (rc < 0 || ret == LZMA_STREAM_END || (action == LZMA_RUN && m->xz.avail_in == 0))
			return rc;
	}
}

/* Calls fn for each part of what fd holds. */
static int
each_chunk(
    struct maker *m, int fd, int (*fn)(struct maker *, const void *, size_t, struct err *), struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);

	if (chunk == NULL)
		return err_nomem(e);
	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read the stream");
		if (n == 0)
			return 0;
		rc = fn(m, chunk, (size_t)n, e);
		if (rc < 0)
			return rc;
	}
}

static int
take_plain(struct maker *m, const void *data, size_t n, struct err *e)
{
	return compress(m, data, n, LZMA_RUN, e);
}

static int
take_hashed(struct maker *m, const void *data, size_t n, struct err *e)
{
	return write_out(m, data, n, e);
}

static int
unzstd_loop(struct maker *m, int fd, ZSTD_DStream *z, char *in, char *plain, struct err *e)
{
	size_t hint = 0;

	for (;;) {
		ssize_t n = read(fd, in, CHUNK);
		ZSTD_inBuffer src = { in, n < 0 ? 0 : (size_t)n, 0 };

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read the stream");
		if (n == 0)
			return hint == 0 ? 0 : err_set(e, E_CORRUPT, "stream: it ends too early");
		while (src.pos < src.size) {
			ZSTD_outBuffer dst = { plain, CHUNK, 0 };
			int rc;

			hint = ZSTD_decompressStream(z, &dst, &src);
			if (ZSTD_isError(hint))
				return err_set(e, E_CORRUPT, "stream: %s", ZSTD_getErrorName(hint));
			rc = compress(m, plain, dst.pos, LZMA_RUN, e);
			if (rc < 0)
				return rc;
		}
	}
}

static int
from_zstd(struct maker *m, int fd, struct err *e)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	AUTO_FREE char *in = malloc(CHUNK), *plain = malloc(CHUNK);
	int rc;

	if (z == NULL || in == NULL || plain == NULL) {
		rc = err_nomem(e);
	} else {
		(void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
		rc = unzstd_loop(m, fd, z, in, plain, e);
	}
	ZSTD_freeDStream(z);
	return rc;
}

static int
pack(struct maker *m, int fd, const char *media_type, struct err *e)
{
	const struct media_type *type = media_find(media_type);
	int rc;

	if (type == NULL || (type->comp != COMP_NONE && type->comp != COMP_ZSTD))
		return err_set(e, E_NOTSUP, "stream: a %s cannot become a classic image", media_type);
	if (lzma_easy_encoder(&m->xz, XZ_PRESET, LZMA_CHECK_CRC64) != LZMA_OK)
		return err_nomem(e);
	rc = type->comp == COMP_ZSTD ? from_zstd(m, fd, e) : each_chunk(m, fd, take_plain, e);
	return rc < 0 ? rc : compress(m, NULL, 0, LZMA_FINISH, e);
}

/* The .skein is written last: while it is not there, neither file counts. */
static int
make_files(struct registry *g, const struct db_classic *c, const char *xz, const char *skein, struct maker *m,
    struct err *e)
{
	static const char temp[] = ".making";
	bool as_is = strcmp(c->media_type, MEDIA_ZFS_SEND_XZ) == 0;
	char sum[SKEIN_HEX_LEN];
	uint64_t size;
	AUTO(fd) int in = store_blob_open(&g->store, &c->digest, &size, e), out = -1;
	int rc;

	if (in < 0)
		return in;
	if (!as_is) {
		out = openat(
		    g->store.classic, temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (out < 0)
			return err_sys(e, "make a classic image file");
	}
	m->fd = out;
	rc = as_is ? each_chunk(m, in, take_hashed, e) : pack(m, in, c->media_type, e);
	if (rc == 0 && !as_is &&
	    (fsync(out) < 0 || renameat(g->store.classic, temp, g->store.classic, xz) < 0))
		rc = err_sys(e, "make a classic image file");
	if (rc < 0) {
		(void)unlinkat(g->store.classic, temp, 0);
		return rc;
	}
	skein_add(&m->sum, c->meta, strlen(c->meta));
	skein_add(&m->sum, "\n", 1);
	skein_end_hex(&m->sum, sum);
	return file_write_atomic(g->store.classic, skein, 0600, sum, strlen(sum), e);
}

/* One at a time: by the registry's slow worker, which is one thread. */
int
classic_make(struct registry *g, const struct db_classic *c, struct err *e)
{
	char name[CLASSIC_NAME_LEN], xz[CLASSIC_NAME_LEN + 8], skein[CLASSIC_NAME_LEN + 8];
	struct maker m = { .xz = LZMA_STREAM_INIT, .fd = -1, .max = g->options->max_blob };
	int rc = classic_name(c, name, e);

	if (rc < 0)
		return rc;
	snprintf(xz, sizeof(xz), "%s.xz", name);
	snprintf(skein, sizeof(skein), "%s.skein", name);
	if (faccessat(g->store.classic, skein, F_OK, 0) == 0)
		return 0;
	m.out = malloc(CHUNK);
	if (m.out == NULL)
		return err_nomem(e);
	skein_init(&m.sum);
	rc = make_files(g, c, xz, skein, &m, e);
	lzma_end(&m.xz);
	free(m.out);
	return rc;
}

int
classic_clean(struct registry *g, struct err *e)
{
	AUTO(fd) int own = openat(g->store.classic, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct db *db = registry_db(g, e);
	struct dirent *d;

	if (db == NULL)
		return -e->code;
	if (dir == NULL)
		return err_sys(e, "read the directory of classic images");
	own = -1;
	while ((d = readdir(dir)) != NULL) {
		char hex[DIGEST_HEX_LEN];
		size_t n = strcspn(d->d_name, "-");
		struct digest digest;
		struct db_blob blob;
		struct err missing = ERR_INIT;

		if (n >= sizeof(hex))
			continue;
		memcpy(hex, d->d_name, n);
		hex[n] = '\0';
		if (digest_parse_hex(n == 64 ? DIGEST_SHA256 : DIGEST_SHA512, hex, &digest, NULL) < 0)
			continue;
		if (db_blob_get(db, &digest, &blob, &missing) == -E_NOENT)
			(void)unlinkat(g->store.classic, d->d_name, 0);
	}
	return 0;
}
