/*
 * Filling the root of a new base: runs pot-unpack on a tarball or on what
 * mmdebstrap writes, or copies a directory. Owns the children while they run:
 * every way out of here has reaped both. The root is hostile as soon as
 * something is in it. Records and storage are base.c's.
 */
#include "engine/populate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/inroot.h"
#include "base/proc.h"
#include "base/text.h"
#include "engine/aptsources.h"
#include "isolation/isolation.h"

#define LINE_MAX_BYTES 2048
/* A signal that comes just before poll(2) is seen after this time. */
#define CANCEL_LOOK_MS 200

/* Exit statuses of pot-unpack (unpack/main.c). */
enum { UNPACK_ARCHIVE = 1, UNPACK_LIMIT = 3, UNPACK_FULL = 4 };

struct feed;

/* A child's output, cut into lines. */
struct lines {
	int fd; /* -1: ended */
	size_t len;
	char text[LINE_MAX_BYTES];
	void (*fn)(struct feed *, const char *line);
};

/* An unpacking under way. */
struct feed {
	struct eng *eng;
	const char *what;       /* for progress */
	uint64_t total;         /* bytes of the archive, 0 unknown */
	pid_t unpack, producer; /* 0: none, or reaped */
	struct lines progress, notes, talk;
	char last_note[LINE_MAX_BYTES];   /* of pot-unpack */
	char first_error[LINE_MAX_BYTES]; /* of the producer: its first "E: ", which the others follow from */
};

static void
lines_init(struct lines *l, void (*fn)(struct feed *, const char *))
{
	l->fd = -1;
	l->len = 0;
	l->fn = fn;
}

/* Reads once; complete lines go out, too long ones are cut. */
static void
lines_read(struct lines *l, struct feed *f)
{
	ssize_t n = read(l->fd, l->text + l->len, sizeof(l->text) - 1 - l->len);
	char *start = l->text, *nl;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		l->len += (size_t)n;
	l->text[l->len] = '\0';
	while ((nl = strpbrk(start, "\r\n")) != NULL) {
		*nl = '\0';
		if (nl > start)
			l->fn(f, start);
		start = nl + 1;
	}
	if ((n <= 0 || (start == l->text && l->len == sizeof(l->text) - 1)) && *start != '\0') {
		l->fn(f, start);
		start = l->text + l->len;
	}
	l->len -= (size_t)(start - l->text);
	memmove(l->text, start, l->len);
	if (n <= 0) {
		fd_close(l->fd);
		l->fd = -1;
	}
}

static void
copy_line(char out[static LINE_MAX_BYTES], const char *line)
{
	text_escape_into(out, LINE_MAX_BYTES, line, strlen(line));
}

static void
on_progress(struct feed *f, const char *line)
{
	uint64_t done;

	if (text_uint(line, 0, UINT64_MAX, &done, "progress", NULL) == 0)
		event_progress(&f->eng->events, f->what, done, f->total);
}

static void
on_note(struct feed *f, const char *line)
{
	copy_line(f->last_note, line);
	if (strncmp(f->last_note, "note: ", 6) == 0)
		event_info(&f->eng->events, "%s", f->last_note + 6);
}

/*
 * mmdebstrap: "I: what it does", "W: …", "E: …". An installation in a private
 * directory makes apt download as root: signatures are checked all the same.
 */
static void
on_talk(struct feed *f, const char *line)
{
	char text[LINE_MAX_BYTES];

	copy_line(text, line);
	if (strncmp(text, "I: ", 3) == 0 || strstr(text, "performed unsandboxed as root") != NULL)
		event_info(&f->eng->events, "mmdebstrap: %s", text + 3);
	else if (strncmp(text, "W: ", 3) == 0)
		event_warn(&f->eng->events, "mmdebstrap: %s", text + 3);
	else if (strncmp(text, "E: ", 3) == 0 && f->first_error[0] == '\0')
		copy_line(f->first_error, text + 3);
}

