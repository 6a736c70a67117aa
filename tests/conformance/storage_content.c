/*
 * Storage conformance, part two: what is inside. Clones and snapshots keep
 * every attribute of every kind of file, cost nothing that grows with size,
 * and mounts are where the contract says: read-only when asked, in nobody's
 * mount table.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "os.h"
#include "suite.h"

#define STAMP 1234567890

static bool
set_note(int root, const char *path, const char *value)
{
	AUTO(fd) int fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && os_set_note(fd, value);
}

static bool
has_note(int root, const char *path, const char *value)
{
	char got[64];

	AUTO(fd) int fd = openat(root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd >= 0 ? os_get_note(fd, got, sizeof(got)) : -1;
	return n == (ssize_t)strlen(value) && memcmp(got, value, n) == 0;
}

static bool
make_tree(int root)
{
	const struct timespec stamp[2] = { { STAMP, 123456789 }, { STAMP, 987654321 } };

	bool good = mkdirat(root, "d", 0755) == 0 && mkdirat(root, "d/sticky", 01777) == 0 &&
	    fchmodat(root, "d/sticky", 01777, 0) == 0;
	good = good && fd_put(root, "d/setuid", "s") && fchmodat(root, "d/setuid", 04755, 0) == 0;
	good = good && fd_put(root, "d/one", "linked") && linkat(root, "d/one", root, "d/two", 0) == 0;
	good = good && symlinkat("/etc/passwd", root, "d/link") == 0 && mkfifoat(root, "d/fifo", 0600) == 0;
	good = good && fd_put(root, "d/x", "x") && set_note(root, "d/x", "kept");
	good = good && mkdirat(root, "d/name with\nnewline", 0700) == 0;
	/* A sparse file: 64 MiB with one byte at the end. */
	AUTO(fd) int fd = openat(root, "d/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	good = good && fd >= 0 && pwrite(fd, "x", 1, (64 << 20) - 1) == 1;
	if (geteuid() == 0) {
		good = good && mknodat(root, "d/null", S_IFCHR | 0666, os_device(1, 3)) == 0;
		good = good && mknodat(root, "d/disk", S_IFBLK | 0660, os_device(7, 99)) == 0;
		good =
		    good && fd_put(root, "d/owned", "o") && fchownat(root, "d/owned", 12345, 54321, 0) == 0;
		good = good && fd_put(root, "d/cap", "c");
		AUTO(fd) int cap = openat(root, "d/cap", O_RDONLY | O_CLOEXEC);
		good = good && os_set_right(cap);
		good = good && fchownat(root, ".", 7, 8, 0) == 0;
	}
	good = good && fchmodat(root, ".", 0711, 0) == 0 && utimensat(root, "d/x", stamp, 0) == 0;
	return good && utimensat(root, "d", stamp, 0) == 0;
}

/* nsec: of the times that were set to STAMP.987654321, as the file system keeps them. */
static bool
same_tree(struct suite *t, int root, long nsec)
{
	struct stat st, two;
	char text[64];

	OK(fstat(root, &st) == 0 && (st.st_mode & 07777) == 0711);
	OK(geteuid() != 0 || (st.st_uid == 7 && st.st_gid == 8));
	OK(fstatat(root, "d", &st, 0) == 0 && st.st_mtim.tv_sec == STAMP && st.st_mtim.tv_nsec == nsec);
	OK(fstatat(root, "d/sticky", &st, 0) == 0 && (st.st_mode & 07777) == 01777);
	OK(fstatat(root, "d/setuid", &st, 0) == 0 && (st.st_mode & 07777) == 04755);
	OK(fstatat(root, "d/one", &st, 0) == 0 && fstatat(root, "d/two", &two, 0) == 0);
	OK(st.st_nlink == 2 && st.st_ino == two.st_ino);
	OK(readlinkat(root, "d/link", text, sizeof(text)) == 11 && memcmp(text, "/etc/passwd", 11) == 0);
	OK(fstatat(root, "d/fifo", &st, 0) == 0 && S_ISFIFO(st.st_mode));
	OK(fstatat(root, "d/x", &st, 0) == 0 && st.st_mtim.tv_sec == STAMP && st.st_mtim.tv_nsec == nsec);
	OK(fstatat(root, "d/name with\nnewline", &st, 0) == 0 && (st.st_mode & 07777) == 0700);
	OK(has_note(root, "d/x", "kept"));
	OK(fstatat(root, "d/sparse", &st, 0) == 0 && st.st_size == 64 << 20 && st.st_blocks < 8192);
	if (geteuid() != 0)
		return true;
	OK(fstatat(root, "d/null", &st, 0) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == os_device(1, 3));
	OK(fstatat(root, "d/disk", &st, 0) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == os_device(7, 99));
	OK(fstatat(root, "d/owned", &st, 0) == 0 && st.st_uid == 12345 && st.st_gid == 54321);
	AUTO(fd) int cap = openat(root, "d/cap", O_RDONLY | O_CLOEXEC);
	OK(os_has_right(cap));
	return true;
}

