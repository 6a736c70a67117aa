/* What log, streams and client ask of FreeBSD. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"

_Static_assert(SYS_EINTR == EINTR && SYS_EIO == EIO, "the numbers that shim.h leans on");

static long
answer(long r)
{
	return r < 0 ? -errno : r;
}

long
sys_read(int fd, void *buf, size_t n)
{
	return answer(read(fd, buf, n));
}

long
sys_write(int fd, const void *buf, size_t n)
{
	return answer(write(fd, buf, n));
}

void
sys_close(int fd)
{
	close(fd);
}

/* Without MSG_EOR FreeBSD joins what waits to be read to one record. */
long
sys_send(int fd, const void *buf, size_t n)
{
	return answer(send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR));
}

bool
sys_would_wait(long r)
{
	return r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM;
}

long
sys_open_append(int dirfd, const char *name)
{
	return answer(
	    openat(dirfd, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
}

long
sys_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) != 0 ? -errno : (long)st.st_size;
}

long
sys_truncate(int fd, uint64_t size)
{
	return answer(ftruncate(fd, (off_t)size));
}

void
sys_unlink(int dirfd, const char *name)
{
	(void)unlinkat(dirfd, name, 0);
}

void
sys_rename(int dirfd, const char *from, const char *to)
{
	(void)renameat(dirfd, from, dirfd, to);
}

void *
sys_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
sys_unmap(void *p, size_t bytes)
{
	(void)munmap(p, bytes);
}

int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
