/* A copy is the source again: content, owner, mode, times, attributes, links, holes; never through a link. */
#include "scratch.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static struct stat
look(int dirfd, const char *name)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	assert_sys(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW));
	return st;
}

static void
assert_same_meta(int dirfd, const char *a, const char *b)
{
	struct stat x = look(dirfd, a), y = look(dirfd, b);

	assert_int_equal(x.st_mode, y.st_mode);
	assert_int_equal(x.st_uid, y.st_uid);
	assert_int_equal(x.st_gid, y.st_gid);
	assert_int_equal(x.st_mtim.tv_sec, y.st_mtim.tv_sec);
	assert_int_equal(x.st_mtim.tv_nsec, y.st_mtim.tv_nsec);
}

static void
set_old(int dirfd, const char *name, uid_t uid, gid_t gid)
{
	struct timespec times[2] = { { 1000, 1 }, { 2000, 123456789 } };

	assert_sys(fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW));
	assert_sys(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW));
}

static void
test_everything(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int before = open_fds();

	assert_sys(mkdirat(s->fd, "a", 0755));
	assert_sys(mkdirat(s->fd, "a/sub", 0700));
	put(s->fd, "a/sub/file", "content");
	put(s->fd, "a/empty", "");
	put(s->fd, "a/suid", "x");
	put(s->fd, "a/ \n\xff", "odd");
	assert_sys(linkat(s->fd, "a/sub/file", s->fd, "a/hard", 0));
	assert_sys(symlinkat("/etc/passwd", s->fd, "a/link"));
	assert_sys(symlinkat("nowhere", s->fd, "a/dangling"));
	assert_sys(mkfifoat(s->fd, "a/fifo", 0640));
	assert_sys(fchmodat(s->fd, "a/sub/file", 0604, 0));
	set_old(s->fd, "a/suid", 1234, 5678);
	assert_sys(fchmodat(s->fd, "a/suid", 06711, 0));
	set_old(s->fd, "a/sub/file", 1, 2);
	set_old(s->fd, "a/link", 3, 4);
	set_old(s->fd, "a/fifo", 5, 6);
	set_old(s->fd, "a/sub", 7, 8);
	assert_sys(fchmodat(s->fd, "a/sub", 02751, 0));
	set_old(s->fd, "a", 9, 10);
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", 0, &err));
	assert_same_meta(s->fd, "a", "b");
	assert_same_meta(s->fd, "a/sub", "b/sub");
	assert_same_meta(s->fd, "a/sub/file", "b/sub/file");
	assert_same_meta(s->fd, "a/suid", "b/suid");
	assert_same_meta(s->fd, "a/link", "b/link");
	assert_same_meta(s->fd, "a/fifo", "b/fifo");
	assert_content(s->fd, "b/sub/file", "content");
	assert_content(s->fd, "b/empty", "");
	assert_content(s->fd, "b/ \n\xff", "odd");
	assert_int_equal(look(s->fd, "b/hard").st_ino, look(s->fd, "b/sub/file").st_ino);
	assert_int_equal(look(s->fd, "b/hard").st_nlink, 2);
	assert_true(S_ISLNK(look(s->fd, "b/dangling").st_mode));
	assert_int_equal(open_fds(), before);
}

static void
test_attributes(void **state)
{
	/* cap_net_raw+ep, as setcap(8) writes it. */
	static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 32 };
	/* user::rw- user:1000:rwx group::r-- mask::rwx other::r-- */
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0xe8, 3,
		0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255,
		255, 255 };
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	char path[128], got[128], name[32];

	assert_sys(mkdirat(s->fd, "a", 0755));
	put(s->fd, "a/file", "x");
	snprintf(path, sizeof(path), "%s/a/file", s->path);
	assert_sys(setxattr(path, "user.note", "hello", 5, 0));
	assert_sys(setxattr(path, "security.capability", capability, sizeof(capability), 0));
	assert_sys(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0));
	assert_sys(setxattr(path, "trusted.secret", "no", 2, 0));
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "user.long-name-%d", i);
		assert_sys(setxattr(path, name, "v", 1, 0));
	}
	snprintf(path, sizeof(path), "%s/a", s->path);
	assert_sys(setxattr(path, "system.posix_acl_default", acl, sizeof(acl), 0));
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", 0, &err));
	snprintf(path, sizeof(path), "%s/b/file", s->path);
	assert_int_equal(getxattr(path, "user.note", got, sizeof(got)), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(getxattr(path, "user.long-name-59", got, sizeof(got)), 1);
	assert_int_equal(getxattr(path, "security.capability", got, sizeof(got)), sizeof(capability));
	assert_memory_equal(got, capability, sizeof(capability));
	assert_int_equal(getxattr(path, "system.posix_acl_access", got, sizeof(got)), sizeof(acl));
	assert_memory_equal(got, acl, sizeof(acl));
	assert_int_equal(getxattr(path, "trusted.secret", got, sizeof(got)), -1);
	snprintf(path, sizeof(path), "%s/b", s->path);
	assert_int_equal(getxattr(path, "system.posix_acl_default", got, sizeof(got)), sizeof(acl));
}

