/* Files of pot's own: whole or not at all, never through a link, with the disk full as well. */
#include "scratch.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

static void
test_write_read(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(buf) struct buf b = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct stat st;
	mode_t old = umask(077);
	char *big = malloc(300000);

	memset(big, 'x', 300000);
	assert_ok(file_write_atomic(s->fd, "a", 0644, "one", 3, &err));
	umask(old);
	assert_int_equal(fstatat(s->fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_ok(file_write_atomic(s->fd, "a", 0600, "", 0, &err));
	assert_ok(file_read(s->fd, "a", &b, &err));
	assert_int_equal(b.len, 0);
	assert_ok(file_write_atomic(s->fd, "a", 0600, big, 300000, &err));
	assert_ok(file_read(s->fd, "a", &b, &err));
	assert_int_equal(b.len, 300000);
	assert_memory_equal(b.data, big, 300000);
	assert_false(is_there(s->fd, ".a.tmp"));
	free(big);
}

/* What a crash left behind, and what somebody put there, is neither followed nor in the way. */
static void
test_stale_temporary(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;

	put(s->fd, "victim", "safe");
	assert_sys(symlinkat("victim", s->fd, ".a.tmp"));
	assert_ok(file_write_atomic(s->fd, "a", 0600, "new", 3, &err));
	assert_content(s->fd, "victim", "safe");
	assert_content(s->fd, "a", "new");
	assert_sys(symlinkat("victim", s->fd, "link"));
	assert_ok(file_write_atomic(s->fd, "link", 0600, "own", 3, &err));
	assert_content(s->fd, "link", "own");
	assert_content(s->fd, "victim", "safe");
	put(s->fd, ".a.tmp", "half");
	assert_ok(file_write_atomic(s->fd, "a", 0600, "newer", 5, &err));
	assert_content(s->fd, "a", "newer");
}

static void
test_write_mistakes(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	char name[300];
	int before = open_fds();

	memset(name, 'n', 255);
	name[255] = '\0';
	assert_fails(file_write_atomic(s->fd, name, 0600, "x", 1, &err), E_INVAL);
	assert_fails(file_write_atomic(s->fd, "", 0600, "x", 1, &err), E_INVAL);
	assert_fails(file_write_atomic(s->fd, "..", 0600, "x", 1, &err), E_INVAL);
	assert_fails(file_write_atomic(s->fd, "a/b", 0600, "x", 1, &err), E_INVAL);
	assert_sys(mkdirat(s->fd, "dir", 0755));
	assert_true(file_write_atomic(s->fd, "dir", 0600, "x", 1, &err) < 0);
	assert_false(is_there(s->fd, ".dir.tmp"));
	assert_true(file_write_atomic(-7, "a", 0600, "x", 1, &err) < 0);
	assert_int_equal(open_fds(), before);
}

/* On a full disk the old content stays, whole, and nothing is left beside it. */
static int
full_disk(const char *path)
{
	static char big[1 << 20];
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT(100);
	int dir;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", path, "tmpfs", 0, "size=64k") < 0)
		return 2;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file_write_atomic(dir, "a", 0600, "old", 3, &err) != 0)
		return 3;
	if (file_write_atomic(dir, "a", 0600, big, sizeof(big), &err) != -E_NOSPC)
		return 4;
	if (file_read(dir, "a", &b, &err) != 0 || strcmp(buf_cstr(&b), "old") != 0)
		return 5;
	buf_fini(&b);
	if (is_there(dir, ".a.tmp") || strstr(err.msg, "a: ") == NULL)
		return 6;
	/* And it goes on when there is room again. */
	if (file_write_atomic(dir, "a", 0600, "new", 3, &err) != 0)
		return 7;
	close(dir);
	return 0;
}

static void
test_no_space(void **state)
{
	struct scratch *s = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(full_disk(s->path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_read_mistakes(void **state)
{
	struct scratch *s = *state;
	AUTO_FINI(buf) struct buf b = BUF_INIT(4);
	struct err err = ERR_INIT;

	assert_fails(file_read(s->fd, "none", &b, &err), E_NOENT);
	put(s->fd, "five", "12345");
	assert_fails(file_read(s->fd, "five", &b, &err), E_LIMIT);
	assert_non_null(strstr(err.msg, "five: "));
	buf_reset(&b);
	assert_sys(symlinkat("five", s->fd, "link"));
	assert_true(file_read(s->fd, "link", &b, &err) < 0);
	assert_sys(mkfifoat(s->fd, "fifo", 0600));
	assert_fails(file_read(s->fd, "fifo", &b, &err), E_INVAL);
	assert_sys(mkdirat(s->fd, "dir", 0755));
	assert_fails(file_read(s->fd, "dir", &b, &err), E_INVAL);
	assert_true(fd_read_all(-1, &b, &err) < 0);
	assert_fails(fd_write_all(-1, "x", 1, "out", &err), E_SYS);
	assert_string_equal(err.msg, "out: Bad file descriptor");
}

static void
test_dirs(void **state)
{
	struct scratch *s = *state;
	struct err err = ERR_INIT;
	char path[128];
	int fd;

	fd = dir_make(s->fd, "d", 0700, &err);
	assert_ok(fd);
	assert_ok(dir_sync(fd, "d", &err));
	close(fd);
	fd = dir_make(s->fd, "d", 0700, &err);
	assert_ok(fd);
	close(fd);
	assert_sys(symlinkat("d", s->fd, "link"));
	assert_true(dir_make(s->fd, "link", 0700, &err) < 0);
	assert_true(dir_open(s->fd, "link", &err) < 0);
	assert_fails(dir_open(s->fd, "none", &err), E_NOENT);
	assert_fails(dir_make(s->fd, "none/x", 0700, &err), E_NOENT);
	snprintf(path, sizeof(path), "%s//x/y/./z/", s->path);
	assert_ok(dir_make_path(path, 0755, &err));
	assert_ok(dir_make_path(path, 0755, &err));
	assert_true(is_there(s->fd, "x/y/z"));
	assert_ok(dir_make_path("/", 0755, &err));
	assert_fails(dir_make_path("relative", 0755, &err), E_INVAL);
	put(s->fd, "file", "");
	snprintf(path, sizeof(path), "%s/file", s->path);
	assert_fails(dir_make_path(path, 0755, &err), E_EXIST);
	snprintf(path, sizeof(path), "%s/file/x", s->path);
	assert_true(dir_make_path(path, 0755, &err) < 0);
	/* The reason is the one of mkdir, not of the look that follows. */
	assert_true(dir_make_path("/proc/nonesuch/x", 0755, &err) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_write_read),
		scratch_test(test_stale_temporary),
		scratch_test(test_write_mistakes),
		scratch_test(test_no_space),
		scratch_test(test_read_mistakes),
		scratch_test(test_dirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
