/*
 * The Linux lock-up: own mount, network, IPC and UTS namespaces with no mount
 * in them, root directory moved to the target, five capabilities, a list of
 * permitted system calls, resource limits. The caller owns the fds and has
 * closed all that are not needed.
 */
#include "unpack/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/auto.h"

/* Owner of any number, modes and times of what is not ours, set-id bits, file capabilities. */
static const int kept_caps[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP };

static const int allowed_calls[] = {
	/* memory and the process itself */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sigaltstack),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
	SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield), SCMP_SYS(geteuid), SCMP_SYS(getuid),
	/* fds */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64),
	SCMP_SYS(lseek), SCMP_SYS(_llseek), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(dup3), SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64), SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(fstatfs), SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* files below the root */
	SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(statx),
	SCMP_SYS(readlinkat), SCMP_SYS(readlink), SCMP_SYS(mkdirat), SCMP_SYS(symlinkat), SCMP_SYS(linkat),
	SCMP_SYS(unlinkat), SCMP_SYS(fchown), SCMP_SYS(fchown32), SCMP_SYS(fchownat), SCMP_SYS(fchmod),
	SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64), SCMP_SYS(utimensat), SCMP_SYS(utimensat_time64),
	SCMP_SYS(fsetxattr), SCMP_SYS(flistxattr), SCMP_SYS(fremovexattr), SCMP_SYS(getdents64),
	SCMP_SYS(syncfs)
};

int
sandbox_begin(struct err *e)
{
	struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return err_sys(e, "sandbox: protecting the process");
	return 0;
}

/*
 * An own mount namespace that holds one empty tmpfs: a copy of the host's
 * mounts would keep other people's file systems busy while we work.
 */
static int
leave_mounts(struct err *e)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
		return err_sys(e, "sandbox: own namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/usr", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0") != 0 ||
	    chdir("/usr") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
		return err_sys(e, "sandbox: leaving the host's mounts");
	return 0;
}

static int
enter_root(int root_fd, struct err *e)
{
	if (fchdir(root_fd) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return err_sys(e, "sandbox: changing the root directory");
	return 0;
}

static int
drop_caps(struct err *e)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL)
			return err_sys(e, "sandbox: bounding capabilities");
	for (size_t i = 0; i < ARRAY_LEN(kept_caps); i++)
		data[0].effective |= 1u << kept_caps[i];
	data[0].permitted = data[0].effective;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
		return err_sys(e, "sandbox: ambient capabilities");
	if (syscall(SYS_capset, &head, data) != 0)
		return err_sys(e, "sandbox: dropping capabilities");
	return 0;
}

/*
 * Everything not listed answers ENOSYS. Memory never becomes executable, so
 * that nothing unpacked can be loaded as a library (iconv, NSS) either.
 */
static int
filter_calls(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(allowed_calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	if (r == 0)
		r = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* mkfifo(3) */
	if (r == 0)
		r = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r == 0 ? 0 : err_sysno(e, -r, "sandbox: system call filter");
}

/* The sanitizers reserve terabytes of address space and count them as data. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int
set_limits(uint64_t memory, uint64_t max_file, struct err *e)
{
	struct rlimit data = { memory, memory }, size = { max_file, max_file }, files = { 64, 64 };

	if (setrlimit(RLIMIT_FSIZE, &size) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    (!SANITIZED && setrlimit(RLIMIT_DATA, &data) != 0))
		return err_sys(e, "sandbox: resource limits");
	return 0;
}

int
sandbox_enter(int root_fd, uint64_t memory, uint64_t max_file, struct err *e)
{
	int r;

	if ((r = leave_mounts(e)) < 0 || (r = enter_root(root_fd, e)) < 0 || (r = drop_caps(e)) < 0 ||
	    (r = set_limits(memory, max_file, e)) < 0)
		return r;
	return filter_calls(e);
}

int
sandbox_sync(int root_fd, struct err *e)
{
	AUTO(fd) int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) != 0)
		return err_sys(e, "writing to disk");
	return 0;
}

int
sandbox_setxattr(int fd, const char *name, const void *value, size_t size)
{
	return fsetxattr(fd, name, value, size, 0);
}

int
sandbox_clear_xattrs(int fd)
{
	char names[64 * 1024]; /* XATTR_LIST_MAX */
	ssize_t len = flistxattr(fd, names, sizeof(names));

	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -1;
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0 &&
		    strncmp(name, "system.posix_acl_", 17) != 0)
			continue;
		if (fremovexattr(fd, name) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return -1;
	}
	return 0;
}