static void
test_sparse(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	struct stat a, b;
	char got[4] = "";
	int fd;

	fd = openat(s->fd, "a", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, "one", 3, 0), 3);
	assert_int_equal(pwrite(fd, "two", 3, 50 << 20), 3);
	assert_sys(ftruncate(fd, 100 << 20));
	close(fd);
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", 0, &err));
	a = look(s->fd, "a");
	b = look(s->fd, "b");
	assert_int_equal(b.st_size, a.st_size);
	assert_true(b.st_blocks <= a.st_blocks);
	fd = openat(s->fd, "b", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, 3, 50 << 20), 3);
	assert_string_equal(got, "two");
	close(fd);
}

static void
test_left_out(void **state)
{
	struct scratch *s = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;
	int sock;

	assert_sys(mkdirat(s->fd, "a", 0755));
	assert_sys(mknodat(s->fd, "a/null", S_IFCHR | 0666, makedev(1, 3)));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/a/sock", s->path);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_sys(bind(sock, (struct sockaddr *)&sun, sizeof(sun)));
	close(sock);
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", 0, &err));
	assert_false(is_there(s->fd, "b/null"));
	assert_false(is_there(s->fd, "b/sock"));
	assert_ok(tree_copy(s->fd, "a", s->fd, "c", TREE_COPY_DEVICES, &err));
	assert_int_equal(look(s->fd, "c/null").st_rdev, makedev(1, 3));
	assert_same_meta(s->fd, "a/null", "c/null");
	assert_fails(tree_copy(s->fd, "a/null", s->fd, "d", 0, &err), E_INVAL);
	assert_fails(tree_copy(s->fd, "a/sock", s->fd, "d", 0, &err), E_INVAL);
	assert_false(is_there(s->fd, "d"));
}

static void
test_existing(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;

	assert_sys(mkdirat(s->fd, "a", 0755));
	put(s->fd, "a/file", "new");
	assert_sys(mkdirat(s->fd, "b", 0755));
	put(s->fd, "b/file", "old");
	put(s->fd, "b/other", "other");
	assert_fails(tree_copy(s->fd, "a", s->fd, "b", 0, &err), E_EXIST);
	assert_content(s->fd, "b/file", "old");
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", TREE_COPY_MERGE, &err));
	assert_content(s->fd, "b/file", "new");
	assert_content(s->fd, "b/other", "other");
	assert_fails(tree_copy(s->fd, "a/file", s->fd, "b/file", 0, &err), E_EXIST);
	assert_ok(tree_copy(s->fd, "a/file", s->fd, "b/other", TREE_COPY_MERGE, &err));
	assert_content(s->fd, "b/other", "new");
	assert_fails(tree_copy(s->fd, "a/file", s->fd, "b", TREE_COPY_MERGE, &err), E_EXIST);
	assert_true(tree_copy(s->fd, "a", s->fd, "b/file", TREE_COPY_MERGE, &err) < 0);
	assert_content(s->fd, "b/file", "new");
	assert_fails(tree_copy(s->fd, "none", s->fd, "x", 0, &err), E_NOENT);
}

