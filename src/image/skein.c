/*
 * Skein-1024: the Threefish-1024 block cipher, UBI chaining around it, and the
 * hash made from three chained calls (configuration, message, output).
 */
#include <string.h>

#include "image/skein.h"

#define WORDS 16
#define BLOCK 128
#define ROUNDS 80

enum ubi_type { UBI_CONFIG = 4, UBI_MESSAGE = 48, UBI_OUTPUT = 63 };

#define TWEAK_TYPE(t) ((uint64_t)(t) << 56)
#define TWEAK_FIRST (UINT64_C(1) << 62)
#define TWEAK_FINAL (UINT64_C(1) << 63)
#define KEY_PARITY UINT64_C(0x1BD11BDAA9FC1A22)

/* Table 4 of the specification: rotations of each round's eight mixes, repeating after eight rounds. */
static const uint8_t rotations[8][8] = {
	{ 24, 13, 8, 47, 8, 17, 22, 37 },
	{ 38, 19, 10, 55, 49, 18, 23, 52 },
	{ 33, 4, 51, 13, 34, 41, 59, 17 },
	{ 5, 20, 48, 41, 47, 28, 16, 25 },
	{ 41, 9, 37, 31, 12, 47, 44, 30 },
	{ 16, 34, 56, 51, 4, 53, 42, 41 },
	{ 31, 44, 47, 46, 19, 42, 44, 25 },
	{ 9, 48, 35, 52, 23, 31, 37, 20 },
};
/* Table 3. */
static const uint8_t permutation[WORDS] = { 0, 9, 2, 13, 6, 11, 4, 15, 10, 7, 12, 3, 14, 5, 8, 1 };

static uint64_t
get_word(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static void
put_word(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

static void
add_subkey(uint64_t x[static WORDS], const uint64_t key[static WORDS + 1], const uint64_t tweak[static 3],
    unsigned s)
{
	for (unsigned i = 0; i < WORDS; i++)
		x[i] += key[(s + i) % (WORDS + 1)];
	x[13] += tweak[s % 3];
	x[14] += tweak[(s + 1) % 3];
	x[15] += s;
}

static void
one_round(uint64_t x[static WORDS], const uint8_t r[static 8])
{
	uint64_t y[WORDS];

	for (int j = 0; j < 8; j++) {
		y[2 * j] = x[2 * j] + x[2 * j + 1];
		y[2 * j + 1] = (x[2 * j + 1] << r[j] | x[2 * j + 1] >> (64 - r[j])) ^ y[2 * j];
	}
	for (int i = 0; i < WORDS; i++)
		x[i] = y[permutation[i]];
}

/* One block of UBI: the cipher's output and the plain text make the next chaining value. */
static void
ubi_block(uint64_t chain[static WORDS], const uint8_t block[static BLOCK], uint64_t position, uint64_t flags)
{
	uint64_t key[WORDS + 1], tweak[3] = { position, flags, position ^ flags }, plain[WORDS], x[WORDS];

	key[WORDS] = KEY_PARITY;
	for (int i = 0; i < WORDS; i++) {
		key[i] = chain[i];
		key[WORDS] ^= chain[i];
		x[i] = plain[i] = get_word(block + 8 * i);
	}
	for (unsigned d = 0; d < ROUNDS; d++) {
		if (d % 4 == 0)
			add_subkey(x, key, tweak, d / 4);
		one_round(x, rotations[d % 8]);
	}
	add_subkey(x, key, tweak, ROUNDS / 4);
	for (int i = 0; i < WORDS; i++)
		chain[i] = x[i] ^ plain[i];
}

void
skein_init(struct skein *s)
{
	/* Schema "SHA3", version 1, output length in bits; no tree. */
	uint8_t config[BLOCK] = { 'S', 'H', 'A', '3', 1, 0, 0, 0 };

	memset(s, 0, sizeof(*s));
	put_word(config + 8, 8 * SKEIN_LEN);
	ubi_block(s->chain, config, 32, TWEAK_TYPE(UBI_CONFIG) | TWEAK_FIRST | TWEAK_FINAL);
	s->first = 1;
}

static void
message_block(struct skein *s, const uint8_t *block, size_t n, uint64_t final)
{
	s->position += n;
	ubi_block(
	    s->chain, block, s->position, TWEAK_TYPE(UBI_MESSAGE) | (s->first ? TWEAK_FIRST : 0) | final);
	s->first = 0;
}

/* The last block is marked as such, so a full one waits until more comes. */
void
skein_add(struct skein *s, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n > 0) {
		size_t room = BLOCK - s->filled;

		if (room == 0) {
			message_block(s, s->block, BLOCK, 0);
			s->filled = 0;
			for (; n > BLOCK; p += BLOCK, n -= BLOCK)
				message_block(s, p, BLOCK, 0);
			room = BLOCK;
		}
		if (room > n)
			room = n;
		memcpy(s->block + s->filled, p, room);
		s->filled += room;
		p += room;
		n -= room;
	}
}

void
skein_end(struct skein *s, uint8_t out[static SKEIN_LEN])
{
	uint8_t counter[BLOCK] = { 0 };

	memset(s->block + s->filled, 0, BLOCK - s->filled);
	message_block(s, s->block, s->filled, TWEAK_FINAL);
	ubi_block(s->chain, counter, 8, TWEAK_TYPE(UBI_OUTPUT) | TWEAK_FIRST | TWEAK_FINAL);
	for (int i = 0; i < WORDS; i++)
		put_word(out + 8 * i, s->chain[i]);
}

void
skein_end_hex(struct skein *s, char out[static SKEIN_HEX_LEN])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[SKEIN_LEN];

	skein_end(s, sum);
	for (int i = 0; i < SKEIN_LEN; i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[2 * SKEIN_LEN] = '\0';
}
