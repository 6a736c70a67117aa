/*
 * A path below a root is resolved as a chrooted process would, by the kernel's
 * openat2 and by the walker alike, and never leaves the root, whatever another
 * process renames meanwhile.  The canary lies beside the root.
 */
#include "scratch.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/inroot.h"
#include "base/inroot_walk.h"

typedef int opener(int, const char *, int, mode_t, struct err *);
static opener *const openers[] = { inroot_open, inroot_walk_open };

/* scratch: canary (a file), out/secret; root/…. The fd of root replaces the scratch's own for the tests. */
static int
make_root(struct scratch *s)
{
	int root;

	put(s->fd, "canary", "host");
	assert_sys(mkdirat(s->fd, "out", 0755));
	put(s->fd, "out/secret", "host");
	assert_sys(mkdirat(s->fd, "root", 0755));
	root = openat(s->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	assert_sys(mkdirat(root, "a", 0755));
	assert_sys(mkdirat(root, "a/b", 0755));
	put(root, "a/b/file", "deep");
	put(root, "canary", "root");
	assert_sys(symlinkat("a/b", root, "rel"));
	assert_sys(symlinkat("/a/b", root, "abs"));
	assert_sys(symlinkat("../../../canary", root, "a/b/up"));
	assert_sys(symlinkat("../../../../..", root, "a/b/top"));
	assert_sys(symlinkat("/canary", root, "a/tocanary"));
	assert_sys(symlinkat("loop2", root, "loop1"));
	assert_sys(symlinkat("loop1", root, "loop2"));
	assert_sys(symlinkat("/not/there", root, "dangling"));
	assert_sys(symlinkat("/a/made", root, "tomade"));
	assert_sys(symlinkat("a/b/", root, "slash"));
	return root;
}

static void
assert_reads(opener *o, int root, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	char got[64] = "";
	int fd = o(root, path, O_RDONLY, 0, &err);

	assert_ok(fd);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
}

static void
test_resolve(void **state)
{
	struct scratch *s = *state;
	int root = make_root(s);

	for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
		static const char *const deep[] = { "a/b/file", "/a/b/file", "//a///b//file", "./a/./b/file",
			"rel/file", "abs/file", "a/../a/b/file", "slash/file", "abs/../b/file",
			"../../a/b/file", "a/b/top/a/b/file" };
		static const char *const top[] = { "canary", "/canary", "../canary", "../../../canary",
			"a/b/up", "a/tocanary", "rel/../../canary", "abs/../../../canary",
			"a/b/top/../canary" };

		for (size_t j = 0; j < ARRAY_LEN(deep); j++)
			assert_reads(openers[i], root, deep[j], "deep");
		for (size_t j = 0; j < ARRAY_LEN(top); j++)
			assert_reads(openers[i], root, top[j], "root");
	}
	close(root);
}

static void
assert_errno(opener *o, int root, const char *path, int flags, int wanted)
{
	struct err err = ERR_INIT;
	int fd = o(root, path, flags, 0644, &err);

	if (fd >= 0 || err.sys != wanted)
		print_error("%s: %d %s, wanted %s\n", path, fd, err.msg, strerror(wanted));
	assert_true(fd < 0);
	assert_int_equal(err.sys, wanted);
	assert_int_equal(errno, wanted);
}

static void
test_refused(void **state)
{
	struct scratch *s = *state;
	int root = make_root(s), before;
	char name[400];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	before = open_fds();
	for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
		assert_errno(openers[i], root, "", O_RDONLY, ENOENT);
		assert_errno(openers[i], root, "none", O_RDONLY, ENOENT);
		assert_errno(openers[i], root, "none/x", O_RDONLY, ENOENT);
		assert_errno(openers[i], root, "dangling", O_RDONLY, ENOENT);
		assert_errno(openers[i], root, "loop1", O_RDONLY, ELOOP);
		assert_errno(openers[i], root, "loop1/x", O_RDONLY, ELOOP);
		assert_errno(openers[i], root, "canary/x", O_RDONLY, ENOTDIR);
		assert_errno(openers[i], root, "canary/", O_RDONLY, ENOTDIR);
		assert_errno(openers[i], root, "canary/..", O_RDONLY, ENOTDIR);
		assert_errno(openers[i], root, "canary", O_RDONLY | O_DIRECTORY, ENOTDIR);
		assert_errno(openers[i], root, "rel", O_RDONLY | O_NOFOLLOW, ELOOP);
		assert_errno(openers[i], root, "rel", O_RDONLY | O_CREAT | O_EXCL, EEXIST);
		assert_errno(openers[i], root, "dangling", O_RDONLY | O_CREAT | O_EXCL, EEXIST);
		assert_errno(openers[i], root, "dangling", O_RDWR | O_CREAT, ENOENT);
		assert_errno(openers[i], root, "a", O_WRONLY, EISDIR);
		assert_errno(openers[i], root, name, O_RDONLY, ENAMETOOLONG);
		assert_errno(openers[i], -1, "a", O_RDONLY, EBADF);
	}
	assert_int_equal(open_fds(), before);
	close(root);
}

