/*
 * Users and passwords for registries: $REGISTRY_AUTH_FILE when it is set (read
 * only), then ROOT/registries/auth.json, which login and logout write. Both have the form
 * of Docker's config.json: {"auths": {"HOST": {"auth": base64("USER:PASSWORD")}}}.
 * Ours is of mode 0600 and is not read when others may read it.
 */
#ifndef IMAGE_CREDENTIALS_H
#define IMAGE_CREDENTIALS_H

#include <stdbool.h>

#include "base/buf.h"

#define CRED_DIR "registries" /* below ROOT; trust.h has its records there too */
#define CRED_FILE "auth.json"
#define CRED_PART_MAX 4096

struct credential {
	struct buf user, password;
	char realm[1024]; /* host of the realm that login was told; "" not known */
};

void credential_init(struct credential *);
void credential_fini(struct credential *);
DEFINE_AUTO_FINI(credential, struct credential)

/* 1 found, 0 there are none. rootfd: the installation. extra: $REGISTRY_AUTH_FILE or NULL. */
int cred_get(int rootfd, const char *extra, const char *host, struct credential *, struct err *) MUST_CHECK;
int cred_set(int rootfd, const char *host, const struct credential *, struct err *) MUST_CHECK;
/* 1 removed, 0 there was none. */
int cred_remove(int rootfd, const char *host, struct err *) MUST_CHECK;

#endif
