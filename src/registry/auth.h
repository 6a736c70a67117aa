/*
 * Who may do what: the auth file, as an immutable value.
 *
 *   NAME:HASH                    a user; bcrypt ($2a$ $2b$ $2y$) or $argon2id$, as htpasswd -B writes
 *   allow WHO WHERE RIGHTS       lists with commas
 *
 * WHO: user names, "*" everybody who has logged in, "anonymous" everybody.
 * WHERE: a repository, a PREFIX/ with a star behind it for all below, "*" all.
 * RIGHTS: pull, push, delete, all.
 */
#ifndef REGISTRY_AUTH_H
#define REGISTRY_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/auto.h"
#include "base/err.h"

#define RIGHT_PULL 1u
#define RIGHT_PUSH 2u
#define RIGHT_DELETE 4u
#define RIGHT_ALL 7u

#define USER_MAX 63
#define AUTH_FILE_MAX ((size_t)4 * 1024 * 1024)

struct auth;

/* `what` names the text in messages: "what:LINE: why". */
int auth_parse(const char *text, size_t len, const char *what, struct auth **, struct err *) MUST_CHECK;
int auth_load(const char *file, struct auth **, struct err *) MUST_CHECK;
void auth_free(struct auth *);
DEFINE_AUTO(auth, struct auth *, NULL, auth_free)

bool auth_has_user(const struct auth *, const char *user);
/* user NULL: nobody has logged in. */
unsigned auth_rights(const struct auth *, const char *user, const char *repo);
/* Takes as long for a user that is not there. A tenth of a second and, with argon2, its memory: one at a time. */
bool auth_verify(const struct auth *, const char *user, const char *password);

/* "pull,push" to rights; unknown words are skipped when lax, else E_INVAL. */
int rights_parse(const char *text, size_t len, bool lax, unsigned *, struct err *) MUST_CHECK;

#endif
