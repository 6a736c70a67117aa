/*
 * What is done to the processes of a group: counting, freezing, killing; and
 * the calls of isolation.h that go to a whole pot.  Waiting is for the
 * kernel's events where it sends them; the v1 freezer sends none.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/text.h"
#include "isolation/linux/cgroup.h"

#define WAIT_MS 10000
#define V1_POLL_MS 2
#define PROCS_MAX (4u << 20)

/* Sub-groups first: a group that vanishes meanwhile had nothing to count. */
static int
each_below(int dirfd, int (*fn)(void *, pid_t), void *arg, unsigned depth, struct err *e)
{
	AUTO(fd) int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;
	int r = 0;

	if (own < 0 || (d = fdopendir(own)) == NULL)
		return err_sys(e, "cannot list the control group");
	int fd = take_fd(own);
	while (r == 0 && depth > 0 && (de = readdir(d)) != NULL) {
		AUTO(fd) int sub = -1;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			r = each_below(sub, fn, arg, depth - 1, e);
	}
	if (r == 0) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(PROCS_MAX);

		r = cg_read(fd, "cgroup.procs", &b, e);
		for (const char *s = buf_cstr(&b); r == 0 && *s != '\0';
		     s += strcspn(s, "\n"), s += *s == '\n')
			r = fn(arg, (pid_t)strtol(s, NULL, 10));
	}
	return r;
}

int
cg_each(int dirfd, int (*fn)(void *, pid_t), void *arg, struct err *e)
{
	return each_below(dirfd, fn, arg, 64, e);
}

/* Has a line "key 0|1" of cgroup.events this value? 1, 0, or <0. */
static int
events_say(int fd, const char *line, struct err *e)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *at;

	if (n < 0)
		return err_sys(e, "cannot read \"cgroup.events\"");
	text[n] = '\0';
	at = strstr(text, line);
	return at != NULL && (at == text || at[-1] == '\n');
}

static int
events_wait(int dirfd, const char *line, const char *what, struct err *e)
{
	AUTO(fd) int fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t end = text_monotonic_ms() + WAIT_MS;
	struct pollfd p = { fd, POLLPRI, 0 };
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open \"cgroup.events\"");
	while ((r = events_say(fd, line, e)) == 0) {
		int64_t left = end - text_monotonic_ms();

		if (left <= 0)
			return err_set(e, E_TIMEOUT, "%s: not done after %d s", what, WAIT_MS / 1000);
		(void)!poll(&p, 1, (int)left);
	}
	return r < 0 ? r : 0;
}

static int
freeze_v1(int dirfd, bool frozen, struct err *e)
{
	const char *want = frozen ? "FROZEN" : "THAWED";
	int64_t end = text_monotonic_ms() + WAIT_MS;

	for (;;) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(64);
		int r = cg_write(dirfd, "freezer.state", want, e);

		/* Reading makes the kernel look whether all have stopped; there is no event for it. */
		if (r == 0)
			r = cg_read(dirfd, "freezer.state", &b, e);
		if (r < 0 || strncmp(buf_cstr(&b), want, strlen(want)) == 0)
			return r;
		if (text_monotonic_ms() > end)
			return err_set(e, E_TIMEOUT, "processes did not freeze in %d s", WAIT_MS / 1000);
		(void)!poll(NULL, 0, V1_POLL_MS);
	}
}

int
cg_freeze(int dirfd, bool v2, bool frozen, struct err *e)
{
	int r;

	if (!v2)
		return freeze_v1(dirfd, frozen, e);
	r = cg_write(dirfd, "cgroup.freeze", frozen ? "1" : "0", e);
	if (r < 0)
		return r;
	return events_wait(dirfd, frozen ? "frozen 1" : "frozen 0", frozen ? "freezing" : "thawing", e);
}

static int
kill_one(void *arg, pid_t pid)
{
	unsigned *n = arg;

	/* 0: a process of a pid namespace that this one cannot see. */
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		(*n)++;
	return 0;
}

/* Until a pass finds nobody: who forks faster than we read is killed with the pid namespace. */
static int
kill_walk(int dirfd, bool v2, struct err *e)
{
	int64_t end = text_monotonic_ms() + WAIT_MS;

	for (;;) {
		unsigned n = 0;
		int r = cg_each(dirfd, kill_one, &n, e);

		if (r < 0 || n == 0)
			return r;
		/* A frozen process of v1 takes the signal only when thawed. */
		if (!v2 && (r = cg_write(dirfd, "freezer.state", "THAWED", e)) < 0)
			return r;
		if (text_monotonic_ms() > end)
			return err_set(e, E_TIMEOUT, "processes are not gone after %d s", WAIT_MS / 1000);
		(void)!poll(NULL, 0, V1_POLL_MS);
	}
}

int
cg_kill(int dirfd, bool v2, struct err *e)
{
	if (v2 && cg_write(dirfd, "cgroup.kill", "1", NULL) == 0)
		return events_wait(dirfd, "populated 0", "killing", e);
	return kill_walk(dirfd, v2, e);
}

/* The group of a pot; E_NOENT when there is none. */
static int
ref_open(const struct iso_ref *ref, bool *v2, struct err *e)
{
	struct cg_trees *t;
	int r;

	if (ref->cgroup == NULL || ref->cgroup[0] == '\0')
		return err_set(e, E_NOENT, "the pot has no control group");
	t = malloc(sizeof(*t));
	if (t == NULL)
		return err_nomem(e);
	r = cg_find_named(ref->cgroup, t, e);
	if (r == 0)
		r = cg_open(t, ref->cgroup, v2, e);
	free(t);
	return r;
}

int
iso_signal(const struct iso_ref *ref, int sig, struct err *e)
{
	int r = proc_id_kill(&ref->init, sig, e);

	return r == -E_NOENT ? err_set(e, E_STATE, "the pot has ended") : r;
}

int
iso_kill_all(const struct iso_ref *ref, struct err *e)
{
	AUTO(fd) int fd = -1;
	bool v2;
	int r = proc_id_kill(&ref->init, SIGKILL, e);

	if (r < 0 && r != -E_NOENT)
		return r;
	fd = ref_open(ref, &v2, e);
	if (fd < 0 && fd != -E_NOENT)
		return fd;
	/* Thaws v1 too, without which PID 1 would not end. */
	r = fd >= 0 ? cg_kill(fd, v2, e) : 0;
	return r < 0 ? r : proc_id_wait(&ref->init, WAIT_MS, e);
}

int
iso_freeze(const struct iso_ref *ref, bool frozen, struct err *e)
{
	bool v2;
	AUTO(fd) int fd = ref_open(ref, &v2, e);
	int r;

	if (fd < 0 && (ref->cgroup == NULL || ref->cgroup[0] == '\0')) {
		r = err_set(e, E_NOTSUP, "a pot without a control group cannot be paused");
		err_hint(e, "mount cgroup2 and start the pot again");
		return r;
	}
	return fd < 0 ? fd : cg_freeze(fd, v2, frozen, e);
}
