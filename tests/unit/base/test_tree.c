/* Removing and measuring trees: any depth, few descriptors, no link followed, no mount crossed. */
#include "scratch.h"

#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define DEPTH 3000

/* A chain of directories far beyond PATH_MAX, with a file at the bottom. */
static void
make_deep(int dirfd, const char *name)
{
	int fd = dup(dirfd), next;

	for (int i = 0; i < DEPTH; i++) {
		const char *part = i == 0 ? name : "deeper";

		assert_sys(mkdirat(fd, part, 0755));
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	put(fd, "file", "x");
	close(fd);
}

static void
test_remove_simple(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int before = open_fds();

	assert_ok(tree_remove(s->fd, "none", &err));
	put(s->fd, "file", "");
	assert_ok(tree_remove(s->fd, "file", &err));
	assert_false(is_there(s->fd, "file"));
	assert_sys(mkdirat(s->fd, "d", 0000));
	assert_ok(tree_remove(s->fd, "d", &err));
	assert_false(is_there(s->fd, "d"));
	assert_true(tree_remove(-9, "d", &err) < 0);
	assert_int_equal(open_fds(), before);
}

static void
test_remove_deep(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	struct rlimit was, few;
	int before = open_fds();

	make_deep(s->fd, "deep");
	assert_sys(getrlimit(RLIMIT_NOFILE, &was));
	few = (struct rlimit){ 64, was.rlim_max };
	assert_sys(setrlimit(RLIMIT_NOFILE, &few));
	assert_ok(tree_remove(s->fd, "deep", &err));
	assert_sys(setrlimit(RLIMIT_NOFILE, &was));
	assert_false(is_there(s->fd, "deep"));
	assert_int_equal(open_fds(), before);
}

static void
test_remove_hostile(void **state)
{
	struct scratch *s = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;
	char name[64];
	int sock;

	assert_sys(mkdirat(s->fd, "canary", 0755));
	put(s->fd, "canary/file", "safe");
	assert_sys(mkdirat(s->fd, "d", 0755));
	assert_sys(symlinkat("../canary", s->fd, "d/link"));
	assert_sys(symlinkat("..", s->fd, "d/up"));
	assert_sys(mkfifoat(s->fd, "d/fifo", 0600));
	assert_sys(linkat(s->fd, "canary/file", s->fd, "d/hard", 0));
	put(s->fd, "d/ \n\x1b[31m\xff", "x");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/d/sock", s->path);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_sys(bind(sock, (struct sockaddr *)&sun, sizeof(sun)));
	close(sock);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "d/n%d", i);
		if (i % 3 == 0)
			assert_sys(mkdirat(s->fd, name, 0755));
		else
			put(s->fd, name, "");
	}
	assert_ok(tree_remove(s->fd, "d", &err));
	assert_false(is_there(s->fd, "d"));
	assert_content(s->fd, "canary/file", "safe");
	/* A link itself goes, not what it names. */
	assert_sys(symlinkat("canary", s->fd, "l"));
	assert_ok(tree_remove(s->fd, "l", &err));
	assert_content(s->fd, "canary/file", "safe");
}

static void
set_flags(int dirfd, const char *name, int flags)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC), now;

	assert_true(fd >= 0);
	assert_sys(ioctl(fd, FS_IOC_GETFLAGS, &now));
	now |= flags;
	assert_sys(ioctl(fd, FS_IOC_SETFLAGS, &now));
	close(fd);
}

static void
test_remove_immutable(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;

	assert_sys(mkdirat(s->fd, "d", 0755));
	assert_sys(mkdirat(s->fd, "d/sub", 0755));
	put(s->fd, "d/sub/file", "x");
	put(s->fd, "d/log", "x");
	set_flags(s->fd, "d/sub/file", FS_IMMUTABLE_FL);
	set_flags(s->fd, "d/log", FS_APPEND_FL);
	set_flags(s->fd, "d/sub", FS_IMMUTABLE_FL);
	set_flags(s->fd, "d", FS_APPEND_FL);
	assert_ok(tree_remove(s->fd, "d", &err));
	assert_false(is_there(s->fd, "d"));
}

/* Runs f in a mount namespace of its own and passes its verdict on. */
static void
in_mount_ns(int (*f)(struct scratch *), struct scratch *s)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(99);
		/* The old descriptor shows the old namespace. */
		s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_exit(f(s));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A bind mount from the same file system has the same st_dev, and is the worst to walk into. */
static int
remove_mounts(struct scratch *s)
{
	struct err err = ERR_INIT;
	char from[128], to[128];

	if (mkdirat(s->fd, "canary", 0755) < 0 || mkdirat(s->fd, "canary/kept", 0755) < 0 ||
	    mkdirat(s->fd, "d", 0755) < 0 || mkdirat(s->fd, "d/sub", 0755) < 0 ||
	    mkdirat(s->fd, "d/sub/m", 0755) < 0)
		return 1;
	snprintf(from, sizeof(from), "%s/canary", s->path);
	snprintf(to, sizeof(to), "%s/d/sub/m", s->path);
	if (mount(from, to, NULL, MS_BIND, NULL) < 0)
		return 2;
	if (tree_remove(s->fd, "d", &err) != -E_BUSY ||
	    strstr(err.msg, "d/sub: m: something is mounted") == NULL)
		return 3;
	if (!is_there(s->fd, "canary/kept") || umount(to) < 0)
		return 4;
	if (mount("tmpfs", to, "tmpfs", 0, NULL) < 0)
		return 5;
	if (tree_remove(s->fd, "d", &err) != -E_BUSY || umount(to) < 0)
		return 6;
	snprintf(to, sizeof(to), "%s/d", s->path);
	if (mount(from, to, NULL, MS_BIND, NULL) < 0 || tree_remove(s->fd, "d", &err) != -E_BUSY ||
	    umount(to) < 0)
		return 7;
	if (!is_there(s->fd, "canary/kept") || tree_remove(s->fd, "d", &err) != 0)
		return 8;
	return 0;
}

