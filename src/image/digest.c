/*
 * Digest texts and streaming hashes.  The parser is strict because its result
 * names files: what it lets through has exactly one spelling.  The hash
 * functions are libcrypto's; a struct hasher owns its context.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "image/digest.h"

#define READ_CHUNK ((size_t)64 * 1024)

struct hasher {
	enum digest_alg alg;
	EVP_MD_CTX *ctx;
	uint64_t bytes;
};

static const struct {
	const char *name;
	size_t size;
	const EVP_MD *(*md)(void);
} algs[DIGEST_ALGS] = {
	[DIGEST_SHA256] = { "sha256", 32, EVP_sha256 },
	[DIGEST_SHA512] = { "sha512", 64, EVP_sha512 },
};

size_t
digest_size(enum digest_alg alg)
{
	return algs[alg].size;
}

const char *
digest_name(enum digest_alg alg)
{
	return algs[alg].name;
}

int
digest_alg_parse(const char *name, enum digest_alg *alg, struct err *e)
{
	for (int i = 0; i < DIGEST_ALGS; i++) {
		if (strcmp(name, algs[i].name) == 0) {
			*alg = (enum digest_alg)i;
			return 0;
		}
	}
	err_set(e, E_NOTSUP, "digest algorithm '%.32s': not known", name);
	return err_hint(e, "use sha256 or sha512");
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
hex_read(const char *hex, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int hi = hex_value(hex[2 * i]), lo = hi < 0 ? -1 : hex_value(hex[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

int
digest_parse_n(const char *text, size_t n, struct digest *d, struct err *e)
{
	for (int i = 0; i < DIGEST_ALGS; i++) {
		size_t prefix = strlen(algs[i].name);

		if (n != prefix + 1 + 2 * algs[i].size || memcmp(text, algs[i].name, prefix) != 0 ||
		    text[prefix] != ':')
			continue;
		memset(d, 0, sizeof(*d));
		d->alg = (enum digest_alg)i;
		if (hex_read(text + prefix + 1, d->bytes, algs[i].size))
			return 0;
	}
	err_set(e, E_INVAL, "digest '%.*s'%s: not a valid digest", (int)(n > 80 ? 80 : n), text,
	    n > 80 ? "…" : "");
	return err_hint(e, "a digest is sha256: or sha512: with 64 or 128 lower-case hexadecimal digits");
}

int
digest_parse(const char *text, struct digest *d, struct err *e)
{
	return digest_parse_n(text, strnlen(text, DIGEST_TEXT_LEN), d, e);
}

int
digest_parse_hex(enum digest_alg alg, const char *hex, struct digest *d, struct err *e)
{
	memset(d, 0, sizeof(*d));
	d->alg = alg;
	if (strnlen(hex, DIGEST_HEX_LEN) == 2 * algs[alg].size && hex_read(hex, d->bytes, algs[alg].size))
		return 0;
	return err_set(
	    e, E_INVAL, "'%.140s': not the hexadecimal digits of a %s digest", hex, algs[alg].name);
}

bool
digest_equal(const struct digest *a, const struct digest *b)
{
	return digest_cmp(a, b) == 0;
}

int
digest_cmp(const struct digest *a, const struct digest *b)
{
	if (a->alg != b->alg)
		return a->alg < b->alg ? -1 : 1;
	return memcmp(a->bytes, b->bytes, algs[a->alg].size);
}

const char *
digest_hex(const struct digest *d, char out[static DIGEST_HEX_LEN])
{
	static const char digits[] = "0123456789abcdef";
	size_t size = algs[d->alg].size;

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[d->bytes[i] >> 4];
		out[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	out[2 * size] = '\0';
	return out;
}

const char *
digest_print(const struct digest *d, char out[static DIGEST_TEXT_LEN])
{
	size_t prefix = strlen(algs[d->alg].name);

	memcpy(out, algs[d->alg].name, prefix);
	out[prefix] = ':';
	(void)digest_hex(d, out + prefix + 1);
	return out;
}

static int
crypto_failed(const char *what, struct err *e)
{
	return err_set(e, E_SYS, "%s: libcrypto refused", what);
}

int
hasher_reset(struct hasher *h, struct err *e)
{
	h->bytes = 0;
	if (EVP_DigestInit_ex(h->ctx, algs[h->alg].md(), NULL) != 1)
		return crypto_failed(algs[h->alg].name, e);
	return 0;
}

int
hasher_new(enum digest_alg alg, struct hasher **out, struct err *e)
{
	AUTO(hasher) struct hasher *h = calloc(1, sizeof(*h));
	int rc;

	if (h == NULL || (h->ctx = EVP_MD_CTX_new()) == NULL)
		return err_nomem(e);
	h->alg = alg;
	rc = hasher_reset(h, e);
	if (rc == 0)
		*out = take_ptr(h);
	return rc;
}

void
hasher_free(struct hasher *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int
hasher_add(struct hasher *h, const void *data, size_t n, struct err *e)
{
	if (EVP_DigestUpdate(h->ctx, data, n) != 1)
		return crypto_failed(algs[h->alg].name, e);
	h->bytes += n;
	return 0;
}

int
hasher_dup(const struct hasher *from, struct hasher **out, struct err *e)
{
	AUTO(hasher) struct hasher *h = NULL;
	int rc = hasher_new(from->alg, &h, e);

	if (rc < 0)
		return rc;
	if (EVP_MD_CTX_copy_ex(h->ctx, from->ctx) != 1)
		return crypto_failed(algs[from->alg].name, e);
	h->bytes = from->bytes;
	*out = take_ptr(h);
	return 0;
}

uint64_t
hasher_bytes(const struct hasher *h)
{
	return h->bytes;
}

int
hasher_end(struct hasher *h, struct digest *d, struct err *e)
{
	memset(d, 0, sizeof(*d));
	d->alg = h->alg;
	if (EVP_DigestFinal_ex(h->ctx, d->bytes, NULL) != 1)
		return crypto_failed(algs[h->alg].name, e);
	return 0;
}

int
digest_of(enum digest_alg alg, const void *data, size_t n, struct digest *d, struct err *e)
{
	memset(d, 0, sizeof(*d));
	d->alg = alg;
	if (EVP_Digest(data, n, d->bytes, NULL, algs[alg].md(), NULL) != 1)
		return crypto_failed(algs[alg].name, e);
	return 0;
}

int
digest_of_fd(enum digest_alg alg, int fd, struct digest *d, uint64_t *size, struct err *e)
{
	AUTO(hasher) struct hasher *h = NULL;
	AUTO_FREE char *chunk = malloc(READ_CHUNK);
	int rc;

	if (chunk == NULL)
		return err_nomem(e);
	rc = hasher_new(alg, &h, e);
	while (rc == 0) {
		ssize_t n = read(fd, chunk, READ_CHUNK);

		if (n == 0)
			break;
		if (n > 0)
			rc = hasher_add(h, chunk, (size_t)n, e);
		else if (errno != EINTR)
			rc = err_sys(e, "read what is to be hashed");
	}
	if (rc == 0 && size != NULL)
		*size = h->bytes;
	return rc < 0 ? rc : hasher_end(h, d, e);
}
