/*
 * Locks on Linux: open file description locks.  They belong to the open file,
 * so a child that inherited the descriptor holds them too, and they go when
 * its last copy is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"

#define PAUSE_FIRST_US 200
#define PAUSE_MAX_US 20000

static int
set_lock(int fd, short type, int command)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };
	int rc;

	do {
		rc = fcntl(fd, command, &fl);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

/*
 * The kernel offers a lock with a blocking wait, and no descriptor to poll
 * for its release; the only way to bound the blocking wait is a signal, which
 * a library may not use.  So a bounded wait asks again, ever more seldom.
 */
static int
lock_until(int fd, short type, int deadline_ms)
{
	int64_t end = text_monotonic_ms() + deadline_ms;
	long us = PAUSE_FIRST_US;

	while (set_lock(fd, type, F_OFD_SETLK) < 0) {
		if ((errno != EAGAIN && errno != EACCES) || text_monotonic_ms() >= end)
			return -1;
		(void)ppoll(NULL, 0, &(struct timespec){ 0, us * 1000 }, NULL);
		us = us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : us * 2;
	}
	return 0;
}

int
lock_fd(int fd, bool exclusive, int deadline_ms, struct err *e)
{
	short type = exclusive ? F_WRLCK : F_RDLCK;
	int rc;

	rc = deadline_ms < 0 ? set_lock(fd, type, F_OFD_SETLKW) : lock_until(fd, type, deadline_ms);
	if (rc == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
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

int
lock_held(int fd, struct err *e)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
		return err_sys(e, "ask for a lock");
	return fl.l_type != F_UNLCK;
}
