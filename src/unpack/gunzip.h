/*
 * gzip (RFC 1952), checked: libarchive's own reader passes over the CRC and
 * the length at the end of a member, so damage would go into a base unseen.
 */
#ifndef UNPACK_GUNZIP_H
#define UNPACK_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <zlib.h>

#include "base/err.h"

#define GUNZIP_OUT (64 * 1024)

struct gunzip {
	z_stream z;
	bool open;    /* z is initialised */
	bool full;    /* out was filled: zlib may hold more without new input */
	bool between; /* a member has ended and no other begun */
	bool ended;
	unsigned char out[GUNZIP_OUT];
};

bool gunzip_is(const void *start, size_t);
int gunzip_init(struct gunzip *, struct err *) MUST_CHECK;
void gunzip_fini(struct gunzip *);
/* Does it want more input before the next call of gunzip_next? */
bool gunzip_is_hungry(const struct gunzip *);
/* Input for the next calls, borrowed until it is hungry again; 0 bytes: there is no more. */
int gunzip_feed(struct gunzip *, const void *, size_t, struct err *) MUST_CHECK;
/* The length of what is in out now, 0: hungry, or ended. */
ssize_t gunzip_next(struct gunzip *, struct err *) MUST_CHECK;

#endif
