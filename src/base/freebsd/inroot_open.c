/* inroot_open() on FreeBSD: always the walker; O_RESOLVE_BENEATH refuses the absolute links that a root is full of. */
#include "base/inroot.h"
#include "base/inroot_walk.h"

bool
inroot_links_are_magic(int dirfd)
{
	(void)dirfd;
	return false;
}

int
inroot_open(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	return inroot_walk_open(rootfd, path, flags, mode, e);
}
