/*
 * Executing a command in a running pot, the caller's side: the terminal, the
 * group, and what became of it.  The caller goes on when the final process
 * (join.c) has executed the command or failed, and reads from shared memory
 * which.  Until it executes, the joiner cannot be traced from the pot (not
 * dumpable) and shows it no fd of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/magic.h>

#include "base/inroot.h"
#include "isolation/linux/cgroup.h"
#include "isolation/linux/child.h"

/* The master of a new pty of the pot's own devpts, whatever the pot has made of its /dev. */
static int
pty_master(const struct iso_ref *ref, struct err *e)
{
	AUTO(fd) int root = iso_root(ref, e), node = -1;
	struct statfs fs;
	struct stat st;
	char path[40];
	int fd;

	if (root < 0)
		return root;
	node = inroot_open(root, "/dev/pts/ptmx", O_PATH, 0, e);
	if (node < 0)
		return err_wrap(e, "cannot make a terminal in the pot");
	/* Checked before it is opened: opening a device can do things by itself. */
	if (fstatfs(node, &fs) != 0 || fs.f_type != DEVPTS_SUPER_MAGIC || fstat(node, &st) != 0 ||
	    !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_set(
		    e, E_STATE, "cannot make a terminal: /dev/pts/ptmx of the pot is not a devpts");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot make a terminal in the pot");
}

static int
pty_open(const struct iso_ref *ref, const struct iso_exec_spec *s, uint32_t first, int *slave, struct err *e)
{
	AUTO(fd) int master = pty_master(ref, e), peer = -1;
	struct winsize ws = { .ws_row = s->rows, .ws_col = s->cols };
	int unlock = 0;

	if (master < 0)
		return master;
	if (ioctl(master, TIOCSPTLCK, &unlock) != 0 ||
	    (peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
		return err_sys(e, "cannot open the terminal made in the pot");
	if (s->rows != 0 && s->cols != 0 && ioctl(master, TIOCSWINSZ, &ws) != 0)
		return err_sys(e, "cannot set the size of the terminal");
	/* The group stays that of devpts. */
	if (fchown(peer, first + s->user.uid, (gid_t)-1) != 0)
		return err_sys(e, "cannot give the terminal to user %u", (unsigned)s->user.uid);
	*slave = take_fd(peer);
	return take_fd(master);
}

/* PID 1 died while we joined: the pid namespace takes no more processes, or killed ours. */
static bool
is_dying(const struct exec_ctx *x, const struct proc_id *init)
{
	return x->fail.sys == ESRCH || (x->fail.sys == ENOMEM && x->fail.step == STEP_CLONE_INIT) ||
	    (x->fail.sys != 0 && x->fail.step != SHIM_STEP_EXEC && !proc_id_alive(init)) ||
	    (x->fail.sys == ENODEV && x->fail.step == STEP_CLONE_INIT);
}

static int
exec_result(struct exec_ctx *x, const struct proc_id *init, struct err *e)
{
	if (x->fail.sys == 0 && x->pid > 0)
		return 0;
	/* What failed in the final process has to be reaped; it has ended or is about to. */
	if (x->pid > 0)
		while (waitpid(x->pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (x->fail.sys == 0 || is_dying(x, init))
		return err_set(e, E_STATE, "the pot has ended");
	return child_error(e, x->fail.sys, x->fail.step, x->fail.what);
}

static int
exec_go(struct exec_ctx *x, const struct proc_id *init, struct err *e)
{
	/* A property of the memory, hence ours too for this moment; a change of identity clears it. */
	int dumpable = prctl(PR_GET_DUMPABLE), r;
	char *stacks = child_stack_new(2);

	if (stacks == NULL)
		return err_nomem(e);
	x->stack_final = stacks + CHILD_STACK;
	prctl(PR_SET_DUMPABLE, 0);
	r = child_run(child_exec_middle, x, stacks, x->cg.dir, SIGCHLD);
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
	child_stack_free(stacks, 2);
	return r < 0 ? child_error(e, -r, STEP_CLONE_INIT, "") : exec_result(x, init, e);
}

static int
no_such_id(uid_t uid, uint32_t ids, struct err *e)
{
	return err_set(e, E_INVAL, "user %u: the pot has only ids below %u", (unsigned)uid, (unsigned)ids);
}

/* A pipe without a name becomes the user's, who may then open /dev/stdout and the like. */
static void
give_pipe(int fd, uid_t owner)
{
	struct statfs fs;

	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC)
		(void)!fchown(fd, owner, (gid_t)-1);
}

int
iso_exec(const struct iso_ref *ref, const struct iso_exec_spec *s, pid_t *pid, int *pty, struct err *e)
{
	AUTO(fd) int pidfd = child_pidfd(&ref->init, e), master = -1, slave = -1;
	AUTO_FINI(cg_enter) struct cg_enter cg = CG_ENTER_INIT;
	struct wall_facts walls;
	struct exec_ctx x = { .spec = s, .walls = &walls, .pidfd = pidfd };
	int r;

	*pid = 0;
	if (pty != NULL)
		*pty = -1;
	if (pidfd < 0)
		return pidfd;
	if (s->argv == NULL || s->argv[0] == NULL)
		return err_set(e, E_INVAL, "no command to execute");
	r = walls_facts(&ref->init, &walls, e);
	if (r < 0)
		return r;
	if (walls.userns && s->user.uid >= walls.ids)
		return no_such_id(s->user.uid, walls.ids, e);
	r = rlimits_get(&x.limits, s->rlimits, s->nrlimits, e);
	if (r < 0)
		return r;
	r = cg_enter(ref->cgroup, &cg, e);
	if (r == -E_NOENT)
		return err_set(e, E_STATE, "the pot has ended");
	x.cg = cg;
	if (r == 0 && s->tty)
		r = master = pty_open(ref, s, walls.first, &slave, e);
	if (r < 0)
		return r;
	for (int i = 0; i < 3; i++) {
		x.fds[i] = s->tty ? slave : s->fds[i];
		if (!s->tty)
			give_pipe(s->fds[i], walls.first + s->user.uid);
	}
	r = exec_go(&x, &ref->init, e);
	if (r < 0)
		return r;
	*pid = x.pid;
	walls_oom(x.pid);
	if (s->tty && pty != NULL)
		*pty = take_fd(master);
	return 0;
}
