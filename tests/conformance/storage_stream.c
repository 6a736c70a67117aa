/*
 * Storage conformance: streams. What is sent and received somewhere else is
 * the same, whole and as a difference, and known by the same id; a stream
 * that does not fit, is cut off, changed or followed by more makes nothing.
 * Death during it is in storage_crash.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "os.h"
#include "suite.h"

#define A ((struct stor_point){ BASE("a"), "s" })
#define B ((struct stor_point){ POT("b"), "t" })

/* A stream in memory, from its beginning. */
static int
send_point(struct suite *t, struct stor_point p, const struct stor_point *from)
{
	AUTO(fd) int fd = memfd_create("stream", MFD_CLOEXEC);

	if (fd < 0 || stor_send(t->s, p.fs, p.tag, from, fd, &t->e) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return take_fd(fd);
}

static int
receive(struct suite *t, struct stor_point p, const struct stor_point *from, int fd)
{
	struct stor_source src = stor_source_fd(&fd);

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -E_SYS;
	return stor_receive(t->s, p.fs, p.tag, from, &src, &t->e);
}

static bool
make_first(struct suite *t)
{
	DO(stor_create(t->s, BASE("a"), &t->e));
	int root = stor_mount(t->s, BASE("a"), false, &t->e);
	OK(root >= 0);
	OK(fchmodat(root, ".", 0711, 0) == 0 && mkdirat(root, "d", 01777) == 0);
	OK(fchmodat(root, "d", 01777, 0) == 0);
	OK(fd_put(root, "f", "1") && fd_put(root, "gone", "g") && fd_put(root, "old", "o"));
	OK(fd_put(root, "d/setuid", "s") && fchownat(root, "d/setuid", 12, 34, 0) == 0);
	OK(fchmodat(root, "d/setuid", 04755, 0) == 0);
	OK(linkat(root, "f", root, "d/linked", 0) == 0 && symlinkat("/etc/passwd", root, "d/link") == 0);
	OK(mkfifoat(root, "d/fifo", 0600) == 0 && fd_fill(root, "big", 3 << 20) == 0);
	int file = openat(root, "f", O_RDONLY | O_CLOEXEC);
	bool set = os_set_note(file, "kept");
	close(file);
	OK(set);
	close(root);
	DO(stor_unmount(t->s, BASE("a"), &t->e));
	DO(stor_snapshot(t->s, BASE("a"), "s", &t->e));
	return true;
}

static bool
make_second(struct suite *t)
{
	DO(stor_clone(t->s, BASE("a"), "s", POT("b"), &t->e));
	int root = stor_mount(t->s, POT("b"), false, &t->e);
	OK(root >= 0);
	OK(fd_put(root, "f", "2") && unlinkat(root, "gone", 0) == 0);
	OK(renameat(root, "old", root, "d/new") == 0 && fchmodat(root, "big", 0600, 0) == 0);
	close(root);
	DO(stor_unmount(t->s, POT("b"), &t->e));
	DO(stor_snapshot(t->s, POT("b"), "t", &t->e));
	return true;
}

static bool
first_is_right(struct suite *t, struct stor_fs fs)
{
	char text[16];
	struct stat st, two;

	OK(suite_has(t, fs, "f", "1") && suite_has(t, fs, "gone", "g") && suite_has(t, fs, "old", "o"));
	int root = stor_mount(t->s, fs, true, &t->e);
	OK(root >= 0);
	OK(fstat(root, &st) == 0 && (st.st_mode & 07777) == 0711);
	OK(fstatat(root, "d", &st, 0) == 0 && (st.st_mode & 07777) == 01777);
	OK(fstatat(root, "d/setuid", &st, 0) == 0 && (st.st_mode & 07777) == 04755);
	OK(st.st_uid == 12 && st.st_gid == 34);
	OK(fstatat(root, "f", &st, 0) == 0 && fstatat(root, "d/linked", &two, 0) == 0);
	OK(st.st_ino == two.st_ino && st.st_nlink == 2);
	OK(readlinkat(root, "d/link", text, sizeof(text)) == 11);
	OK(fstatat(root, "d/fifo", &st, 0) == 0 && S_ISFIFO(st.st_mode));
	OK(fstatat(root, "big", &st, 0) == 0 && st.st_size == 3 << 20);
	int file = openat(root, "f", O_RDONLY | O_CLOEXEC);
	ssize_t n = os_get_note(file, text, sizeof(text));
	close(file);
	OK(n == 4);
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	return true;
}

static bool
second_is_right(struct suite *t, struct stor_fs fs)
{
	struct stat st;

	OK(suite_has(t, fs, "f", "2") && suite_has(t, fs, "gone", NULL) && suite_has(t, fs, "old", NULL));
	OK(suite_has(t, fs, "d/new", "o"));
	int root = stor_mount(t->s, fs, true, &t->e);
	OK(root >= 0);
	OK(fstatat(root, "big", &st, 0) == 0 && st.st_size == 3 << 20 && (st.st_mode & 07777) == 0600);
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	return true;
}

static bool
has_streams(struct suite *t)
{
	return (t->s->caps & STOR_CAP_SEND) != 0;
}

static bool
refused_without(struct suite *t)
{
	char id[STOR_ID_LEN];

	if (has_streams(t))
		SKIP("it has streams");
	AUTO(fd) int fd = memfd_create("stream", MFD_CLOEXEC);
	struct stor_source src = stor_source_fd(&fd);
	DO(stor_create(t->s, BASE("a"), &t->e));
	DO(stor_snapshot(t->s, BASE("a"), "s", &t->e));
	REFUSED(E_NOTSUP, stor_send(t->s, BASE("a"), "s", NULL, fd, &t->e));
	REFUSED(E_NOTSUP, stor_receive(t->s, POT("b"), "s", NULL, &src, &t->e));
	REFUSED(E_NOTSUP, stor_stream_id(t->s, BASE("a"), "s", id, &t->e));
	return suite_empty(t);
}

/* Sent, all destroyed as if it were another node, received. */
static bool
there_and_back(struct suite *t)
{
	char a[STOR_ID_LEN], b[STOR_ID_LEN], again[STOR_ID_LEN];

	if (!has_streams(t))
		SKIP("no streams");
	OK(make_first(t) && make_second(t));
	DO(stor_stream_id(t->s, BASE("a"), "s", a, &t->e));
	DO(stor_stream_id(t->s, POT("b"), "t", b, &t->e));
	OK(strlen(a) >= 16 && strcmp(a, b) != 0);
	AUTO(fd) int whole = send_point(t, A, NULL);
	AUTO(fd) int part = send_point(t, B, &A);
	OK(whole >= 0 && part >= 0);
	/* What did not change is not sent again. */
	OK(lseek(part, 0, SEEK_END) < 1 << 20 && lseek(whole, 0, SEEK_END) > 3 << 20);
	OK(suite_empty(t));
	DO(receive(t, A, NULL, whole));
	OK(suite_tags_are(t, BASE("a"), "s"));
	OK(first_is_right(t, BASE("a")));
	DO(stor_stream_id(t->s, BASE("a"), "s", again, &t->e));
	OK(strcmp(a, again) == 0);
	DO(receive(t, B, &A, part));
	OK(suite_tags_are(t, POT("b"), "t"));
	OK(second_is_right(t, POT("b")));
	DO(stor_stream_id(t->s, POT("b"), "t", again, &t->e));
	OK(strcmp(b, again) == 0);
	/* They are as others are: written to, rolled back, cloned, renamed, sent on. */
	OK(suite_put(t, POT("b"), "f", "3"));
	DO(stor_clone(t->s, POT("b"), "t", POT("c"), &t->e));
	DO(stor_rollback(t->s, POT("b"), "t", &t->e));
	OK(second_is_right(t, POT("b")) && second_is_right(t, POT("c")));
	AUTO(fd) int on = send_point(t, B, &A);
	OK(on >= 0);
	DO(stor_destroy(t->s, POT("b"), &t->e));
	DO(receive(t, B, &A, on));
	OK(second_is_right(t, POT("b")));
	return suite_empty(t);
}

static bool
misfits(struct suite *t)
{
	struct stor_point none = { BASE("a"), "none" }, later = { BASE("a"), "later" };

	if (!has_streams(t))
		SKIP("no streams");
	OK(make_first(t) && make_second(t));
	AUTO(fd) int whole = send_point(t, A, NULL);
	AUTO(fd) int part = send_point(t, B, &A);
	OK(whole >= 0 && part >= 0);
	AUTO(fd) int sink = memfd_create("stream", MFD_CLOEXEC);
	REFUSED(E_NOENT, stor_send(t->s, BASE("a"), "none", NULL, sink, &t->e));
	REFUSED(E_NOENT, stor_send(t->s, BASE("none"), "s", NULL, sink, &t->e));
	REFUSED(E_EXIST, receive(t, A, NULL, whole));
	REFUSED(E_INVAL, receive(t, (struct stor_point){ POT("../c"), "s" }, NULL, whole));
	DO(stor_destroy(t->s, POT("b"), &t->e));
	REFUSED(E_NOENT, receive(t, B, &none, part));
	/* A difference as a whole, a whole as a difference, the difference to another. */
	REFUSED(E_CORRUPT, receive(t, B, NULL, part));
	REFUSED(E_CORRUPT, receive(t, B, &A, whole));
	DO(stor_snapshot(t->s, BASE("a"), "later", &t->e));
	REFUSED(E_CORRUPT, receive(t, B, &later, part));
	OK(stor_exists(t->s, POT("b"), &t->e) == 0);
	return suite_empty(t);
}

/* The first n bytes of a stream, then extra. */
static int
altered(int fd, off_t n, const char *extra)
{
	AUTO(fd) int copy = memfd_create("altered", MFD_CLOEXEC);
	char chunk[4096];

	for (off_t at = 0; copy >= 0 && at < n;) {
		size_t want = n - at < (off_t)sizeof(chunk) ? (size_t)(n - at) : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, at);

		if (got <= 0 || write(copy, chunk, (size_t)got) != got)
			return -1;
		at += got;
	}
	if (copy < 0 || write(copy, extra, strlen(extra)) != (ssize_t)strlen(extra))
		return -1;
	return take_fd(copy);
}

