/*
 * PID 1 of a pot: waits at the gate, starts the command, reaps what is
 * orphaned, passes signals on, ends with the command.  Everything in the pot
 * dies with it, by the kernel.
 */
#include "shim/linux/linux.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <asm/ioctls.h>

#include "base/linux/become.h"

#define WNOHANG 1
#define GROUPS_MAX 1024

struct init {
	char *const *argv, *const *envp;
	bool persistent, direct, filtered;
	char *forget; /* the arguments, from the mode on */
	const char *uid, *gid, *groups, *workdir, *caps;
	int main; /* pid of the command; 0 when it has ended */
};

static void
init_tell(uint32_t kind, int status)
{
	struct init_result r = { kind, status };

	raw(__NR_write, INIT_FD_RESULT, &r, sizeof(r));
}

static void
init_report(int sys, uint32_t step, const char *what)
{
	struct shim_failure f;
	size_t n = text_len(what);

	memset(&f, 0, sizeof(f));
	f.sys = sys;
	f.step = step;
	memcpy(f.what, what, n < sizeof(f.what) ? n : sizeof(f.what) - 1);
	raw(__NR_write, INIT_FD_STATUS, &f, sizeof(f));
}

/* "1,2,3" into groups; how many, or -EINVAL. */
static int
parse_groups(const char *s, unsigned *groups)
{
	int n = 0;

	if (text_is(s, "-"))
		return 0;
	for (;; s++) {
		uint64_t v = 0;
		const char *from = s;

		for (; *s >= '0' && *s <= '9'; s++)
			v = v * 10 + (uint64_t)(*s - '0');
		if (s == from || s - from > 10 || v >= 0xffffffffu || n == GROUPS_MAX)
			return -EINVAL;
		groups[n++] = (unsigned)v;
		if (*s == '\0')
			return n;
		if (*s != ',')
			return -EINVAL;
	}
}

static int
init_identity(const struct init *in)
{
	unsigned groups[GROUPS_MAX];
	uint64_t uid, gid;
	int n;

	if (text_is(in->uid, "-"))
		return 0;
	n = parse_groups(in->groups, groups);
	if (n < 0 || !text_number(in->uid, &uid) || !text_number(in->gid, &gid))
		return -EINVAL;
	if (uid >= 0xffffffffu || gid >= 0xffffffffu)
		return -EINVAL;
	return become_user((unsigned)uid, (unsigned)gid, groups, (unsigned long)n);
}

/* Of root what the pot has, of another user none; what the bounding set lacks is gone already. */
static int
init_caps(const struct init *in)
{
	uint64_t caps;

	if (text_is(in->caps, "-"))
		return 0;
	if (!text_number(in->caps, &caps))
		return -EINVAL;
	return become_caps(text_is(in->uid, "0") ? caps : 0);
}

/* The command's own filter. */
static int
init_filter(void)
{
	char prog[INIT_FILTER_MAX];
	long n, len = 0;

	while ((n = raw(__NR_read, INIT_FD_FILTER, prog + len, sizeof(prog) - (size_t)len)) > 0)
		len += n;
	return n < 0 ? (int)n : become_filtered(prog, (unsigned long)len);
}

/*
 * Identity and capabilities. A filter without no_new_privs needs a capability
 * that the command may not have; then it must allow what follows here.
 */
static int
init_lower(const struct init *in, bool humble, uint32_t *step)
{
	int r = 0;

	if (in->filtered && !humble) {
		*step = SHIM_STEP_FILTER;
		r = init_filter();
	}
	if (r == 0) {
		*step = SHIM_STEP_USER;
		r = init_identity(in);
	}
	if (r == 0) {
		*step = SHIM_STEP_CAPS;
		r = init_caps(in);
	}
	return r;
}