/* Links in the destination are replaced (by a file) or refused (where a directory should be), never followed. */
static void
test_links_in_destination(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;

	assert_sys(mkdirat(s->fd, "canary", 0755));
	put(s->fd, "canary/file", "safe");
	assert_sys(mkdirat(s->fd, "a", 0755));
	put(s->fd, "a/file", "evil");
	assert_sys(mkdirat(s->fd, "a/sub", 0755));
	put(s->fd, "a/sub/file", "evil");
	assert_sys(mkdirat(s->fd, "b", 0755));
	assert_sys(symlinkat("../canary/file", s->fd, "b/file"));
	assert_sys(symlinkat("../canary", s->fd, "b/sub"));
	assert_true(tree_copy(s->fd, "a", s->fd, "b", TREE_COPY_MERGE, &err) < 0);
	assert_content(s->fd, "canary/file", "safe");
	assert_sys(unlinkat(s->fd, "b/sub", 0));
	assert_ok(tree_copy(s->fd, "a", s->fd, "b", TREE_COPY_MERGE, &err));
	assert_content(s->fd, "b/file", "evil");
	assert_content(s->fd, "canary/file", "safe");
	assert_sys(symlinkat("canary", s->fd, "l"));
	assert_true(tree_copy(s->fd, "a", s->fd, "l", TREE_COPY_MERGE, &err) < 0);
	assert_ok(tree_copy(s->fd, "l", s->fd, "l2", 0, &err));
	assert_true(S_ISLNK(look(s->fd, "l2").st_mode));
}

static void
test_into_itself(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	int fd;

	assert_sys(mkdirat(s->fd, "a", 0755));
	put(s->fd, "a/file", "x");
	fd = openat(s->fd, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(tree_copy(s->fd, "a", fd, "copy", 0, &err));
	close(fd);
	assert_content(s->fd, "a/copy/file", "x");
	assert_false(is_there(s->fd, "a/copy/copy"));
}

static void
test_deep(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	struct rlimit was, few;
	int before = open_fds(), fd = dup(s->fd), next, depth = 0;

	for (int i = 0; i < 2000; i++) {
		assert_sys(mkdirat(fd, "d", 0755));
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	put(fd, "file", "bottom");
	assert_sys(linkat(fd, "file", fd, "other", 0));
	close(fd);
	assert_sys(getrlimit(RLIMIT_NOFILE, &was));
	few = (struct rlimit){ 100, was.rlim_max };
	assert_sys(setrlimit(RLIMIT_NOFILE, &few));
	assert_ok(tree_copy(s->fd, "d", s->fd, "e", 0, &err));
	assert_sys(setrlimit(RLIMIT_NOFILE, &was));
	fd = openat(s->fd, "e", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while ((next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		close(fd);
		fd = next;
		depth++;
	}
	assert_int_equal(depth, 1999);
	assert_content(fd, "file", "bottom");
	assert_int_equal(look(fd, "other").st_nlink, 2);
	close(fd);
	assert_int_equal(open_fds(), before);
}

/* A full disk: the error says so and the half copy is gone. Other file systems also have no reflinks. */
static int
full_disk(struct scratch *s)
{
	struct err err = ERR_INIT;
	char to[128];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdirat(s->fd, "m", 0755) < 0 || mkdirat(s->fd, "a", 0755) < 0)
		return 1;
	snprintf(to, sizeof(to), "%s/m", s->path);
	if (mount("tmpfs", to, "tmpfs", 0, "size=256k") < 0)
		return 2;
	put(s->fd, "a/1", "small");
	put(s->fd, "a/2", "small");
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree_copy(s->fd, "a", fd, "ok", 0, &err) != 0)
		return 3;
	assert_content(fd, "ok/2", "small");
	for (int i = 0; i < 3; i++) {
		static const char zeros[1 << 17] = "x";
		char name[32];

		snprintf(name, sizeof(name), "a/b%d", i);
		int out = openat(s->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (write(out, zeros, sizeof(zeros)) != sizeof(zeros))
			return 4;
		close(out);
	}
	if (tree_copy(s->fd, "a", fd, "b", 0, &err) != -E_NOSPC || is_there(fd, "b"))
		return 5;
	if (tree_copy(s->fd, "a/b0", fd, "f", 0, &err) != 0 ||
	    tree_copy(s->fd, "a/b1", fd, "g", 0, &err) != -E_NOSPC)
		return 6;
	return is_there(fd, "g") ? 7 : 0;
}

static void
test_no_space(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(full_disk(*state));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_everything),
		scratch_test(test_attributes),
		scratch_test(test_sparse),
		scratch_test(test_left_out),
		scratch_test(test_existing),
		scratch_test(test_links_in_destination),
		scratch_test(test_into_itself),
		scratch_test(test_deep),
		scratch_test(test_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
