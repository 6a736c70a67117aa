/*
 * Locks on Linux: open file description locks.  They belong to the open file,
 * so a child that inherited the descriptor holds them too, and they go when
 * its last copy is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"

int
lock_try(int fd, bool exclusive, bool wait)
{
	struct flock fl = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	int rc;

	do {
		rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

int
lock_held(int fd, struct err *e)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
		return err_sys(e, "ask for a lock");
	return fl.l_type != F_UNLCK;
}
