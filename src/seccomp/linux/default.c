/*
 * The default profile, as a table. Three answers: what ordinary software needs
 * is allowed; what is known to be for the owner of a machine only is EPERM,
 * until the pot is given the capability that it belongs to; everything else -
 * above all calls that did not exist when this was written - is ENOSYS, so
 * that a libc goes back to the call that it used before.
 *
 * The kernel asks for capabilities in most of the refused calls as well. They
 * are refused here because the code behind them is where holes are found, and
 * because inside a user namespace a process may have those capabilities.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "seccomp/linux/filter.h"

#define CAP(name) (UINT64_C(1) << (CAP_##name))
#define ALLOW SECCOMP_RET_ALLOW
#define REFUSE(number) (SECCOMP_RET_ERRNO | (number))
#define NAME_MAX_LEN 40

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
/* clone(2) has its exit signal where CLONE_NEWTIME would be. */
#define NAMESPACES_CLONE                                                                           \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	    CLONE_NEWCGROUP)
#define NAMESPACES (NAMESPACES_CLONE | CLONE_NEWTIME)

#define IOCTL_TIOCSTI 0x5412
#define IOCTL_TIOCLINUX 0x541c
#define NETLINK_AUDIT_NUMBER 9

/* Calls that get one answer whatever their arguments are. */
struct group {
	uint32_t ret;
	uint64_t caps;     /* any of them granted: allowed */
	const char *calls; /* blank between */
};

