/*
 * What hostile processes do, for the attack tests: compiled statically, put
 * into a pot and run there; old-kernel runs outside, around pot itself.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void
say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/*
 * swap A B N: exchanges two names for ever; "ready" at first, "enough" after N times. A mount is in the way for a
 * while; one that stays for good, where neither name leads to it, is the end: "stuck I" after I times.
 */
static int
swap(char **argv)
{
	long n = atol(argv[2]), busy = 0;

	say("ready");
	for (long i = 0;;) {
		if (syscall(SYS_renameat2, AT_FDCWD, argv[0], AT_FDCWD, argv[1], 2 /* RENAME_EXCHANGE */) ==
		    0) {
			busy = 0;
			if (++i == n)
				say("enough");
		} else if (errno != EBUSY) {
			perror("renameat2");
			return 1;
		} else if (++busy == 3000000) {
			printf("stuck %ld\n", i);
			return 0;
		}
	}
}

/* calls: what opens a way out, each tried; "NAME ERRNO". */
static int
calls(char **argv)
{
	static const struct {
		const char *name;
		long nr, args[4];
	} all[] = {
		{ "unshare-user", SYS_unshare, { CLONE_NEWUSER } },
		{ "unshare-mount", SYS_unshare, { CLONE_NEWNS } },
		{ "clone-user", SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
		{ "clone3", 435, { 0, 0 } },
		{ "mount", SYS_mount, { (long)"none", (long)"/tmp", (long)"tmpfs", 0 } },
		{ "umount-proc", SYS_umount2, { (long)"/proc", 2 } },
		{ "pivot_root", SYS_pivot_root, { (long)"/", (long)"/tmp" } },
		{ "fsopen", 430, { (long)"proc", 0 } },
		{ "open_tree", 428, { AT_FDCWD, (long)"/", 1 } },
		{ "mount_setattr", 442, { AT_FDCWD, (long)"/", 0, 0 } },
		{ "setns", SYS_setns, { 0, 0 } },
		{ "bpf", SYS_bpf, { 0, 0, 0 } },
		{ "perf_event_open", SYS_perf_event_open, { 0, 0, -1, -1 } },
		{ "keyctl", SYS_keyctl, { 0, -3, 0 } },
		{ "add_key", SYS_add_key, { (long)"user", (long)"x", (long)"x", 1 } },
		{ "init_module", SYS_init_module, { 0, 0, (long)"" } },
		{ "kexec_load", SYS_kexec_load, { 0, 0, 0, 0 } },
		{ "reboot", SYS_reboot, { 0xfee1dead, 672274793, 0, 0 } },
		{ "swapoff", SYS_swapoff, { (long)"/x" } },
		{ "open_by_handle_at", SYS_open_by_handle_at, { AT_FDCWD, (long)"", 0 } },
		{ "io_uring_setup", 425, { 1, 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "settimeofday", SYS_settimeofday, { 0, 0 } },
		{ "tiocsti", SYS_ioctl, { 0, 0x5412, (long)"x" } },
		{ "tiocsti-high-bits", SYS_ioctl, { 0, 0x100005412, (long)"x" } },
		{ "vsock", SYS_socket, { 40, 1, 0 } },
		{ "alg", SYS_socket, { 38, 5, 0 } },
		{ "unknown", 4000, { 0 } },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			const long *a = all[i].args;
			long r = syscall(all[i].nr, a[0], a[1], a[2], a[3], 0L, 0L);

			if (r == 0 && all[i].nr == SYS_clone && getppid() != 0)
				_exit(0);
			_exit(r < 0 ? errno : 0);
		}
		if (waitpid(pid, &status, 0) == pid)
			printf("%s %d\n", all[i].name,
			    WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	}
	return 0;
}

static bool
link_of(const char *pid, const char *name, char *out, size_t size)
{
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	n = readlink(path, out, size - 1);
	if (n < 0)
		return false;
	out[n] = '\0';
	return true;
}

/* Everything that a new process shows of itself before it is the pot's. */
static void
look_at(const char *pid)
{
	static const char *const names[] = { "exe", "cwd", "root", "ns/mnt", "fd/0", "fd/3", "fd/4", "fd/5",
		"fd/6", "fd/7", "fd/8", "fd/9", "fd/10", "fd/11", "fd/12" };
	char link[PATH_MAX];
	int status;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (link_of(pid, names[i], link, sizeof(link)))
			printf("%s %s\n", names[i], link);
	}
	if (ptrace(PTRACE_SEIZE, atoi(pid), 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, atoi(pid), 0, 0) == 0) {
		waitpid(atoi(pid), &status, __WALL);
		printf("traced %s\n", link_of(pid, "exe", link, sizeof(link)) ? link : "?");
		ptrace(PTRACE_DETACH, atoi(pid), 0, 0);
	}
}

/* watch FILE: looks at every process that appears, as fast as it can, and writes what it sees; "ready" at first. */
static int
watch(char **argv)
{
	static bool seen[1 << 22];
	long rounds = 0;

	for (;; rounds++) {
		DIR *d = opendir("/proc");
		struct dirent *de;

		if (d == NULL)
			return 1;
		while ((de = readdir(d)) != NULL) {
			unsigned long pid = strtoul(de->d_name, NULL, 10);

			if (pid == 0 || pid >= sizeof(seen) || pid == (unsigned long)getpid())
				continue;
			if (rounds > 0)
				look_at(de->d_name);
			seen[pid] = true;
		}
		closedir(d);
		if (rounds > 0) {
			fflush(stdout);
			continue;
		}
		say("ready");
		/* A full pipe would stop us with a process in our hands. */
		if (freopen(argv[0], "w", stdout) == NULL)
			return 1;
	}
}

/* hog-memory: takes until it is killed. */
static int
hog_memory(char **argv)
{
	for (long mib = 1;; mib++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			printf("mmap fails at %ld MiB: %s\n", mib, strerror(errno));
			return 1;
		}
		memset(p, 1, 1 << 20);
	}
}

