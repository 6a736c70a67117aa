/*
 * Making the processes of a pot: the plan's operations, then pot-shim, whose
 * child enters the jail and waits at the gate. All or nothing.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/host.h"
#include "base/inroot.h"
#include "model/shimproto.h"

#define END_MS 10000
#define ARGS_MAX (1u << 20)
#define MOUNTS_MAX 256
#define NAMES_MAX 288
#define VERSION_FILE "/bin/freebsd-version"
#define VERSION_MAX 16384

/* ---- the plan */

struct wishes {
	struct mount_wish *v;
	struct plan_mount *mounts;
	size_t n;
};

static void
wishes_fini(struct wishes *w)
{
	for (size_t i = 0; i < w->n; i++)
		fd_close(w->v[i].mount.from_fd);
	free(w->v);
	free(w->mounts);
}
DEFINE_AUTO_FINI(wishes, struct wishes)

static int
wishes_get(struct wishes *w, const struct iso_spec *s, struct err *e)
{
	int rc = 0;

	if (s->nmounts > MOUNTS_MAX)
		return err_set(e, E_LIMIT, "more than %d mounts", MOUNTS_MAX);
	w->v = calloc(s->nmounts + 1, sizeof(*w->v));
	w->mounts = calloc(s->nmounts + 1, sizeof(*w->mounts));
	if (w->v == NULL || w->mounts == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < s->nmounts && rc == 0; i++) {
		w->v[i].mount.from_fd = -1;
		w->n++;
		rc = mount_wish_get(s->mounts[i].fd, &w->v[i], e);
		w->v[i].mount.target = s->mounts[i].target;
		w->v[i].mount.dir = s->mounts[i].dir;
		w->mounts[i] = w->v[i].mount;
	}
	return rc;
}

/* What the root says that it is; a root that is no FreeBSD says nothing. */
static int
osrelease_get(int root_fd, char out[static PARAM_OSRELEASE_MAX])
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(VERSION_MAX);

	out[0] = '\0';
	if (inroot_read(root_fd, VERSION_FILE, &b, NULL) == 0 && !params_osrelease(buf_cstr(&b), out))
		out[0] = '\0';
	return 0;
}

/* Names that a plan borrows. */
struct lists {
	struct strv devices, datasets;
};

static void
lists_fini(struct lists *l)
{
	strv_fini(&l->devices);
	strv_fini(&l->datasets);
}
DEFINE_AUTO_FINI(lists, struct lists)

static int
lists_get(struct lists *l, const struct iso_spec *s, struct err *e)
{
	int rc = params_datasets(s, &l->datasets, e);

	for (size_t i = 0; i < s->walls.ndevices; i++)
		strv_add(&l->devices, s->walls.devices[i].path);
	/* zfs(8) inside asks it. */
	if (l->datasets.n > 0)
		strv_add(&l->devices, "zfs");
	return rc < 0 ? rc : strv_check(&l->devices, "devices", e);
}

static int
plan_of(struct plan *p, const struct iso_spec *s, const struct wishes *w, struct lists *l, struct err *e)
{
	struct plan_record r = { .ruleset = 0 };
	char osrelease[PARAM_OSRELEASE_MAX];
	struct plan_input in = { .record = &r, .osrelease = osrelease, .mounts = w->mounts, .nmounts = w->n };
	const char *jail = jail_of(s->cgroup);
	int rc = 0;

	if (jail == NULL)
		return err_set(e, E_INVAL, "pot \"%s\" has no name for its jail", s->name);
	if (s->net_join != NULL) {
		err_set(e, E_NOTSUP, "pot \"%s\": a jail cannot be in another's network", s->name);
		return err_hint(e, "put both on a private bridge, or give both the host's: -N inherit");
	}
	if (s->walls.sysctls != NULL) {
		err_set(e, E_NOTSUP, "pot \"%s\": a jail has no kernel parameters of its own", s->name);
		return err_hint(e, "make the pot without --sysctl; what a jail may do are attributes");
	}
	snprintf(r.jail, sizeof(r.jail), "%s", jail);
	r.covered = s->walls.read_only;
	if (r.covered)
		record_view(jail, r.root);
	else
		rc = host_fd_path(s->root_fd, r.root, sizeof(r.root), e);
	if (rc == 0)
		rc = lists_get(l, s, e);
	if (rc == 0)
		rc = ruleset_take(&r.ruleset, e);
	if (rc < 0)
		return rc;
	osrelease_get(s->root_fd, osrelease);
	in.devices = strv_argv(&l->devices);
	in.datasets = strv_argv(&l->datasets);
	rc = plan_start(p, s, &in, e);
	/* Not made after all: the administrator's own is used, or it failed. */
	if (rc < 0 || p->record.ruleset == 0)
		(void)!ruleset_drop(r.ruleset, NULL);
	return rc;
}