/* 40 links are followed, 41 are too many, in both. */
static void
test_link_limit(void **state)
{
	struct scratch *s = *state;
	int root = make_root(s);
	char name[16], target[16];

	put(root, "l0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		assert_sys(symlinkat(target, root, name));
	}
	for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
		assert_reads(openers[i], root, "l40", "end");
		assert_errno(openers[i], root, "l41", O_RDONLY, ELOOP);
	}
	close(root);
}

static void
test_flags(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int root = make_root(s), fd;
	struct stat st;
	char name[16];

	for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
		snprintf(name, sizeof(name), "new%zu", i);
		fd = openers[i](root, name, O_WRONLY | O_CREAT | O_EXCL, 0640, &err);
		assert_ok(fd);
		assert_sys(fstat(fd, &st));
		assert_int_equal(st.st_mode & 07777, 0640);
		close(fd);
		/* A dangling link is made whole, inside. */
		fd = openers[i](root, "tomade", O_WRONLY | O_CREAT, 0644, &err);
		assert_ok(fd);
		close(fd);
		assert_true(is_there(root, "a/made"));
		assert_sys(unlinkat(root, "a/made", 0));
		fd = openers[i](root, "rel", O_PATH | O_NOFOLLOW, 0, &err);
		assert_ok(fd);
		assert_sys(fstat(fd, &st));
		assert_true(S_ISLNK(st.st_mode));
		close(fd);
		fd = openers[i](root, "rel", O_PATH, 0, &err);
		assert_ok(fd);
		assert_sys(fstat(fd, &st));
		assert_true(S_ISDIR(st.st_mode));
		close(fd);
		fd = openers[i](root, "rel/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, &err);
		assert_ok(fd);
		close(fd);
		fd = openers[i](root, "/", O_RDONLY | O_DIRECTORY, 0, &err);
		assert_ok(fd);
		assert_true(is_there(fd, "canary"));
		close(fd);
		fd = openers[i](root, "rel", O_RDWR | O_TMPFILE, 0600, &err);
		assert_ok(fd);
		close(fd);
		fd = openers[i](root, "canary", O_WRONLY | O_TRUNC | O_NOFOLLOW, 0, &err);
		assert_ok(fd);
		close(fd);
		assert_content(root, "canary", "");
	}
	assert_content(s->fd, "canary", "host");
	close(root);
}

/* A procfs in the root leads out of it by its magic links; they are refused, its plain ones are not. */
static int
magic_links(struct scratch *s)
{
	int root = make_root(s), fd;
	char path[128];

	assert_sys(mkdirat(root, "proc", 0755));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/root/proc", s->path);
	if (mount("proc", path, "proc", 0, NULL) < 0)
		return 2;
	snprintf(path, sizeof(path), "%s/root", s->path);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(openers); i++) {
		snprintf(path, sizeof(path), "proc/self/fd/%d/../canary", root);
		assert_errno(openers[i], root, path, O_RDONLY, ELOOP);
		assert_errno(openers[i], root, "proc/self/root/etc/passwd", O_RDONLY, ELOOP);
		assert_errno(openers[i], root, "proc/self/exe", O_RDONLY, ELOOP);
		assert_errno(openers[i], root, "proc/self/cwd", O_PATH, ELOOP);
		fd = openers[i](root, "proc/mounts", O_RDONLY, 0, NULL);
		if (fd < 0)
			return 3;
		close(fd);
	}
	return 0;
}