static bool
expect_tree(struct suite *t, struct stor_fs fs, long nsec)
{
	int root = stor_mount(t->s, fs, true, &t->e);

	OK(root >= 0);
	bool good = same_tree(t, root, nsec);
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	return good;
}

/*
 * Some file systems (zfs-fuse) keep whole seconds of times that are set: seen
 * on a plain file, mounted anew, before any snapshot or clone is made.
 */
static bool
nanoseconds_kept(struct suite *t, struct stor_fs fs, long *nsec)
{
	struct stat st;

	int root = stor_mount(t->s, fs, true, &t->e);
	OK(root >= 0);
	int rc = fstatat(root, "d/x", &st, 0);
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	OK(rc == 0 && (st.st_mtim.tv_nsec == 987654321 || st.st_mtim.tv_nsec == 0));
	*nsec = st.st_mtim.tv_nsec;
	return true;
}

static bool
attributes(struct suite *t)
{
	long nsec = 0;

	DO(stor_create(t->s, BASE("a"), &t->e));
	int root = stor_mount(t->s, BASE("a"), false, &t->e);
	OK(root >= 0);
	bool made = make_tree(root);
	close(root);
	DO(stor_unmount(t->s, BASE("a"), &t->e));
	OK(made);
	OK(nanoseconds_kept(t, BASE("a"), &nsec));
	DO(stor_snapshot(t->s, BASE("a"), "s", &t->e));
	OK(expect_tree(t, BASE("a"), nsec));
	DO(stor_clone(t->s, BASE("a"), "s", POT("b"), &t->e));
	OK(expect_tree(t, POT("b"), nsec));
	DO(stor_snapshot(t->s, POT("b"), "s", &t->e));
	OK(suite_put(t, POT("b"), "f", "1"));
	DO(stor_clone(t->s, POT("b"), NULL, POT("c"), &t->e));
	OK(expect_tree(t, POT("c"), nsec));
	OK(suite_put(t, POT("b"), "d/x", "changed"));
	DO(stor_rollback(t->s, POT("b"), "s", &t->e));
	OK(expect_tree(t, POT("b"), nsec));
	return suite_empty(t);
}

/* Removing, replacing and renaming what came from the origin. */
static bool
change_all(int root)
{
	return unlinkat(root, "gone", 0) == 0 && unlinkat(root, "dir/in", 0) == 0 &&
	    unlinkat(root, "dir", AT_REMOVEDIR) == 0 && fd_put(root, "dir", "now a file") &&
	    unlinkat(root, "file", 0) == 0 && mkdirat(root, "file", 0700) == 0 &&
	    fd_put(root, "file/in", "now a directory") && renameat(root, "old", root, "new") == 0;
}

static bool
check_changed(struct suite *t, struct stor_fs fs)
{
	OK(suite_has(t, fs, "gone", NULL));
	OK(suite_has(t, fs, "dir", "now a file"));
	OK(suite_has(t, fs, "file/in", "now a directory"));
	OK(suite_has(t, fs, "new", "o"));
	OK(suite_has(t, fs, "old", NULL));
	return true;
}

