/*
 * The archive as it comes in: bytes from stdin, decompressed, read as tar.
 * Counts what goes in (progress) and what comes out (limit).
 */
#ifndef UNPACK_STREAM_H
#define UNPACK_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <archive.h>
#include <archive_entry.h>

#include "base/err.h"
#include "unpack/gunzip.h"

#define STREAM_CHUNK (128 * 1024)

struct stream {
	int in_fd, progress_fd; /* borrowed; progress_fd -1: none */
	uint64_t max_out;       /* decompressed bytes at most */
	uint64_t in_bytes, out_bytes;
	int64_t told_ns;           /* when progress was told last */
	struct archive *raw, *tar; /* raw: NULL when gzip is on */
	struct gunzip gzip;
	/* Gets every decompressed byte, the padding behind the archive's end included; or NULL. */
	void (*tap)(void *arg, const void *, size_t);
	void *tap_arg;
	struct err cause; /* what went wrong below libarchive, code 0: nothing */
	bool ended;       /* the decompressed data is at its end */
	size_t first;     /* bytes in chunk that stream_peek read and nobody used yet */
	char chunk[STREAM_CHUNK];
};

void stream_init(struct stream *, int in_fd, int progress_fd, uint64_t max_out);
void stream_fini(struct stream *);

/*
 * Reads the first bytes and tells how much memory decompressing may need,
 * before anything is parsed: *bytes is the limit to put on the process.
 */
int stream_peek(struct stream *, uint64_t *bytes, struct err *) MUST_CHECK;
int stream_open(struct stream *, struct err *) MUST_CHECK;
/* 1 with an entry (borrowed until the next call), 0 at the end of the archive. */
int stream_next(struct stream *, struct archive_entry **, struct err *) MUST_CHECK;
/* A piece of the entry's data: 1, or 0 when there is no more. */
int stream_data(struct stream *, const void **, size_t *len, int64_t *off, struct err *) MUST_CHECK;
/* After stream_next gave 0: checks that the archive is whole, checksums of the compression included. */
int stream_end(struct stream *, struct err *) MUST_CHECK;

#endif