/* ---- the processes */

enum { GATE, STATUS, OUT, ERR, CLIENT, SYNC, NPIPES };

struct spawn {
	const struct iso_spec *spec;
	int p[NPIPES][2];
	const char *jail;
	int jid, own, null, shim, events, kills;
	struct strv args;
};

static void
spawn_fini(struct spawn *s)
{
	for (int i = 0; i < NPIPES; i++) {
		fd_close(s->p[i][0]);
		fd_close(s->p[i][1]);
	}
	fd_close(s->own);
	fd_close(s->null);
	fd_close(s->shim);
	fd_close(s->events);
	fd_close(s->kills);
	strv_fini(&s->args);
}
DEFINE_AUTO_FINI(spawn, struct spawn)

static int
pipes_open(struct spawn *s, struct err *e)
{
	for (int i = 0; i < NPIPES; i++) {
		bool want = (i != OUT || s->spec->io != ISO_IO_FDS) &&
		    ((i != ERR && i != CLIENT) || s->spec->io == ISO_IO_ATTACH);
		int r = !want     ? 0
		    : i == CLIENT ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->p[i])
				  : pipe2(s->p[i], O_CLOEXEC);

		if (r != 0)
			return err_sys(e, "cannot make a pipe");
		if (want && (i == OUT || i == ERR))
			(void)fcntl(s->p[i][0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int
args_make(struct spawn *s, struct err *e)
{
	const struct iso_spec *p = s->spec;
	AUTO_FINI(buf) struct buf groups = BUF_INIT(16384);
	size_t ncleanup = 0;

	for (size_t i = 0; i < p->user.ngroups; i++)
		buf_fmt(&groups, "%s%u", i > 0 ? "," : "", (unsigned)p->user.groups[i]);
	if (p->user.ngroups == 0)
		buf_str(&groups, "-");
	while (p->cleanup_argv[ncleanup] != NULL)
		ncleanup++;
	strv_fmt(&s->args, "pot-shim %s", p->name);
	strv_add(&s->args, "run");
	strv_fmt(&s->args, "%d", s->jid);
	strv_add(&s->args, s->jail);
	strv_fmt(&s->args, "-%s%s", p->persistent ? "p" : "",
	    p->limits != NULL && p->limits->oom_group ? "o" : "");
	strv_fmt(&s->args, "%llu", (unsigned long long)p->run_id);
	strv_fmt(&s->args, "%llu", (unsigned long long)(p->log_max < 16384 ? 16384 : p->log_max));
	strv_fmt(&s->args, "%u", p->tied ? 0 : p->log_files < 1 ? 1 : p->log_files);
	strv_fmt(&s->args, "%u", (unsigned)p->user.uid);
	strv_fmt(&s->args, "%u", (unsigned)p->user.gid);
	strv_add(&s->args, buf_cstr(&groups));
	strv_add(&s->args, p->workdir != NULL ? p->workdir : "/");
	strv_fmt(&s->args, "%zu", ncleanup);
	for (size_t i = 0; i < ncleanup; i++)
		strv_add(&s->args, p->cleanup_argv[i]);
	for (char *const *a = p->argv; *a != NULL; a++)
		strv_add(&s->args, *a);
	if (buf_check(&groups, "groups", e) < 0)
		return -E_LIMIT;
	return strv_check(&s->args, "command line", e);
}

/* In the child: each under its number, nothing else. */
static void
place(const struct spawn *s)
{
	const struct iso_spec *p = s->spec;
	bool fds = p->io == ISO_IO_FDS;
	const int want[FREEBSD_FD_COUNT] = { s->null, s->null, s->null, [SHIM_FD_STATE] = p->state_fd,
		[SHIM_FD_LOGDIR] = fds ? -1 : p->log_dirfd, [SHIM_FD_OUT] = s->p[OUT][0],
		[SHIM_FD_ERR] = s->p[ERR][0], [SHIM_FD_CLIENT] = s->p[CLIENT][1], [FREEBSD_FD_JAIL] = s->own,
		[FREEBSD_FD_GATE] = s->p[GATE][0], [FREEBSD_FD_STATUS] = s->p[STATUS][1],
		[FREEBSD_FD_STDIN] = fds ? p->fds[0] : s->null, [FREEBSD_FD_EVENTS] = s->events,
		[FREEBSD_FD_KILLS] = s->kills, [FREEBSD_FD_STDIN + 1] = fds ? p->fds[1] : s->p[OUT][1],
		[FREEBSD_FD_STDIN + 2] = fds ? p->fds[2]
		    : p->io == ISO_IO_LOG    ? s->p[OUT][1]
					     : s->p[ERR][1] };
	int high[FREEBSD_FD_COUNT];

	for (int i = 0; i < FREEBSD_FD_COUNT; i++)
		high[i] = want[i] < 0 ? -1 : fcntl(want[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < FREEBSD_FD_COUNT; i++)
		if (high[i] < 0 || dup2(high[i], i) < 0)
			close(i);
}

static _Noreturn void
become_shim(struct spawn *s)
{
	int sync = fcntl(s->p[SYNC][1], F_DUPFD_CLOEXEC, 128), shim = fcntl(s->shim, F_DUPFD_CLOEXEC, 128),
	    sys;
	sigset_t all;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	place(s);
	(void)close_range(FREEBSD_FD_COUNT, 127, 0);
	(void)close_range(128, ~0u, CLOSE_RANGE_CLOEXEC);
	(void)!chdir("/");
	fexecve(shim, strv_argv(&s->args), s->spec->envp);
	sys = errno;
	(void)!write(sync, &sys, sizeof(sys));
	_exit(127);
}

/* No child of the caller: it outlives him, and he need not wait for it. */
static _Noreturn void
go_between(struct spawn *s)
{
	pid_t pid = fork();

	if (pid == 0)
		become_shim(s);
	_exit(pid < 0);
}

static int
status_read(int fd, struct shim_failure *f)
{
	ssize_t n;

	do
		n = read(fd, f, sizeof(*f));
	while (n < 0 && errno == EINTR);
	f->what[sizeof(f->what) - 1] = '\0';
	return n == (ssize_t)sizeof(*f);
}

/* Until the first process stands at the gate. */
static int
wait_ready(struct spawn *s, struct iso_child *out, struct err *e)
{
	struct shim_failure f = { .sys = 0 };
	int sys = 0, shim, init;

	fd_close(take_fd(s->p[SYNC][1]));
	fd_close(take_fd(s->p[STATUS][1]));
	if (read(s->p[SYNC][0], &sys, sizeof(sys)) == (ssize_t)sizeof(sys))
		return err_sysno(e, sys, "cannot execute %s", s->spec->shim_path);
	if (!status_read(s->p[STATUS][0], &f))
		return err_set(e, E_STATE, "the pot \"%s\" was killed during its start", s->spec->name);
	if (f.sys != 0)
		return entry_failure(&f, e);
	if (f.step != SHIM_STEP_READY || sscanf(f.what, "%d %d", &shim, &init) != 2)
		return err_set(e, E_STATE, "pot-shim says what is not understood; is it of this version?");
	if (proc_id_get(shim, &out->shim, NULL) < 0 || proc_id_get(init, &out->init, NULL) < 0)
		return err_set(e, E_STATE, "the pot \"%s\" was killed during its start", s->spec->name);
	return rlimits_give(init, s->spec->rlimits, s->spec->nrlimits, e);
}

static int
processes_make(struct spawn *s, struct iso_child *out, struct err *e)
{
	int rc = pipes_open(s, e);
	pid_t pid;

	if (rc == 0)
		rc = args_make(s, e);
	if (rc < 0)
		return rc;
	s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	s->shim = open(s->spec->shim_path, O_RDONLY | O_CLOEXEC);
	if (s->null < 0 || s->shim < 0)
		return err_sys(e, "cannot open %s", s->null < 0 ? "/dev/null" : s->spec->shim_path);
	s->events = kills_listen();
	s->kills = kills_open(s->jail, e);
	if (s->kills < 0)
		return s->kills;
	pid = fork();
	if (pid == 0)
		go_between(s);
	if (pid < 0)
		return err_sys(e, "cannot make a process");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	rc = wait_ready(s, out, e);
	if (rc == 0 && s->spec->sync_state && fdatasync(s->spec->state_fd) != 0)
		rc = err_sys(e, "cannot write the state file to the disk");
	return rc;
}

int
iso_spawn(const struct iso_spec *spec, struct iso_child *out, struct err *e)
{
	AUTO_FINI(wishes) struct wishes wishes = { NULL, NULL, 0 };
	AUTO_FINI(lists) struct lists lists = { STRV_INIT(NAMES_MAX), STRV_INIT(NAMES_MAX) };
	AUTO_FREE struct plan *plan = calloc(1, sizeof(*plan));
	AUTO_FINI(spawn)
	struct spawn s = { .spec = spec,
		.own = -1,
		.null = -1,
		.shim = -1,
		.events = -1,
		.kills = -1,
		.args = STRV_INIT(ARGS_MAX) };
	int rc;

	*out = (struct iso_child)ISO_CHILD_INIT;
	for (int i = 0; i < NPIPES; i++)
		s.p[i][0] = s.p[i][1] = -1;
	if (plan == NULL)
		return err_nomem(e);
	if (spec->argv == NULL || spec->argv[0] == NULL)
		return err_set(e, E_INVAL, "pot \"%s\" has no command to start", spec->name);
	rc = rlimits_check(spec->rlimits, spec->nrlimits, e);
	if (rc == 0)
		rc = wishes_get(&wishes, spec, e);
	if (rc == 0)
		rc = plan_of(plan, spec, &wishes, &lists, e);
	if (rc == 0)
		rc = plan_up(plan, &kern_freebsd, e);
	if (rc < 0)
		return rc;
	rc = s.jid = jail_find(plan->record.jail, e);
	if (rc >= 0) {
		s.jail = plan->record.jail;
		s.own = jail_own(s.jid);
		rc = processes_make(&s, out, e);
	}
	if (rc < 0) {
		/* What was made ends with the gate, and with the jail. */
		fd_close(take_fd(s.p[GATE][1]));
		(void)!plan_down(&plan->record, &kern_freebsd, NULL);
		return rc;
	}
	out->gate_fd = take_fd(s.p[GATE][1]);
	out->status_fd = take_fd(s.p[STATUS][0]);
	out->client_fd = take_fd(s.p[CLIENT][0]);
	return 0;
}

/* ---- its further way */

/* The byte; a pot that died meanwhile must not send SIGPIPE to the program above us. */
static void
gate_open(int fd)
{
	static const struct timespec at_once;
	sigset_t pipe_set, old;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe_set, &old);
	if (write(fd, "", 1) < 0 && errno == EPIPE && !sigismember(&old, SIGPIPE))
		(void)sigtimedwait(&pipe_set, NULL, &at_once);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int
iso_release(struct iso_child *c, struct err *e)
{
	struct shim_failure f;
	bool executed = false, failed = false;

	gate_open(c->gate_fd);
	fd_close(take_fd(c->gate_fd));
	while (!failed && status_read(c->status_fd, &f)) {
		executed = executed || f.step == SHIM_STEP_DIRECT;
		failed = f.sys != 0;
	}
	fd_close(take_fd(c->status_fd));
	if (executed && !failed)
		return 0;
	(void)!proc_id_wait(&c->init, END_MS, NULL);
	(void)!proc_id_wait(&c->shim, END_MS, NULL);
	return failed ? entry_failure(&f, e)
		      : err_set(e, E_STATE, "the pot was killed before its command was executed");
}

void
iso_abort(struct iso_child *c)
{
	fd_close(take_fd(c->gate_fd));
	if (c->init.pid > 0) {
		(void)!proc_id_kill(&c->init, SIGKILL, NULL);
		(void)!proc_id_wait(&c->init, END_MS, NULL);
	}
	if (c->shim.pid > 0)
		(void)!proc_id_wait(&c->shim, END_MS, NULL);
	iso_child_fini(c);
}

void
iso_child_fini(struct iso_child *c)
{
	fd_close(take_fd(c->gate_fd));
	fd_close(take_fd(c->status_fd));
	fd_close(take_fd(c->client_fd));
}