/* Its whole group: every child of ours leads one. */
static void
kill_child(pid_t pid)
{
	if (pid > 0 && kill(-pid, SIGKILL) != 0)
		kill(pid, SIGKILL);
}

static int
reap(pid_t *pid, const char *name, int *status, struct err *e)
{
	int r;

	*status = 0;
	if (*pid == 0)
		return 0;
	r = proc_finish(take(*pid, 0), name, status, e);
	return r;
}

static void
feed_init(struct feed *f, struct eng *eng, const char *what, uint64_t total)
{
	memset(f, 0, sizeof(*f));
	f->eng = eng;
	f->what = what;
	f->total = total;
	lines_init(&f->progress, on_progress);
	lines_init(&f->notes, on_note);
	lines_init(&f->talk, on_talk);
}

/* Kills and reaps what is left, closes the pipes. */
static void
feed_fini(struct feed *f)
{
	struct lines *const all[] = { &f->progress, &f->notes, &f->talk };
	int status;

	kill_child(f->producer);
	kill_child(f->unpack);
	if (reap(&f->producer, "producer", &status, NULL) < 0 ||
	    reap(&f->unpack, "pot-unpack", &status, NULL) < 0)
		status = 0; /* killed: their ends say nothing */
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		fd_close(all[i]->fd);
		all[i]->fd = -1;
	}
}
DEFINE_AUTO_FINI(feed, struct feed)

static int
make_pipe(int *rd, int *wr, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "making a pipe");
	*rd = p[0];
	*wr = p[1];
	return 0;
}

static int
start_unpack(struct feed *f, int in_fd, int root_fd, uint64_t max_size, struct err *e)
{
	AUTO(fd) int out = -1, err = -1;
	char dirfd[16], size[24], program[PATH_MAX];
	const char *argv[] = { program, "--max-size", size, "--progress", "1", "--dirfd", dirfd, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	int r;

	snprintf(dirfd, sizeof(dirfd), "%d", root_fd);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)max_size);
	if ((r = eng_find_unpack(program, e)) < 0)
		return r;
	if ((r = make_pipe(&f->progress.fd, &out, e)) < 0 || (r = make_pipe(&f->notes.fd, &err, e)) < 0)
		return r;
	spec.argv = argv;
	spec.fd_in = in_fd;
	spec.fd_out = out;
	spec.fd_err = err;
	spec.pass_fd = root_fd;
	if ((r = proc_start(&spec, &f->unpack, e)) < 0) {
		f->unpack = 0;
		return err_wrap(e, "unpacking");
	}
	return 0;
}

/* How pot-unpack ended, as an error. */
static int
unpack_result(const struct feed *f, int r, int status, struct err *e)
{
	const char *why = f->last_note[0] != '\0' ? f->last_note : "pot-unpack said nothing";

	if (r == 0)
		return 0;
	if (status == UNPACK_ARCHIVE)
		return err_set(e, E_CORRUPT, "unpacking: %s", why);
	if (status == UNPACK_FULL) {
		err_set(e, E_NOSPC, "unpacking: %s", why);
		return err_hint(e, "make room below %s", f->eng->root);
	}
	if (status == UNPACK_LIMIT) {
		err_set(e, E_NOSPC, "unpacking: %s", why);
		if (strstr(why, "memory") != NULL)
			return err_hint(e, "decompress it first and use --from -");
		return -e->code;
	}
	if (status > 128 || f->last_note[0] == '\0')
		return err_wrap(e, "unpacking");
	return err_set(e, E_SYS, "unpacking: %s", why);
}

static int
cancelled(struct feed *f, struct err *e)
{
	feed_fini(f);
	return err_set(e, E_INTR, "interrupted while unpacking");
}

