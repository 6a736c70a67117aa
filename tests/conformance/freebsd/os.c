/* The storage suite's FreeBSD: attributes of files. */
#include <sys/types.h>
#include <sys/extattr.h>
#include <errno.h>
#include <string.h>

#include "os.h"
#include "suite.h"

bool
os_set_note(int fd, const char *value)
{
	size_t n = strlen(value);

	return extattr_set_fd(fd, EXTATTR_NAMESPACE_USER, "note", value, n) == (ssize_t)n;
}

ssize_t
os_get_note(int fd, char *out, size_t size)
{
	return extattr_get_fd(fd, EXTATTR_NAMESPACE_USER, "note", out, size);
}

/* There are none but the set-id bits, which the cases look at by themselves. */
bool
os_set_right(int fd)
{
	return fd >= 0;
}

bool
os_has_right(int fd)
{
	return fd >= 0;
}

dev_t
os_device(unsigned major, unsigned minor)
{
	return makedev(major, minor);
}

bool
os_be_old_kernel(void)
{
	errno = ENOSYS;
	return false;
}

const struct suite_case *const suite_os[] = { NULL };
