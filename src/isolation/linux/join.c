/*
 * The processes that join a running pot: an intermediate one enters the pot's
 * namespaces and makes the final one inside, as the caller's own child; a
 * third kind only mounts.  On memory shared with the caller (child.h).
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <linux/close_range.h>

#include "base/linux/become.h"
#include "isolation/linux/child.h"

#define EXEC_NS (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)

static int
final_fds(struct exec_ctx *x)
{
	int r = child_fds(x->fds, 3, NULL);

	/* Before the working directory is entered: no fd of the host may be reached by a path. */
	if (r == 0)
		r = (int)raw(__NR_close_range, 3, ~0u, 0);
	if (r < 0)
		return child_failed(&x->fail, STEP_FDS, r, "");
	raw(__NR_setsid);
	if (x->spec->tty) {
		long t = raw(__NR_ioctl, 0, TIOCSCTTY, 0);

		if (t < 0)
			return child_failed(&x->fail, STEP_TTY, t, "");
	}
	return 0;
}

static int
final_identity(struct exec_ctx *x)
{
	const struct iso_exec_spec *s = x->spec;
	const char *dir = s->workdir != NULL ? s->workdir : "/";
	int d = become_chdir(dir), r;

	if (d < 0 && d != -EACCES)
		return child_failed(&x->fail, STEP_WORKDIR, d, dir);
	r = become_user(s->user.uid, s->user.gid, s->user.groups, s->user.ngroups);
	if (r < 0)
		return child_failed(&x->fail, STEP_USER, r, "");
	if (d < 0 && (d = become_chdir(dir)) < 0)
		return child_failed(&x->fail, STEP_WORKDIR, d, dir);
	return 0;
}

/* Becomes the command. */
static int
exec_final(void *arg)
{
	struct exec_ctx *x = arg;
	/* Late: with it set, the kernel would refuse CLONE_INTO_CGROUP where groups are delegated. */
	long r = raw(__NR_setns, x->pidfd, CLONE_NEWCGROUP);

	if (r < 0) {
		child_failed(&x->fail, STEP_JOIN, r, "");
		return 127;
	}
	raw(__NR_umask, 022);
	if (final_fds(x) < 0 || final_identity(x) < 0)
		return 127;
	become_signals();
	r = become_exec(x->spec->argv, x->spec->envp);
	x->fail.step = SHIM_STEP_EXEC;
	x->fail.what = x->spec->argv[0];
	x->fail.sys = (int)-r;
	return 127;
}

/* Enters the namespaces and makes the final process. */
int
child_exec_middle(void *arg)
{
	struct exec_ctx *x = arg;
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PARENT_SETTID,
		.parent_tid = (uint64_t)(uintptr_t)&x->pid,
		.stack = (uint64_t)(uintptr_t)x->stack_final,
		.stack_size = CHILD_STACK,
	};
	static const unsigned long dfl[4] = { 0, 0, 0, 0 };
	long r;

	/* The caller's handlers must not run in a process that shares its memory. */
	for (int sig = 1; sig <= 64; sig++)
		raw(__NR_rt_sigaction, sig, dfl, 0, 8);
	r = child_enter(&x->cg);
	if (r < 0)
		return child_failed(&x->fail, STEP_CGROUP, r, "");
	r = raw(__NR_setns, x->pidfd, EXEC_NS);
	if (r < 0)
		return child_failed(&x->fail, STEP_JOIN, r, "");
	if (x->cg.dir >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = (uint64_t)x->cg.dir;
	}
	r = raw_clone3(&a, exec_final, x);
	return r < 0 ? child_failed(&x->fail, STEP_CLONE_INIT, r, "") : 0;
}

int
child_join_mount(void *arg)
{
	struct join_mount *j = arg;
	long r = raw(__NR_setns, j->pidfd, CLONE_NEWNS);

	if (r < 0)
		return child_failed(&j->fail, STEP_JOIN, r, "");
	raw(__NR_umask, 022);
	if (j->mount != NULL)
		return child_mount_at(j->mount->fd, j->mount->target, j->mount->dir, &j->fail);
	return child_unmount_at(j->target, &j->fail);
}
