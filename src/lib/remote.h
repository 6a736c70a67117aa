/* Inside of lib/: what the functions of registries share. */
#ifndef LIB_REMOTE_H
#define LIB_REMOTE_H

#include <pot/image.h>

#include "image/remote.h"
#include "image/signify.h"
#include "lib/ctx.h"

/* Path of policy.conf: beside pot.conf. */
int lib_policy(struct pot_ctx *, struct buf *path, struct err *) MUST_CHECK;
/* Reads and unlocks a secret key. */
int lib_key(const struct pot_sign_key *, struct sign_secret *, struct err *) MUST_CHECK;
void lib_net(struct pot_ctx *, const struct pot_net *, struct img_net *);

#endif
