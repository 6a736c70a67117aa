/*
 * Ed25519 keys and signatures in the file formats of OpenBSD's signify(1): what
 * it makes is read here and the other way round. A file is one line "untrusted
 * comment: TEXT", one of base64, and for an embedded signature the message.
 */
#ifndef IMAGE_SIGNIFY_H
#define IMAGE_SIGNIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SIGNIFY_FILE_MAX 4096 /* of a key */
#define SIGNIFY_COMMENT_MAX 1024
#define SIGNIFY_ROUNDS 42 /* of the key derivation, as signify's own default */

struct sign_public {
	uint8_t number[8];
	uint8_t key[32];
};
struct sign_secret {
	uint8_t number[8];
	uint8_t key[64]; /* seed and public key */
};
struct sign_signature {
	uint8_t number[8];
	uint8_t bytes[64];
};

void sign_secret_fini(struct sign_secret *); /* wipes */
DEFINE_AUTO_FINI(sign_secret, struct sign_secret)

int signify_generate(struct sign_secret *, struct sign_public *, struct err *) MUST_CHECK;

int signify_public_parse(const char *text, size_t len, struct sign_public *, struct err *) MUST_CHECK;
int signify_public_print(
    const struct sign_public *, const char *comment, struct buf *, struct err *) MUST_CHECK;

/* Is it locked with a passphrase? */
int signify_secret_is_locked(const char *text, size_t len, bool *, struct err *) MUST_CHECK;
/* passphrase NULL: for one that is not locked. E_PERM: it is the wrong one. */
int signify_secret_parse(
    const char *text, size_t len, const char *passphrase, struct sign_secret *, struct err *) MUST_CHECK;
int signify_secret_print(const struct sign_secret *, const char *passphrase, const char *comment,
    struct buf *, struct err *) MUST_CHECK;

int signify_sign(
    const struct sign_secret *, const void *, size_t, struct sign_signature *, struct err *) MUST_CHECK;
/* E_PERM when it is not the signature of this key over these bytes. */
int signify_verify(
    const struct sign_public *, const struct sign_signature *, const void *, size_t, struct err *) MUST_CHECK;
int signify_signature_print(
    const struct sign_signature *, const char *comment, struct buf *, struct err *) MUST_CHECK;
/* *message (may be NULL) is where the bytes begin that stand behind it. */
int signify_signature_parse(
    const char *text, size_t len, struct sign_signature *, const char **message, struct err *) MUST_CHECK;

#endif