static void
test_magic_links(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(magic_links(*state));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_parent(void **state)
{
	static const struct {
		const char *path, *last;
		bool in_b;
	} good[] = { { "a/b/x", "x", true }, { "/abs/x/", "x", true }, { "rel//x//", "x", true },
		{ "x", "x", false }, { "/x", "x", false }, { "../x", "x", false },
		{ "loop1", "loop1", false } };
	static const char *const bad[] = { "", "/", ".", "..", "a/..", "a/.", "a/../" };
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int root = make_root(s), fd;
	char last[256], name[400];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		fd = inroot_open_parent(root, good[i].path, last, &err);
		assert_ok(fd);
		assert_string_equal(last, good[i].last);
		assert_int_equal(is_there(fd, "file"), good[i].in_b);
		close(fd);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_fails(inroot_open_parent(root, bad[i], last, &err), E_INVAL);
	assert_fails(inroot_open_parent(root, "none/x", last, &err), E_NOENT);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_fails(inroot_open_parent(root, name, last, &err), E_INVAL);
	close(root);
}

static void
test_mkdirs(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int root = make_root(s), fd;
	struct stat st;

	static const char *const paths[] = { "x/y/z", "/x/y/z/", "a/b", "rel/made", "abs/p/q", "dangling/r",
		"/", "../../up", "a/b/top/top2", "new/../beside" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		fd = inroot_mkdirs(root, paths[i], 0755, &err);
		assert_ok(fd);
		assert_sys(fstat(fd, &st));
		assert_true(S_ISDIR(st.st_mode));
		close(fd);
	}
	assert_true(is_there(root, "x/y/z"));
	assert_true(is_there(root, "a/b/made"));
	assert_true(is_there(root, "a/b/p/q"));
	assert_true(is_there(root, "not/there/r"));
	assert_true(is_there(root, "up"));
	assert_true(is_there(root, "top2"));
	assert_true(is_there(root, "beside"));
	assert_false(is_there(s->fd, "not"));
	assert_false(is_there(s->fd, "up"));
	assert_true(inroot_mkdirs(root, "", 0755, &err) < 0);
	assert_true(inroot_mkdirs(root, "canary/x", 0755, &err) < 0);
	assert_true(inroot_mkdirs(root, "canary", 0755, &err) < 0);
	assert_fails(inroot_mkdirs(root, "loop1/x", 0755, &err), E_INVAL);
	close(root);
}

static void
test_mount_target(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int root = make_root(s), fd;
	struct stat st;

	static const char *const files[] = { "etc/resolv.conf", "/etc/resolv.conf", "dangling", "canary",
		"a/b/up" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		fd = inroot_mount_target(root, files[i], false, &err);
		assert_ok(fd);
		assert_sys(fstat(fd, &st));
		assert_true(S_ISREG(st.st_mode));
		close(fd);
	}
	assert_true(is_there(root, "etc/resolv.conf"));
	assert_true(is_there(root, "not/there"));
	assert_content(root, "canary", "root");
	fd = inroot_mount_target(root, "mnt/data", true, &err);
	assert_ok(fd);
	close(fd);
	assert_true(is_there(root, "mnt/data"));
	assert_fails(inroot_mount_target(root, "a/b", false, &err), E_INVAL);
	assert_fails(inroot_mount_target(root, "newdir/", false, &err), E_INVAL);
	assert_true(inroot_mount_target(root, "canary", true, &err) < 0);
	assert_fails(inroot_mount_target(root, "loop1", false, &err), E_INVAL);
	assert_content(s->fd, "canary", "host");
	close(root);
}

static void
test_read(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(buf) struct buf b = BUF_INIT(4);
	struct err err = ERR_INIT;
	int root = make_root(s);

	assert_ok(inroot_read(root, "a/b/up", &b, &err));
	assert_string_equal(buf_cstr(&b), "root");
	put(root, "large", "12345");
	buf_reset(&b);
	assert_fails(inroot_read(root, "large", &b, &err), E_LIMIT);
	assert_sys(mkfifoat(root, "fifo", 0600));
	assert_fails(inroot_read(root, "fifo", &b, &err), E_INVAL);
	assert_sys(mknodat(root, "zero", S_IFCHR | 0600, 0x105));
	assert_fails(inroot_read(root, "zero", &b, &err), E_INVAL);
	assert_fails(inroot_read(root, "a", &b, &err), E_INVAL);
	assert_fails(inroot_read(root, "none", &b, &err), E_NOENT);
	close(root);
}

/*
 * Deeper than the walker holds: an error, no crash and no descriptor left;
 * the kernel's way is not limited so.
 */
static void
test_depth(void **state)
{
	struct scratch *s = *state;
	int root = make_root(s), fd = dup(root), next, before;
	char path[2 * 300 + 1] = "";

	for (int i = 0; i < 300; i++) {
		assert_sys(mkdirat(fd, "d", 0755));
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		strcat(path, "d/");
	}
	close(fd);
	before = open_fds();
	assert_errno(inroot_walk_open, root, path, O_PATH, ENAMETOOLONG);
	assert_int_equal(open_fds(), before);
	close(root);
}

struct swapper {
	int dirfd;
	const char *a, *b;
	atomic_bool stop;
};

static void *
swap(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->stop)) {
		if (renameat2(s->dirfd, s->a, s->dirfd, s->b, RENAME_EXCHANGE) < 0)
			abort();
	}
	return NULL;
}

