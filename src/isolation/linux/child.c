/*
 * The processes A0, A, M and B of a start (child.h): from clone to the execution
 * of pot-shim.  Runs on memory shared with the caller: raw system calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/linux/become.h"
#include "isolation/linux/child.h"

int
child_failed(struct child_fail *f, enum iso_step step, long minus_errno, const char *what)
{
	f->step = step;
	f->what = what;
	f->sys = (int)-minus_errno;
	return -1;
}

/* Above everything that a child's own numbers can be. */
#define FD_HIGH 32

int
child_fds(const int *src, int n, int *extra)
{
	int high[CHILD_FDS], last = n;
	long r;

	for (int i = 0; i < n; i++) {
		r = src[i] < 0 ? -1 : raw(__NR_fcntl, src[i], F_DUPFD_CLOEXEC, FD_HIGH);
		if (src[i] >= 0 && r < 0)
			return (int)r;
		high[i] = (int)r;
	}
	if (extra != NULL) {
		r = raw(__NR_fcntl, *extra, F_DUPFD_CLOEXEC, FD_HIGH);
		if (r < 0)
			return (int)r;
		*extra = (int)r;
	}
	for (int i = 0; i < n; i++) {
		r = high[i] < 0 ? raw(__NR_close, i) : raw(__NR_dup3, high[i], i, 0);
		if (high[i] >= 0 && r < 0)
			return (int)r;
	}
	if (extra != NULL) {
		r = raw(__NR_dup3, *extra, last, O_CLOEXEC);
		if (r < 0)
			return (int)r;
		*extra = last++;
	}
	/* Not closed but closed by exec: the sync pipe's end is how the caller learns of it. */
	return (int)raw(__NR_close_range, last, ~0u, CLOSE_RANGE_CLOEXEC);
}

static int
child_exec(const struct spawn_ctx *ctx, const struct child_image *im, struct child_fail *f)
{
	int fds[CHILD_FDS + 1], n = im->nfds, exe = ctx->exe_fd;
	long r;

	for (int i = 0; i < n; i++)
		fds[i] = im->fds[i];
	r = child_fds(fds, n, &exe);
	if (r < 0)
		return child_failed(f, STEP_FDS, r, "");
	r = raw(__NR_execveat, exe, "", im->argv, im->envp, AT_EMPTY_PATH);
	return child_failed(f, STEP_SHIM_EXEC, r, ctx->spec->shim_path);
}