/* Turns the children's output into events until `until` has ended. */
static int
pump(struct feed *f, const struct lines *until, struct err *e)
{
	struct lines *const all[] = { &f->progress, &f->notes, &f->talk };

	while (until->fd >= 0) {
		struct pollfd p[3];

		for (size_t i = 0; i < 3; i++)
			p[i] = (struct pollfd){ all[i]->fd, POLLIN, 0 };
		if (eng_cancelled(f->eng))
			return cancelled(f, e);
		if (poll(p, 3, f->eng->cancel != NULL ? CANCEL_LOOK_MS : -1) < 0 && errno != EINTR)
			return err_sys(e, "waiting for pot-unpack");
		for (size_t i = 0; i < 3; i++)
			if (p[i].fd >= 0 && p[i].revents != 0)
				lines_read(all[i], f);
	}
	return 0;
}

/* Waits for both; of two failures the one that caused the other is told. */
static int
feed_end(struct feed *f, const char *producer, struct err *e)
{
	struct err unpack_err = ERR_INIT;
	int r, status, ur, pr = 0;

	if ((r = pump(f, &f->notes, e)) < 0)
		return r;
	ur = reap(&f->unpack, "pot-unpack", &status, &unpack_err);
	ur = unpack_result(f, ur, status, &unpack_err);
	if (producer != NULL) {
		/* It goes on for a moment after its output; with nobody to read there is no use in it. */
		if (ur < 0 && status != UNPACK_ARCHIVE)
			kill_child(f->producer);
		if ((r = pump(f, &f->talk, e)) < 0)
			return r;
		pr = reap(&f->producer, producer, &status, e);
		if (pr < 0 && f->first_error[0] != '\0' && (ur == 0 || unpack_err.code == E_CORRUPT))
			return err_set(e, E_SYS, "%s: %s", producer, f->first_error);
	}
	if (ur < 0) {
		*e = unpack_err;
		return ur;
	}
	return pr;
}

/* ---- Debian ------------------------------------------------------------- */

/* VERSION_CODENAME of the host when it is Debian, else "". */
static void
host_codename(char out[static 64])
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	AUTO(fd) int etc = open("/usr/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *p;
	size_t n;

	out[0] = '\0';
	if (etc < 0 || file_read(etc, "os-release", &b, NULL) < 0 || b.len == 0 ||
	    strstr(b.data, "\nID=debian\n") == NULL || (p = strstr(b.data, "\nVERSION_CODENAME=")) == NULL)
		return;
	p += strlen("\nVERSION_CODENAME=");
	n = strspn(p, "abcdefghijklmnopqrstuvwxyz");
	if (n < 64) {
		memcpy(out, p, n);
		out[n] = '\0';
	}
}

static int
find_sources(const char *suite, const char *mirror, struct strv *lines, struct err *e)
{
	char host[64];
	int r;

	host_codename(host);
	r = apt_sources("/etc/apt", suite, host, lines, mirror == NULL ? e : NULL);
	if (mirror == NULL)
		return r;
	if (r < 0)
		strv_clear(lines);
	return apt_use_mirror(mirror, suite, lines, e);
}

/* Proxies that the caller's apt would use too, and nothing else of the environment. */
static void
bootstrap_environment(const char *tmp, struct strv *env)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
		"HTTPS_PROXY", "NO_PROXY", "SOURCE_DATE_EPOCH" };

	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(env, "LC_ALL=C.UTF-8");
	strv_add(env, "HOME=/root");
	strv_add(env, "DEBIAN_FRONTEND=noninteractive");
	strv_fmt(env, "TMPDIR=%s", tmp);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (getenv(kept[i]) != NULL)
			strv_fmt(env, "%s=%s", kept[i], getenv(kept[i]));
}

static int
start_bootstrap(struct feed *f, const char *program, const char *suite, const char *include,
    struct strv *sources, const char *tmp, int out_fd, struct err *e)
{
	AUTO_FINI(strv) struct strv argv = STRV_INIT(256), env = STRV_INIT(32);
	AUTO(fd) int err = -1;
	struct proc_spec spec = PROC_SPEC_INIT;
	int r;

