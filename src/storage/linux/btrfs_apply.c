/*
 * Reads a btrfs stream command by command and does to a subvolume what it
 * says. Paths are resolved below the subvolume's root as by a process that is
 * shut in there, and no link is followed at their end; files are opened for
 * writing only after they were seen to be files. What is wrong is E_CORRUPT,
 * what pots do not get (devices, newer versions) E_NOTSUP. Which subvolume,
 * and what becomes of it afterwards, is btrfs_stream.c's.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>

#include "base/auto.h"
#include "base/inroot.h"
#include "storage/linux/btrfs_apply.h"

#define MAGIC "btrfs-stream" /* with its NUL */
#define COMMAND_MAX (256u * 1024)
#define BYTES_MAX (UINT64_C(64) << 30) /* as of a layer's tar */
#define NAMES_MAX UINT64_C(10000000)

/* fs/btrfs/send.h */
enum command {
	C_SUBVOL = 1,
	C_SNAPSHOT,
	C_MKFILE,
	C_MKDIR,
	C_MKNOD,
	C_MKFIFO,
	C_MKSOCK,
	C_SYMLINK,
	C_RENAME,
	C_LINK,
	C_UNLINK,
	C_RMDIR,
	C_SET_XATTR,
	C_REMOVE_XATTR,
	C_WRITE,
	C_CLONE,
	C_TRUNCATE,
	C_CHMOD,
	C_CHOWN,
	C_UTIMES,
	C_END,
	C_UPDATE_EXTENT,
	C_COUNT
};
enum attr {
	A_UUID = 1,
	A_CTRANSID = 2,
	A_SIZE = 4,
	A_MODE = 5,
	A_UID = 6,
	A_GID = 7,
	A_MTIME = 10,
	A_ATIME = 11,
	A_XATTR_NAME = 13,
	A_XATTR_DATA = 14,
	A_PATH = 15,
	A_PATH_TO = 16,
	A_PATH_LINK = 17,
	A_FILE_OFFSET = 18,
	A_DATA = 19,
	A_CLONE_UUID = 20,
	A_CLONE_CTRANSID = 21,
	A_CLONE_PATH = 22,
	A_CLONE_OFFSET = 23,
	A_CLONE_LEN = 24,
	A_COUNT = 25
};

struct value {
	const unsigned char *data; /* NULL: not there */
	size_t len;
};

struct btrfs_stream {
	struct stor_source src;
	struct btrfs_stream_head head;
	int root, from; /* borrowed */
	int file;       /* opened for writing, so that a file's writes share one opening; or -1 */
	char file_path[PATH_MAX];
	uint64_t bytes, names;
	unsigned command;
	struct value v[A_COUNT];
	uint32_t table[256];
	unsigned char buf[COMMAND_MAX];
};

/* A path's directory, held open, and its last component. */
struct place {
	int dir;
	char last[256];
};

/* CRC-32C as btrfs uses it here: begun with 0 and not inverted. */
static void
crc_table(uint32_t table[static 256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c & 1) != 0 ? (c >> 1) ^ 0x82f63b78 : c >> 1;
		table[i] = c;
	}
}

static uint32_t
crc32c(const uint32_t table[static 256], uint32_t c, const unsigned char *p, size_t n)
{
	while (n-- > 0)
		c = (c >> 8) ^ table[(c ^ *p++) & 0xff];
	return c;
}

