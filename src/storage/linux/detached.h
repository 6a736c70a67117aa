/*
 * A directory as a mount of its own that is in no namespace: what every
 * mechanism whose roots are directories of a mounted file system hands out.
 */
#ifndef STORAGE_LINUX_DETACHED_H
#define STORAGE_LINUX_DETACHED_H

#include <stdbool.h>

#include "storage/storage.h"

/*
 * Returns an O_PATH directory fd on a detached clone of the mount at dirfd
 * (an fd in the caller's mount namespace); closing it unmounts. `what` names
 * the directory in messages. The map may be NULL; E_NOTSUP where it is not possible.
 */
int detached_mount(int dirfd, bool ro, const struct stor_idmap *, const char *what, struct err *) MUST_CHECK;

#endif