	strv_add(&argv, program);
	strv_add(&argv, "--mode=root");
	strv_add(&argv, "--variant=minbase");
	strv_add(&argv, "--format=tar");
	if (include != NULL)
		strv_fmt(&argv, "--include=%s", include);
	strv_add(&argv, suite);
	strv_add(&argv, "-");
	for (size_t i = 0; i < sources->n; i++)
		strv_add(&argv, sources->v[i]);
	bootstrap_environment(tmp, &env);
	if ((r = strv_check(&argv, "mmdebstrap's arguments", e)) < 0 ||
	    (r = strv_check(&env, "mmdebstrap's environment", e)) < 0 ||
	    (r = make_pipe(&f->talk.fd, &err, e)) < 0)
		return r;
	spec.argv = (const char *const *)strv_argv(&argv);
	spec.envp = (const char *const *)strv_argv(&env);
	spec.fd_out = out_fd;
	spec.fd_err = err;
	spec.own_ns = true;
	if ((r = proc_start(&spec, &f->producer, e)) < 0) {
		f->producer = 0;
		return r;
	}
	return 0;
}

/* mmdebstrap is not there: say how to get it. */
static int
no_bootstrap(const char *program, struct err *e)
{
	err_set(e, E_NOENT, "making a base from packages: %s is not installed", program);
	return err_hint(e, "apt-get install mmdebstrap, or use --from with a root tarball");
}

int
populate_suite(struct eng *eng, const char *suite, const struct pot_base_args *args, uint64_t max_size,
    const char *tmp, int root_fd, struct err *e)
{
	AUTO_FINI(strv) struct strv sources = STRV_INIT(128);
	AUTO_FINI(feed) struct feed f;
	AUTO(fd) int rd = -1, wr = -1;
	const char *program = config_get(eng->conf, "mmdebstrap");
	int r;

	feed_init(&f, eng, "mmdebstrap", 0);
	if ((r = find_sources(suite, args->mirror, &sources, e)) < 0 || (r = make_pipe(&rd, &wr, e)) < 0)
		return r;
	fault_point("base.suite.start");
	if ((r = start_bootstrap(&f, program, suite, args->include, &sources, tmp, wr, e)) < 0)
		return r == -E_NOCMD ? no_bootstrap(program, e) : r;
	fd_close(take_fd(wr));
	fault_point("base.suite.unpack");
	if ((r = start_unpack(&f, rd, root_fd, max_size, e)) < 0)
		return r;
	fd_close(take_fd(rd));
	r = feed_end(&f, program, e);
	return r == -E_NOCMD ? no_bootstrap(program, e) : r;
}

/* ---- tarball or directory ------------------------------------------------- */

static int
copy_directory(struct eng *eng, const char *from, int root_fd, struct err *e)
{
	AUTO_FREE char *path = realpath(from, NULL), *root = realpath(eng->root, NULL);
	AUTO(fd) int src = -1;
	size_t n;

	if (path == NULL || root == NULL)
		return err_sys(e, "opening %s", from);
	n = strlen(path);
	if (strncmp(path, root, n) == 0 && (root[n] == '/' || root[n] == '\0' || n == 1))
		return err_set(
		    e, E_INVAL, "%s holds the installation %s and cannot be copied into it", from, root);
	/* Without what is mounted below: no copy of /proc, no other file system. */
	if ((src = iso_view(path, e)) < 0)
		return err_wrap(e, "opening %s", from);
	event_info(&eng->events, "copying %s", from);
	return tree_copy(src, ".", root_fd, ".", TREE_COPY_MERGE, e);
}

static int
unpack_archive(struct eng *eng, int in_fd, uint64_t size, uint64_t max_size, int root_fd, struct err *e)
{
	AUTO_FINI(feed) struct feed f;
	int r;

	feed_init(&f, eng, "unpacking", size);
	if ((r = start_unpack(&f, in_fd, root_fd, max_size, e)) < 0)
		return r;
	return feed_end(&f, NULL, e);
}