static void
test_remove_mounts(void **state)
{
	in_mount_ns(remove_mounts, *state);
}

/* Somebody keeps making files while the tree goes: it ends, either way, and all is gone when they have stopped. */
static void
test_remove_busy(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int rc;
	pid_t pid;

	assert_sys(mkdirat(s->fd, "d", 0755));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char name[32];

		for (int i = 0; i < 20000; i++) {
			snprintf(name, sizeof(name), "d/%d", i);
			if (mkdirat(s->fd, name, 0755) < 0)
				_exit(0);
		}
		_exit(0);
	}
	rc = tree_remove(s->fd, "d", &err);
	assert_true(rc == 0 || rc == -E_BUSY);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_ok(tree_remove(s->fd, "d", &err));
	assert_false(is_there(s->fd, "d"));
}

static uint64_t
blocks_of(int dirfd, const char *name)
{
	struct stat st;

	assert_sys(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW));
	return (uint64_t)st.st_blocks * 512;
}

static void
test_usage(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	uint64_t bytes, want;
	char block[65536];

	memset(block, 'x', sizeof(block));
	assert_sys(mkdirat(s->fd, "d", 0755));
	assert_sys(mkdirat(s->fd, "d/sub", 0755));
	assert_ok(file_write_atomic(s->fd, "canary", 0600, block, sizeof(block), &err));
	int sub = openat(s->fd, "d/sub", O_RDONLY | O_DIRECTORY);
	assert_ok(file_write_atomic(sub, "a", 0600, block, sizeof(block), &err));
	close(sub);
	assert_sys(linkat(s->fd, "d/sub/a", s->fd, "d/b", 0));
	assert_sys(linkat(s->fd, "d/sub/a", s->fd, "d/c", 0));
	assert_sys(symlinkat("../canary", s->fd, "d/link"));
	want = blocks_of(s->fd, "d") + blocks_of(s->fd, "d/sub") + blocks_of(s->fd, "d/sub/a") +
	    blocks_of(s->fd, "d/link");
	assert_ok(tree_usage(s->fd, "d", &bytes, &err));
	assert_true(bytes == want);
	assert_ok(tree_usage(s->fd, "canary", &bytes, &err));
	assert_true(bytes == blocks_of(s->fd, "canary"));
	assert_fails(tree_usage(s->fd, "none", &bytes, &err), E_NOENT);
}

static void
test_usage_deep(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int before = open_fds();
	uint64_t bytes = 0;

	make_deep(s->fd, "deep");
	assert_ok(tree_usage(s->fd, "deep", &bytes, &err));
	assert_true(bytes >= blocks_of(s->fd, "deep") * DEPTH);
	assert_int_equal(open_fds(), before);
}

/* Many files with several names: the set of inodes grows and stays right. */
static void
test_usage_many_links(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	uint64_t bytes, want;
	char a[32], b[32];

	assert_sys(mkdirat(s->fd, "d", 0755));
	for (int i = 0; i < 1000; i++) {
		snprintf(a, sizeof(a), "d/a%d", i);
		snprintf(b, sizeof(b), "d/b%d", i);
		put(s->fd, a, "x");
		assert_sys(linkat(s->fd, a, s->fd, b, 0));
	}
	want = blocks_of(s->fd, "d");
	for (int i = 0; i < 1000; i++) {
		snprintf(a, sizeof(a), "d/a%d", i);
		want += blocks_of(s->fd, a);
	}
	assert_ok(tree_usage(s->fd, "d", &bytes, &err));
	assert_true(bytes == want);
}

static int
usage_of_mounts(struct scratch *s)
{
	struct err err = ERR_INIT;
	uint64_t before, after;
	char to[128];

	if (mkdirat(s->fd, "d", 0755) < 0 || mkdirat(s->fd, "d/m", 0755) < 0 || mkdirat(s->fd, "o", 0755) < 0)
		return 1;
	if (tree_usage(s->fd, "o", &before, &err) < 0)
		return 2;
	snprintf(to, sizeof(to), "%s/d/m", s->path);
	if (mount("tmpfs", to, "tmpfs", 0, NULL) < 0)
		return 3;
	put(s->fd, "d/m/file", "x");
	if (tree_usage(s->fd, "d", &after, &err) < 0 || after != before)
		return 4;
	return umount(to) < 0 ? 5 : 0;
}

static void
test_usage_mounts(void **state)
{
	in_mount_ns(usage_of_mounts, *state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_remove_simple),
		scratch_test(test_remove_deep),
		scratch_test(test_remove_hostile),
		scratch_test(test_remove_immutable),
		scratch_test(test_remove_mounts),
		scratch_test(test_remove_busy),
		scratch_test(test_usage),
		scratch_test(test_usage_deep),
		scratch_test(test_usage_many_links),
		scratch_test(test_usage_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
