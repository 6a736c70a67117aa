/*
 * Owner, mode, times, extended attributes and ACLs of unpacked files. Only
 * attributes of the allow-list are set; flags (immutable, append-only) never.
 */
#include "unpack/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <archive.h>

#include "base/buf.h"
#include "unpack/sandbox.h"

#define XATTR_VALUE_MAX 65536 /* the kernel's own maximum */
#define XATTR_COUNT_MAX 64
#define XATTR_TOTAL_MAX (256 * 1024)
#define ACL_ENTRIES_MAX 1024
#define ID_MAX INT64_C(4294967294) /* 2^32 - 1 means "leave as it is" to chown */

int
meta_read(struct archive_entry *entry, struct meta *m, struct err *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	long nsec = archive_entry_mtime_nsec(entry);

	if (uid < 0 || uid > ID_MAX || gid < 0 || gid > ID_MAX)
		return err_set(
		    e, E_CORRUPT, "owner %lld:%lld is out of range", (long long)uid, (long long)gid);
	m->uid = (uid_t)uid;
	m->gid = (gid_t)gid;
	m->mode = (mode_t)archive_entry_perm(entry) & 07777;
	m->mtime.tv_sec = archive_entry_mtime(entry);
	m->mtime.tv_nsec = nsec < 0 || nsec > 999999999 ? 0 : nsec;
	return 0;
}

static bool
is_allowed(const char *name)
{
	if (strlen(name) > 255)
		return false;
	/* overlayfs mounted with "userxattr" takes these as its own orders. */
	if (strncmp(name, "user.overlay.", 13) == 0)
		return false;
	return (strncmp(name, "user.", 5) == 0 && name[5] != '\0') ||
	    strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
	    strcmp(name, "system.posix_acl_default") == 0;
}

/* 0 set or rightly left out (counted), <0 when the disk is full or broken. */
static int
set_xattr(
    int fd, const char *name, const void *value, size_t size, unsigned long long *dropped, struct err *e)
{
	if (sandbox_setxattr(fd, name, value, size) == 0)
		return 0;
	switch (errno) {
	case EDQUOT:
	case EIO:
	case EROFS:
		return err_sys(e, "extended attribute %s", name);
	case ENOSPC:
		/* ext4 says this also when a file's attributes are more than one block. */
		if (size < 1024)
			return err_sys(e, "extended attribute %s", name);
		break;
	}
	(*dropped)++;
	return 0;
}

static int
set_xattrs(int fd, struct archive_entry *entry, unsigned long long *dropped, struct err *e)
{
	const char *name;
	const void *value;
	size_t size, total = 0;
	int n = 0, r;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (name == NULL || !is_allowed(name) || size > XATTR_VALUE_MAX || ++n > XATTR_COUNT_MAX ||
		    (total += size) > XATTR_TOTAL_MAX) {
			(*dropped)++;
			continue;
		}
		if ((r = set_xattr(fd, name, value, size, dropped, e)) < 0)
			return r;
	}
	return 0;
}

static void
add_le(struct buf *b, uint32_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++, v >>= 8)
		buf_add(b, &(unsigned char){ v & 0xff }, 1);
}

/* The tag's number in the kernel's form and its place in the order that the kernel wants; -1 unknown. */
static int
acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return 0x01;
	case ARCHIVE_ENTRY_ACL_USER:
		return 0x02;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return 0x04;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return 0x08;
	case ARCHIVE_ENTRY_ACL_MASK:
		return 0x10;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return 0x20;
	default:
		return -1;
	}
}

/* Appends the entries of one kind with this tag: include/uapi/linux/posix_acl_xattr.h. False: cannot. */
static bool
add_acl_entries(struct buf *b, struct archive_entry *entry, int kind, int want)
{
	int type, perm, tag, id, n = 0;
	const char *name;

	archive_entry_acl_reset(entry, kind);
	while (archive_entry_acl_next(entry, kind, &type, &perm, &tag, &id, &name) == ARCHIVE_OK) {
		int t = acl_tag(tag);
		bool named = t == 0x02 || t == 0x08;

		if (++n > ACL_ENTRIES_MAX || t < 0 || (named && id < 0))
			return false;
		if (t != want)
			continue;
		add_le(b, (uint32_t)t, 2);
		add_le(b, (uint32_t)perm & 7, 2);
		add_le(b, named ? (uint32_t)id : UINT32_MAX, 4);
	}
	return true;
}

static int
set_acl(int fd, struct archive_entry *entry, int kind, const char *xattr, unsigned long long *dropped,
    struct err *e)
{
	static const int order[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20 };
	AUTO_FINI(buf) struct buf b = BUF_INIT(16 * 1024);
	bool good = true;

	/* An access ACL of three entries is the mode and says nothing more. */
	if (archive_entry_acl_count(entry, kind) <= (kind == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? 3 : 0))
		return 0;
	add_le(&b, 2, 4);
	for (size_t i = 0; good && i < ARRAY_LEN(order); i++)
		good = add_acl_entries(&b, entry, kind, order[i]);
	if (!good || b.failed) {
		(*dropped)++;
		return 0;
	}
	return set_xattr(fd, xattr, b.data, b.len, dropped, e);
}

int
meta_apply(
    int fd, const struct meta *m, struct archive_entry *entry, unsigned long long *dropped, struct err *e)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, m->mtime };
	int r;

	if (fchown(fd, m->uid, m->gid) != 0)
		return err_sys(e, "owner %u:%u", (unsigned)m->uid, (unsigned)m->gid);
	if (fchmod(fd, m->mode) != 0)
		return err_sys(e, "mode %04o", (unsigned)m->mode);
	if ((r = set_xattrs(fd, entry, dropped, e)) < 0 ||
	    (r = set_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", dropped, e)) <
		0 ||
	    (r = set_acl(fd, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", dropped, e)) <
		0)
		return r;
	if (futimens(fd, times) != 0)
		return err_sys(e, "times");
	return 0;
}

int
meta_apply_at(int dirfd, const char *name, const struct meta *m, struct err *e)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, m->mtime };

	if (fchownat(dirfd, name, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "owner %u:%u", (unsigned)m->uid, (unsigned)m->gid);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "times");
	return 0;
}