int
populate_from(struct eng *eng, const char *from, uint64_t max_size, int root_fd, struct err *e)
{
	AUTO(fd) int fd = -1;
	struct stat st;

	if (strcmp(from, "-") == 0)
		return unpack_archive(eng, STDIN_FILENO, 0, max_size, root_fd, e);
	if ((fd = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "opening %s", from);
	if (S_ISDIR(st.st_mode))
		return copy_directory(eng, from, root_fd, e);
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_set(e, E_INVAL, "%s: neither a tarball nor a directory", from);
	return unpack_archive(eng, fd, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0, max_size, root_fd, e);
}

/* ---- afterwards ------------------------------------------------------------- */

static int
remove_file(int root_fd, const char *path, struct err *e)
{
	char last[256];
	AUTO(fd) int dir = inroot_open_parent(root_fd, path, last, e);

	if (dir < 0)
		return dir == -E_NOENT ? 0 : dir;
	if (unlinkat(dir, last, 0) != 0 && errno != ENOENT)
		return err_sys(e, "removing %s", path);
	return 0;
}

static int
make_target(int root_fd, const char *path, bool dir, struct err *e)
{
	int fd = inroot_mount_target(root_fd, path, dir, e);

	if (fd < 0)
		return err_wrap(e, "the root has no usable %s", path);
	fd_close(fd);
	return 0;
}

static int
make_tmp(int root_fd, struct err *e)
{
	AUTO(fd) int fd = inroot_open(root_fd, "/tmp", O_RDONLY | O_DIRECTORY, 0, e);
	int r;

	if (fd != -E_NOENT)
		return fd < 0 ? err_wrap(e, "the root has no usable /tmp") : 0;
	if ((r = make_target(root_fd, "/tmp", true, e)) < 0)
		return r;
	if ((fd = inroot_open(root_fd, "/tmp", O_RDONLY | O_DIRECTORY, 0, e)) < 0)
		return fd;
	return fchmod(fd, 01777) == 0 ? 0 : err_sys(e, "mode of /tmp");
}

/* Its run-time linker stands where it stands since FreeBSD 5. */
static bool
is_freebsd(int root_fd)
{
	int fd = inroot_open(root_fd, "/libexec/ld-elf.so.1", O_RDONLY, 0, NULL);

	fd_close(fd);
	return fd >= 0;
}

int
populate_finish(int root_fd, bool fresh, struct err *e)
{
	static const char *const linux_dirs[] = { "/proc", "/sys", "/dev", "/run", NULL };
	/* There /sys is a link to the system's sources, which need not be there. */
	static const char *const freebsd_dirs[] = { "/proc", "/dev", NULL };
	const char *const *dirs = is_freebsd(root_fd) ? freebsd_dirs : linux_dirs;
	static const char *const files[] = { "/etc/resolv.conf", "/etc/hostname", "/etc/hosts" };
	int r;

	for (size_t i = 0; fresh && i < 2; i++)
		if ((r = remove_file(root_fd, files[i], e)) < 0)
			return r;
	for (size_t i = 0; dirs[i] != NULL; i++)
		if ((r = make_target(root_fd, dirs[i], true, e)) < 0)
			return r;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if ((r = make_target(root_fd, files[i], false, e)) < 0)
			return r;
	return make_tmp(root_fd, e);
}

void
populate_pretty_name(int root_fd, char out[static 64])
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	static const char key[] = "PRETTY_NAME=";
	const char *p;
	size_t n;

	out[0] = '\0';
	if (inroot_read(root_fd, "/etc/os-release", &b, NULL) < 0 || b.len == 0)
		return;
	for (p = b.data; p != NULL && strncmp(p, key, sizeof(key) - 1) != 0;)
		if ((p = strchr(p, '\n')) != NULL)
			p++;
	if (p == NULL)
		return;
	p += sizeof(key) - 1;
	p += *p == '"' || *p == '\'';
	n = strcspn(p, "\"'\n");
	text_escape_into(out, 64, p, n);
}
