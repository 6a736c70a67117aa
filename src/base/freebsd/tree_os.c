/* What FreeBSD knows about files in trees: file flags, extended attributes, ACLs. */
#include <sys/types.h>
#include <sys/acl.h>
#include <sys/extattr.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/tree.h"

#define STOPPING_FLAGS (SF_IMMUTABLE | UF_IMMUTABLE | SF_APPEND | UF_APPEND | SF_NOUNLINK | UF_NOUNLINK)

int
tree_is_mount_root(int fd, bool *is)
{
	(void)fd;
	*is = false; /* every mount, nullfs too, has its own st_dev here */
	return 0;
}

int
tree_clear_flags(int dirfd, const char *name)
{
	struct stat st;

	if (name == NULL) {
		if (fstat(dirfd, &st) < 0)
			return -1;
		return (st.st_flags & STOPPING_FLAGS) == 0 ? 0
							   : fchflags(dirfd, st.st_flags & ~STOPPING_FLAGS);
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if ((st.st_flags & STOPPING_FLAGS) == 0)
		return 0;
	return chflagsat(dirfd, name, st.st_flags & ~STOPPING_FLAGS, AT_SYMLINK_NOFOLLOW);
}

int
tree_clone_data(int in, int out)
{
	(void)in;
	(void)out;
	errno = EOPNOTSUPP; /* copy_file_range(2) clones blocks where ZFS can */
	return -1;
}

static int
copy_attr(int in, int out, const char *name)
{
	AUTO_FREE char *value = NULL;
	ssize_t len;

	len = extattr_get_fd(in, EXTATTR_NAMESPACE_USER, name, NULL, 0);
	if (len < 0)
		return errno == ENOATTR ? 0 : -1;
	value = malloc((size_t)len + 1);
	if (value == NULL)
		return -1;
	len = extattr_get_fd(in, EXTATTR_NAMESPACE_USER, name, value, (size_t)len);
	if (len < 0)
		return errno == ENOATTR ? 0 : -1;
	return extattr_set_fd(out, EXTATTR_NAMESPACE_USER, name, value, (size_t)len) < 0 ? -1 : 0;
}

/* The list is a length byte and that many bytes of name, again and again. */
static int
copy_user_attrs(int in, int out)
{
	AUTO_FREE unsigned char *list = NULL;
	char name[EXTATTR_MAXNAMELEN + 1];
	ssize_t len;

	len = extattr_list_fd(in, EXTATTR_NAMESPACE_USER, NULL, 0);
	if (len <= 0)
		return len == 0 || errno == EOPNOTSUPP ? 0 : -1;
	list = malloc((size_t)len);
	if (list == NULL)
		return -1;
	len = extattr_list_fd(in, EXTATTR_NAMESPACE_USER, list, (size_t)len);
	for (ssize_t i = 0; i < len; i += 1 + list[i]) {
		if (i + 1 + list[i] > len)
			break;
		memcpy(name, &list[i + 1], list[i]);
		name[list[i]] = '\0';
		if (copy_attr(in, out, name) < 0)
			return -1;
	}
	return len < 0 ? -1 : 0;
}

static int
copy_acl(int in, int out, acl_type_t type)
{
	int trivial = 0, rc;
	acl_t acl;

	acl = acl_get_fd_np(in, type);
	if (acl == NULL)
		return errno == EINVAL || errno == EOPNOTSUPP ? 0 : -1;
	rc = acl_is_trivial_np(acl, &trivial);
	if (rc == 0 && !trivial)
		rc = acl_set_fd_np(out, acl, type);
	acl_free(acl);
	return rc;
}

int
tree_copy_attrs(int in, int out)
{
	if (copy_user_attrs(in, out) < 0)
		return -1;
	if (fpathconf(in, _PC_ACL_NFS4) == 1)
		return copy_acl(in, out, ACL_TYPE_NFS4);
	if (fpathconf(in, _PC_ACL_EXTENDED) == 1)
		return copy_acl(in, out, ACL_TYPE_ACCESS);
	return 0;
}
