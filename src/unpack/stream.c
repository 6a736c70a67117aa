/*
 * stdin -> decompression -> tar. Two readers stand one behind the other: the
 * first knows only compression (libarchive's, or gunzip.c), the second only
 * tar. So every
 * decompressed byte passes through feed_tar(), where it is counted against
 * the limit whether the tar reader wants it or skips it, and the rest behind
 * the end of the tar can be read to check the compression's own checksum.
 * Nothing here touches the file system.
 */
#include "unpack/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define MIB (UINT64_C(1024) * 1024)
/*
 * Memory for everything but the program itself. xz -9 needs a window of 64 MiB
 * by its definition; gzip, bzip2 and zstd up to level 20 are well below.
 */
#define MEMORY_XZ (88 * MIB)
#define MEMORY_ANY (52 * MIB)
/* What may follow the end of a tar: its last record's padding and a little more. */
#define TRAILER_MAX (16 * MIB)
#define PROGRESS_EVERY_NS INT64_C(100000000)

static void
tell_progress(struct stream *s, bool now)
{
	struct timespec ts;
	char line[32];
	int64_t ns;
	int n;

	if (s->progress_fd < 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	if (!now && ns - s->told_ns < PROGRESS_EVERY_NS)
		return;
	s->told_ns = ns;
	n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)s->in_bytes);
	if (write(s->progress_fd, line, (size_t)n) < 0)
		s->progress_fd = -1; /* nobody listens any more */
}

static ssize_t
read_chunk(struct stream *s)
{
	ssize_t n;

	do
		n = read(s->in_fd, s->chunk, sizeof(s->chunk));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err_sys(&s->cause, "reading the archive");
	else
		s->in_bytes += (uint64_t)n;
	return n;
}

/* The next compressed piece, in chunk: its length, 0 at the end, < 0 with s->cause. */
static ssize_t
next_input(struct stream *s)
{
	ssize_t n = (ssize_t)s->first;

	s->first = 0;
	if (n == 0)
		n = read_chunk(s);
	if (n >= 0)
		tell_progress(s, n == 0);
	return n;
}

/* archive_read_callback of the decompressing reader. */
static la_ssize_t
feed_raw(struct archive *a, void *arg, const void **data)
{
	struct stream *s = arg;
	ssize_t n = next_input(s);

	if (n < 0) {
		archive_set_error(a, s->cause.sys, "%s", s->cause.msg);
		return -1;
	}
	*data = s->chunk;
	return n;
}

/* Puts libarchive's complaint into words for people. */
static int
explain(struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	if (text == NULL)
		text = "damaged";
	if (archive_errno(a) == ENOMEM || strstr(text, "memory") != NULL)
		return err_set(
		    e, E_LIMIT, "archive needs more memory to decompress than is allowed: %s", text);
	if (strncmp(text, "Unrecognized archive format", 27) == 0)
		return err_set(
		    e, E_CORRUPT, "archive is not a tar (none, gzip, xz, zstd or bzip2 compressed)");
	return err_set(e, E_CORRUPT, "archive is damaged: %s", text);
}

static int
over_limit(const struct stream *s, struct err *e)
{
	char size[TEXT_SIZE_LEN];

	text_size_print(s->max_out, size);
	return err_set(e, E_LIMIT, "archive expands to more than %s", size);
}

/* A decompressed piece by libarchive: its length, 0 at the end, < 0 with s->cause. */
static int64_t
raw_piece(struct stream *s, const void **data)
{
	la_int64_t off;
	size_t len = 0;
	int r;

	do
		r = archive_read_data_block(s->raw, data, &len, &off);
	while (r == ARCHIVE_OK && len == 0);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return s->cause.code != 0 ? -s->cause.code : explain(s->raw, &s->cause);
	return (int64_t)len;
}

static int64_t
gzip_piece(struct stream *s, const void **data)
{
	ssize_t n = 0;

	while (!s->gzip.ended && (n = gunzip_next(&s->gzip, &s->cause)) == 0 && gunzip_is_hungry(&s->gzip)) {
		ssize_t in = next_input(s);

		if (in < 0)
			return -s->cause.code;
		if (gunzip_feed(&s->gzip, s->chunk, (size_t)in, &s->cause) < 0)
			return -s->cause.code;
	}
	*data = s->gzip.out;
	return n;
}

/* The next decompressed piece: its length, 0 at the end, < 0 with s->cause. */
static int64_t
next_piece(struct stream *s, const void **data)
{
	int64_t n = s->gzip.open ? gzip_piece(s, data) : raw_piece(s, data);

	if (n == 0)
		s->ended = true;
	if (n <= 0)
		return n;
	if ((uint64_t)n > s->max_out - s->out_bytes)
		return over_limit(s, &s->cause);
	s->out_bytes += (uint64_t)n;
	if (s->tap != NULL)
		s->tap(s->tap_arg, *data, (size_t)n);
	return n;
}

