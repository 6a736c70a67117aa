/*
 * One HTTP/2 connection of the agent: bytes in, bytes out, and streams of
 * gRPC in between. Knows no file descriptor, so that a fuzzer can be its wire.
 */
#ifndef NOMAD_H2_H
#define NOMAD_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct h2;
struct h2_stream;

/* Of a request's header, what a server of gRPC looks at. Valid for the time of the call. */
struct h2_request {
	const char *method, *path, *content_type, *timeout, *encoding; /* "" when absent */
};

/* What the layer above is told. `call` is what open returned; after closed, or h2_detach, it is not named again. */
struct h2_ops {
	/* A request has begun; NULL: it is answered already, or to be reset. */
	void *(*open)(void *arg, struct h2_stream *, const struct h2_request *);
	/* A piece of its body. To be given back by h2_consumed, now or later. */
	void (*data)(void *call, const uint8_t *, size_t);
	/* The agent has said all. */
	void (*end)(void *call);
	/* The stream is gone, by whomever. */
	void (*closed)(void *call);
	/* All that was queued is on its way. */
	void (*drained)(void *call);
	/* There is something to pull. */
	void (*wake)(void *arg);
};

struct h2 *h2_new(const struct h2_ops *, void *arg);
void h2_free(struct h2 *); /* closes its streams first */

/* False: the connection is to be closed, after what can still be pulled. */
bool h2_feed(struct h2 *, const void *, size_t);
/* What is to be sent next, valid until the next pull; 0: nothing now. -1: out of memory, to be closed. */
ssize_t h2_pull(struct h2 *, const uint8_t **);
bool h2_is_over(const struct h2 *); /* neither side has anything to say any more */
void h2_goodbye(struct h2 *);       /* GOAWAY: no new streams */

/* A piece to be sent: made, filled, given away. */
struct h2_piece {
	struct h2_piece *next;
	size_t len, sent;
	uint8_t data[];
};
struct h2_piece *h2_piece_new(size_t len); /* NULL: no memory */

struct h2_field {
	const char *name, *value;
};
#define H2_TRAILERS_MAX 4

void h2_send(struct h2_stream *, struct h2_piece *); /* takes it */
size_t h2_queued(const struct h2_stream *);          /* bytes that wait for the agent */
void h2_consumed(struct h2_stream *, size_t);
/* Trailers behind what is queued; copied. At most H2_TRAILERS_MAX. Nothing may be sent after it. */
void h2_finish(struct h2_stream *, const struct h2_field *, size_t n);
/* Instead of all that: a bare HTTP status. */
void h2_refuse(struct h2_stream *, const char *status);
/* The stream goes on to its end by itself; its call is not told any more. */
void h2_detach(struct h2_stream *);

#endif
