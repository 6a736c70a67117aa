/*
 * Starting a pot: iso_spawn prepares everything that the two new processes
 * need (child.h) and waits until both have become pot-shim; iso_release lets
 * PID 1 execute the command.  What is opened here is closed here, but for the
 * three fds of struct iso_child.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/mount.h>

#include "base/proc.h"
#include "isolation/linux/child.h"
#include "isolation/linux/cgroup.h"
#include "isolation/linux/rlimits.h"

#define END_MS 10000        /* an aborted pot that takes longer is stuck in the kernel */
#define LOG_MIN (16 * 1024) /* two records of the longest kind */
#define ARGS_MAX (4u << 20)
#define STACKS 5

/* Both ends of what connects the three processes; shim or init gets one, the caller the other. */
struct pipes {
	int gate[2], status[2], result[2], sync[2];
	int out[2], err[2], filter[2], client[2];
};
#define PIPES_INIT                                                                                  \
	{                                                                                           \
		{ -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, \
		{                                                                                   \
			-1, -1                                                                      \
		}                                                                                   \
	}

static void
pipes_fini(struct pipes *p)
{
	int *fds = &p->gate[0];

	for (size_t i = 0; i < sizeof(*p) / sizeof(int); i++)
		fd_close(fds[i]);
}

/* What a start is put together from. */
struct parts {
	struct pipes pipes;
	struct strv shim, init; /* arguments */
	int devnull, exe;
	struct cg_enter cg;
	struct walls walls;
};

static void
parts_fini(struct parts *s)
{
	pipes_fini(&s->pipes);
	strv_fini(&s->shim);
	strv_fini(&s->init);
	fd_close(s->devnull);
	fd_close(s->exe);
	cg_enter_fini(&s->cg);
	walls_fini(&s->walls);
}
DEFINE_AUTO_FINI(parts, struct parts)

/*
 * Closes what the two processes have of their own now: while the caller has to wait for them, for it
 * takes as long as some of their work.
 */
static void
parts_hand_over(struct parts *s)
{
	struct pipes *p = &s->pipes;
	int *const theirs[] = { &p->gate[0], &p->status[1], &p->result[0], &p->result[1], &p->sync[1],
		&p->out[0], &p->out[1], &p->err[0], &p->err[1], &p->filter[0], &p->client[1], &s->devnull,
		&s->exe };

	for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
		fd_close(take_fd(*theirs[i]));
	cg_enter_fini(&s->cg);
	walls_fini(&s->walls);
}

static int
pipe_new(int p[2], bool nonblocking_reader, struct err *e)
{
	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	if (nonblocking_reader && fcntl(p[0], F_SETFL, O_NONBLOCK) != 0)
		return err_sys(e, "cannot set up a pipe");
	return 0;
}

/* A pipe that becomes stdout: also the pot's user may open /dev/stdout. */
static int
pipe_out(int p[2], const struct iso_user *u, uint32_t first, struct err *e)
{
	int r = pipe_new(p, true, e);

	if (r == 0 && fchown(p[1], first + u->uid, first + u->gid) != 0)
		return err_sys(e, "cannot give the output pipe to user %u", (unsigned)u->uid);
	return r;
}

static int
pipes_open(struct pipes *p, const struct iso_spec *s, struct err *e)
{
	uint32_t first = s->walls.ids != 0 ? s->walls.id_first : 0;
	int r = pipe_new(p->gate, false, e);

	if (r == 0)
		r = pipe_new(p->status, false, e);
	if (r == 0)
		r = pipe_new(p->result, true, e);
	if (r == 0)
		r = pipe_new(p->sync, false, e);
	if (r == 0 && s->io != ISO_IO_FDS)
		r = pipe_out(p->out, &s->user, first, e);
	if (r == 0 && s->io == ISO_IO_ATTACH) {
		r = pipe_out(p->err, &s->user, first, e);
		if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->client) != 0)
			r = err_sys(e, "cannot make the socket for the attached client");
	}
	return r;
}

/* The program through a mount of its own that cannot be written: not by /proc/1/exe either. */
static int
exe_open(const char *path, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	AUTO(fd) int fd = -1;

	fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open the shim \"%s\"", path);
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
		return err_sys(e, "cannot make a read-only mount of \"%s\"", path);
	return take_fd(fd);
}

