/* Files of signify and what is done with the keys in them. Text and bytes only; no file is opened here. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "image/bcrypt_pbkdf.h"
#include "image/signify.h"

#define COMMENT "untrusted comment: "
#define BASE64_MAX 256
#define ROUNDS_MAX 10000 /* more would take minutes: not a key that anybody made in earnest */

/* The decoded lines. Every field is of bytes: no padding. */
struct public_line {
	uint8_t alg[2], number[8], key[32];
};
struct secret_line {
	uint8_t alg[2], kdf[2], rounds[4], salt[16], check[8], number[8], key[64];
};
struct signature_line {
	uint8_t alg[2], number[8], bytes[64];
};

void
sign_secret_fini(struct sign_secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

/* ---- the two lines ------------------------------------------------------------------- */

static int
read_lines(
    const char *text, size_t len, void *out, size_t size, const char **rest, const char *what, struct err *e)
{
	const char *comment_end, *end, *start;
	const uint8_t *alg = out;

	if (len < strlen(COMMENT) || memcmp(text, COMMENT, strlen(COMMENT)) != 0)
		return err_set(e, E_INVAL, "%s: does not begin with \"" COMMENT "\"", what);
	comment_end = memchr(text, '\n', len);
	if (comment_end == NULL || comment_end - text > (ptrdiff_t)(SIGNIFY_COMMENT_MAX + strlen(COMMENT)))
		return err_set(e, E_INVAL, "%s: the comment does not end", what);
	start = comment_end + 1;
	end = memchr(start, '\n', len - (size_t)(start - text));
	if (end == NULL || end - start > BASE64_MAX)
		return err_set(e, E_INVAL, "%s: no line of base64", what);
	if (base64_decode(start, (size_t)(end - start), out, size) != (ssize_t)size)
		return err_set(e, E_INVAL, "%s: not of the length that it must have", what);
	if (alg[0] != 'E' || alg[1] != 'd')
		return err_set(e, E_NOTSUP, "%s: not for Ed25519", what);
	if (rest != NULL)
		*rest = end + 1;
	return 0;
}

static int
print_lines(const char *comment, const void *line, size_t size, struct buf *out, struct err *e)
{
	if (strlen(comment) >= SIGNIFY_COMMENT_MAX || strpbrk(comment, "\r\n") != NULL)
		return err_set(e, E_INVAL, "the comment is too long or not one line");
	buf_fmt(out, COMMENT "%s\n", comment);
	base64_encode(line, size, out);
	buf_str(out, "\n");
	return buf_check(out, "key", e);
}

/* ---- keys --------------------------------------------------------------------------------- */

DEFINE_AUTO(pkey, EVP_PKEY *, NULL, EVP_PKEY_free)
DEFINE_AUTO(mdctx, EVP_MD_CTX *, NULL, EVP_MD_CTX_free)

static int
crypto_failed(struct err *e)
{
	return err_set(e, E_SYS, "libcrypto cannot do Ed25519");
}

int
signify_generate(struct sign_secret *s, struct sign_public *p, struct err *e)
{
	AUTO(pkey) EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	size_t n = 32, m = 32;

	if (k == NULL || EVP_PKEY_get_raw_private_key(k, s->key, &n) != 1 ||
	    EVP_PKEY_get_raw_public_key(k, s->key + 32, &m) != 1 || RAND_bytes(s->number, 8) != 1)
		return crypto_failed(e);
	memcpy(p->key, s->key + 32, 32);
	memcpy(p->number, s->number, 8);
	return 0;
}

int
signify_public_parse(const char *text, size_t len, struct sign_public *p, struct err *e)
{
	struct public_line line;
	int rc = read_lines(text, len, &line, sizeof(line), NULL, "public key", e);

	if (rc < 0)
		return rc;
	memcpy(p->number, line.number, sizeof(p->number));
	memcpy(p->key, line.key, sizeof(p->key));
	return 0;
}

int
signify_public_print(const struct sign_public *p, const char *comment, struct buf *out, struct err *e)
{
	struct public_line line = { .alg = { 'E', 'd' } };

	memcpy(line.number, p->number, sizeof(line.number));
	memcpy(line.key, p->key, sizeof(line.key));
	return print_lines(comment, &line, sizeof(line), out, e);
}

static uint32_t
rounds_of(const struct secret_line *line)
{
	return (uint32_t)line->rounds[0] << 24 | (uint32_t)line->rounds[1] << 16 |
	    (uint32_t)line->rounds[2] << 8 | line->rounds[3];
}

int
signify_secret_is_locked(const char *text, size_t len, bool *locked, struct err *e)
{
	struct secret_line line;
	int rc = read_lines(text, len, &line, sizeof(line), NULL, "secret key", e);

	if (rc == 0)
		*locked = rounds_of(&line) != 0;
	explicit_bzero(&line, sizeof(line));
	return rc;
}

/* Locks and unlocks: the key is covered with what is made of the passphrase. */
static int
cover(struct secret_line *line, const char *passphrase, struct err *e)
{
	uint8_t mask[64];
	int rc;

	rc = bcrypt_pbkdf(passphrase, strlen(passphrase), line->salt, sizeof(line->salt), mask, sizeof(mask),
	    rounds_of(line), e);
	for (size_t i = 0; rc == 0 && i < sizeof(mask); i++)
		line->key[i] ^= mask[i];
	explicit_bzero(mask, sizeof(mask));
	return rc;
}

/* The first bytes of the key's SHA-512 tell a wrong passphrase. */
static bool
check_of(const struct secret_line *line, uint8_t out[static 8])
{
	uint8_t hash[64];
	bool ok = EVP_Digest(line->key, sizeof(line->key), hash, NULL, EVP_sha512(), NULL) == 1;

	memcpy(out, hash, 8);
	explicit_bzero(hash, sizeof(hash));
	return ok;
}

static int
unlock(struct secret_line *line, const char *passphrase, struct err *e)
{
	uint8_t check[8];
	int rc;

	if (memcmp(line->kdf, "BK", 2) != 0 || rounds_of(line) > ROUNDS_MAX)
		return err_set(e, E_NOTSUP, "secret key: locked in a way that is not known");
	if (rounds_of(line) != 0) {
		if (passphrase == NULL || passphrase[0] == '\0')
			return err_set(e, E_PERM, "secret key: it is locked, and no passphrase was given");
		if ((rc = cover(line, passphrase, e)) < 0)
			return rc;
	}
	if (!check_of(line, check))
		return crypto_failed(e);
	if (memcmp(check, line->check, sizeof(check)) != 0)
		return err_set(e, rounds_of(line) != 0 ? E_PERM : E_CORRUPT, "secret key: %s",
		    rounds_of(line) != 0 ? "wrong passphrase" : "damaged");
	return 0;
}

int
signify_secret_parse(
    const char *text, size_t len, const char *passphrase, struct sign_secret *s, struct err *e)
{
	struct secret_line line;
	int rc = read_lines(text, len, &line, sizeof(line), NULL, "secret key", e);

	if (rc == 0)
		rc = unlock(&line, passphrase, e);
	if (rc == 0) {
		memcpy(s->number, line.number, sizeof(s->number));
		memcpy(s->key, line.key, sizeof(s->key));
	}
	explicit_bzero(&line, sizeof(line));
	return rc;
}

int
signify_secret_print(
    const struct sign_secret *s, const char *passphrase, const char *comment, struct buf *out, struct err *e)
{
	struct secret_line line = { .alg = { 'E', 'd' }, .kdf = { 'B', 'K' } };
	bool locks = passphrase != NULL && passphrase[0] != '\0';
	int rc = 0;

	memcpy(line.number, s->number, sizeof(line.number));
	memcpy(line.key, s->key, sizeof(line.key));
	line.rounds[3] = locks ? SIGNIFY_ROUNDS : 0;
	if (!check_of(&line, line.check) || RAND_bytes(line.salt, sizeof(line.salt)) != 1)
		rc = crypto_failed(e);
	if (rc == 0 && locks)
		rc = cover(&line, passphrase, e);
	if (rc == 0)
		rc = print_lines(comment, &line, sizeof(line), out, e);
	explicit_bzero(&line, sizeof(line));
	return rc;
}

/* ---- signatures ------------------------------------------------------------------------------ */

int
signify_sign(
    const struct sign_secret *s, const void *data, size_t n, struct sign_signature *out, struct err *e)
{
	AUTO(pkey) EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->key, 32);
	AUTO(mdctx) EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t len = sizeof(out->bytes);

	if (k == NULL || c == NULL || EVP_DigestSignInit(c, NULL, NULL, NULL, k) != 1 ||
	    EVP_DigestSign(c, out->bytes, &len, data, n) != 1 || len != sizeof(out->bytes))
		return crypto_failed(e);
	memcpy(out->number, s->number, sizeof(out->number));
	return 0;
}

