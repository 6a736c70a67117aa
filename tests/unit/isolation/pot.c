/* The pot of the tests; see pot.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "pot.h"

static const char *const applets[] = { "sh", "true", "false", "ls", "cat", "sleep", "kill", "ps", "mount",
	"echo", "id", "pwd", "seq", "env", "stty", "hostname", "touch", "dd", "yes", "ip", "mkdir", "ln",
	"readlink", "head", "wc", "printf", "rm", "test", "stat", "mkfifo", "tty", "tr", "grep", "setsid",
	"cp", "umount", "basename" };

static void
path_of(struct pot *p, const char *name, char out[static 512])
{
	snprintf(out, 512, "%s/%s", p->dir, name);
}

void
root_link(struct pot *p, const char *path, const char *to)
{
	char full[512], name[256];

	snprintf(name, sizeof(name), "root/%s", path);
	path_of(p, name, full);
	(void)!unlink(full);
	(void)!rmdir(full);
	assert_int_equal(symlink(to, full), 0);
}

void
root_file(struct pot *p, const char *path, const char *text, unsigned mode)
{
	char full[512], name[256];
	FILE *f;

	snprintf(name, sizeof(name), "root/%s", path);
	path_of(p, name, full);
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(full, mode), 0);
}

static void
make_root(struct pot *p)
{
	char path[512], cmd[700];

	path_of(p, "root", path);
	assert_int_equal(mkdir(path, 0755), 0);
	path_of(p, "root/bin", path);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(cmd, sizeof(cmd), "cp /bin/busybox %s/busybox", path);
	assert_int_equal(system(cmd), 0);
	for (size_t i = 0; i < ARRAY_LEN(applets); i++) {
		snprintf(cmd, sizeof(cmd), "%s/%s", path, applets[i]);
		assert_int_equal(symlink("busybox", cmd), 0);
	}
}

int
pot_setup(void **state)
{
	struct pot *p = calloc(1, sizeof(*p));
	char path[512];

	assert_non_null(p);
	strcpy(p->dir, "/tmp/iso-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	make_root(p);
	path_of(p, "log", path);
	assert_int_equal(mkdir(path, 0700), 0);
	p->log_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	path_of(p, "state", path);
	p->state_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(p->state_fd, STATE_FILE_SIZE), 0);
	p->root_fd = -1;
	p->child = (struct iso_child)ISO_CHILD_INIT;
	p->envp[0] = (char *)"PATH=/bin";
	snprintf(p->cleanup_text, sizeof(p->cleanup_text), "echo yes > %s/cleaned", p->dir);
	p->cleanup[0] = (char *)"/bin/sh";
	p->cleanup[1] = (char *)"-c";
	p->cleanup[2] = p->cleanup_text;
	p->spec = (struct iso_spec){ .name = "web",
		.hostname = "web.pot",
		.argv = p->argv,
		.envp = p->envp,
		.io = ISO_IO_LOG,
		.own_net = true,
		.walls = { .caps = POT_CAPS },
		.shim_path = getenv("POT_SHIM"),
		.run_id = 42,
		.state_fd = p->state_fd,
		.log_dirfd = p->log_fd,
		.log_max = 64u << 20,
		.log_files = 3,
		.cleanup_argv = p->cleanup };
	assert_non_null(p->spec.shim_path);
	*state = p;
	return 0;
}

int
pot_teardown(void **state)
{
	struct pot *p = *state;
	struct err e = ERR_INIT;
	char cmd[128];

	if (p->child.init.pid > 0)
		(void)!iso_kill_all(&(struct iso_ref){ p->child.init, NULL }, &e);
	if (p->child.shim.pid > 0)
		(void)!proc_id_wait(&p->child.shim, 10000, &e);
	iso_child_fini(&p->child);
	if (p->cgroup[0] != '\0' && iso_cgroup_remove(p->cgroup, &e) < 0)
		fail_msg("%s", e.msg);
	fd_close(p->state_fd);
	fd_close(p->log_fd);
	fd_close(p->root_fd);
	snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system %s", p->dir);
	assert_int_equal(system(cmd), 0);
	free(p);
	return 0;
}

void
pot_script(struct pot *p, const char *script)
{
	p->argv[0] = (char *)"/bin/sh";
	p->argv[1] = (char *)"-c";
	p->argv[2] = (char *)script;
	p->argv[3] = NULL;
}

void
pot_group(struct pot *p)
{
	char name[32];

	snprintf(name, sizeof(name), "t%s", strrchr(p->dir, '-') + 1);
	assert_done(iso_cgroup_path(NULL, "pot-unit-test", name, ISO_CG_ALWAYS, p->cgroup, &p->e), p);
	assert_done(iso_cgroup_make(p->cgroup, &p->e), p);
	p->spec.cgroup = p->cgroup;
}

int
pot_spawn(struct pot *p)
{
	char path[512];

	path_of(p, "root", path);
	fd_close(take_fd(p->root_fd));
	p->root_fd = iso_bind(AT_FDCWD, path, false, false, &p->e);
	assert_done(p->root_fd, p);
	if (p->spec.walls.ids != 0)
		assert_done(iso_idmap(p->root_fd, p->spec.walls.userns_fd, false, &p->e), p);
	p->spec.root_fd = p->root_fd;
	return iso_spawn(&p->spec, &p->child, &p->e);
}

void
pot_start(struct pot *p)
{
	assert_done(pot_spawn(p), p);
	assert_done(iso_release(&p->child, &p->e), p);
}

bool
pot_slot(struct pot *p, struct shim_exit *x)
{
	assert_int_equal(pread(p->state_fd, x, sizeof(*x), STATE_EXIT_OFF), sizeof(*x));
	if (x->magic == 0)
		return false;
	assert_int_equal(x->magic, SHIM_EXIT_MAGIC);
	assert_int_equal(x->version, 1);
	assert_int_equal(x->run_id, p->spec.run_id);
	assert_int_equal(x->crc, shim_crc32(x, offsetof(struct shim_exit, crc)));
	return true;
}

bool
pot_cleaned(struct pot *p)
{
	char path[512];

	path_of(p, "cleaned", path);
	return access(path, F_OK) == 0;
}

int
pot_wait(struct pot *p)
{
	struct shim_exit x;

	assert_done(proc_id_wait(&p->child.shim, 60000, &p->e), p);
	assert_false(proc_id_alive(&p->child.init));
	assert_true(pot_slot(p, &x));
	assert_true(pot_cleaned(p));
	assert_true(x.time_ns <= text_now_ns() && x.time_ns > text_now_ns() - 120000000000);
	return x.wait_status;
}

int
pot_run(struct pot *p, const char *script)
{
	pot_script(p, script);
	pot_start(p);
	return pot_wait(p);
}

struct iso_ref
pot_ref(struct pot *p)
{
	return (struct iso_ref){ p->child.init, p->spec.cgroup };
}

static char text_memory[2][16 << 20];

const char *
pot_log(struct pot *p, const char *name)
{
	int fd = openat(p->log_fd, name, O_RDONLY | O_CLOEXEC);
	char *in = text_memory[1], *out = text_memory[0];
	ssize_t n, got = 0;

	*out = '\0';
	if (fd < 0)
		return out;
	while ((n = read(fd, in + got, sizeof(text_memory[1]) - 1 - (size_t)got)) > 0)
		got += n;
	close(fd);
	in[got] = '\0';
	for (char *l = in, *end; (end = strchr(l, '\n')) != NULL; l = end + 1) {
		char *s = l;
		size_t sec = strspn(s, "0123456789");

		assert_true(sec >= 10 && s[sec] == '.' && strspn(s + sec + 1, "0123456789") == 9 &&
		    s[sec + 10] == ' ');
		s += sec + 11;
		assert_true((s[0] == 'o' || s[0] == 'e') && (s[1] == 'F' || s[1] == 'P') && s[2] == ' ');
		memcpy(out, s, (size_t)(end - s) + 1);
		out += end - s + 1;
	}
	*out = '\0';
	return text_memory[0];
}

const char *
pot_text(struct pot *p)
{
	const char *l = pot_log(p, "log"), *end;
	char *out = text_memory[1];

	for (; (end = strchr(l, '\n')) != NULL; l = end + 1) {
		size_t n = (size_t)(end - l) - 3 + (l[1] == 'F');

		memcpy(out, l + 3, n);
		out += n;
	}
	*out = '\0';
	return text_memory[1];
}

/* By inotify on the directory of the log, so that no time passes that need not. */
void
pot_until(struct pot *p, const char *words)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd pfd = { fd, POLLIN, 0 };
	char path[512], events[4096];

	path_of(p, "log", path);
	assert_true(inotify_add_watch(fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0);
	while (strstr(pot_text(p), words) == NULL) {
		if (poll(&pfd, 1, 60000) <= 0)
			fail_msg("\"%s\" did not come; log: %s", words, pot_text(p));
		while (read(fd, events, sizeof(events)) > 0)
			;
	}
	close(fd);
}
