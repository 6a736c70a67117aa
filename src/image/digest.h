/*
 * Digests as OCI writes them: "sha256:" and 64, or "sha512:" and 128
 * lower-case hexadecimal digits; nothing else is one.  A text becomes part of
 * a path only after digest_parse.  Hashing is libcrypto's, streamed.
 */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

enum digest_alg { DIGEST_SHA256, DIGEST_SHA512, DIGEST_ALGS };

#define DIGEST_SIZE_MAX 64                       /* bytes */
#define DIGEST_HEX_LEN (2 * DIGEST_SIZE_MAX + 1) /* with the NUL */
#define DIGEST_TEXT_LEN (7 + DIGEST_HEX_LEN)     /* "sha512:" in front */

/* Unused bytes are 0, so that two of them can be compared and hashed whole. */
struct digest {
	enum digest_alg alg;
	uint8_t bytes[DIGEST_SIZE_MAX];
};

size_t digest_size(enum digest_alg);      /* 32 or 64 */
const char *digest_name(enum digest_alg); /* "sha256", "sha512" */
/* "sha256" or "sha512"; E_NOTSUP for any other name. */
int digest_alg_parse(const char *, enum digest_alg *, struct err *) MUST_CHECK;

/* E_INVAL for anything but the two forms above. */
int digest_parse(const char *text, struct digest *, struct err *) MUST_CHECK;
/* The same for n bytes that need no NUL. */
int digest_parse_n(const char *text, size_t n, struct digest *, struct err *) MUST_CHECK;
/* From the name of a file below blobs/<alg>/: hexadecimal digits only. */
int digest_parse_hex(enum digest_alg, const char *hex, struct digest *, struct err *) MUST_CHECK;
bool digest_equal(const struct digest *, const struct digest *);
int digest_cmp(const struct digest *, const struct digest *); /* an order, for sorting */
/* Both return out. */
const char *digest_print(const struct digest *, char out[static DIGEST_TEXT_LEN]); /* "sha256:…" */
const char *digest_hex(const struct digest *, char out[static DIGEST_HEX_LEN]);    /* without "sha256:" */

/* A digest in the making. */
struct hasher;

int hasher_new(enum digest_alg, struct hasher **, struct err *) MUST_CHECK;
void hasher_free(struct hasher *); /* NULL is allowed */
int hasher_add(struct hasher *, const void *, size_t, struct err *) MUST_CHECK;
/* A second one that goes on from the same state. */
int hasher_dup(const struct hasher *, struct hasher **, struct err *) MUST_CHECK;
uint64_t hasher_bytes(const struct hasher *); /* how many were added */
/* Ends it: afterwards only hasher_reset or hasher_free may follow. */
int hasher_end(struct hasher *, struct digest *, struct err *) MUST_CHECK;
int hasher_reset(struct hasher *, struct err *) MUST_CHECK; /* empty again, same algorithm */

DEFINE_AUTO(hasher, struct hasher *, NULL, hasher_free)

int digest_of(enum digest_alg, const void *, size_t, struct digest *, struct err *) MUST_CHECK;
/* Of a file from its current offset to its end; *size (may be NULL) gets the number of bytes. */
int digest_of_fd(enum digest_alg, int fd, struct digest *, uint64_t *size, struct err *) MUST_CHECK;

#endif
