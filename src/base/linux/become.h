/*
 * The last steps of a process that becomes a pot's command, the same for the
 * pot's PID 1 (pot-shim) and for `exec`: working directory, identity, signals,
 * the search in PATH, execve.  Raw system calls only (rawsys.h): the caller
 * may share its memory with another process or have no libc.
 */
#ifndef BASE_LINUX_BECOME_H
#define BASE_LINUX_BECOME_H

#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include "base/linux/rawsys.h"

#define BECOME_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define BECOME_NAME_MAX 4096

/*
 * chdir that ends inside the root or fails: a directory that is reached
 * through an fd or was deleted shows as "(unreachable)…" or ENOENT.
 */
static inline int
become_chdir(const char *dir)
{
	char cwd[BECOME_NAME_MAX];
	long r = raw(__NR_chdir, dir);

	if (r == 0)
		r = raw(__NR_getcwd, cwd, sizeof(cwd));
	if (r < 0)
		return r;
	return cwd[0] == '/' ? 0 : -ENOENT;
}

/* Every signal default and unblocked. */
static inline void
become_signals(void)
{
	/* The kernel's struct sigaction: SIG_DFL, no flags, empty mask. */
	static const unsigned long dfl[4] = { 0, 0, 0, 0 };
	static const unsigned long none = 0;

	for (int sig = 1; sig <= 64; sig++)
		raw(__NR_rt_sigaction, sig, dfl, 0, 8);
	raw(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, 8);
}

/* Groups, then gid, then uid: after the last nothing can be taken back. */
static inline int
become_user(unsigned uid, unsigned gid, const unsigned *groups, unsigned long ngroups)
{
	long r = raw(__NR_setgroups, ngroups, groups);

	if (r == 0)
		r = raw(__NR_setresgid, gid, gid, gid);
	if (r == 0)
		r = raw(__NR_setresuid, uid, uid, uid);
	return r;
}

/* No process from here on gets a capability that is not in caps. Needs CAP_SETPCAP. */
static inline int
become_bound(unsigned long long caps)
{
	long r = 0;

	/* EINVAL: past the kernel's last one. */
	for (unsigned cap = 0; cap < 64 && r == 0; cap++)
		if ((caps >> cap & 1) == 0)
			r = raw(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (r == -EINVAL)
		r = 0;
	if (r == 0 && raw(__NR_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0) > 0)
		r = raw(__NR_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);
	/* Ambient ones go with the inheritable ones, in become_caps. */
	return r;
}

/* The process has exactly those of caps that it was permitted, and hands none down by itself. */
static inline int
become_caps(unsigned long long caps)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	long r = raw(__NR_capget, &h, d);

	for (int i = 0; i < 2; i++) {
		d[i].permitted &= (unsigned)(caps >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return r < 0 ? r : raw(__NR_capset, &h, d);
}

/* From here on no program raises its rights by being executed. */
static inline int
become_humble(void)
{
	return raw(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Loads a system call filter. Needs become_humble or CAP_SYS_ADMIN. */
static inline int
become_filtered(const void *prog, unsigned long bytes)
{
	struct sock_fprog p = { (unsigned short)(bytes / sizeof(struct sock_filter)),
		(struct sock_filter *)prog };
	/* Without it, kernels before 5.16 slow a filtered process down against itself. */
	long r = raw(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &p);

	return r == -EINVAL ? raw(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) : r;
}

static inline const char *
become_getpath(char *const *envp)
{
	for (; *envp != 0; envp++) {
		const char *e = *envp;

		if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=')
			return e + 5;
	}
	return BECOME_PATH;
}

/* dir (up to ':' or the end) "/" name into out; the length of dir, or -1 when it does not fit. */
static inline long
become_join(char *out, const char *dir, const char *name)
{
	unsigned long n = 0, dirlen;

	while (dir[n] != '\0' && dir[n] != ':' && n < BECOME_NAME_MAX - 2) {
		out[n] = dir[n];
		n++;
	}
	dirlen = n;
	if (n == 0)
		out[n++] = '.';
	out[n++] = '/';
	for (unsigned long i = 0;; i++, n++) {
		if (n >= BECOME_NAME_MAX)
			return -1;
		out[n] = name[i];
		if (name[i] == '\0')
			return dirlen;
	}
}

/*
 * execve with a search in envp's PATH when argv[0] has no slash.  Returns
 * -errno only: as in a shell, a file that was found but may not be executed
 * (EACCES and the like) wins over "not found".
 */
static inline int
become_exec(char *const *argv, char *const *envp)
{
	char file[BECOME_NAME_MAX];
	const char *path, *s;
	int best = -ENOENT;

	for (s = argv[0]; *s != '\0'; s++) {
		if (*s == '/')
			return raw(__NR_execve, argv[0], argv, envp);
	}
	if (argv[0][0] == '\0')
		return -ENOENT;
	for (path = become_getpath(envp);;) {
		long n = become_join(file, path, argv[0]);
		int r = n < 0 ? -ENAMETOOLONG : (int)raw(__NR_execve, file, argv, envp);

		if (n >= 0 && r == -EACCES)
			best = r;
		else if (n >= 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP && r != -ENAMETOOLONG)
			return r;
		while (*path != '\0' && *path != ':')
			path++;
		if (*path++ == '\0')
			return best;
	}
}

#endif
