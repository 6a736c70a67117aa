/* Byte ranges of requests: pure parsing. */
#ifndef REGISTRY_RANGE_H
#define REGISTRY_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum range_result {
	RANGE_WHOLE, /* no range, several, or not in bytes: the whole is sent */
	RANGE_PART,
	RANGE_UNSATISFIABLE, /* 416 */
};

/*
 * A Range header (NULL: none) against content of size bytes.  One range only;
 * a list is answered with the whole, as RFC 9110 allows.
 */
enum range_result range_parse(const char *header, uint64_t size, uint64_t *first, uint64_t *length);
/* The Content-Range of a chunk, "FIRST-LAST", both inclusive. False for anything else. */
bool chunk_range_parse(const char *header, uint64_t *first, uint64_t *last);

/* Does an If-None-Match header name this entity tag (given with its quotes)? */
bool etag_matches(const char *header, const char *etag);

#endif