/* The command's own filter waits in a pipe, which holds it whole (64 KiB). */
static int
filter_put(struct pipes *p, const struct iso_walls *w, struct err *e)
{
	int r;

	if (w->seccomp_len == 0 || !w->seccomp_own)
		return 0;
	if (w->seccomp_len > INIT_FILTER_MAX)
		return err_set(e, E_LIMIT, "the system call filter is too long");
	r = pipe_new(p->filter, false, e);
	if (r == 0 && write(p->filter[1], w->seccomp, w->seccomp_len) != (ssize_t)w->seccomp_len)
		r = err_sys(e, "cannot hand over the system call filter");
	fd_close(take_fd(p->filter[1]));
	return r;
}

/* Device nodes in a root are only names, whoever made them. */
static int
root_prepare(const struct iso_spec *s, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV };

	if (s->walls.ids != 0 && (s->user.uid >= s->walls.ids || s->user.gid >= s->walls.ids))
		return err_set(e, E_INVAL, "user %u:%u: the pot has only ids below %u", (unsigned)s->user.uid,
		    (unsigned)s->user.gid, (unsigned)s->walls.ids);
	if (syscall(SYS_mount_setattr, s->root_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
		return err_sys(e, "cannot set the attributes of the root's mount");
	return 0;
}

static void
argv_extend(struct strv *v, char *const *more)
{
	strv_add(v, "--");
	for (; *more != NULL; more++)
		strv_add(v, *more);
}

static int
shim_args(struct strv *v, const struct iso_spec *s, struct err *e)
{
	strv_fmt(v, "pot-shim %s", s->name);
	strv_add(v, "run");
	strv_add(v, "4294967295"); /* room for the pid, which A fills in */
	strv_fmt(v, "%llu", (unsigned long long)s->run_id);
	strv_fmt(v, "%llu", (unsigned long long)(s->log_max < LOG_MIN ? LOG_MIN : s->log_max));
	strv_fmt(v, "%u", s->tied ? 0 : s->log_files < 1 ? 1 : s->log_files);
	argv_extend(v, s->cleanup_argv);
	return strv_check(v, "arguments of the shim", e);
}

static int
init_args(struct strv *v, const struct iso_spec *s, struct err *e)
{
	AUTO_FINI(buf) struct buf groups = BUF_INIT(16384);

	for (size_t i = 0; i < s->user.ngroups; i++)
		buf_fmt(&groups, "%s%u", i == 0 ? "" : ",", (unsigned)s->user.groups[i]);
	if (buf_check(&groups, "supplementary groups", e) < 0)
		return -E_LIMIT;
	strv_fmt(v, "pot-init %s", s->name);
	strv_add(v, "init");
	strv_fmt(v, "-%s%s%s", s->persistent ? "p" : "", s->direct_init ? "d" : "",
	    s->walls.seccomp_len > 0 && s->walls.seccomp_own ? "f" : "");
	strv_fmt(v, "%u", (unsigned)s->user.uid);
	strv_fmt(v, "%u", (unsigned)s->user.gid);
	strv_add(v, s->user.ngroups > 0 ? buf_cstr(&groups) : "-");
	strv_add(v, s->workdir != NULL ? s->workdir : "/");
	strv_fmt(v, "%llu", (unsigned long long)s->walls.caps);
	argv_extend(v, s->argv);
	return strv_check(v, "command line", e);
}

static void
fill_fds(struct spawn_ctx *c, const struct pipes *p, int devnull)
{
	const struct iso_spec *s = c->spec;
	int *sh = c->shim.fds, *in = c->init.fds;

	for (int i = 0; i < CHILD_FDS; i++)
		sh[i] = in[i] = -1;
	sh[0] = sh[1] = sh[2] = devnull;
	sh[SHIM_FD_STATE] = s->state_fd;
	sh[SHIM_FD_LOGDIR] = s->io == ISO_IO_FDS ? -1 : s->log_dirfd;
	sh[SHIM_FD_OUT] = p->out[0];
	sh[SHIM_FD_ERR] = p->err[0];
	sh[SHIM_FD_CLIENT] = p->client[1];
	sh[SHIM_FD_RESULT] = p->result[0];
	c->shim.nfds = SHIM_FD_RESULT + 1;

	in[0] = s->io == ISO_IO_FDS ? s->fds[0] : -1;
	in[1] = s->io == ISO_IO_FDS ? s->fds[1] : p->out[1];
	in[2] = s->io == ISO_IO_FDS ? s->fds[2] : s->io == ISO_IO_LOG ? p->out[1] : p->err[1];
	in[INIT_FD_GATE] = p->gate[0];
	in[INIT_FD_STATUS] = p->status[1];
	in[INIT_FD_RESULT] = p->result[1];
	in[INIT_FD_FILTER] = p->filter[0];
	c->init.nfds = INIT_FD_FILTER + 1;
}

/* Waits until A and B have executed or ended, and A0 has ended. */
static void
sync_wait(struct pipes *p)
{
	char byte;

	while (read(p->sync[0], &byte, 1) < 0 && errno == EINTR)
		;
}

/* PID 1 holds the only read end of the gate: while that is open, its pid is its own. */
static bool
gate_alive(int gate)
{
	struct pollfd p = { gate, 0, 0 };

	return poll(&p, 1, 0) == 0;
}

static int
spawn_result(struct spawn_ctx *c, struct pipes *p, struct iso_child *out, struct err *e)
{
	const struct child_fail *f = c->fail_b.sys != 0 ? &c->fail_b : &c->fail_a;

	if (f->sys != 0)
		return child_error(e, f->sys, f->step, f->what);
	if (c->state_sync < 0)
		return child_error(e, -c->state_sync, STEP_STATE_SYNC, "");
	if (proc_id_get(c->shim_pid, &out->shim, NULL) < 0 ||
	    proc_id_get(c->init_pid, &out->init, NULL) < 0 || !gate_alive(p->gate[1]) ||
	    !proc_id_alive(&out->shim))
		return err_set(e, E_STATE, "the pot \"%s\" was killed during its start", c->spec->name);
	return 0;
}

/* After a failure: whatever was made ends by itself once the gate is gone; wait for that. */
static void
spawn_undo(struct spawn_ctx *c, struct pipes *p)
{
	int pids[2] = { c->init_pid, c->shim_pid };

	fd_close(take_fd(p->gate[0]));
	fd_close(take_fd(p->gate[1]));
	for (int i = 0; i < 2; i++) {
		struct proc_id id;

		if (pids[i] > 0 && proc_id_get(pids[i], &id, NULL) == 0)
			(void)!proc_id_wait(&id, END_MS, NULL);
	}
}

static int
spawn_go(struct spawn_ctx *c, struct parts *parts, struct iso_child *out, struct err *e)
{
	struct pipes *p = &parts->pipes;
	/* Until they have executed, the new processes share this one's memory: nobody may trace them. */
	int dumpable = prctl(PR_GET_DUMPABLE), r, net = 0;

	prctl(PR_SET_DUMPABLE, 0);
	r = child_begin(child_a0, c, c->stack_a0);
	parts_hand_over(parts);
	if (r >= 0 && c->spec->net_up != NULL)
		net = c->spec->net_up(c->spec->net_arg, e);
	if (r >= 0)
		sync_wait(p);
	child_end(r);
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
	if (r < 0)
		return child_error(e, -r, STEP_CLONE_SHIM, "");
	r = net < 0 ? net : spawn_result(c, p, out, e);
	if (r < 0) {
		spawn_undo(c, p);
		return r;
	}
	walls_oom(c->init_pid);
	out->gate_fd = take_fd(p->gate[1]);
	out->status_fd = take_fd(p->status[0]);
	out->client_fd = take_fd(p->client[0]);
	return 0;
}

static int
spawn_with_stacks(struct spawn_ctx *c, struct parts *p, struct iso_child *out, struct err *e)
{
	char *stacks = child_stack_new(STACKS);
	int r;

	if (stacks == NULL)
		return err_nomem(e);
	c->stack_a0 = stacks;
	c->stack_a = stacks + CHILD_STACK;
	c->stack_b = stacks + 2 * (size_t)CHILD_STACK;
	c->stack_m = stacks + 3 * (size_t)CHILD_STACK;
	c->stack_u = stacks + 4 * (size_t)CHILD_STACK;
	r = spawn_go(c, p, out, e);
	/* The kernel has all processors forget the mapping: not while the command waits. */
	if (r == 0)
		out->kept = stacks;
	else
		child_stack_free(stacks, STACKS);
	return r;
}

/* Pipes with or without a name become the command's user's, who may then open /dev/stdout and the like. */
static void
give_fds(const struct iso_spec *spec)
{
	for (int i = 0; spec->io == ISO_IO_FDS && i < 3; i++) {
		struct stat st;

		if (spec->fds[i] >= 0 && fstat(spec->fds[i], &st) == 0 && S_ISFIFO(st.st_mode))
			(void)!fchown(spec->fds[i], spec->walls.id_first + spec->user.uid, (gid_t)-1);
	}
}

int
iso_spawn(const struct iso_spec *spec, struct iso_child *out, struct err *e)
{
	static char *const shim_env[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LANG=C.UTF-8", NULL
	};
	AUTO_FINI(parts)
	struct parts p = { .pipes = PIPES_INIT,
		.shim = STRV_INIT(ARGS_MAX),
		.init = STRV_INIT(ARGS_MAX),
		.devnull = -1,
		.exe = -1,
		.cg = CG_ENTER_INIT,
		.walls = WALLS_INIT };
	struct spawn_ctx c = { .spec = spec };
	struct walls walls;
	struct rlimits limits;
	int r;

	*out = (struct iso_child)ISO_CHILD_INIT;
	if (spec->argv == NULL || spec->argv[0] == NULL)
		return err_set(e, E_INVAL, "pot \"%s\" has no command to start", spec->name);
	p.devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p.devnull < 0)
		return err_sys(e, "cannot open \"/dev/null\"");
	if ((r = rlimits_get(&limits, spec->rlimits, spec->nrlimits, e)) < 0 ||
	    (r = p.exe = exe_open(spec->shim_path, e)) < 0 || (r = pipes_open(&p.pipes, spec, e)) < 0 ||
	    (r = shim_args(&p.shim, spec, e)) < 0 || (r = init_args(&p.init, spec, e)) < 0 ||
	    (r = cg_enter(spec->cgroup, &p.cg, e)) < 0 || (r = filter_put(&p.pipes, &spec->walls, e)) < 0 ||
	    (r = root_prepare(spec, e)) < 0 || (r = walls_make(&p.walls, spec, e)) < 0)
		return r;
	give_fds(spec);
	/* The numbers, which stay the children's. */
	walls = p.walls;
	c.walls = &walls;
	c.exe_fd = p.exe;
	c.cg = p.cg;
	c.ns_flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
	if (spec->own_net && spec->net_fd == NULL)
		c.ns_flags |= CLONE_NEWNET;
	c.shim.argv = strv_argv(&p.shim);
	c.shim.envp = shim_env;
	c.init.argv = strv_argv(&p.init);
	c.init.envp = spec->envp;
	c.pid_arg = p.shim.v[2];
	fill_fds(&c, &p.pipes, p.devnull);
	r = spawn_with_stacks(&c, &p, out, e);
	/* From outside, where the right to raise them is; PID 1 waits at its gate. */
	if (r == 0 && (r = rlimits_set(out->init.pid, &limits, e)) < 0)
		iso_abort(out);
	return r;
}