/* Becomes the command; returns only by ending the process. */
static __attribute__((noinline)) _Noreturn void
init_become(const struct init *in)
{
	bool humble = raw(__NR_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	uint32_t step = SHIM_STEP_WORKDIR;
	const char *what = in->workdir;
	int r, dir;

	raw(__NR_setsid);
	/* Where it was given a terminal, that is its own now: job control and Ctrl-C. Nothing else takes this. */
	raw(__NR_ioctl, 0, TIOCSCTTY, 0);
	raw(__NR_fcntl, INIT_FD_STATUS, F_SETFD, FD_CLOEXEC);
	raw(__NR_fcntl, INIT_FD_RESULT, F_SETFD, FD_CLOEXEC);
	if (in->filtered)
		raw(__NR_fcntl, INIT_FD_FILTER, F_SETFD, FD_CLOEXEC);
	raw(__NR_umask, 022);
	/* As root first; a directory that only the user may enter (root squashed) as the user. */
	dir = become_chdir(in->workdir);
	r = dir == -EACCES ? 0 : dir;
	if (r == 0) {
		what = in->uid;
		r = init_lower(in, humble, &step);
	}
	if (r == 0 && dir != 0) {
		step = SHIM_STEP_WORKDIR;
		what = in->workdir;
		r = become_chdir(in->workdir);
	}
	if (r == 0 && in->filtered && humble) {
		step = SHIM_STEP_FILTER;
		what = "";
		r = init_filter();
	}
	if (r == 0) {
		step = SHIM_STEP_EXEC;
		what = in->argv[0];
		/* A change of identity clears it; only a direct PID 1 and children of no PID 1 need it. */
		raw(__NR_prctl, PR_SET_PDEATHSIG, SIG_KILL, 0, 0, 0);
		become_signals();
		r = become_exec(in->argv, in->envp);
	}
	init_tell(INIT_FAILED, 0);
	init_report(-r, step, what);
	raw_exit(127);
}

/* The command is the other process's: PID 1 shows its own name only, also where shim_title may not. */
static void
init_forget(const struct init *in)
{
	char *const *last = in->argv;

	while (last[1] != NULL)
		last++;
	memset(in->forget, 0, (size_t)(*last + text_len(*last) - in->forget));
}

static void
init_start(struct init *in)
{
	long pid;

	if (in->direct) {
		init_tell(INIT_EXECUTED, 0);
		init_report(0, SHIM_STEP_DIRECT, "");
		init_become(in);
	}
	/* Suspended until the command is executed, on a copy of these few pages. */
	pid = raw(__NR_clone, CLONE_VFORK | SIG_CHLD, 0, 0, 0, 0);
	if (pid == 0)
		init_become(in);
	if (pid < 0) {
		init_tell(INIT_FAILED, 0);
		init_report((int)-pid, SHIM_STEP_EXEC, in->argv[0]);
		raw_exit(127);
	}
	in->main = (int)pid;
	raw(__NR_close_range, 0, 2, 0);
	if (in->filtered)
		raw(__NR_close, INIT_FD_FILTER);
	/* What it still needs is to pass signals on to whoever the command has become. */
	if (!text_is(in->caps, "-"))
		become_caps(1ull << CAP_KILL);
	init_forget(in);
	init_tell(INIT_EXECUTED, 0);
	init_report(0, SHIM_STEP_EXEC, "");
	raw(__NR_close, INIT_FD_STATUS);
}

static void
init_reap(struct init *in)
{
	int status;
	long pid;

	while ((pid = raw(__NR_wait4, -1, &status, WNOHANG, 0)) > 0) {
		if (pid != in->main)
			continue;
		in->main = 0;
		init_tell(INIT_ENDED, status);
		if (!in->persistent)
			raw_exit((status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f));
	}
}

_Noreturn static void
init_loop(struct init *in)
{
	const unsigned long all = ~0ul;
	struct {
		int signo, sys, code, pad[29];
	} info;

	for (;;) {
		int sig = (int)raw(__NR_rt_sigtimedwait, &all, &info, 0, sizeof(all));

		/* First of all: a command that has just ended gets no more signals, PID 1 takes them. */
		init_reap(in);
		if (sig > 0 && sig != SIG_CHLD && info.code <= 0 &&
		    in->main > 0) /* not the kernel's own, as SIGPIPE */
			raw(__NR_kill, in->main, sig);
		else if (sig == SIG_TERM && in->main == 0)
			raw_exit(0);
	}
}

void
shim_init(char **argv, char **envp)
{
	const unsigned long all = ~0ul;
	size_t nflags = text_len(argv[2]);
	struct init in = { .argv = argv + 9,
		.envp = envp,
		.persistent = memchr(argv[2], INIT_FLAG_PERSISTENT, nflags) != NULL,
		.direct = memchr(argv[2], INIT_FLAG_DIRECT, nflags) != NULL,
		.filtered = memchr(argv[2], INIT_FLAG_FILTER, nflags) != NULL,
		.forget = argv[1],
		.uid = argv[3],
		.gid = argv[4],
		.groups = argv[5],
		.workdir = argv[6],
		.caps = argv[7] };
	uint64_t caps;
	char byte;

	raw(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, 0, sizeof(all));
	if (!text_is(argv[8], "--") || argv[9] == NULL)
		raw_exit(2);
	shim_title(argv, "pot-init");
	/* While the caller is busy with the network and the state. Nobody in the pot may trace PID 1
	   or look at what it has: it is not held by the walls as the command is. */
	if (!text_is(in.caps, "-") &&
	    (raw(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || !text_number(in.caps, &caps) ||
		become_bound(caps) < 0)) {
		init_tell(INIT_FAILED, 0);
		init_report(EPERM, SHIM_STEP_CAPS, "");
		raw_exit(127);
	}
	if (raw(__NR_read, INIT_FD_GATE, &byte, 1) != 1)
		raw_exit(0);
	raw(__NR_close, INIT_FD_GATE);
	init_start(&in);
	init_loop(&in);
}