/* hog-pids: forks until it cannot; "COUNT ERRNO", then waits to be killed. */
static int
hog_pids(char **argv)
{
	for (int n = 0;; n++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				pause();
		if (pid < 0) {
			printf("%d %d\n", n, errno);
			fflush(stdout);
			break;
		}
	}
	return pause();
}

/* bomb: every process makes two more, for ever. */
static int
bomb(char **argv)
{
	say("ready");
	while (fork() >= -1)
		;
	return 0;
}

/* hog-fds: opens until it cannot; "COUNT ERRNO". */
static int
hog_fds(char **argv)
{
	int n = 0;

	while (open("/dev/null", O_RDONLY) >= 0)
		n++;
	printf("%d %d\n", n, errno);
	return 0;
}

/* flood MIB: lines to stdout as fast as they go. */
static int
flood(char **argv)
{
	char line[128];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (long i = 0; i < atol(argv[0]) * 8192; i++)
		if (write(1, line, sizeof(line)) < 0)
			return 1;
	return 0;
}

/* signals: every signal to PID 1 of the pot; prints how many could be sent. */
static int
signals(char **argv)
{
	int sent = 0;

	for (int i = 1; i <= 64; i++)
		sent += kill(1, i) == 0;
	printf("%d\n", sent);
	return 0;
}

/* deaf: ignores every signal that can be, "ready", and waits. */
static int
deaf(char **argv)
{
	/* The kernel's struct: libc keeps two numbers to itself. */
	const unsigned long ignored[4] = { (unsigned long)SIG_IGN };

	for (int i = 1; i <= 64; i++)
		syscall(SYS_rt_sigaction, i, ignored, NULL, 8);
	say("ready");
	return pause();
}

/* ids: "UID EUID SUID GID EGID SGID NO_NEW_PRIVS". */
static int
ids(char **argv)
{
	uid_t u[3];
	gid_t g[3];

	if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
		return 1;
	printf("%u %u %u %u %u %u %d\n", u[0], u[1], u[2], g[0], g[1], g[2],
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return 0;
}

/* old-kernel CALL[,CALL…] PROGRAM ARG…: the calls are ENOSYS for the program and all that comes of it. */
static int
old_kernel(char **argv)
{
	static const struct {
		const char *name;
		unsigned nr;
	} known[] = {
		{ "open_tree", 428 },
		{ "fsopen", 430 },
		{ "pidfd_open", 434 },
		{ "clone3", 435 },
		{ "openat2", 437 },
		{ "mount_setattr", 442 },
	};
	struct sock_filter f[2 * 6 + 2] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0,
	    offsetof(struct seccomp_data, nr) } };
	struct sock_fprog p = { 1, f };
	char *list = argv[0], *word;

	while ((word = strsep(&list, ",")) != NULL) {
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (strcmp(word, known[i].name) != 0)
				continue;
			f[p.len++] = (struct sock_filter){ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, known[i].nr };
			f[p.len++] =
			    (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS };
		}
	}
	f[p.len++] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) != 0) {
		perror("seccomp");
		return 99;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 99;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **);
	} all[] = {
		{ "swap", 3, swap },
		{ "calls", 0, calls },
		{ "watch", 1, watch },
		{ "hog-memory", 0, hog_memory },
		{ "hog-pids", 0, hog_pids },
		{ "hog-fds", 0, hog_fds },
		{ "bomb", 0, bomb },
		{ "flood", 1, flood },
		{ "signals", 0, signals },
		{ "deaf", 0, deaf },
		{ "ids", 0, ids },
		{ "old-kernel", 2, old_kernel },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (argc > 1 && strcmp(argv[1], all[i].name) == 0 && argc - 2 >= all[i].args)
			return all[i].run(argv + 2);
	}
	fprintf(stderr, "usage: attack WHAT [ARGUMENT…]\n");
	return 2;
}
