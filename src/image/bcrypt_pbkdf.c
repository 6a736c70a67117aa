/*
 * bcrypt_pbkdf, by its description (bcrypt_pbkdf(3)): PBKDF2's outer form over
 * SHA-512 and a bcrypt with other constants. No library of ours has it. The
 * cipher itself is libcrypto's Blowfish; what libcrypto cannot do is to mix a
 * salt into the key schedule, so that stands here, on the open fields of its
 * BF_KEY. The state before any key is the fraction of pi, which is computed:
 * four kilobytes of constants would say no more.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/blowfish.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/auto.h"
#include "image/bcrypt_pbkdf.h"

#define WORDS (BF_ROUNDS + 2 + 4 * 256)
#define GUARD 4 /* words below the last one that counts, for the rounding */
#define FIXED (WORDS + GUARD + 1)
#define HASH 64  /* SHA-512 */
#define BLOCK 32 /* what one bcrypt gives */

/* ---- pi: fixed-point numbers, the first word before the point ------------------------- */

struct fixed {
	uint32_t w[FIXED];
};

/* a /= d; false when nothing is left of it. */
static bool
divide(struct fixed *a, uint32_t d)
{
	uint64_t rest = 0;
	bool any = false;

	for (size_t i = 0; i < FIXED; i++) {
		rest = rest << 32 | a->w[i];
		a->w[i] = (uint32_t)(rest / d);
		rest %= d;
		any |= a->w[i] != 0;
	}
	return any;
}

static void
add(struct fixed *a, const struct fixed *b, bool minus)
{
	int64_t carry = 0;

	for (size_t i = FIXED; i-- > 0;) {
		carry += (int64_t)a->w[i] + (minus ? -(int64_t)b->w[i] : (int64_t)b->w[i]);
		a->w[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

/* sum += or -= factor * arctan(1/x), by its series. */
static void
add_arctan(struct fixed *sum, uint32_t factor, uint32_t x, bool minus)
{
	struct fixed power = { { factor } }, term;

	(void)divide(&power, x);
	for (uint32_t n = 1;; n += 2, minus = !minus) {
		term = power;
		if (!divide(&term, n))
			return;
		add(sum, &term, minus);
		if (!divide(&power, x * x))
			return;
	}
}

/* Machin: pi = 16 arctan(1/5) - 4 arctan(1/239). */
static void
initial_state(BF_KEY *state)
{
	struct fixed pi = { { 0 } };

	add_arctan(&pi, 16, 5, false);
	add_arctan(&pi, 4, 239, true);
	for (size_t i = 0; i < BF_ROUNDS + 2; i++)
		state->P[i] = pi.w[1 + i];
	for (size_t i = 0; i < 4 * 256; i++)
		state->S[i] = pi.w[1 + BF_ROUNDS + 2 + i];
}

/* ---- bcrypt ------------------------------------------------------------------------------ */

/* Big-endian words of a 64-byte string that repeats for ever. */
static uint32_t
next_word(const uint8_t s[static HASH], size_t *at)
{
	uint32_t w = 0;

	for (int i = 0; i < 4; i++)
		w = w << 8 | s[(*at)++ % HASH];
	return w;
}

/* One run of the key schedule; salt NULL: a salt of zeros. */
static void
expand(BF_KEY *state, const uint8_t *salt, const uint8_t key[static HASH])
{
	BF_LONG pair[2] = { 0, 0 };
	size_t at = 0;

	for (size_t i = 0; i < BF_ROUNDS + 2; i++)
		state->P[i] ^= next_word(key, &at);
	at = 0;
	for (size_t i = 0; i < WORDS; i += 2) {
		BF_LONG *to = i < BF_ROUNDS + 2 ? &state->P[i] : &state->S[i - (BF_ROUNDS + 2)];

		if (salt != NULL) {
			pair[0] ^= next_word(salt, &at);
			pair[1] ^= next_word(salt, &at);
		}
		BF_encrypt(pair, state);
		to[0] = pair[0];
		to[1] = pair[1];
	}
}

static void
bcrypt_block(const BF_KEY *start, const uint8_t pass[static HASH], const uint8_t salt[static HASH],
    uint8_t out[static BLOCK])
{
	static const uint8_t text[BLOCK + 1] = "OxychromaticBlowfishSwatDynamite";
	BF_LONG words[BLOCK / 4];
	BF_KEY state = *start;

	expand(&state, salt, pass);
	for (int i = 0; i < 64; i++) {
		expand(&state, NULL, salt);
		expand(&state, NULL, pass);
	}
	for (size_t i = 0; i < BLOCK / 4; i++)
		words[i] = (BF_LONG)text[4 * i] << 24 | (BF_LONG)text[4 * i + 1] << 16 |
		    (BF_LONG)text[4 * i + 2] << 8 | text[4 * i + 3];
	for (size_t i = 0; i < BLOCK / 4; i += 2)
		for (int k = 0; k < 64; k++)
			BF_encrypt(&words[i], &state);
	for (size_t i = 0; i < BLOCK; i++)
		out[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
	explicit_bzero(&state, sizeof(state));
	explicit_bzero(words, sizeof(words));
}

static bool
sha512(const void *data, size_t n, uint8_t out[static HASH])
{
	return EVP_Digest(data, n, out, NULL, EVP_sha512(), NULL) == 1;
}

/* The count'th block of the key. */
static bool
derive(const BF_KEY *start, const uint8_t pass[static HASH], const uint8_t *salt, size_t saltlen,
    uint32_t count, unsigned rounds, uint8_t sum[static BLOCK])
{
	AUTO_FREE uint8_t *counted = malloc(saltlen + 4);
	uint8_t hash[HASH], block[BLOCK];

	if (counted == NULL)
		return false;
	memcpy(counted, salt, saltlen);
	for (int i = 0; i < 4; i++)
		counted[saltlen + (size_t)i] = (uint8_t)(count >> (24 - 8 * i));
	if (!sha512(counted, saltlen + 4, hash))
		return false;
	bcrypt_block(start, pass, hash, block);
	memcpy(sum, block, BLOCK);
	for (unsigned r = 1; r < rounds; r++) {
		if (!sha512(block, BLOCK, hash))
			return false;
		bcrypt_block(start, pass, hash, block);
		for (int i = 0; i < BLOCK; i++)
			sum[i] ^= block[i];
	}
	explicit_bzero(block, sizeof(block));
	return true;
}

int
bcrypt_pbkdf(const void *pass, size_t passlen, const void *salt, size_t saltlen, uint8_t *key, size_t keylen,
    unsigned rounds, struct err *e)
{
	size_t stride = (keylen + BLOCK - 1) / BLOCK;
	uint8_t hash[HASH], sum[BLOCK];
	BF_KEY start;

	if (passlen == 0 || saltlen == 0 || keylen == 0 || keylen > 1024 || rounds == 0)
		return err_set(e, E_INVAL, "a key cannot be derived from nothing");
	if (!sha512(pass, passlen, hash))
		return err_set(e, E_SYS, "libcrypto cannot do SHA-512");
	initial_state(&start);
	for (size_t count = 1; count <= stride; count++) {
		if (!derive(&start, hash, salt, saltlen, (uint32_t)count, rounds, sum))
			return err_nomem(e);
		/* The blocks' bytes stand side by side, not block after block. */
		for (size_t i = 0; i < BLOCK && i * stride + count - 1 < keylen; i++)
			key[i * stride + count - 1] = sum[i];
	}
	explicit_bzero(hash, sizeof(hash));
	explicit_bzero(sum, sizeof(sum));
	return 0;
}