#define RACES 20000

/*
 * A directory and a link out of the root change places all the time.  Each
 * open must find the file inside or nothing; ".." from a directory that is
 * being moved is the other way out.
 */
static void
race(struct scratch *s, opener *o)
{
	int root = make_root(s), found = 0;
	struct swapper sw = { root, "a/d", "a/l", false };
	struct swapper mv = { root, "a/b/mover", "mover2", false };
	pthread_t threads[2];

	assert_sys(mkdirat(root, "a/d", 0755));
	put(root, "a/d/secret", "root");
	assert_sys(symlinkat("../../out", root, "a/l"));
	assert_sys(mkdirat(root, "out", 0755));
	put(root, "out/secret", "root");
	assert_sys(mkdirat(root, "a/b/mover", 0755));
	assert_sys(mkdirat(root, "mover2", 0755));
	assert_int_equal(pthread_create(&threads[0], NULL, swap, &sw), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, swap, &mv), 0);
	for (int i = 0; i < RACES; i++) {
		static const char *const paths[] = { "a/d/secret", "a/b/mover/../../../../out/secret",
			"a/l/secret", "mover2/../../../../../../out/secret" };
		char got[8] = "";
		int fd = o(root, paths[i % 4], O_RDONLY, 0, NULL);

		if (fd < 0)
			continue;
		assert_int_equal(read(fd, got, sizeof(got) - 1), 4);
		assert_string_equal(got, "root");
		close(fd);
		found++;
	}
	atomic_store(&sw.stop, true);
	atomic_store(&mv.stop, true);
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
	close(root);
	assert_true(found > RACES / 10);
}

static void
test_race_kernel(void **state)
{
	race(*state, inroot_open);
}

static void
test_race_walker(void **state)
{
	race(*state, inroot_walk_open);
}

/* The same while files and directories are made: nothing appears outside. */
static void
test_race_making(void **state)
{
	struct scratch *s = *state;
	int root = make_root(s);
	struct swapper sw = { root, "a/d", "a/l", false };
	pthread_t thread;
	char link[128], path[64];
	struct stat before, after;

	assert_sys(fstatat(s->fd, "out", &before, 0));
	snprintf(link, sizeof(link), "%s/out", s->path);
	assert_sys(mkdirat(root, "a/d", 0755));
	assert_sys(symlinkat(link, root, "a/l"));
	assert_int_equal(pthread_create(&thread, NULL, swap, &sw), 0);
	for (int i = 0; i < 2000; i++) {
		int fd;

		snprintf(path, sizeof(path), "a/d/x%d/y", i);
		fd = inroot_mkdirs(root, path, 0755, NULL);
		fd_close(fd);
		snprintf(path, sizeof(path), "a/l/f%d", i);
		fd = inroot_mount_target(root, path, false, NULL);
		fd_close(fd);
		snprintf(path, sizeof(path), "a/d/g%d", i);
		fd = inroot_walk_open(root, path, O_WRONLY | O_CREAT, 0600, NULL);
		fd_close(fd);
	}
	atomic_store(&sw.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_sys(fstatat(s->fd, "out", &after, 0));
	assert_int_equal(after.st_nlink, before.st_nlink);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	close(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_resolve),
		scratch_test(test_refused),
		scratch_test(test_link_limit),
		scratch_test(test_flags),
		scratch_test(test_magic_links),
		scratch_test(test_parent),
		scratch_test(test_mkdirs),
		scratch_test(test_mount_target),
		scratch_test(test_read),
		scratch_test(test_depth),
		scratch_test(test_race_kernel),
		scratch_test(test_race_walker),
		scratch_test(test_race_making),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
