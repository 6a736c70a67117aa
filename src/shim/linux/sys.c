/*
 * What log, streams and client ask of Linux, and the few functions of a C
 * library that pot-shim needs (the compiler calls these by itself).  Small
 * rather than fast.
 */
#include "shim/linux/linux.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>

#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000

void *
memcpy(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	while (n-- > 0)
		*d++ = *s++;
	return to;
}

void *
memmove(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	if (d <= s)
		return memcpy(to, from, n);
	while (n-- > 0)
		d[n] = s[n];
	return to;
}

void *
memset(void *to, int c, size_t n)
{
	char *d = to;

	while (n-- > 0)
		*d++ = (char)c;
	return to;
}

void *
memchr(const void *p, int c, size_t n)
{
	const char *s = p;

	for (; n-- > 0; s++) {
		if (*s == (char)c)
			return (void *)s;
	}
	return NULL;
}

long
sys_read(int fd, void *buf, size_t n)
{
	return raw(__NR_read, fd, buf, n);
}

long
sys_write(int fd, const void *buf, size_t n)
{
	return raw(__NR_write, fd, buf, n);
}

void
sys_close(int fd)
{
	raw(__NR_close, fd);
}

long
sys_send(int fd, const void *buf, size_t n)
{
	return raw(__NR_sendto, fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

bool
sys_would_wait(long answer)
{
	return answer == -EAGAIN || answer == -ENOBUFS || answer == -ENOMEM;
}

long
sys_open_append(int dirfd, const char *name)
{
	return raw(__NR_openat, dirfd, name,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
}

long
sys_size(int fd)
{
	struct statx st;
	long r = raw(__NR_statx, fd, "", 0x1000 /* AT_EMPTY_PATH */, STATX_SIZE, &st);

	return r < 0 ? r : (long)st.stx_size;
}

long
sys_truncate(int fd, uint64_t size)
{
	return raw(__NR_ftruncate, fd, size);
}

void
sys_unlink(int dirfd, const char *name)
{
	raw(__NR_unlinkat, dirfd, name, 0);
}

void
sys_rename(int dirfd, const char *from, const char *to)
{
	raw(__NR_renameat2, dirfd, from, dirfd, to, 0);
}

void *
sys_map(size_t bytes)
{
	long p = raw(__NR_mmap, NULL, bytes, 3 /* READ | WRITE */, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p < 0 && p > -4096 ? NULL : (void *)p;
}

void
sys_unmap(void *p, size_t bytes)
{
	raw(__NR_munmap, p, bytes);
}

int64_t
now_ns(void)
{
	int64_t ts[2];

	raw(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, ts);
	return ts[0] * 1000000000 + ts[1];
}
