/*
 * The receiver of btrfs streams: what a good one makes, and that a hostile one
 * reaches nothing outside, opens no device or FIFO, and is refused with a
 * message. Streams are built here byte by byte.
 */
#include <endian.h>
#include <sys/xattr.h>

#include "../base/scratch.h"
#include "storage/linux/btrfs_apply.h"

enum { UUID = 1, CTRANSID = 2, SIZE = 4, MODE = 5, UID = 6, GID = 7, MTIME = 10, ATIME = 11 };
enum { XNAME = 13, XDATA = 14, PATH = 15, PATH_TO = 16, PATH_LINK = 17, OFFSET = 18, DATA = 19, CUUID = 20 };
enum { SUBVOL = 1, SNAPSHOT, MKFILE, MKDIR, MKNOD, MKFIFO, MKSOCK, SYMLINK, RENAME, LINK, UNLINK, RMDIR };
enum { SET_XATTR = 13, WRITE = 15, CLONE = 16, TRUNCATE, CHMOD, CHOWN, UTIMES, END };

static const char id_of_it[16] = "0123456789abcde", id_of_parent[16] = "fedcba987654321";

/* A stream being built. */
struct build {
	struct buf all, cmd;
	size_t at; /* read so far */
};

static void
add16(struct buf *b, unsigned n)
{
	buf_add(b, (unsigned char[]){ n & 0xff, n >> 8 & 0xff }, 2);
}

static void
add32(struct buf *b, uint32_t n)
{
	n = htole32(n);
	buf_add(b, &n, sizeof(n));
}

static void
attr(struct build *s, unsigned type, const void *data, size_t n)
{
	add16(&s->cmd, type);
	add16(&s->cmd, (unsigned)n);
	buf_add(&s->cmd, data, n);
}

static void
words(struct build *s, unsigned type, const char *text)
{
	attr(s, type, text, strlen(text));
}

static void
number(struct build *s, unsigned type, uint64_t n)
{
	n = htole64(n);
	attr(s, type, &n, sizeof(n));
}

static uint32_t
crc(uint32_t c, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (; n > 0; n--, p++) {
		c ^= *p;
		for (int k = 0; k < 8; k++)
			c = (c & 1) != 0 ? (c >> 1) ^ 0x82f63b78 : c >> 1;
	}
	return c;
}

/* Ends the command whose attributes were added. */
static void
command(struct build *s, unsigned type)
{
	struct buf head = BUF_INIT(16);
	uint32_t c;

	add32(&head, (uint32_t)s->cmd.len);
	add16(&head, type);
	add32(&head, 0);
	c = crc(0, head.data, head.len);
	c = s->cmd.len > 0 ? crc(c, s->cmd.data, s->cmd.len) : c;
	buf_add(&s->all, head.data, 6);
	add32(&s->all, c);
	buf_add(&s->all, s->cmd.len > 0 ? s->cmd.data : "", s->cmd.len);
	buf_reset(&s->cmd);
	buf_fini(&head);
}

static void
begin(struct build *s, bool difference)
{
	*s = (struct build){ .all = BUF_INIT(1 << 20), .cmd = BUF_INIT(1 << 20) };
	buf_add(&s->all, "btrfs-stream", 13);
	add32(&s->all, 1);
	words(s, PATH, "name");
	attr(s, UUID, id_of_it, 16);
	number(s, CTRANSID, 7);
	if (difference)
		attr(s, CUUID, id_of_parent, 16);
	command(s, difference ? SNAPSHOT : SUBVOL);
}

static void
on(struct build *s, unsigned type, const char *path)
{
	words(s, PATH, path);
	command(s, type);
}

static void
pair(struct build *s, unsigned type, const char *path, unsigned second, const char *other)
{
	words(s, PATH, path);
	words(s, second, other);
	command(s, type);
}

static void
write_at(struct build *s, const char *path, uint64_t at, const char *text)
{
	words(s, PATH, path);
	number(s, OFFSET, at);
	words(s, DATA, text);
	command(s, WRITE);
}

