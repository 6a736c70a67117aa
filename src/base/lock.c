/*
 * Locks with a bound on the wait, on the one call that each system has for
 * them (lock_try in its folder).
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/text.h"

#define PAUSE_FIRST_US 200
#define PAUSE_MAX_US 20000

static bool
is_held(int why)
{
	return why == EAGAIN || why == EACCES;
}

/*
 * Kernels offer a lock with a blocking wait, and no descriptor to poll
 * for its release; the only way to bound the blocking wait is a signal, which
 * a library may not use.  So a bounded wait asks again, ever more seldom.
 */
static int
lock_until(int fd, bool exclusive, int deadline_ms)
{
	int64_t end = text_monotonic_ms() + deadline_ms;
	long us = PAUSE_FIRST_US;

	while (lock_try(fd, exclusive, false) < 0) {
		if (!is_held(errno) || text_monotonic_ms() >= end)
			return -1;
		(void)ppoll(NULL, 0, &(struct timespec){ 0, us * 1000 }, NULL);
		us = us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : us * 2;
	}
	return 0;
}

int
lock_fd(int fd, bool exclusive, int deadline_ms, struct err *e)
{
	int rc = deadline_ms < 0 ? lock_try(fd, exclusive, true) : lock_until(fd, exclusive, deadline_ms);

	if (rc == 0)
		return 0;
	if (is_held(errno))
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

bool
file_is_named(int dirfd, const char *name, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

int
lock_named(int dirfd, const char *name, bool exclusive, int deadline_ms, struct err *e)
{
	for (;;) {
		AUTO(fd) int fd = lock_file(dirfd, name, exclusive, deadline_ms, e);

		/* Its last holder may have removed the file that we waited for. */
		if (fd < 0 || file_is_named(dirfd, name, fd))
			return take_fd(fd);
	}
}
