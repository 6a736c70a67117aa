/*
 * Memory of one call: many small pieces, freed together. It has a hard maximum, as what comes in decides how
 * much is asked for: 2 bytes on the wire can stand for a message of 100.
 */
#ifndef NOMAD_ARENA_H
#define NOMAD_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks; /* the newest first */
	size_t used, max;           /* bytes taken of the system */
	bool failed;                /* something was refused: what was built is not whole */
	ProtobufCAllocator pb;      /* for protobuf-c: its free does nothing */
};

void arena_init(struct arena *, size_t max);
void arena_fini(struct arena *);
/* Zeroed, aligned for anything; NULL over the maximum or without memory. n 0 is fine. */
void *arena_get(struct arena *, size_t n, size_t size);
char *arena_text(
    struct arena *, const char *); /* a copy in which what is not UTF-8 is escaped; NULL for NULL */

#define arena_new(a, type) ((type *)arena_get((a), 1, sizeof(type)))

#endif
