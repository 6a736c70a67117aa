/* Locks on FreeBSD: flock(2), which belongs to the open file as well. */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"

int
lock_try(int fd, bool exclusive, bool wait)
{
	int rc;

	do {
		rc = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
	} while (rc < 0 && errno == EINTR);
	return rc;
}

/*
 * flock(2) cannot ask, and trying on fd itself would give up the lock that it
 * holds.  fcntl(2) sees flock's locks too, as those of "process" -1; also
 * the one through fd itself, so ask only with an fd that holds none.
 */
int
lock_held(int fd, struct err *e)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &fl) < 0)
		return err_sys(e, "ask for a lock");
	return fl.l_type != F_UNLCK;
}
