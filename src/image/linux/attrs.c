/* Extended attributes on Linux. Those of the allow-list of pot-unpack, and no others: unpack/meta.c. */
#include "image/attrs.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static bool
is_carried(const char *name)
{
	if (strncmp(name, "user.overlay.", 13) == 0)
		return false;
	return (strncmp(name, "user.", 5) == 0 && name[5] != '\0') ||
	    strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0;
}

static int
read_one(struct attrs *a, int fd, const char *name, struct err *e)
{
	char few[1024];
	AUTO_FREE char *many = NULL;
	char *value = few;
	ssize_t n = fgetxattr(fd, name, few, sizeof(few));

	if (n < 0 && errno == ERANGE) {
		value = many = malloc(XATTR_SIZE_MAX);
		if (many == NULL)
			return err_nomem(e);
		n = fgetxattr(fd, name, many, XATTR_SIZE_MAX);
	}
	if (n < 0)
		return errno == ENODATA ? 0 : err_sys(e, "extended attribute %s", name);
	if (!attrs_add(a, name, value, (size_t)n))
		return err_set(e, E_LIMIT, "more extended attributes than a layer may have");
	return 0;
}

/* Flags of chattr(1) that would change what a pot can do with the file. */
static int
check_flags(int fd, struct err *e)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP || errno == ENOSYS ? 0
										 : err_sys(e, "file flags");
	return (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0 ? attrs_foreign("file flags", e) : 0;
}

int
attrs_read_os(struct attrs *a, int fd, struct err *e)
{
	char few[1024];
	AUTO_FREE char *many = NULL;
	char *names = few;
	ssize_t len = flistxattr(fd, few, sizeof(few));
	int r = a->strict ? check_flags(fd, e) : 0;

	if (r < 0)
		return r;
	if (len < 0 && errno == ERANGE) {
		names = many = malloc(XATTR_LIST_MAX);
		if (many == NULL)
			return err_nomem(e);
		len = flistxattr(fd, many, XATTR_LIST_MAX);
	}
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : err_sys(e, "extended attributes");
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (!is_carried(name) && a->strict)
			return attrs_foreign("an extended attribute", e);
		if (is_carried(name) && (r = read_one(a, fd, name, e)) < 0)
			return r;
	}
	return 0;
}