static bool
changes_in_clones(struct suite *t)
{
	DO(stor_create(t->s, BASE("a"), &t->e));
	int root = stor_mount(t->s, BASE("a"), false, &t->e);
	OK(root >= 0);
	OK(fd_put(root, "gone", "g") && mkdirat(root, "dir", 0755) == 0 && fd_put(root, "dir/in", "i"));
	OK(fd_put(root, "file", "f") && fd_put(root, "old", "o"));
	close(root);
	DO(stor_unmount(t->s, BASE("a"), &t->e));
	DO(stor_clone(t->s, BASE("a"), NULL, POT("b"), &t->e));
	root = stor_mount(t->s, POT("b"), false, &t->e);
	OK(root >= 0);
	OK(change_all(root));
	close(root);
	DO(stor_unmount(t->s, POT("b"), &t->e));
	OK(check_changed(t, POT("b")));
	DO(stor_snapshot(t->s, POT("b"), "s", &t->e));
	OK(check_changed(t, POT("b")));
	DO(stor_clone(t->s, POT("b"), "s", POT("c"), &t->e));
	DO(stor_destroy(t->s, POT("b"), &t->e));
	OK(check_changed(t, POT("c")));
	/* The directory that was a file can be made anew, with nothing of the old in it. */
	root = stor_mount(t->s, POT("c"), false, &t->e);
	OK(root >= 0);
	OK(unlinkat(root, "dir", 0) == 0 && mkdirat(root, "dir", 0755) == 0);
	close(root);
	DO(stor_unmount(t->s, POT("c"), &t->e));
	DO(stor_snapshot(t->s, POT("c"), "s", &t->e));
	OK(suite_has(t, POT("c"), "dir/in", NULL));
	OK(suite_has(t, BASE("a"), "gone", "g"));
	OK(suite_has(t, BASE("a"), "dir/in", "i"));
	OK(suite_has(t, BASE("a"), "file", "f"));
	OK(suite_has(t, BASE("a"), "old", "o"));
	return suite_empty(t);
}

static uint64_t
bytes_free(struct suite *t)
{
	struct statvfs vfs;

	sync();
	return statvfs(t->dir, &vfs) == 0 ? (uint64_t)vfs.f_bavail * vfs.f_frsize : 0;
}

static bool
clone_is_cheap(struct suite *t)
{
	const uint64_t mib = 1 << 20;
	struct stor_info info;

	if (suite_copies(t))
		SKIP("copies share nothing");
	DO(stor_create(t->s, BASE("a"), &t->e));
	int root = stor_mount(t->s, BASE("a"), false, &t->e);
	OK(root >= 0);
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", i);
		OK(fd_fill(root, name, mib) == 0);
	}
	close(root);
	DO(stor_unmount(t->s, BASE("a"), &t->e));
	DO(stor_snapshot(t->s, BASE("a"), "s", &t->e));
	DO(stor_clone(t->s, BASE("a"), "s", POT("b"), &t->e));
	uint64_t before = bytes_free(t);
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "c%d", i);
		DO(stor_clone(t->s, BASE("a"), "s", POT(name), &t->e));
	}
	uint64_t after = bytes_free(t);
	DO(stor_usage(t->s, POT("c9"), &info, &t->e));
	OK(info.own < mib);
	/* Ten copies would be 1000 MiB; others may be writing to the same disk. */
	OK(after + 500 * mib > before);
	return suite_empty(t);
}

