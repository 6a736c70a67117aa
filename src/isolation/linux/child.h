/*
 * Between the caller of iso_spawn and the two processes it makes.  Both share
 * the caller's memory (CLONE_VM: no page table is copied) until they execute
 * pot-shim, so all they need is prepared here, and all they do are raw system
 * calls: no malloc, no errno, no stdio.
 *
 *   caller ── A0 (brings the state to the disk and ends: nobody has to reap the shim)
 *              └─ A  becomes `pot-shim run`
 *                 ├─ M  with a user namespace only: enters it, makes B as its sibling, ends
 *                 └─ B  new namespaces, sets the root up, becomes `pot-shim init`
 *                    └─ U  takes the host's root off meanwhile, ends
 */
#ifndef ISOLATION_LINUX_CHILD_H
#define ISOLATION_LINUX_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/sched.h>

#include "isolation/linux/rlimits.h"
#include "isolation/linux/walls.h"
#include "model/shimproto.h"

/* clang-format off */
#define ISO_STEPS(X)                                                \
	X(CLONE_SHIM, "cannot make the shim process")               \
	X(CLONE_INIT, "cannot make a process in new namespaces")    \
	X(MNTNS,      "cannot open the mount namespace")            \
	X(STATE_SYNC, "cannot write the state file to the disk")    \
	X(SHIM_EXEC,  "cannot execute the shim")                    \
	X(FDS,        "cannot arrange file descriptors")            \
	X(USERNS,     "cannot enter the user namespace")            \
	X(KEYRING,    "cannot make a session keyring")              \
	X(HUMBLE,     "cannot set no_new_privs")                    \
	X(CAPS,       "cannot drop capabilities")                   \
	X(FILTER,     "cannot load the system call filter")         \
	X(MASK,       "cannot hide from the pot")                   \
	X(READONLY,   "cannot make read-only for the pot")          \
	X(PROCSYS,    "something else than the kernel's file system shows at") \
	X(SYSCTL,     "cannot set the kernel parameter")            \
	X(DEATHSIG,   "cannot bind the pot's life to its shim")     \
	X(CGROUP,     "cannot enter the pot's control group")       \
	X(CGROUPNS,   "cannot make a control group namespace")      \
	X(PRIVATE,    "cannot make the mounts private")             \
	X(DEV,        "cannot make the device directory")           \
	X(NODE,       "cannot make a device node")                  \
	X(ROOT,       "cannot attach the root")                     \
	X(PIVOT,      "cannot change the root")                     \
	X(OLDROOT,    "cannot let go of the host's root")           \
	X(TARGET,     "cannot use as a mount point")                \
	X(MOUNT,      "cannot mount")                               \
	X(HOSTNAME,   "cannot set the host name")                   \
	X(NETNS,      "cannot enter the pot's network namespace")   \
	X(LOOPBACK,   "cannot bring the loopback interface up")     \
	X(WORKDIR,    "cannot use as working directory")            \
	X(JOIN,       "cannot join the pot's namespaces")           \
	X(USER,       "cannot become the user")                     \
	X(TTY,        "cannot take the terminal")                   \
	X(RLIMIT,     "cannot set the limits of the command")       \
	X(UMOUNT,     "cannot unmount")
/* clang-format on */
enum iso_step {
	STEP_NONE,
#define X(name, text) STEP_##name,
	ISO_STEPS(X)
#undef X
	    STEP_COUNT
};

/* Where a child says what failed; in memory shared with the caller. */
struct child_fail {
	int sys; /* errno, 0: nothing failed */
	uint32_t step;
	const char *what;
};

#define CHILD_STACK (64 * 1024)
#define CHILD_FDS 10

/* What the processes become. fds[i] becomes number i; -1: closed there. */
struct child_image {
	int fds[CHILD_FDS];
	int nfds;
	char *const *argv;
	char *const *envp;
};

struct spawn_ctx {
	/* Prepared by the caller, only read by A and B. */
	const struct iso_spec *spec;
	struct child_image shim, init;
	char *pid_arg; /* of shim.argv: A writes B's pid there, at most 11 bytes */
	int exe_fd;    /* read-only detached mount of pot-shim */
	struct cg_enter cg;
	const struct walls *walls;
	uint64_t ns_flags;
	char *stack_a0, *stack_a, *stack_m, *stack_b, *stack_u;
	/* Written by the children. */
	volatile int shim_pid, init_pid, old_root, state_sync; /* the last two 0 or -errno */
	long unmounting;                                       /* the pid of U, while it lasts */
	struct child_fail fail_a, fail_b;
};