static const struct group groups[] = {
	/* Files. */
	{ ALLOW, 0,
	    "access chdir chmod chown chown32 chroot close close_range copy_file_range creat dup dup2 dup3 "
	    "faccessat faccessat2 fadvise64 fadvise64_64 arm_fadvise64_64 fallocate fanotify_mark fchdir "
	    "fchmod "
	    "fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr "
	    "file_setattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
	    "fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat "
	    "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lchown32 lgetxattr link "
	    "linkat listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 "
	    "mkdir "
	    "mkdirat mknod mknodat name_to_handle_at newfstatat oldfstat oldlstat oldstat open openat "
	    "openat2 "
	    "pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readdir readlink "
	    "readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile sendfile64 "
	    "setxattr setxattrat splice stat stat64 statfs statfs64 statx symlink symlinkat sync "
	    "sync_file_range sync_file_range2 syncfs tee truncate truncate64 umask unlink unlinkat utime "
	    "utimensat utimensat_time64 utimes vmsplice write writev cachestat" },
	/* Waiting for files, signals and times. */
	{ ALLOW, 0,
	    "alarm clock_adjtime clock_adjtime64 adjtimex clock_getres clock_getres_time64 clock_gettime "
	    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl "
	    "epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 getitimer gettimeofday io_cancel "
	    "io_destroy "
	    "io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit nanosleep _newselect pause "
	    "poll ppoll ppoll_time64 pselect6 pselect6_time64 rt_sigaction rt_sigpending rt_sigprocmask "
	    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
	    "rt_tgsigqueueinfo select setitimer sigaction sigaltstack signal signalfd signalfd4 sigpending "
	    "sigprocmask sigreturn sigsuspend sgetmask ssetmask time timer_create timer_delete "
	    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
	    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64" },
	/* Memory. */
	{ ALLOW, 0,
	    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall "
	    "mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free "
	    "pkey_mprotect process_madvise process_mrelease remap_file_pages" },
	/* Processes and threads. Tracing goes through this filter as well (since Linux 4.8). */
	{ ALLOW, 0,
	    "arch_prctl breakpoint cacheflush capget capset execve execveat exit exit_group fork "
	    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list "
	    "get_thread_area getcpu getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
	    "getgroups32 getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
	    "getresuid getresuid32 getrlimit getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set "
	    "kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr "
	    "lsm_list_modules modify_ldt nice oldolduname olduname pidfd_open pidfd_send_signal "
	    "prctl prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall rseq "
	    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
	    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
	    "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list "
	    "set_thread_area "
	    "set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups "
	    "setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid "
	    "setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 sysinfo tgkill times tkill "
	    "ugetrlimit uname uprobe uretprobe vfork wait4 waitid waitpid" },
	/* Sockets and the rest of IPC. */
	{ ALLOW, 0,
	    "accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr "
	    "mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
	    "mq_unlink msgctl msgget msgrcv msgsnd recv recvfrom recvmmsg recvmmsg_time64 recvmsg semctl "
	    "semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto setsockopt shmat shmctl "
	    "shmdt shmget shutdown socketpair" },
	/* All but what is named below. */
	{ ALLOW, 0, "ioctl" },
	{ REFUSE(EPERM), CAP(SYS_ADMIN), "clone unshare" },
	{ REFUSE(EPERM), 0, "personality" },
	{ REFUSE(EAFNOSUPPORT), CAP(SYS_ADMIN) | CAP(NET_ADMIN), "socket" },

	{ REFUSE(EPERM), CAP(SYS_ADMIN),
	    "fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount "
	    "open_tree "
	    "open_tree_attr pivot_root quotactl quotactl_fd setdomainname sethostname setns "
	    "swapoff "
	    "swapon sysfs umount umount2 uselib ustat" },
	{ REFUSE(EPERM), CAP(SYS_ADMIN) | CAP(BPF), "bpf" },
	{ REFUSE(EPERM), CAP(SYS_ADMIN) | CAP(PERFMON), "perf_event_open" },
	{ REFUSE(EPERM), CAP(SYS_ADMIN) | CAP(SYSLOG), "syslog" },
	{ REFUSE(EPERM), CAP(SYS_PTRACE), "kcmp pidfd_getfd userfaultfd" },
	{ REFUSE(EPERM), CAP(SYS_MODULE), "delete_module finit_module init_module" },
	{ REFUSE(EPERM), CAP(SYS_BOOT), "kexec_file_load kexec_load reboot" },
	{ REFUSE(EPERM), CAP(SYS_RAWIO), "ioperm iopl vm86 vm86old" },
	{ REFUSE(EPERM), CAP(SYS_TIME), "clock_settime clock_settime64 settimeofday stime" },
	{ REFUSE(EPERM), CAP(SYS_TTY_CONFIG), "vhangup" },
	{ REFUSE(EPERM), CAP(SYS_PACCT), "acct" },
	{ REFUSE(EPERM), CAP(SYS_NICE),
	    "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node" },
	{ REFUSE(EPERM), CAP(DAC_READ_SEARCH), "open_by_handle_at" },
	/* Keyrings are not the pot's own; io_uring does things behind the filter's back. */
	{ REFUSE(EPERM), 0, "add_key io_uring_enter io_uring_register io_uring_setup keyctl request_key" },
	/*
	 * Its flags are in memory, where no filter can look; libc then uses clone. socketcall (32 bits)
	 * hides its arguments as well: the families below would be open to every program.
	 */
	{ REFUSE(ENOSYS), CAP(SYS_ADMIN), "clone3" },
	{ REFUSE(ENOSYS), 0, "socketcall" },

	/* Gone from every kernel that pot runs on. */
	{ SEC_RET_ANY, 0,
	    "_sysctl afs_syscall bdflush break create_module epoll_ctl_old epoll_wait_old ftime "
	    "get_kernel_syms "
	    "getpmsg gtty idle lock mpx nfsservctl prof profil putpmsg query_module security stty tuxcall "
	    "ulimit "
	    "vserver usr26 usr32" },
};

/* Calls of which some arguments get another answer than the call; the first that fits. */
struct exception {
	const char *call;
	uint32_t ret;
	uint64_t caps; /* any of them granted: no exception */
	unsigned nconds;
	struct sec_cond conds[2];
};

/* What the kernel takes as int has 32 bits that count: the others may hold anything. */
#define INT_IS(arg, number)                         \
	{                                           \
		arg, SEC_MASKED, number, UINT32_MAX \
	}
#define NONE_OF(arg, bits)               \
	{                                \
		arg, SEC_MASKED, 0, bits \
	}

static const struct exception exceptions[] = {
	{ "clone", ALLOW, 0, 1, { NONE_OF(0, NAMESPACES_CLONE) } },
	{ "unshare", ALLOW, 0, 1, { NONE_OF(0, NAMESPACES) } },
	/* Typing into the terminal that a joined process came from; pasting into a console. */
	{ "ioctl", REFUSE(EPERM), 0, 1, { INT_IS(1, IOCTL_TIOCSTI) } },
	{ "ioctl", REFUSE(EPERM), CAP(SYS_TTY_CONFIG), 1, { INT_IS(1, IOCTL_TIOCLINUX) } },
	/* The host's audit: what asks for it goes on when told that there is none. */
	{ "socket", REFUSE(EPROTONOSUPPORT), CAP(AUDIT_WRITE) | CAP(AUDIT_CONTROL) | CAP(AUDIT_READ), 2,
	    { INT_IS(0, AF_NETLINK), INT_IS(2, NETLINK_AUDIT_NUMBER) } },
	{ "socket", ALLOW, 0, 1, { INT_IS(0, AF_UNIX) } },
	{ "socket", ALLOW, 0, 1, { INT_IS(0, AF_INET) } },
	{ "socket", ALLOW, 0, 1, { INT_IS(0, AF_INET6) } },
	{ "socket", ALLOW, 0, 1, { INT_IS(0, AF_NETLINK) } },
	{ "socket", ALLOW, 0, 1, { INT_IS(0, AF_PACKET) } },
	/* Not the network's: hypervisor and kernel cryptography, also for who may configure the network. */
	{ "socket", REFUSE(EAFNOSUPPORT), CAP(SYS_ADMIN), 1, { INT_IS(0, AF_VSOCK) } },
	{ "socket", REFUSE(EAFNOSUPPORT), CAP(SYS_ADMIN), 1, { INT_IS(0, AF_ALG) } },
	/* PER_LINUX, PER_LINUX32, both with UNAME26, and the question which it is. */
	{ "personality", ALLOW, 0, 1, { INT_IS(0, 0) } },
	{ "personality", ALLOW, 0, 1, { INT_IS(0, 0x0008) } },
	{ "personality", ALLOW, 0, 1, { INT_IS(0, 0x20000) } },
	{ "personality", ALLOW, 0, 1, { INT_IS(0, 0x20008) } },
	{ "personality", ALLOW, 0, 1, { INT_IS(0, UINT32_MAX) } },
};

/* A machine and the older one that it runs programs of. x32 is not: kernels leave it out today. */
static const struct {
	const char *cpu;
	const char *archs[2];
} cpus[] = {
	{ "x86_64", { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86" } },
	{ "aarch64", { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM" } },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum sec_result
add_group(struct sec_arch *a, const struct sec_machine *m, const struct group *g, uint64_t caps)
{
	struct sec_rule rule = { .ret = (g->caps & caps) != 0 ? ALLOW : g->ret };
	enum sec_result r = SEC_OK;
	char name[NAME_MAX_LEN];
	size_t len;
	long nr;

	for (const char *p = g->calls; r == SEC_OK && *p != '\0'; p += len + strspn(p + len, " ")) {
		len = strcspn(p, " ");
		if (len >= sizeof(name))
			return SEC_TOO_LONG;
		memcpy(name, p, len);
		name[len] = '\0';
		nr = sec_number(m, name);
		if (nr == SEC_NR_UNKNOWN)
			return SEC_UNKNOWN;
		rule.nr = (uint32_t)nr;
		if (nr >= 0)
			r = sec_add(a, &rule);
	}
	return r;
}

static enum sec_result
add_exception(struct sec_arch *a, const struct sec_machine *m, const struct exception *x)
{
	struct sec_rule rule = { .ret = x->ret, .nconds = x->nconds };
	long nr = sec_number(m, x->call);

	memcpy(rule.conds, x->conds, sizeof(x->conds));
	rule.nr = (uint32_t)nr;
	return nr < 0 ? SEC_OK : sec_add(a, &rule);
}

static enum sec_result
add_machine(struct sec_filter *f, const struct sec_machine *m, uint64_t caps)
{
	struct sec_arch *a = sec_arch_get(f, m);
	enum sec_result r = a == NULL ? SEC_TOO_LONG : SEC_OK;

	for (size_t i = 0; r == SEC_OK && i < COUNT(groups); i++)
		r = add_group(a, m, &groups[i], caps);
	for (size_t i = 0; r == SEC_OK && i < COUNT(exceptions); i++) {
		if ((exceptions[i].caps & caps) == 0)
			r = add_exception(a, m, &exceptions[i]);
	}
	return r;
}

enum sec_result
sec_default(struct sec_filter *f, const char *cpu, uint64_t caps)
{
	const struct sec_machine *native = sec_machine_native();
	enum sec_result r = SEC_UNKNOWN;

	f->otherwise = REFUSE(ENOSYS);
	f->no_arch = SECCOMP_RET_KILL_PROCESS;
	for (size_t i = 0; i < COUNT(cpus); i++) {
		const struct sec_machine *first = sec_machine_find(cpus[i].archs[0]);

		if (cpu != NULL ? strcmp(cpu, cpus[i].cpu) != 0 : first != native)
			continue;
		r = add_machine(f, first, caps);
		if (r == SEC_OK)
			r = add_machine(f, sec_machine_find(cpus[i].archs[1]), caps);
	}
	return r;
}

uint64_t
sec_default_caps(void)
{
	uint64_t caps = 0;

	for (size_t i = 0; i < COUNT(groups); i++)
		caps |= groups[i].caps;
	for (size_t i = 0; i < COUNT(exceptions); i++)
		caps |= exceptions[i].caps;
	return caps;
}