static bool
deep_chain(struct suite *t)
{
	char tag[16], text[16], file[16];

	DO(stor_create(t->s, POT("a"), &t->e));
	for (int i = 1; i <= 60; i++) {
		snprintf(tag, sizeof(tag), "s%d", i);
		snprintf(text, sizeof(text), "%d", i);
		snprintf(file, sizeof(file), "f%d", i);
		int root = stor_mount(t->s, POT("a"), false, &t->e);
		OK(root >= 0);
		OK(fd_put(root, "f", text) && fd_put(root, file, text));
		close(root);
		DO(stor_unmount(t->s, POT("a"), &t->e));
		DO(stor_snapshot(t->s, POT("a"), tag, &t->e));
	}
	DO(stor_clone(t->s, POT("a"), "s30", POT("b"), &t->e));
	DO(stor_clone(t->s, POT("a"), "s60", POT("c"), &t->e));
	OK(suite_has(t, POT("b"), "f", "30") && suite_has(t, POT("b"), "f30", "30"));
	OK(suite_has(t, POT("b"), "f31", NULL));
	OK(suite_has(t, POT("c"), "f", "60") && suite_has(t, POT("c"), "f1", "1"));
	OK(suite_put(t, POT("c"), "f1", "new"));
	OK(suite_has(t, POT("a"), "f1", "1"));
	DO(stor_rollback(t->s, POT("a"), "s2", &t->e));
	OK(suite_tags_are(t, POT("a"), "s1 s2"));
	OK(suite_has(t, POT("a"), "f", "2") && suite_has(t, POT("a"), "f3", NULL));
	DO(stor_destroy(t->s, POT("a"), &t->e));
	OK(suite_has(t, POT("c"), "f60", "60"));
	return suite_empty(t);
}

/*
 * Many rounds of change and snapshot, old ones removed. A mechanism may have a
 * limit, which it says before anything is changed, with what to do; 100 is
 * the least.
 */
static bool
many_rounds(struct suite *t)
{
	char text[16], tags[32];
	int i, rc = 0;

	DO(stor_create(t->s, POT("a"), &t->e));
	for (i = 1; i <= 150; i++) {
		snprintf(text, sizeof(text), "%d", i);
		OK(suite_put(t, POT("a"), "f", text));
		rc = stor_snapshot(t->s, POT("a"), text, &t->e);
		if (rc < 0)
			break;
		if (i > 2) {
			snprintf(text, sizeof(text), "%d", i - 2);
			DO(stor_snap_destroy(t->s, POT("a"), text, &t->e));
		}
	}
	OK(rc == 0 || (rc == -E_LIMIT && i > 100 && t->e.hint[0] != '\0'));
	OK(rc == 0 || suite_has(t, POT("a"), "f", text));
	snprintf(tags, sizeof(tags), "%d %d", i - 2, i - 1);
	OK(suite_tags_are(t, POT("a"), tags));
	snprintf(text, sizeof(text), "%d", i - 2);
	DO(stor_rollback(t->s, POT("a"), text, &t->e));
	OK(suite_has(t, POT("a"), "f", text));
	DO(stor_clone(t->s, POT("a"), text, POT("b"), &t->e));
	OK(suite_put(t, POT("b"), "g", "1"));
	return suite_empty(t);
}

