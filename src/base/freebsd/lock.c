/* Locks on FreeBSD: flock(2), which belongs to the open file as well. */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"

#define PAUSE_FIRST_US 200
#define PAUSE_MAX_US 20000

static int
set_lock(int fd, int operation)
{
	int rc;

	do {
		rc = flock(fd, operation);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

/* No descriptor tells of a release; a bounded wait asks again, ever more seldom. */
static int
lock_until(int fd, int operation, int deadline_ms)
{
	int64_t end = text_monotonic_ms() + deadline_ms;
	long us = PAUSE_FIRST_US;

	while (set_lock(fd, operation | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || text_monotonic_ms() >= end)
			return -1;
		(void)ppoll(NULL, 0, &(struct timespec){ 0, us * 1000 }, NULL);
		us = us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : us * 2;
	}
	return 0;
}

int
lock_fd(int fd, bool exclusive, int deadline_ms, struct err *e)
{
	int operation = exclusive ? LOCK_EX : LOCK_SH, rc;

	rc = deadline_ms < 0 ? set_lock(fd, operation) : lock_until(fd, operation, deadline_ms);
	if (rc == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, E_BUSY, "locked by another process");
	return err_sys(e, "lock");
}

int
lock_file(int dirfd, const char *name, bool exclusive, int deadline_ms, struct err *e)
{
	AUTO(fd) int fd = -1;
	int rc;

	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", name);
	rc = lock_fd(fd, exclusive, deadline_ms, e);
	if (rc < 0) {
		err_wrap(e, "%s", name);
		return rc;
	}
	return take_fd(fd);
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