int
signify_verify(
    const struct sign_public *p, const struct sign_signature *s, const void *data, size_t n, struct err *e)
{
	AUTO(pkey) EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p->key, 32);
	AUTO(mdctx) EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (memcmp(p->number, s->number, sizeof(p->number)) != 0)
		return err_set(e, E_PERM, "signed with another key");
	if (k == NULL || c == NULL || EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) != 1)
		return crypto_failed(e);
	if (EVP_DigestVerify(c, s->bytes, sizeof(s->bytes), data, n) != 1)
		return err_set(e, E_PERM, "the signature is wrong");
	return 0;
}

int
signify_signature_print(const struct sign_signature *s, const char *comment, struct buf *out, struct err *e)
{
	struct signature_line line = { .alg = { 'E', 'd' } };

	memcpy(line.number, s->number, sizeof(line.number));
	memcpy(line.bytes, s->bytes, sizeof(line.bytes));
	return print_lines(comment, &line, sizeof(line), out, e);
}

int
signify_signature_parse(
    const char *text, size_t len, struct sign_signature *s, const char **message, struct err *e)
{
	struct signature_line line;
	int rc = read_lines(text, len, &line, sizeof(line), message, "signature", e);

	if (rc < 0)
		return rc;
	memcpy(s->number, line.number, sizeof(s->number));
	memcpy(s->bytes, line.bytes, sizeof(s->bytes));
	return 0;
}