static bool
damaged(struct suite *t)
{
	if (!has_streams(t))
		SKIP("no streams");
	OK(make_first(t));
	AUTO(fd) int whole = send_point(t, A, NULL);
	OK(whole >= 0);
	off_t size = lseek(whole, 0, SEEK_END);
	OK(suite_empty(t));
	const off_t cuts[] = { 0, 7, 100, 311, 312, 400, size / 2, size - 1 };
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		AUTO(fd) int cut = altered(whole, cuts[i], "");
		OK(cut >= 0);
		OK(receive(t, A, NULL, cut) < 0 && t->e.msg[0] != '\0');
		OK(stor_exists(t->s, BASE("a"), &t->e) == 0);
	}
	AUTO(fd) int wrong = altered(whole, size / 2, "");
	OK(wrong >= 0);
	char chunk[4096];
	for (off_t at = size / 2; at < size;) {
		ssize_t n = pread(whole, chunk, sizeof(chunk), at);
		OK(n > 0);
		for (ssize_t i = 0; at == size / 2 && i < n; i++)
			chunk[i] = (char)~chunk[i];
		OK(write(wrong, chunk, (size_t)n) == n);
		at += n;
	}
	OK(receive(t, A, NULL, wrong) < 0 && t->e.msg[0] != '\0');
	OK(stor_exists(t->s, BASE("a"), &t->e) == 0);
	AUTO(fd)
	int other = altered(whole, 0,
	    "not a stream, but a text that is long enough to be read as the "
	    "beginning of one; 312 bytes are what zfs begins with, and so "
	    "on, and so on, and so on, and so on, and so on, and so on, and so "
	    "on, and so on, and so on, and so on, and so on, and so on, and so "
	    "on, and so on, and so on, and so on, and so on, and so on, and so "
	    "on, and so on.");
	REFUSED(E_CORRUPT, receive(t, A, NULL, other));
	/* After all that the right one is received as if nothing had been. */
	DO(receive(t, A, NULL, whole));
	OK(first_is_right(t, BASE("a")));
	return suite_empty(t);
}