static bool
read_only_mount(struct suite *t)
{
	if (suite_copies(t))
		SKIP("a plain directory has no read-only view");
	DO(stor_create(t->s, BASE("a"), &t->e));
	OK(suite_put(t, BASE("a"), "f", "1"));
	DO(stor_clone(t->s, BASE("a"), NULL, POT("b"), &t->e));
	const struct stor_fs both[] = { BASE("a"), POT("b") };
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		int root = stor_mount(t->s, both[i], true, &t->e);
		OK(root >= 0);
		OK(fd_has(root, "f", "1"));
		OK(openat(root, "f", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
		OK(mkdirat(root, "d", 0755) < 0 && errno == EROFS);
		OK(unlinkat(root, "f", 0) < 0 && errno == EROFS);
		OK(fchmodat(root, ".", 0700, 0) < 0 && errno == EROFS);
		close(root);
		DO(stor_unmount(t->s, both[i], &t->e));
	}
	return suite_empty(t);
}

/* While a writable mount is held: refused as busy with nothing changed, or done right. */
static bool
busy_source(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	int root = stor_mount(t->s, POT("a"), false, &t->e);
	OK(root >= 0);
	OK(fd_put(root, "f", "2"));
	int rc = stor_snapshot(t->s, POT("a"), "live", &t->e);
	OK(rc == 0 || rc == -E_BUSY);
	OK(fd_put(root, "f", "3") && fd_has(root, "f", "3"));
	if (rc == 0) {
		DO(stor_clone(t->s, POT("a"), "live", POT("l"), &t->e));
		OK(suite_has(t, POT("l"), "f", "2"));
	}
	OK(suite_tags_are(t, POT("a"), rc == 0 ? "s live" : "s"));
	rc = stor_clone(t->s, POT("a"), NULL, POT("b"), &t->e);
	OK(rc == 0 || rc == -E_BUSY);
	OK(fd_put(root, "f", "4"));
	OK(stor_exists(t->s, POT("b"), &t->e) == (rc == 0));
	OK(rc != 0 || suite_has(t, POT("b"), "f", "3"));
	/* A clone of an older snapshot is never in the way. */
	DO(stor_clone(t->s, POT("a"), "s", POT("c"), &t->e));
	OK(suite_has(t, POT("c"), "f", "1"));
	rc = stor_rename(t->s, POT("a"), "z", &t->e);
	OK(rc == 0 || rc == -E_BUSY);
	struct stor_fs now = POT(rc == 0 ? "z" : "a");
	OK(fd_has(root, "f", "4"));
	rc = stor_destroy(t->s, now, &t->e);
	OK(rc == 0 || rc == -E_BUSY);
	OK(stor_exists(t->s, now, &t->e) == (rc != 0));
	OK(rc == 0 || fd_has(root, "f", "4"));
	close(root);
	DO(stor_unmount(t->s, now, &t->e));
	return suite_empty(t);
}

/* A clone that is in use, as by a running pot, is in nobody's way and feels nothing. */
static bool
clone_in_use(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_snapshot(t->s, POT("a"), "s1", &t->e));
	OK(suite_put(t, POT("a"), "f", "2"));
	DO(stor_snapshot(t->s, POT("a"), "s2", &t->e));
	DO(stor_clone(t->s, POT("a"), "s1", POT("b"), &t->e));
	DO(stor_clone(t->s, POT("a"), NULL, POT("c"), &t->e));
	int b = stor_mount(t->s, POT("b"), false, &t->e);
	int c = stor_mount(t->s, POT("c"), false, &t->e);
	OK(b >= 0 && c >= 0);
	OK(fd_put(b, "g", "b") && fd_put(c, "g", "c"));
	DO(stor_rename(t->s, POT("a"), "z", &t->e));
	DO(stor_rollback(t->s, POT("z"), "s1", &t->e));
	OK(suite_has(t, POT("z"), "f", "1"));
	DO(stor_snap_destroy(t->s, POT("z"), "s1", &t->e));
	DO(stor_destroy(t->s, POT("z"), &t->e));
	OK(fd_has(b, "f", "1") && fd_has(c, "f", "2") && fd_has(b, "g", "b") && fd_has(c, "g", "c"));
	OK(suite_tags_are(t, POT("b"), "") && suite_tags_are(t, POT("c"), ""));
	close(b);
	close(c);
	DO(stor_unmount(t->s, POT("b"), &t->e));
	DO(stor_unmount(t->s, POT("c"), &t->e));
	return suite_empty(t);
}

const struct suite_case suite_content[] = {
	{ "clones keep owners, modes, times, xattrs, links, devices, holes", attributes },
	{ "removed, replaced and renamed things stay so", changes_in_clones },
	{ "a clone of 100 MiB takes nearly nothing", clone_is_cheap },
	{ "60 snapshots deep", deep_chain },
	{ "many rounds of snapshot and purge", many_rounds },
	{ "a read-only mount refuses writes", read_only_mount },
	{ "the origin of a clone in use: renamed, rolled back, destroyed", clone_in_use },
	{ "a mounted source is busy, or all goes right", busy_source },
	{ NULL, NULL },
};
