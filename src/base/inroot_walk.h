/*
 * Inside base, and for its tests: the portable resolver below a root, and the
 * one question about links that each system answers.
 */
#ifndef BASE_INROOT_WALK_H
#define BASE_INROOT_WALK_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* As inroot_open(), always by the walker. */
int inroot_walk_open(int rootfd, const char *path, int flags, mode_t, struct err *) MUST_CHECK;

/* Do links in this directory lead where their text does not say (Linux: /proc/PID/fd and the like)? */
bool inroot_links_are_magic(int dirfd);

#endif
