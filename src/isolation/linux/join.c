/*
 * The processes that join a running pot: an intermediate one enters the pot's
 * namespaces and makes the final one inside, as the caller's own child; a
 * third kind only mounts.  On memory shared with the caller (child.h).
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>

#include "base/linux/become.h"
#include "isolation/linux/child.h"

#define EXEC_NS (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP)

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
final_filter(struct exec_ctx *x)
{
	const struct iso_exec_spec *s = x->spec;
	int r = s->seccomp_len > 0 ? become_filtered(s->seccomp, s->seccomp_len) : 0;

	return r < 0 ? child_failed(&x->fail, STEP_FILTER, r, "") : 0;
}

/* As the pot's own command: the same bound, root what that leaves it, others nothing. */
static int
final_rights(struct exec_ctx *x)
{
	const struct iso_exec_spec *s = x->spec;
	const struct wall_facts *w = x->walls;
	int r = become_bound(w->caps);

	if (r == 0 && w->humble)
		r = become_humble();
	if (r < 0)
		return child_failed(&x->fail, STEP_CAPS, r, "");
	/* Without no_new_privs it needs a capability that is about to go. */
	if (!w->humble && final_filter(x) < 0)
		return -1;
	r = become_user(s->user.uid, s->user.gid, s->user.groups, s->user.ngroups);
	if (r < 0)
		return child_failed(&x->fail, STEP_USER, r, "");
	r = become_caps(s->user.uid == 0 ? w->caps : 0);
	return r < 0 ? child_failed(&x->fail, STEP_CAPS, r, "") : 0;
}

static int
final_identity(struct exec_ctx *x)
{
	const char *dir = x->spec->workdir != NULL ? x->spec->workdir : "/";
	int d = become_chdir(dir);

	if (d < 0 && d != -EACCES)
		return child_failed(&x->fail, STEP_WORKDIR, d, dir);
	if (final_rights(x) < 0)
		return -1;
	if (d < 0 && (d = become_chdir(dir)) < 0)
		return child_failed(&x->fail, STEP_WORKDIR, d, dir);
	return x->walls->humble ? final_filter(x) : 0;
}

/* Becomes the command. */
static int
exec_final(void *arg)
{
	struct exec_ctx *x = arg;
	long r = raw(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);

	if (r < 0 && r != -ENOSYS) {
		child_failed(&x->fail, STEP_KEYRING, r, "");
		return 127;
	}
	raw(__NR_umask, 022);
	become_signals();
	if (final_fds(x) < 0 || final_identity(x) < 0)
		return 127;
	r = become_exec(x->spec->argv, x->spec->envp);
	x->fail.step = SHIM_STEP_EXEC;
	x->fail.what = x->spec->argv[0];
	x->fail.sys = (int)-r;
	return 127;
}

/* While this process has the host's rights; the final one inherits them. */
static long
middle_limits(const struct rlimits *l)
{
	for (unsigned i = 0; i < RLIMITS_COUNT; i++) {
		long r = raw(__NR_prlimit64, 0, l->v[i].resource, l->v[i].value, 0);

		if (r < 0 && l->v[i].asked)
			return r;
		if (r < 0)
			raw(__NR_prlimit64, 0, l->v[i].resource, l->v[i].lower, 0);
	}
	return 0;
}

/* One by one. The user namespace is the last: up to there we have the host's rights in all of them. */
static long
join_each(int dir, unsigned long kinds)
{
	static const struct {
		unsigned long kind;
		const char *file;
	} spaces[] = {
		{ CLONE_NEWCGROUP, "ns/cgroup" },
		{ CLONE_NEWIPC, "ns/ipc" },
		{ CLONE_NEWUTS, "ns/uts" },
		{ CLONE_NEWNET, "ns/net" },
		{ CLONE_NEWPID, "ns/pid" },
		{ CLONE_NEWNS, "ns/mnt" },
		{ CLONE_NEWUSER, "ns/user" },
	};
	long r = 0;

	for (unsigned i = 0; i < ARRAY_LEN(spaces) && r >= 0; i++) {
		long fd;

		if ((kinds & spaces[i].kind) == 0)
			continue;
		r = fd = raw(__NR_openat, dir, spaces[i].file, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			r = raw(__NR_setns, fd, spaces[i].kind);
			raw(__NR_close, fd);
		}
	}
	/* The directory outlives the process, but is empty then. */
	return r == -ENOENT ? -ESRCH : r;
}

long
child_join(int pidfd, unsigned long kinds)
{
	long r = raw(__NR_setns, pidfd, kinds);

	return r == -EINVAL ? join_each(pidfd, kinds) : r;
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
	r = middle_limits(&x->limits);
	if (r < 0)
		return child_failed(&x->fail, STEP_RLIMIT, r, "");
	/* This process was made in the v2 group: from inside of the pot nobody may enter it. */
	r = child_join(x->pidfd, EXEC_NS | (x->walls->userns ? CLONE_NEWUSER : 0));
	if (r < 0)
		return child_failed(&x->fail, STEP_JOIN, r, "");
	r = raw_clone3(&a, exec_final, x);
	return r < 0 ? child_failed(&x->fail, STEP_CLONE_INIT, r, "") : 0;
}

int
child_join_mount(void *arg)
{
	struct join_mount *j = arg;
	long r = child_join(j->pidfd, CLONE_NEWNS | (j->userns ? CLONE_NEWUSER : 0));

	if (r < 0)
		return child_failed(&j->fail, STEP_JOIN, r, "");
	/* What is made for a mount point belongs to the pot's root. */
	if (j->userns) {
		r = raw(__NR_setresgid, 0, 0, 0);
		if (r == 0)
			r = raw(__NR_setresuid, 0, 0, 0);
		if (r < 0)
			return child_failed(&j->fail, STEP_USER, r, "0");
	}
	raw(__NR_umask, 022);
	if (j->mount != NULL)
		return child_mount_user(j->mount, &j->fail);
	return child_unmount_at(j->target, &j->fail);
}