static int
child_loopback(struct child_fail *f)
{
	struct ifreq ifr;
	long s = raw(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = s;

	__builtin_memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_name[0] = 'l';
	ifr.ifr_name[1] = 'o';
	ifr.ifr_flags = IFF_UP;
	if (s >= 0) {
		r = raw(__NR_ioctl, s, SIOCSIFFLAGS, &ifr);
		raw(__NR_close, s);
	}
	return r < 0 ? child_failed(f, STEP_LOOPBACK, r, "lo") : 0;
}

int
child_ahead_run(void *arg)
{
	/* For the case that the caller was killed before this one asked to be told. */
	static const long patience[2] = { 1, 0 };
	struct child_ahead *a = arg;
	struct child_fail ignored;
	long r;

	if (!a->net)
		return 0;
	raw(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (__atomic_load_n(&a->go, __ATOMIC_ACQUIRE) == 0 &&
	    raw(__NR_futex, &a->go, FUTEX_WAIT, 0, patience) != -ETIMEDOUT)
		;
	r = raw(__NR_unshare, CLONE_NEWNET);
	if (r == 0 && child_loopback(&ignored) < 0)
		r = -ENETDOWN;
	if (r == 0)
		r = a->ns_fd =
		    (int)raw(__NR_openat, AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (r >= 0)
		r = raw(__NR_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	a->sock = (int)r;
	return 0;
}

long
child_enter(const struct cg_enter *cg)
{
	long r = 0;

	/* "tasks" takes a process without threads in microseconds, "cgroup.procs" takes milliseconds. */
	for (unsigned i = 0; i < cg->ntasks && r >= 0; i++)
		r = raw(__NR_write, cg->tasks[i], "0", 1);
	return r < 0 ? r : 0;
}

/* Into the groups before the cgroup namespace is made: its roots are then the pot's groups. */
static int
child_cgroup(const struct spawn_ctx *ctx, struct child_fail *f)
{
	long r;

	if (ctx->spec->walls.ids != 0)
		return 0; /* M has done both */
	r = child_enter(&ctx->cg);
	if (r < 0)
		return child_failed(f, STEP_CGROUP, r, ctx->spec->cgroup);
	r = raw(__NR_unshare, CLONE_NEWCGROUP);
	return r < 0 ? child_failed(f, STEP_CGROUPNS, r, "") : 0;
}

/* While the caller's user namespace is ours too: the network is its. */
static int
child_join_net(const struct spawn_ctx *ctx, struct child_fail *f)
{
	long r = ctx->spec->net_join == NULL ? 0 : raw(__NR_setns, *ctx->spec->net_join, CLONE_NEWNET);

	return r < 0 ? child_failed(f, STEP_NETNS, r, "") : 0;
}

static int
child_workdir(const char *dir, struct child_fail *f)
{
	int r = become_chdir(dir);

	/* What only the user may enter is tried again by the command itself. */
	if (r < 0 && r != -EACCES)
		return child_failed(f, STEP_WORKDIR, r, dir);
	raw(__NR_chdir, "/");
	return 0;
}

/* Root of the pot, with a keyring of its own, and no group of the caller's. */
static int
child_identity(const struct spawn_ctx *ctx, struct child_fail *f)
{
	long r = raw(__NR_setgroups, 0, 0);

	if (r == 0 && ctx->spec->walls.ids != 0) {
		r = raw(__NR_setresgid, 0, 0, 0);
		if (r == 0)
			r = raw(__NR_setresuid, 0, 0, 0);
	}
	if (r < 0)
		return child_failed(f, STEP_USER, r, "0");
	r = raw(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
	/* ENOSYS: a kernel without keys. */
	if (r < 0 && r != -ENOSYS)
		return child_failed(f, STEP_KEYRING, r, "");
	/* After the change of identity, which clears it. */
	r = raw(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return r < 0 ? child_failed(f, STEP_DEATHSIG, r, "") : 0;
}

/*
 * The last of the set-up, for everything that is ever executed in the pot.
 * Capabilities are pot-shim's: it needs some that the command may not have. So
 * is the command's own filter: what the default one allows is known, and
 * enough for pot-shim.
 */
static int
child_humble(const struct spawn_ctx *ctx, struct child_fail *f)
{
	const struct iso_walls *w = &ctx->spec->walls;
	long r = w->new_privs ? 0 : become_humble();

	if (r < 0)
		return child_failed(f, STEP_HUMBLE, r, "");
	if (w->seccomp_len > 0 && !w->seccomp_own)
		r = become_filtered(w->seccomp, w->seccomp_len);
	return r < 0 ? child_failed(f, STEP_FILTER, r, "") : 0;
}

static int
child_set_up(struct spawn_ctx *ctx, struct child_fail *f)
{
	const char *host = ctx->spec->hostname;
	unsigned long n = 0;
	long r;

	if (child_identity(ctx, f) < 0)
		return -1;
	if (ctx->spec->net_fd != NULL && (r = raw(__NR_setns, *ctx->spec->net_fd, CLONE_NEWNET)) < 0)
		return child_failed(f, STEP_NETNS, r, "");
	if (ctx->spec->walls.ids == 0 && child_join_net(ctx, f) < 0)
		return -1;
	raw(__NR_setsid);
	raw(__NR_umask, 0);
	if (child_cgroup(ctx, f) < 0 || child_root(ctx, f) < 0)
		return -1;
	while (host[n] != '\0')
		n++;
	r = raw(__NR_sethostname, host, n);
	if (r < 0)
		return child_failed(f, STEP_HOSTNAME, r, host);
	if (ctx->spec->own_net && ctx->spec->net_fd == NULL && child_loopback(f) < 0)
		return -1;
	raw(__NR_umask, 022);
	return ctx->spec->workdir != NULL ? child_workdir(ctx->spec->workdir, f) : 0;
}

/* Standard fds that nobody gave are the pot's own /dev/null, not the host's. */
static int
child_null(struct spawn_ctx *ctx, struct child_fail *f)
{
	long fd = raw(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return child_failed(f, STEP_FDS, fd, "/dev/null");
	for (int i = 0; i < 3; i++) {
		if (ctx->init.fds[i] < 0)
			ctx->init.fds[i] = (int)fd;
	}
	return 0;
}

/* PID 1 of the pot. */
static int
child_b(void *arg)
{
	struct spawn_ctx *ctx = arg;

	if (child_set_up(ctx, &ctx->fail_b) == 0 && child_null(ctx, &ctx->fail_b) == 0 &&
	    child_humble(ctx, &ctx->fail_b) == 0 && old_root_end(ctx, &ctx->fail_b) == 0)
		child_exec(ctx, &ctx->init, &ctx->fail_b);
	return 1;
}

static long
child_clone_b(struct spawn_ctx *ctx)
{
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_PARENT_SETTID | ctx->ns_flags,
		.exit_signal = SIGCHLD,
		.parent_tid = (uint64_t)(uintptr_t)&ctx->init_pid,
		.stack = (uint64_t)(uintptr_t)ctx->stack_b,
		.stack_size = CHILD_STACK,
	};

	if (ctx->cg.dir >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)ctx->cg.dir;
	}
	return raw_clone3(&a, child_b, ctx);
}

/*
 * Where the pot has a user namespace, its other namespaces must belong to that
 * one: they are made by a process that has entered it, and who has may come
 * back no more, so that is not A.
 */
static int
child_m(void *arg)
{
	struct spawn_ctx *ctx = arg;
	struct clone_args a = {
		/* The signal at B's end is M's: B is a child of A like M. */
		.flags = CLONE_VM | CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_NEWCGROUP | ctx->ns_flags,
		.parent_tid = (uint64_t)(uintptr_t)&ctx->init_pid,
		.stack = (uint64_t)(uintptr_t)ctx->stack_b,
		.stack_size = CHILD_STACK,
	};
	long r = child_enter(&ctx->cg);

	if (r < 0)
		return child_failed(&ctx->fail_a, STEP_CGROUP, r, ctx->spec->cgroup);
	if (child_join_net(ctx, &ctx->fail_a) < 0)
		return -1;
	r = raw(__NR_setns, ctx->spec->walls.userns_fd, CLONE_NEWUSER);
	if (r < 0)
		return child_failed(&ctx->fail_a, STEP_USERNS, r, "");
	r = raw_clone3(&a, child_b, ctx);
	return r < 0 ? child_failed(&ctx->fail_a, STEP_CLONE_INIT, r, "") : 0;
}

/* B by way of M: B's pid, or -1 with the failure told. */
static long
child_clone_mapped(struct spawn_ctx *ctx)
{
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.stack = (uint64_t)(uintptr_t)ctx->stack_m,
		.stack_size = CHILD_STACK,
	};
	long pid;

	if (ctx->cg.dir >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)ctx->cg.dir;
	}
	pid = raw_clone3(&a, child_m, ctx);
	if (pid < 0)
		return child_failed(&ctx->fail_a, STEP_CLONE_INIT, pid, "");
	while (raw(__NR_wait4, pid, 0, 0, 0) == -EINTR)
		;
	return ctx->fail_a.sys != 0 ? -1 : ctx->init_pid;
}

static long
child_clone_plain(struct spawn_ctx *ctx)
{
	long r = child_clone_b(ctx);

	return r < 0 ? child_failed(&ctx->fail_a, STEP_CLONE_INIT, r, "") : r;
}

static unsigned
child_number(char *out, unsigned v)
{
	char tmp[12];
	unsigned n = 0, i;

	do
		tmp[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	for (i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	out[n] = '\0';
	return n;
}

/* Held by the shim, so that the end of PID 1 is told before its mounts are taken down. */
static long
child_open_mntns(unsigned pid)
{
	char path[40] = "/proc/";
	unsigned n = 6 + child_number(path + 6, pid);

	__builtin_memcpy(path + n, "/ns/mnt", 8);
	return raw(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

/* The shim. */
static int
child_a(void *arg)
{
	struct spawn_ctx *ctx = arg;
	static const unsigned long dfl[4] = { 0, 0, 0, 0 };
	long r;

	raw(__NR_setsid);
	/* The caller may ignore signals; the mask stays full until the shim is ready for them. */
	for (int sig = 1; sig <= 64; sig++)
		raw(__NR_rt_sigaction, sig, dfl, 0, 8);
	r = ctx->spec->walls.ids != 0 ? child_clone_mapped(ctx) : child_clone_plain(ctx);
	if (r < 0)
		return 1;
	child_number(ctx->pid_arg, (unsigned)r);
	r = child_open_mntns((unsigned)r);
	if (r < 0) {
		child_failed(&ctx->fail_a, STEP_MNTNS, r, "");
		return 1;
	}
	ctx->shim.fds[SHIM_FD_MNTNS] = (int)r;
	raw(__NR_chdir, "/");
	child_exec(ctx, &ctx->shim, &ctx->fail_a);
	return 1;
}

int
child_a0(void *arg)
{
	struct spawn_ctx *ctx = arg;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_PARENT_SETTID,
		.exit_signal = SIGCHLD,
		.parent_tid = (uint64_t)(uintptr_t)&ctx->shim_pid,
		.stack = (uint64_t)(uintptr_t)ctx->stack_a,
		.stack_size = CHILD_STACK,
	};
	long r = raw_clone3(&a, child_a, ctx);

	if (r < 0)
		child_failed(&ctx->fail_a, STEP_CLONE_SHIM, r, "");
	/* Beside what these two do. */
	else if (ctx->spec->sync_state)
		ctx->state_sync = (int)raw(__NR_fdatasync, ctx->spec->state_fd);
	return 0;
}
