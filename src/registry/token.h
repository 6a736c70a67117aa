/*
 * Bearer tokens: what a client got for its password for a few minutes.  A
 * token is its payload (JSON) and an HMAC-SHA256 over it, both base64url; the
 * key never leaves the data directory.  It says who and what was asked for;
 * what that user may do is looked up again at each use.
 */
#ifndef REGISTRY_TOKEN_H
#define REGISTRY_TOKEN_H

#include <stdint.h>

#include "base/buf.h"
#include "registry/auth.h"
#include "registry/path.h"

#define TOKEN_KEY_LEN 32
#define TOKEN_SCOPES 16
#define TOKEN_MAX ((size_t)12 * 1024)

struct scope {
	char repo[REPO_NAME_MAX + 1];
	unsigned rights;
};
struct token {
	char user[USER_MAX + 1]; /* "": anonymous */
	int64_t expires;         /* seconds since the epoch */
	size_t n;
	struct scope scopes[TOKEN_SCOPES];
};

/* Reads the key from dirfd/token.key, making it when it is not there. */
int token_key(int dirfd, uint8_t key[static TOKEN_KEY_LEN], struct err *) MUST_CHECK;
int token_print(
    const struct token *, const uint8_t key[static TOKEN_KEY_LEN], struct buf *, struct err *) MUST_CHECK;
/* E_PERM for one that is forged, broken or over. */
int token_parse(const char *text, const uint8_t key[static TOKEN_KEY_LEN], int64_t now, struct token *,
    struct err *) MUST_CHECK;
/* "repository:NAME:pull,push", added to the token; what is no repository, or too much, is left out. */
void token_add_scope(struct token *, const char *text, size_t len);
unsigned token_rights(const struct token *, const char *repo);

#endif