/* archive_read_callback of the tar reader. */
static la_ssize_t
feed_tar(struct archive *a, void *arg, const void **data)
{
	struct stream *s = arg;
	int64_t n = next_piece(s, data);

	if (n < 0) {
		archive_set_error(a, EIO, "%s", s->cause.msg);
		return -1;
	}
	return n;
}

/* The error of the tar reader, or the one below that made it fail. */
static int
fail_tar(struct stream *s, struct err *e)
{
	if (s->cause.code != 0) {
		*e = s->cause;
		return -e->code;
	}
	return explain(s->tar, e);
}

void
stream_init(struct stream *s, int in_fd, int progress_fd, uint64_t max_out)
{
	memset(s, 0, sizeof(*s));
	s->in_fd = in_fd;
	s->progress_fd = progress_fd;
	s->max_out = max_out;
}

void
stream_fini(struct stream *s)
{
	if (s->tar != NULL)
		archive_read_free(s->tar);
	if (s->raw != NULL)
		archive_read_free(s->raw);
	s->tar = s->raw = NULL;
	gunzip_fini(&s->gzip);
}

int
stream_peek(struct stream *s, uint64_t *bytes, struct err *e)
{
	static const char xz[] = { '\xfd', '7', 'z', 'X', 'Z', '\0' };
	ssize_t n;

	/* A pipe may give one byte at a time. */
	while (s->first < sizeof(xz)) {
		do
			n = read(s->in_fd, s->chunk + s->first, sizeof(s->chunk) - s->first);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(e, "reading the archive");
		if (n == 0)
			break;
		s->first += (size_t)n;
	}
	s->in_bytes = s->first;
	if (s->first == 0)
		return err_set(e, E_CORRUPT, "archive is empty");
	*bytes = s->first >= sizeof(xz) && memcmp(s->chunk, xz, sizeof(xz)) == 0 ? MEMORY_XZ : MEMORY_ANY;
	return 0;
}

static int
open_raw(struct stream *s, struct err *e)
{
	struct archive_entry *entry;

	if ((s->raw = archive_read_new()) == NULL)
		return err_nomem(e);
	/* ARCHIVE_WARN would mean "through an external program": never. */
	if (archive_read_support_filter_xz(s->raw) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(s->raw) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(s->raw) != ARCHIVE_OK ||
	    archive_read_support_format_raw(s->raw) != ARCHIVE_OK)
		return err_set(e, E_NOTSUP, "libarchive lacks xz, zstd or bzip2");
	if (archive_read_open2(s->raw, s, NULL, feed_raw, NULL, NULL) == ARCHIVE_OK &&
	    archive_read_next_header(s->raw, &entry) == ARCHIVE_OK)
		return 0;
	if (s->cause.code == 0)
		return explain(s->raw, e);
	*e = s->cause;
	return -e->code;
}

int
stream_open(struct stream *s, struct err *e)
{
	int r = gunzip_is(s->chunk, s->first) ? gunzip_init(&s->gzip, e) : open_raw(s, e);

	if (r < 0)
		return r;
	if ((s->tar = archive_read_new()) == NULL)
		return err_nomem(e);
	if (archive_read_support_format_tar(s->tar) != ARCHIVE_OK)
		return err_set(e, E_NOTSUP, "libarchive lacks tar");
	if (archive_read_open2(s->tar, s, NULL, feed_tar, NULL, NULL) != ARCHIVE_OK)
		return fail_tar(s, e);
	return 0;
}

int
stream_next(struct stream *s, struct archive_entry **entry, struct err *e)
{
	int r = archive_read_next_header(s->tar, entry);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_OK)
		return 1;
	/*
	 * A name that is not UTF-8 is given as it stands, with this warning. Every
	 * other warning means that something in the header was passed over.
	 */
	if (r == ARCHIVE_WARN && archive_error_string(s->tar) != NULL &&
	    strstr(archive_error_string(s->tar), "can't be converted") != NULL)
		return 1;
	return fail_tar(s, e);
}

int
stream_data(struct stream *s, const void **data, size_t *len, int64_t *off, struct err *e)
{
	la_int64_t at = 0;
	int r = archive_read_data_block(s->tar, data, len, &at);

	*off = at;
	if (r == ARCHIVE_EOF)
		return 0;
	return r == ARCHIVE_OK ? 1 : fail_tar(s, e);
}

int
stream_end(struct stream *s, struct err *e)
{
	/* The tar reader took a block of zeros for the end, or there was no block at all. */
	uint64_t end = (uint64_t)archive_read_header_position(s->tar);
	uint64_t trailer = 0;
	const void *data;
	int64_t n = 1;

	while (!s->ended && (n = next_piece(s, &data)) > 0)
		if ((trailer += (uint64_t)n) > TRAILER_MAX)
			return err_set(e, E_CORRUPT, "archive has more data behind its end");
	if (n < 0) {
		*e = s->cause;
		return -e->code;
	}
	if (end + 512 > s->out_bytes)
		return err_set(e, E_CORRUPT, "archive is cut off: its end marker is missing");
	tell_progress(s, true);
	return 0;
}