/* What is made ahead (ahead.c). */
struct child_ahead {
	bool net;
	unsigned
	    go; /* a futex: 1 when the ids of the user namespace are mapped, which what belongs to it shows */
	int ns_fd, sock; /* the network namespace and a socket in it, or -errno */
};
int child_ahead_run(void *child_ahead);

/* Moves the calling process into the v1 groups; 0 or -errno. */
long child_enter(const struct cg_enter *);

/* A command in a running pot. */
struct exec_ctx {
	const struct iso_exec_spec *spec;
	const struct wall_facts *walls;
	int pidfd;
	struct cg_enter cg;
	struct rlimits limits;
	int fds[3];
	char *stack_final;
	volatile int pid;
	struct child_fail fail;
};

/* A mount into a running pot, or out of it. */
struct join_mount {
	int pidfd;
	bool userns;                   /* the pot has one */
	const struct iso_mount *mount; /* or NULL: unmount target */
	const char *target;
	struct child_fail fail;
};

/* Of a child that was made with a user namespace: writes its map; the namespace as an fd. (userns.c) */
int userns_map(pid_t, uint32_t first, uint32_t count, struct err *) MUST_CHECK;
int userns_refused(int sys, struct err *) MUST_CHECK;

/* What the processes do, from their first instruction on. */
int child_exec_middle(void *exec_ctx);
int child_join_mount(void *join_mount);
/* A0's whole life; exits 0. */
int child_a0(void *ctx);

/* src[i] becomes number i (-1: closed), *extra (may be NULL) the next one; all others close at exec. */
int child_fds(const int *src, int n, int *extra);
/* Names the failing step; returns -1. */
int child_failed(struct child_fail *, enum iso_step, long minus_errno, const char *what);

/* Mounts, in the child (mounts.c). For the last two the pot's root is the root of the process. */
int child_root(struct spawn_ctx *, struct child_fail *);
int child_mount_at(int mount_fd, const char *target, bool dir, struct child_fail *);
/* The same for a mount that is not pot's own: never over the kernel's file systems. */
int child_mount_user(const struct iso_mount *, struct child_fail *);
int child_unmount_at(const char *target, struct child_fail *);

/* The host's root, in B (oldroot.c): gives it what is to go with it, while it is in sight. */
void old_root_leave(const struct spawn_ctx *);
/*
 * Takes it off, from on top of the pot's, in a process of its own: it is out of
 * the tree at once, but the call returns only after a grace period, and that
 * process must have ended before B executes. Until old_root_gone says so no path
 * of the pot's may be followed: ".." would lead into it.
 */
void old_root_begin(struct spawn_ctx *);
bool old_root_gone(void);
int old_root_end(struct spawn_ctx *, struct child_fail *);

/* Signals of the calling thread are blocked while a child shares its memory. */
void child_block_signals(unsigned long *saved);
void child_restore_signals(const unsigned long *saved);
/* Runs fn(arg) in a process on `stack` (CHILD_STACK bytes) that shares memory, in the v2 group `cgroup`
   (-1: the caller's); returns when it has ended or executed. pid or -errno. */
int child_begin(int (*fn)(void *), void *arg, char *stack); /* the same, not waited for until child_end */
void child_end(int pid);
int child_run(int (*fn)(void *), void *arg, char *stack, int cgroup, int exit_signal);
char *child_stack_new(unsigned n); /* n stacks; NULL without memory */
void child_stack_free(char *, unsigned n);

/* A fd for child_join of exactly this process, or E_STATE: the pot has ended. A pidfd, or on a kernel
   without them its directory in /proc, which goes with it too. */
int child_pidfd(const struct proc_id *, struct err *);
/* In a child: enters the process's namespaces of these kinds (CLONE_NEW...); -errno. */
long child_join(int pidfd, unsigned long kinds);

/* An error for what a child reported. */
int child_error(struct err *, int sys, uint32_t step, const char *what);

#endif
