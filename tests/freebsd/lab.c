/* See lab.h. */
#include "lab.h"

#include <sys/param.h>
#include <sys/jail.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/shimproto.h"

#define HANG_MS 120000

static struct {
	unsigned n, failed;
} tap;

static __attribute__((format(printf, 2, 0))) void
say(const char *what, const char *fmt, va_list ap)
{
	printf("%s %u - ", what, ++tap.n);
	vprintf(fmt, ap);
}

bool
tap_ok(bool holds, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(holds ? "ok" : "not ok", fmt, ap);
	va_end(ap);
	puts("");
	tap.failed += !holds;
	fflush(stdout);
	return holds;
}

void
tap_skip(const char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("ok", fmt, ap);
	va_end(ap);
	printf(" # SKIP %s\n", why);
	fflush(stdout);
}

void
tap_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	puts("");
	va_end(ap);
	fflush(stdout);
}

bool
tap_fine(int rc, const struct err *e, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (tap_ok(rc >= 0, "%s", text))
		return true;
	tap_note("%s", e->msg);
	if (e->hint[0] != '\0')
		tap_note("%s", e->hint);
	return false;
}

int
tap_done(void)
{
	printf("1..%u\n# %u failed\n", tap.n, tap.failed);
	return tap.failed != 0;
}

/* ---- a pot's root */

static _Noreturn void
give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
make_dir(const struct lab *l, const char *name)
{
	if (mkdirat(l->root_fd, name, 0755) != 0 && errno != EEXIST)
		give_up(name);
}

void
lab_mount(struct lab *l, int fd, const char *target, bool dir)
{
	if (fd < 0)
		give_up(target);
	l->mounts[l->nmounts++] = (struct iso_mount){ fd, target, dir };
}

static void
share(struct lab *l, const char *path, const char *target)
{
	struct err e = ERR_INIT;

	if (access(path, F_OK) == 0)
		lab_mount(l, iso_bind(AT_FDCWD, path, true, false, &e), target, true);
}

static void
find_program(struct lab *l, const char *argv0)
{
	char *slash;

	if (realpath(argv0, l->program) == NULL)
		give_up(argv0);
	slash = strrchr(l->program, '/');
	snprintf(l->shim, sizeof(l->shim), "%.*s/pot-shim", (int)(slash - l->program), l->program);
}

