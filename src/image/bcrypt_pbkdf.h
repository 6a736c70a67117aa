/* The key derivation of signify's and OpenSSH's secret keys. */
#ifndef IMAGE_BCRYPT_PBKDF_H
#define IMAGE_BCRYPT_PBKDF_H

#include <stdint.h>

#include "base/err.h"

int bcrypt_pbkdf(const void *pass, size_t passlen, const void *salt, size_t saltlen, uint8_t *key,
    size_t keylen, unsigned rounds, struct err *) MUST_CHECK;

#endif