/* Writes the byte; a PID 1 that died meanwhile must not send SIGPIPE to the program above us. */
static void
gate_open(int fd)
{
	static const struct timespec at_once = { 0, 0 };
	sigset_t pipe_set, old;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	if (write(fd, "", 1) < 0 && errno == EPIPE && !sigismember(&old, SIGPIPE))
		sigtimedwait(&pipe_set, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* One report; 1, or 0 at the end of file. */
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

int
iso_release(struct iso_child *c, struct err *e)
{
	struct shim_failure f;
	int r, got;

	gate_open(c->gate_fd);
	fd_close(take_fd(c->gate_fd));
	got = status_read(c->status_fd, &f);
	if (got && f.sys == 0 && f.step == SHIM_STEP_DIRECT) {
		/* The command is PID 1 now, unless a second report says why not. */
		if (!status_read(c->status_fd, &f))
			f.sys = 0;
	}
	fd_close(take_fd(c->status_fd));
	if (got && f.sys == 0)
		return 0;
	if (got)
		r = child_error(e, f.sys, f.step, f.what);
	else
		r = err_set(e, E_STATE, "the pot was killed before its command was executed");
	/* Its mounts are gone when it is. */
	(void)!proc_id_wait(&c->init, END_MS, NULL);
	(void)!proc_id_wait(&c->shim, END_MS, NULL);
	return r;
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
	child_stack_free(c->kept, STACKS);
	c->kept = NULL;
}