void
lab_init(struct lab *l, const char *argv0, const char *name)
{
	static char env_path[] = "PATH=/t:/bin:/usr/bin", env_who[] = "WHO=lab";
	struct err e = ERR_INIT;
	char beside[256];

	memset(l, 0, sizeof(*l));
	snprintf(l->dir, sizeof(l->dir), "/tmp/pot-lab-XXXXXX");
	if (mkdtemp(l->dir) == NULL || chmod(l->dir, 0755) != 0)
		give_up("mkdtemp");
	snprintf(l->root, sizeof(l->root), "%s/root", l->dir);
	snprintf(l->name, sizeof(l->name), "%s", name);
	find_program(l, argv0);
	if (mkdir(l->root, 0755) != 0 ||
	    (l->root_fd = open(l->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    (l->log_fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		give_up(l->root);
	for (const char *const *d =
		 (const char *const[]){ "lib", "libexec", "t", "dev", "tmp", "proc", "usr", "etc", NULL };
	     *d != NULL; d++)
		make_dir(l, *d);
	make_dir(l, "usr/lib");
	l->state_fd = openat(l->log_fd, "state", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->state_fd < 0 || ftruncate(l->state_fd, STATE_FILE_SIZE) != 0)
		give_up("state");
	snprintf(beside, sizeof(beside), "%.*s", (int)(strrchr(l->program, '/') - l->program), l->program);
	share(l, "/lib", "/lib");
	share(l, "/libexec", "/libexec");
	share(l, "/usr/lib", "/usr/lib");
	share(l, beside, "/t");
	if (iso_cgroup_path(NULL, "pot", name, 0, l->cgroup, &e) < 0)
		give_up(e.msg);
	l->envp[0] = env_path;
	l->envp[1] = env_who;
	l->cleanup[0] = l->program;
	l->cleanup[1] = strdup("cleaned");
	asprintf(&l->cleanup[2], "%s/cleaned", l->dir);
	l->spec = (struct iso_spec){ .name = l->name,
		.hostname = "lab.example",
		.root_fd = l->root_fd,
		.argv = l->argv,
		.envp = l->envp,
		.cgroup = l->cgroup,
		.io = ISO_IO_LOG,
		.shim_path = l->shim,
		.run_id = 77,
		.state_fd = l->state_fd,
		.sync_state = true,
		.log_dirfd = l->log_fd,
		.log_max = 1 << 20,
		.log_files = 2,
		.cleanup_argv = l->cleanup };
	l->child = (struct iso_child)ISO_CHILD_INIT;
}

void
lab_command(struct lab *l, const char *word, ...)
{
	const char *base = strrchr(l->program, '/') + 1;
	va_list ap;
	size_t n = 0;
	char *a;

	asprintf(&l->argv[n++], "/t/%s", base);
	l->argv[n++] = strdup("inside");
	l->argv[n++] = strdup(word);
	va_start(ap, word);
	while ((a = va_arg(ap, char *)) != NULL)
		l->argv[n++] = strdup(a);
	va_end(ap);
	l->argv[n] = NULL;
}

void
lab_attr(struct lab *l, const char *name, const char *value)
{
	l->attrs[l->nattrs++] = (struct iso_attr){ name, value };
}

int
lab_spawn(struct lab *l, struct err *e)
{
	int rc;

	l->spec.mounts = l->mounts;
	l->spec.nmounts = l->nmounts;
	l->spec.walls.attrs = l->attrs;
	l->spec.walls.nattrs = l->nattrs;
	rc = iso_cgroup_make(l->cgroup, e);
	if (rc == 0 && l->spec.limits != NULL)
		rc = iso_limits_apply(l->cgroup, NULL, l->spec.limits, e);
	if (rc == 0)
		rc = iso_spawn(&l->spec, &l->child, e);
	l->ref = (struct iso_ref){ l->child.init, l->cgroup };
	return rc;
}

int
lab_start(struct lab *l, struct err *e)
{
	int rc = lab_spawn(l, e);

	return rc < 0 ? rc : iso_release(&l->child, e);
}

int
lab_wait(struct lab *l)
{
	struct shim_exit x;

	if (l->child.shim.pid > 0 && proc_id_wait(&l->child.shim, HANG_MS, NULL) < 0)
		return -1;
	if (pread(l->state_fd, &x, sizeof(x), STATE_EXIT_OFF) != (ssize_t)sizeof(x) ||
	    x.magic != SHIM_EXIT_MAGIC || x.run_id != l->spec.run_id ||
	    x.crc != shim_crc32(&x, offsetof(struct shim_exit, crc)))
		return -1;
	return x.wait_status;
}

const char *
lab_log(struct lab *l)
{
	static char text[65536];
	char raw[65536], *save = NULL;
	int fd = openat(l->log_fd, "log", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, raw, sizeof(raw) - 1);

	text[0] = '\0';
	fd_close(fd);
	if (n <= 0)
		return text;
	raw[n] = '\0';
	/* "SECONDS.NANOSECONDS oF TEXT" */
	for (char *line = strtok_r(raw, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strchr(line, ' ');

		if (at != NULL && strlen(at) >= 4) {
			strlcat(text, at + 4, sizeof(text));
			strlcat(text, "\n", sizeof(text));
		}
	}
	return text;
}

/* ---- nothing is left */

static bool
has_jail(const char *name)
{
	struct iovec iov[2] = { { (void *)(uintptr_t) "name", 5 },
		{ (void *)(uintptr_t)name, strlen(name) + 1 } };

	return jail_get(iov, 2, 0) >= 0;
}

void
lab_nothing_left(const struct lab *l, const char *when)
{
	struct statfs *v;
	int n = getmntinfo(&v, MNT_NOWAIT), mounts = 0;
	char record[128];

	for (int i = 0; i < n; i++)
		if (strncmp(v[i].f_mntonname, l->root, strlen(l->root)) == 0) {
			tap_note("still mounted: %s", v[i].f_mntonname);
			mounts++;
		}
	snprintf(record, sizeof(record), "/var/run/pot/%s.jail", l->name);
	tap_ok(!has_jail(l->name), "%s: no jail is left", when);
	tap_ok(mounts == 0, "%s: no mount is left", when);
	tap_ok(access(record, F_OK) != 0, "%s: no record is left", when);
}

void
lab_end(struct lab *l)
{
	struct err e = ERR_INIT;

	tap_fine(iso_kill_all(&l->ref, &e), &e, "%s: all its processes are ended", l->name);
	tap_fine(iso_cgroup_remove(l->cgroup, &e), &e, "%s: it is taken down", l->name);
	tap_fine(iso_cgroup_remove(l->cgroup, &e), &e, "%s: taking it down again is fine", l->name);
	lab_nothing_left(l, l->name);
	iso_child_fini(&l->child);
}

void
lab_fini(struct lab *l)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < l->nmounts; i++)
		fd_close(l->mounts[i].fd);
	fd_close(l->root_fd);
	fd_close(l->log_fd);
	fd_close(l->state_fd);
	tap_fine(tree_remove(AT_FDCWD, l->dir, &e), &e, "%s: its directory can be removed", l->name);
}

int
lab_exec(struct lab *l, const char *word, const char *arg, struct err *e)
{
	char path[300], inside[] = "inside", *w = strdup(word), *a = arg != NULL ? strdup(arg) : NULL;
	char *argv[] = { path, inside, w, a, NULL };
	struct iso_exec_spec s = { .argv = argv, .envp = l->envp, .fds = { 0, 1, 2 } };
	int rc, status = -1, pty;
	pid_t pid;

	snprintf(path, sizeof(path), "/t/%s", strrchr(l->program, '/') + 1);
	rc = iso_exec(&l->ref, &s, &pid, &pty, e);
	free(w);
	free(a);
	if (rc < 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
inside_main(int argc, char **argv, const struct inside *table)
{
	if (argc == 3 && strcmp(argv[1], "cleaned") == 0)
		exit(close(open(argv[2], O_WRONLY | O_CREAT, 0600)) != 0);
	if (argc < 3 || strcmp(argv[1], "inside") != 0) {
		if (geteuid() != 0) {
			printf("Bail out! not root\n");
			exit(1);
		}
		return;
	}
	for (; table->word != NULL; table++)
		if (strcmp(table->word, argv[2]) == 0)
			exit(table->run(argv[3]));
	fprintf(stderr, "no such word: %s\n", argv[2]);
	exit(99);
}