static uint32_t
get32(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static unsigned
get16(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static int
broken(const struct btrfs_stream *st, const char *what, struct err *e)
{
	return err_set(e, E_CORRUPT, "btrfs: the stream's command %u: %s", st->command, what);
}

static int
read_command(struct btrfs_stream *st, struct err *e)
{
	unsigned char head[10];
	uint32_t len, crc;
	int rc = stor_source_fill(&st->src, head, sizeof(head), e);

	if (rc < 0)
		return rc;
	len = get32(head);
	st->command = get16(head + 4);
	crc = get32(head + 6);
	memset(head + 6, 0, 4);
	memset(st->v, 0, sizeof(st->v));
	if (st->command == 0 || st->command >= C_COUNT)
		return err_set(
		    e, E_NOTSUP, "btrfs: the stream has command %u, which is not known", st->command);
	if (len > sizeof(st->buf))
		return broken(st, "too long", e);
	rc = stor_source_fill(&st->src, st->buf, len, e);
	if (rc < 0)
		return rc;
	if (crc32c(st->table, crc32c(st->table, 0, head, sizeof(head)), st->buf, len) != crc)
		return broken(st, "wrong checksum", e);
	for (size_t at = 0; at < len;) {
		unsigned type;
		size_t n;

		if (len - at < 4)
			return broken(st, "half an attribute", e);
		type = get16(st->buf + at);
		n = get16(st->buf + at + 2);
		at += 4;
		if (n > len - at)
			return broken(st, "an attribute is too long", e);
		if (type < A_COUNT)
			st->v[type] = (struct value){ st->buf + at, n };
		at += n;
	}
	return 0;
}

static int
number(const struct btrfs_stream *st, enum attr a, uint64_t *out, struct err *e)
{
	const struct value *v = &st->v[a];
	uint64_t n;

	if (v->data == NULL || v->len != sizeof(n))
		return broken(st, "a number is missing", e);
	memcpy(&n, v->data, sizeof(n));
	*out = le64toh(n);
	return 0;
}

static int
uuid(const struct btrfs_stream *st, enum attr a, uint8_t out[static SUBVOL_UUID_LEN], struct err *e)
{
	const struct value *v = &st->v[a];

	if (v->data == NULL || v->len != SUBVOL_UUID_LEN)
		return broken(st, "an id is missing", e);
	memcpy(out, v->data, SUBVOL_UUID_LEN);
	return 0;
}

/* A text without NUL; size is what out has room for. */
static int
text(const struct btrfs_stream *st, enum attr a, char *out, size_t size, struct err *e)
{
	const struct value *v = &st->v[a];

	if (v->data == NULL || v->len >= size || memchr(v->data, '\0', v->len) != NULL)
		return broken(st, "a name is missing or none", e);
	memcpy(out, v->data, v->len);
	out[v->len] = '\0';
	return 0;
}

/* The root itself is "." in itself. */
static int
place_in(const struct btrfs_stream *st, enum attr a, struct place *at, struct err *e)
{
	char path[PATH_MAX];
	int rc = text(st, a, path, sizeof(path), e);

	if (rc < 0)
		return rc;
	if (path[0] == '\0') {
		at->dir = openat(st->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		memcpy(at->last, ".", 2);
		return at->dir < 0 ? err_sys(e, "btrfs: opening a root") : 0;
	}
	at->dir = inroot_open_parent(st->root, path, at->last, e);
	return at->dir < 0 ? at->dir : 0;
}

/* Opens a regular file; nothing else is ever opened, since devices and FIFOs act when they are. */
static int
open_regular(int root, const char *path, int flags, struct err *e)
{
	char last[256], proc[40];
	AUTO(fd) int dir = inroot_open_parent(root, path, last, e);
	AUTO(fd) int node = -1;
	struct stat st;
	int fd;

	if (dir < 0)
		return dir;
	node = openat(dir, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &st) < 0)
		return err_sys(e, "btrfs: what a stream writes to");
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_CORRUPT, "btrfs: the stream writes to what is no file");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", node);
	fd = open(proc, flags | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "btrfs: opening a file of a stream");
}

static void
forget_file(struct btrfs_stream *st)
{
	fd_close(take_fd(st->file));
	st->file_path[0] = '\0';
}

static int
hold_file(struct btrfs_stream *st, struct err *e)
{
	char path[PATH_MAX];
	int rc = text(st, A_PATH, path, sizeof(path), e);

	if (rc < 0 || (st->file >= 0 && strcmp(path, st->file_path) == 0))
		return rc;
	forget_file(st);
	st->file = open_regular(st->root, path, O_WRONLY, e);
	if (st->file < 0)
		return take_fd(st->file);
	memcpy(st->file_path, path, strlen(path) + 1);
	return 0;
}

static int
count_bytes(struct btrfs_stream *st, uint64_t n, struct err *e)
{
	if (n > BYTES_MAX - st->bytes)
		return err_set(e, E_LIMIT, "btrfs: the stream holds more than 64 GiB");
	st->bytes += n;
	return 0;
}

static int
do_write(struct btrfs_stream *st, struct err *e)
{
	const struct value *v = &st->v[A_DATA];
	uint64_t at = 0;
	int rc = number(st, A_FILE_OFFSET, &at, e);

	if (rc == 0 && (v->data == NULL || at > INT64_MAX - v->len))
		rc = broken(st, "nothing to write, or nowhere", e);
	if (rc == 0)
		rc = count_bytes(st, v->len, e);
	if (rc == 0)
		rc = hold_file(st, e);
	for (size_t done = 0; rc == 0 && done < v->len;) {
		ssize_t n = pwrite(st->file, v->data + done, v->len - done, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			rc = err_sys(e, "btrfs: writing what a stream holds");
		else if (n > 0)
			done += (size_t)n;
	}
	return rc;
}

static int
clone_source(const struct btrfs_stream *st, struct err *e)
{
	uint8_t id[SUBVOL_UUID_LEN];
	char path[PATH_MAX];
	int root, rc = uuid(st, A_CLONE_UUID, id, e);

	if (rc == 0)
		rc = text(st, A_CLONE_PATH, path, sizeof(path), e);
	if (rc < 0)
		return rc;
	if (memcmp(id, st->head.uuid, sizeof(id)) == 0)
		root = st->root;
	else if (st->from >= 0 && memcmp(id, st->head.parent, sizeof(id)) == 0)
		root = st->from;
	else
		return broken(st, "a part of another subvolume", e);
	return open_regular(root, path, O_RDONLY, e);
}

static int
do_clone(struct btrfs_stream *st, struct err *e)
{
	AUTO(fd) int src = clone_source(st, e);
	struct file_clone_range r = { .src_fd = src };
	uint64_t offset = 0, len = 0, to = 0;
	int rc = src < 0 ? src : 0;

	if (rc == 0)
		rc = number(st, A_CLONE_OFFSET, &offset, e);
	if (rc == 0)
		rc = number(st, A_CLONE_LEN, &len, e);
	if (rc == 0)
		rc = number(st, A_FILE_OFFSET, &to, e);
	if (rc == 0)
		rc = count_bytes(st, len, e);
	if (rc == 0)
		rc = hold_file(st, e);
	r.src_offset = offset;
	r.src_length = len;
	r.dest_offset = to;
	/* A length of 0 means up to the end. */
	if (rc == 0 && len > 0 && ioctl(st->file, FICLONERANGE, &r) < 0)
		rc = err_sys(e, "btrfs: sharing a part of a file");
	return rc;
}

static int
do_truncate(struct btrfs_stream *st, struct err *e)
{
	uint64_t size = 0;
	int rc = number(st, A_SIZE, &size, e);

	if (rc == 0 && size > INT64_MAX)
		rc = broken(st, "a size is none", e);
	if (rc == 0)
		rc = hold_file(st, e);
	if (rc == 0 && ftruncate(st->file, (off_t)size) < 0)
		rc = err_sys(e, "btrfs: setting the size of a file");
	return rc;
}

static int
make_node(struct btrfs_stream *st, const struct place *at, struct err *e)
{
	char target[PATH_MAX];
	int rc;

	if (++st->names > NAMES_MAX)
		return err_set(e, E_LIMIT, "btrfs: the stream holds more than ten million names");
	switch (st->command) {
	case C_MKDIR:
		rc = mkdirat(at->dir, at->last, 0700);
		break;
	case C_MKFIFO:
		rc = mknodat(at->dir, at->last, S_IFIFO | 0600, 0);
		break;
	case C_MKSOCK:
		rc = mknodat(at->dir, at->last, S_IFSOCK | 0600, 0);
		break;
	case C_SYMLINK:
		rc = text(st, A_PATH_LINK, target, sizeof(target), e);
		if (rc < 0)
			return rc;
		rc = symlinkat(target, at->dir, at->last);
		break;
	default:
		rc = mknodat(at->dir, at->last, S_IFREG | 0600, 0);
	}
	return rc < 0 ? err_sys(e, "btrfs: making what a stream holds") : 0;
}

/* Commands with a second path: rename to it, or link to it. */
static int
do_pair(struct btrfs_stream *st, const struct place *at, struct err *e)
{
	bool link = st->command == C_LINK;
	struct place other = { -1, "" };
	int rc = place_in(st, link ? A_PATH_LINK : A_PATH_TO, &other, e);

	if (rc == 0 && link && ++st->names > NAMES_MAX)
		rc = err_set(e, E_LIMIT, "btrfs: the stream holds more than ten million names");
	if (rc == 0 && link && linkat(other.dir, other.last, at->dir, at->last, 0) < 0)
		rc = err_sys(e, "btrfs: linking a file");
	if (rc == 0 && !link && renameat(at->dir, at->last, other.dir, other.last) < 0)
		rc = err_sys(e, "btrfs: renaming a file");
	fd_close(other.dir);
	return rc;
}

/* As from a tar: what else a stream has belongs to the machine that it comes from. */
static bool
wanted_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
	    strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

static int
do_xattr(const struct btrfs_stream *st, const struct place *at, struct err *e)
{
	const struct value *v = &st->v[A_XATTR_DATA];
	AUTO(fd) int node = -1;
	char name[XATTR_NAME_MAX + 1], proc[40];
	int rc = text(st, A_XATTR_NAME, name, sizeof(name), e);

	if (rc < 0 || !wanted_xattr(name))
		return rc;
	node = openat(at->dir, at->last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0)
		return err_sys(e, "btrfs: what a stream sets an attribute of");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", node);
	if (st->command == C_REMOVE_XATTR)
		rc = removexattr(proc, name);
	else if (v->data == NULL)
		return broken(st, "an attribute without a value", e);
	else
		rc = setxattr(proc, name, v->data, v->len, 0);
	return rc < 0 && errno != ENODATA ? err_sys(e, "btrfs: setting an attribute of a file") : 0;
}

static int
do_chown(const struct btrfs_stream *st, const struct place *at, struct err *e)
{
	uint64_t uid = 0, gid = 0;
	int rc = number(st, A_UID, &uid, e);

	if (rc == 0)
		rc = number(st, A_GID, &gid, e);
	/* The last number means "leave it". */
	if (rc == 0 && (uid >= UINT32_MAX || gid >= UINT32_MAX))
		rc = broken(st, "an owner is none", e);
	if (rc == 0 && fchownat(at->dir, at->last, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		rc = err_sys(e, "btrfs: setting the owner of a file");
	return rc;
}

static int
do_chmod(const struct btrfs_stream *st, const struct place *at, struct err *e)
{
	uint64_t mode = 0;
	int rc = number(st, A_MODE, &mode, e);

	if (rc == 0 && fchmodat(at->dir, at->last, (mode_t)(mode & 07777), AT_SYMLINK_NOFOLLOW) < 0)
		rc = err_sys(e, "btrfs: setting the mode of a file");
	return rc;
}

static int
get_time(const struct btrfs_stream *st, enum attr a, struct timespec *ts, struct err *e)
{
	const struct value *v = &st->v[a];
	uint64_t sec;
	uint32_t nsec;

	if (v->data == NULL || v->len != sizeof(sec) + sizeof(nsec))
		return broken(st, "a time is missing", e);
	memcpy(&sec, v->data, sizeof(sec));
	nsec = get32(v->data + sizeof(sec));
	if (nsec >= 1000000000)
		return broken(st, "a time is none", e);
	*ts = (struct timespec){ (time_t)(int64_t)le64toh(sec), (long)nsec };
	return 0;
}

static int
do_utimes(const struct btrfs_stream *st, const struct place *at, struct err *e)
{
	struct timespec ts[2];
	int rc = get_time(st, A_ATIME, &ts[0], e);

	if (rc == 0)
		rc = get_time(st, A_MTIME, &ts[1], e);
	if (rc == 0 && utimensat(at->dir, at->last, ts, AT_SYMLINK_NOFOLLOW) < 0)
		rc = err_sys(e, "btrfs: setting the times of a file");
	return rc;
}

static int
do_at(struct btrfs_stream *st, const struct place *at, struct err *e)
{
	switch (st->command) {
	case C_RENAME:
	case C_LINK:
		return do_pair(st, at, e);
	case C_UNLINK:
	case C_RMDIR:
		if (unlinkat(at->dir, at->last, st->command == C_RMDIR ? AT_REMOVEDIR : 0) < 0)
			return err_sys(e, "btrfs: removing a file");
		return 0;
	case C_SET_XATTR:
	case C_REMOVE_XATTR:
		return do_xattr(st, at, e);
	case C_CHMOD:
		return do_chmod(st, at, e);
	case C_CHOWN:
		return do_chown(st, at, e);
	case C_UTIMES:
		return do_utimes(st, at, e);
	default:
		return make_node(st, at, e);
	}
}

static int
do_command(struct btrfs_stream *st, struct err *e)
{
	struct place at = { -1, "" };
	int rc;

	switch (st->command) {
	case C_SUBVOL:
	case C_SNAPSHOT:
		return err_set(e, E_NOTSUP, "btrfs: the stream holds more than one subvolume");
	case C_MKNOD:
		return err_set(e, E_NOTSUP, "btrfs: the stream holds a device, which no pot gets");
	case C_UPDATE_EXTENT:
		return err_set(e, E_NOTSUP, "btrfs: the stream was made without the data");
	case C_WRITE:
		return do_write(st, e);
	case C_CLONE:
		return do_clone(st, e);
	case C_TRUNCATE:
		return do_truncate(st, e);
	default:
		break;
	}
	forget_file(st);
	rc = place_in(st, A_PATH, &at, e);
	if (rc == 0)
		rc = do_at(st, &at, e);
	fd_close(at.dir);
	return rc;
}

static int
read_head(struct btrfs_stream *st, struct err *e)
{
	unsigned char start[sizeof(MAGIC) + 4];
	int rc = stor_source_fill(&st->src, start, sizeof(start), e);

	if (rc < 0)
		return rc;
	if (memcmp(start, MAGIC, sizeof(MAGIC)) != 0)
		return err_set(e, E_CORRUPT, "btrfs: this is no stream of btrfs send");
	if (get32(start + sizeof(MAGIC)) != 1)
		return err_set(e, E_NOTSUP, "btrfs: the stream is of version %u, not 1",
		    (unsigned)get32(start + sizeof(MAGIC)));
	rc = read_command(st, e);
	if (rc == 0 && st->command != C_SUBVOL && st->command != C_SNAPSHOT)
		rc = broken(st, "no subvolume to begin with", e);
	if (rc == 0)
		rc = uuid(st, A_UUID, st->head.uuid, e);
	if (rc == 0)
		rc = number(st, A_CTRANSID, &st->head.transid, e);
	st->head.has_parent = st->command == C_SNAPSHOT;
	if (rc == 0 && st->head.has_parent)
		rc = uuid(st, A_CLONE_UUID, st->head.parent, e);
	return rc;
}

int
btrfs_stream_begin(
    struct btrfs_stream **out, const struct stor_source *src, struct btrfs_stream_head *head, struct err *e)
{
	struct btrfs_stream *st = calloc(1, sizeof(*st));
	int rc;

	if (st == NULL)
		return err_nomem(e);
	st->src = *src;
	st->file = -1;
	crc_table(st->table);
	rc = read_head(st, e);
	if (rc < 0) {
		btrfs_stream_free(st);
		return rc;
	}
	*head = st->head;
	*out = st;
	return 0;
}

int
btrfs_stream_apply(struct btrfs_stream *st, int root, int from, struct err *e)
{
	char more;
	ssize_t n;
	int rc;

	st->root = root;
	st->from = from;
	while ((rc = read_command(st, e)) == 0 && st->command != C_END) {
		rc = do_command(st, e);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return rc;
	n = st->src.read(st->src.arg, &more, 1, e);
	if (n > 0)
		return err_set(e, E_CORRUPT, "btrfs: more came than one stream");
	return (int)n;
}

void
btrfs_stream_free(struct btrfs_stream *st)
{
	if (st == NULL)
		return;
	forget_file(st);
	free(st);
}
