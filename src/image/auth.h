/*
 * How a registry asks for credentials: the WWW-Authenticate header (RFC 9110
 * section 11, and the token form of the Docker registry), and the tokens that
 * are got for it. Pure.
 */
#ifndef IMAGE_AUTH_H
#define IMAGE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum auth_kind { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

#define AUTH_REALM_MAX 2048
#define AUTH_WORD_MAX 1024
#define AUTH_TOKEN_MAX (32 * 1024)

struct auth_challenge {
	enum auth_kind kind;
	char realm[AUTH_REALM_MAX]; /* bearer: the URL to ask */
	char service[AUTH_WORD_MAX];
	char scope[AUTH_WORD_MAX];
	char error[64]; /* "insufficient_scope" */
};

/*
 * Of several challenges bearer counts before basic. E_NOTSUP when there is
 * neither, E_INVAL for what cannot be read or is too long.
 */
int auth_parse(const char *header, struct auth_challenge *, struct err *) MUST_CHECK;

/*
 * May the credentials of this registry ("HOST[:PORT]") go to this realm?
 * `known`: the realm's host that login was told, or NULL. The realm's host
 * must be that one, the registry's own, or a neighbour of it (auth.example.org
 * of registry.example.org).
 */
bool auth_realm_is_trusted(const char *registry, const char *realm_host, const char *known);

/* The answer of a realm: token or access_token, and how long it lasts (60 s when it does not say). */
int auth_parse_token(
    const char *json, size_t len, struct buf *token, int64_t *lasts_ms, struct err *) MUST_CHECK;

/* "Basic …" of user and password. */
void auth_basic(const char *user, const char *password, struct buf *out);

#endif