static ssize_t
source(void *arg, void *to, size_t n, struct err *e)
{
	struct build *s = arg;
	size_t left = s->all.len - s->at;

	(void)e;
	n = n < left ? n : left;
	n = n > 1000 ? 1000 : n; /* in parts, as from a pipe */
	memcpy(to, s->all.data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

/* Applies it to the directory "root" of the scratch and frees it. */
static int
apply(struct build *s, struct scratch *dir, struct err *e)
{
	struct stor_source src = { source, s };
	struct btrfs_stream_head head;
	struct btrfs_stream *st = NULL;
	AUTO(fd) int root = -1;
	int rc;

	assert_int_equal(buf_check(&s->all, "stream", e), 0);
	assert_true(mkdirat(dir->fd, "root", 0755) == 0 || errno == EEXIST);
	root = openat(dir->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	rc = btrfs_stream_begin(&st, &src, &head, e);
	if (rc == 0) {
		assert_memory_equal(head.uuid, id_of_it, 16);
		assert_int_equal(head.transid, 7);
		rc = btrfs_stream_apply(st, root, -1, e);
	}
	btrfs_stream_free(st);
	buf_fini(&s->all);
	buf_fini(&s->cmd);
	return rc;
}

static void
makes_what_it_says(void **state)
{
	struct scratch *dir = *state;
	struct err err = ERR_INIT;
	struct build s;
	struct stat st, two;
	char text[32];
	unsigned char time[12] = { 0x15, 0xcd, 0x5b, 0x07 };

	begin(&s, false);
	on(&s, MKFILE, "o257-7-0");
	pair(&s, RENAME, "o257-7-0", PATH_TO, "file");
	write_at(&s, "file", 0, "hello");
	write_at(&s, "file", 5, " there");
	words(&s, PATH, "file");
	number(&s, SIZE, 9);
	command(&s, TRUNCATE);
	on(&s, MKDIR, "d");
	pair(&s, LINK, "d/linked", PATH_LINK, "file");
	pair(&s, SYMLINK, "d/link", PATH_LINK, "/etc/passwd");
	on(&s, MKFIFO, "d/fifo");
	on(&s, MKSOCK, "d/sock");
	on(&s, MKFILE, "gone");
	on(&s, UNLINK, "gone");
	on(&s, MKDIR, "gone");
	on(&s, RMDIR, "gone");
	words(&s, PATH, "file");
	words(&s, XNAME, "user.note");
	words(&s, XDATA, "kept");
	command(&s, SET_XATTR);
	words(&s, PATH, "file");
	words(&s, XNAME, "trusted.overlay.opaque");
	words(&s, XDATA, "y");
	command(&s, SET_XATTR);
	words(&s, PATH, "file");
	number(&s, UID, getuid());
	number(&s, GID, getgid());
	command(&s, CHOWN);
	words(&s, PATH, "file");
	number(&s, MODE, 0104711);
	command(&s, CHMOD);
	words(&s, PATH, "");
	number(&s, MODE, 0711);
	command(&s, CHMOD);
	words(&s, PATH, "file");
	attr(&s, ATIME, time, sizeof(time));
	attr(&s, MTIME, time, sizeof(time));
	command(&s, UTIMES);
	command(&s, END);
	assert_ok(apply(&s, dir, &err));
	assert_sys(fstatat(dir->fd, "root", &st, 0));
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_sys(fstatat(dir->fd, "root/file", &st, 0));
	assert_sys(fstatat(dir->fd, "root/d/linked", &two, 0));
	assert_int_equal(st.st_size, 9);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(st.st_mtim.tv_sec, 0x075bcd15);
	assert_int_equal(st.st_ino, two.st_ino);
	assert_int_equal(readlinkat(dir->fd, "root/d/link", text, sizeof(text)), 11);
	assert_sys(fstatat(dir->fd, "root/d/fifo", &st, 0));
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(faccessat(dir->fd, "root/gone", F_OK, 0), -1);
	AUTO(fd) int fd = openat(dir->fd, "root/file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 9);
	assert_memory_equal(text, "hello the", 9);
	assert_int_equal(fgetxattr(fd, "user.note", text, sizeof(text)), 4);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", text, sizeof(text)), -1);
}

/* Links that lead out lead nowhere, at the end of a path or in its middle. */
static void
stays_inside(void **state)
{
	struct scratch *dir = *state;
	struct err err = ERR_INIT;
	char out[96];
	struct build s;
	struct stat st;

	assert_ok(file_write_atomic(dir->fd, "secret", 0600, "same", 4, &err));
	snprintf(out, sizeof(out), "%s/secret", dir->path);
	for (int i = 0; i < 6; i++) {
		const char *way = i % 2 == 0 ? out : "../secret";

		begin(&s, false);
		pair(&s, SYMLINK, "l", PATH_LINK, way);
		if (i < 2)
			write_at(&s, "l", 0, "changed");
		words(&s, PATH, "l");
		number(&s, i < 4 ? MODE : SIZE, i < 4 ? 0777 : 0);
		command(&s, i < 4 ? CHMOD : TRUNCATE);
		command(&s, END);
		assert_true(apply(&s, dir, &err) < 0);
		assert_true(err.msg[0] != '\0');
		assert_ok(tree_remove(dir->fd, "root", &err));
	}
	static const char *const ways[] = { "../secret", "../../../../../../etc/passwd", "d/../../secret",
		"l/secret", "..", "." };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		begin(&s, false);
		on(&s, MKDIR, "d");
		pair(&s, SYMLINK, "l", PATH_LINK, dir->path);
		write_at(&s, ways[i], 0, "changed");
		command(&s, END);
		assert_true(apply(&s, dir, &err) < 0);
		assert_ok(tree_remove(dir->fd, "root", &err));
		begin(&s, false);
		on(&s, MKFILE, "f");
		pair(&s, RENAME, "f", PATH_TO, "../stolen");
		command(&s, END);
		(void)!apply(&s, dir, &err);
		assert_int_equal(faccessat(dir->fd, "stolen", F_OK, AT_SYMLINK_NOFOLLOW), -1);
		assert_ok(tree_remove(dir->fd, "root", &err));
	}
	assert_sys(fstatat(dir->fd, "secret", &st, 0));
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
no_fifo_is_opened(void **state)
{
	struct scratch *dir = *state;
	struct err err = ERR_INIT;
	struct build s;

	begin(&s, false);
	on(&s, MKFIFO, "f");
	write_at(&s, "f", 0, "x");
	command(&s, END);
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
	begin(&s, false);
	words(&s, PATH, "null");
	number(&s, MODE, 0020666);
	command(&s, MKNOD);
	command(&s, END);
	assert_fails(apply(&s, dir, &err), E_NOTSUP);
	assert_int_equal(faccessat(dir->fd, "root/null", F_OK, 0), -1);
}

static void
broken_streams(void **state)
{
	struct scratch *dir = *state;
	struct err err = ERR_INIT;
	struct build s;
	size_t whole;

	/* Cut anywhere. */
	begin(&s, false);
	command(&s, END);
	whole = s.all.len;
	buf_fini(&s.all);
	buf_fini(&s.cmd);
	for (size_t n = 0; n < whole; n++) {
		begin(&s, false);
		command(&s, END);
		s.all.len = n;
		assert_fails(apply(&s, dir, &err), E_CORRUPT);
	}
	/* A changed bit anywhere behind the magic is seen, by the checksum or before it. */
	for (size_t n = 0; n < whole; n++) {
		begin(&s, false);
		command(&s, END);
		s.all.data[n] ^= 1;
		assert_true(apply(&s, dir, &err) < 0);
		assert_true(err.msg[0] != '\0');
	}
	begin(&s, false);
	command(&s, END);
	buf_str(&s.all, "more");
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
	begin(&s, false);
	command(&s, 60);
	assert_fails(apply(&s, dir, &err), E_NOTSUP);
	/* A second subvolume; a part of one that is not here. */
	begin(&s, false);
	words(&s, PATH, "again");
	command(&s, SUBVOL);
	assert_fails(apply(&s, dir, &err), E_NOTSUP);
	begin(&s, true);
	attr(&s, CUUID, id_of_parent, 16);
	words(&s, PATH, "x");
	words(&s, 22, "x");
	command(&s, CLONE);
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
	/* Attributes that are missing or too large. */
	begin(&s, false);
	command(&s, MKDIR);
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
	begin(&s, false);
	on(&s, MKFILE, "f");
	write_at(&s, "f", UINT64_MAX, "x");
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
	begin(&s, false);
	attr(&s, PATH, "a\0b", 3);
	command(&s, MKDIR);
	assert_fails(apply(&s, dir, &err), E_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_what_it_says, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(stays_inside, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(no_fifo_is_opened, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(broken_streams, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
