/*
 * Extended attributes of the user namespace, and file flags, on FreeBSD. Flags
 * that only a running system sets for itself (archive, snapshot) are no
 * content.
 */
#include "image/attrs.h"

#include <sys/types.h>
#include <sys/acl.h>
#include <sys/extattr.h>
#include <sys/stat.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX ((size_t)64 * 1024)
#define VALUE_MAX ((size_t)64 * 1024)
#define CONTENT_FLAGS \
	(UF_NODUMP | UF_IMMUTABLE | UF_APPEND | UF_NOUNLINK | SF_IMMUTABLE | SF_APPEND | SF_NOUNLINK)

static int
read_one(struct attrs *a, int fd, const char *name, char *value, struct err *e)
{
	ssize_t n = extattr_get_fd(fd, EXTATTR_NAMESPACE_USER, name, value, VALUE_MAX);
	char full[262];

	if (n < 0)
		return errno == ENOATTR ? 0 : err_sys(e, "extended attribute %s", name);
	snprintf(full, sizeof(full), "user.%s", name);
	if (!attrs_add(a, full, value, (size_t)n))
		return err_set(e, E_LIMIT, "more extended attributes than a layer may have");
	return 0;
}

static int
read_flags(struct attrs *a, int fd, struct err *e)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "file flags");
	if ((st.st_flags & CONTENT_FLAGS) == 0)
		return 0;
	if ((text = fflagstostr(st.st_flags & CONTENT_FLAGS)) == NULL)
		return err_nomem(e);
	snprintf(a->flags, sizeof(a->flags), "%s", text);
	free(text);
	return 0;
}

/* No layer carries what pot-unpack leaves out: file flags, system attributes, access lists of NFSv4. */
static int
check_strict(int fd, struct err *e)
{
	ssize_t system = extattr_list_fd(fd, EXTATTR_NAMESPACE_SYSTEM, NULL, 0);
	int trivial = 1;
	struct stat st;
	acl_t acl;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "file flags");
	if ((st.st_flags & CONTENT_FLAGS) != 0)
		return attrs_foreign("file flags", e);
	if (system > 0)
		return attrs_foreign("an extended attribute", e);
	if ((acl = acl_get_fd_np(fd, ACL_TYPE_NFS4)) == NULL)
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : err_sys(e, "access list");
	if (acl_is_trivial_np(acl, &trivial) != 0)
		trivial = 0;
	acl_free(acl);
	return trivial ? 0 : attrs_foreign("an access list", e);
}

int
attrs_read_os(struct attrs *a, int fd, struct err *e)
{
	AUTO_FREE char *names = malloc(LIST_MAX);
	AUTO_FREE char *value = malloc(VALUE_MAX);
	char name[256];
	ssize_t len;
	int r;

	if (a->strict && (r = check_strict(fd, e)) < 0)
		return r;
	if (names == NULL || value == NULL)
		return err_nomem(e);
	len = extattr_list_fd(fd, EXTATTR_NAMESPACE_USER, names, LIST_MAX);
	if (len < 0 && errno != EOPNOTSUPP)
		return err_sys(e, "extended attributes");
	/* Each name has its length in one byte before it, and no NUL: extattr_list_fd(2). */
	for (ssize_t at = 0; at < len;) {
		size_t n = (unsigned char)names[at];

		if (at + 1 + (ssize_t)n > len)
			break;
		memcpy(name, names + at + 1, n);
		name[n] = '\0';
		if ((r = read_one(a, fd, name, value, e)) < 0)
			return r;
		at += 1 + (ssize_t)n;
	}
	return read_flags(a, fd, e);
}
