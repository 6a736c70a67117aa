/*
 * Skein-1024 with 1024 bits of output (Skein 1.3, sections 3.3 to 3.5): the
 * checksum of classic image files, which skein1024(1) makes.  No library that
 * both systems have offers it.
 */
#ifndef IMAGE_SKEIN_H
#define IMAGE_SKEIN_H

#include <stddef.h>
#include <stdint.h>

#define SKEIN_LEN 128
#define SKEIN_HEX_LEN (2 * SKEIN_LEN + 1)

struct skein {
	uint64_t chain[16];
	uint64_t position; /* bytes of message up to and with this block */
	uint8_t block[128];
	size_t filled;
	int first;
};

void skein_init(struct skein *);
void skein_add(struct skein *, const void *, size_t);
void skein_end(struct skein *, uint8_t out[static SKEIN_LEN]);
/* Lower-case hexadecimal digits. */
void skein_end_hex(struct skein *, char out[static SKEIN_HEX_LEN]);

#endif