static bool
is_cloned_from(struct suite *t, struct stor_fs fs, const char *name, const char *tag, const char *note)
{
	struct stor_origin o;

	OK(stor_origin(t->s, fs, &o, &t->e) == 1);
	OK(strcmp(o.name, name) == 0 && strcmp(o.tag, tag) == 0 && strcmp(o.note, note) == 0);
	return true;
}

/* Where there are packages: what a clone stands on, and the word that was left with that. */
static bool
origins(struct suite *t)
{
	static const char longest[] = "a-tag-that-is-longer-than-what-a-name-of-a-snapshot-can-be-with-zfs";
	struct stor_origin o;

	if (t->s->ops->pack == NULL) {
		REFUSED(E_NOTSUP, stor_origin(t->s, BASE("a"), &o, &t->e));
		REFUSED(E_NOTSUP, stor_note(t->s, BASE("a"), "s", "x:1@s", &t->e));
		SKIP("no packages");
	}
	OK(make_first(t) && make_second(t));
	DO(stor_origin(t->s, BASE("a"), &o, &t->e));
	OK(is_cloned_from(t, POT("b"), "a", "s", ""));
	REFUSED(E_INVAL, stor_note(t->s, BASE("a"), "s", "two words", &t->e));
	REFUSED(E_NOENT, stor_note(t->s, BASE("a"), "none", "x:1@s", &t->e));
	DO(stor_note(t->s, BASE("a"), "s", "w:0@s", &t->e));
	DO(stor_note(t->s, BASE("a"), "s", "x:1@s", &t->e));
	OK(is_cloned_from(t, POT("b"), "a", "s", "x:1@s"));
	DO(stor_rename(t->s, BASE("a"), "c", &t->e));
	OK(is_cloned_from(t, POT("b"), "c", "s", "x:1@s"));
	DO(stor_snapshot(t->s, BASE("c"), longest, &t->e));
	DO(stor_clone(t->s, BASE("c"), longest, POT("d"), &t->e));
	OK(is_cloned_from(t, POT("d"), "c", longest, ""));
	/* Gone by their names they still say it. */
	DO(stor_snap_destroy(t->s, BASE("c"), "s", &t->e));
	OK(is_cloned_from(t, POT("b"), "", "", "x:1@s"));
	DO(stor_destroy(t->s, BASE("c"), &t->e));
	OK(is_cloned_from(t, POT("b"), "", "", "x:1@s"));
	return suite_empty(t);
}

const struct suite_case suite_stream[] = {
	{ "what clones stand on, and the note left with it", origins },
	{ "streams are refused by a storage that has none", refused_without },
	{ "a stream and one of a difference, received elsewhere", there_and_back },
	{ "streams that do not fit make nothing", misfits },
	{ "streams that are cut off or changed make nothing", damaged },
	{ NULL, NULL },
};
