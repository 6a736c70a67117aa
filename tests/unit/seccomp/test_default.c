/*
 * The default filter: real processes load it and make the calls; and, for the
 * architectures that this machine is not, the program is run here.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine.h"
#include "seccomp/linux/default_program.h"
#include "seccomp/linux/filter.h"
#include "seccomp/seccomp.h"

#define ALLOWED 0
#define HIGH 0xffffffff00000000ul /* what an int argument ignores */
#define CAP(name) (UINT64_C(1) << (CAP_##name))

struct row {
	const char *call;
	unsigned long args[3];
	int want; /* ALLOWED: what the kernel says without the filter */
};

/* Allowed ones do nothing that lasts; refused ones would fail with another errno. */
static const struct row rows[] = {
	{ "getpid", { 0 }, ALLOWED }, { "read", { -1ul }, ALLOWED }, { "openat2", { 0 }, ALLOWED },
	{ "fchmodat2", { -1ul, 0 }, ALLOWED }, { "ptrace", { 0 }, ALLOWED },
	{ "process_vm_readv", { -1ul }, ALLOWED }, { "chroot", { 0 }, ALLOWED },
	{ "mknodat", { -1ul, 0 }, ALLOWED }, { "pidfd_open", { 0 }, ALLOWED }, { "seccomp", { 99 }, ALLOWED },
	{ "landlock_create_ruleset", { 0 }, ALLOWED }, { "name_to_handle_at", { -1ul, 0 }, ALLOWED },
	{ "adjtimex", { 0 }, ALLOWED },
	/* clone: EINVAL by itself for flags that do not go together, so that nothing is made. */
	{ "clone", { CLONE_THREAD }, ALLOWED }, { "clone", { CLONE_SIGHAND }, ALLOWED },
	{ "clone", { CLONE_NEWUSER | CLONE_FS }, EPERM }, { "clone", { CLONE_NEWNS | CLONE_FS }, EPERM },
	{ "clone", { CLONE_NEWPID | CLONE_THREAD }, EPERM },
	{ "clone", { CLONE_NEWNET | CLONE_THREAD }, EPERM },
	{ "clone", { CLONE_NEWUTS | CLONE_THREAD }, EPERM },
	{ "clone", { CLONE_NEWIPC | CLONE_THREAD }, EPERM },
	{ "clone", { CLONE_NEWCGROUP | CLONE_THREAD }, EPERM },
	{ "clone", { HIGH | CLONE_NEWUSER | CLONE_FS }, EPERM }, { "clone3", { 0 }, ENOSYS },
	{ "unshare", { CLONE_FILES }, ALLOWED }, { "unshare", { CLONE_FS }, ALLOWED },
	{ "unshare", { CLONE_NEWUSER }, EPERM }, { "unshare", { CLONE_NEWNS }, EPERM },
	{ "unshare", { CLONE_NEWPID }, EPERM }, { "unshare", { CLONE_NEWNET }, EPERM },
	{ "unshare", { CLONE_NEWUTS }, EPERM }, { "unshare", { CLONE_NEWIPC }, EPERM },
	{ "unshare", { CLONE_NEWCGROUP }, EPERM }, { "unshare", { 0x80 /* CLONE_NEWTIME */ }, EPERM },
	{ "setns", { -1ul }, EPERM }, { "ioctl", { -1ul, 0x5401 /* TCGETS */ }, ALLOWED },
	{ "ioctl", { -1ul, 0x5412 /* TIOCSTI */ }, EPERM }, { "ioctl", { -1ul, HIGH | 0x5412 }, EPERM },
	{ "ioctl", { -1ul, 0x541c /* TIOCLINUX */ }, EPERM },
	{ "ioctl", { -1ul, 0x100000000 | 0x541c }, EPERM }, { "socket", { AF_UNIX, SOCK_STREAM }, ALLOWED },
	{ "socket", { AF_INET, SOCK_STREAM }, ALLOWED }, { "socket", { AF_INET6, SOCK_DGRAM }, ALLOWED },
	{ "socket", { AF_NETLINK, SOCK_RAW }, ALLOWED }, { "socket", { AF_PACKET, SOCK_RAW }, ALLOWED },
	{ "socket", { AF_NETLINK, SOCK_RAW, 9 /* audit */ }, EPROTONOSUPPORT },
	{ "socket", { AF_VSOCK, SOCK_STREAM }, EAFNOSUPPORT },
	{ "socket", { HIGH | AF_VSOCK, SOCK_STREAM }, EAFNOSUPPORT },
	{ "socket", { AF_ALG, SOCK_SEQPACKET }, EAFNOSUPPORT },
	{ "socket", { AF_BLUETOOTH, SOCK_RAW }, EAFNOSUPPORT },
	{ "socket", { AF_KEY, SOCK_RAW, 2 }, EAFNOSUPPORT }, { "personality", { 0 }, ALLOWED },
	{ "personality", { 8 }, ALLOWED }, { "personality", { 0xffffffff }, ALLOWED },
	{ "personality", { 0x0040000 /* no randomized addresses */ }, EPERM },
	{ "personality", { 0x0400000 /* readable is executable */ }, EPERM }, { "mount", { 0 }, EPERM },
	{ "umount2", { 0 }, EPERM }, { "pivot_root", { 0 }, EPERM }, { "open_tree", { -1ul }, EPERM },
	{ "move_mount", { -1ul }, EPERM }, { "fsopen", { 0 }, EPERM }, { "fsconfig", { -1ul }, EPERM },
	{ "fsmount", { -1ul }, EPERM }, { "fspick", { -1ul }, EPERM }, { "mount_setattr", { -1ul }, EPERM },
	{ "open_tree_attr", { -1ul }, EPERM }, { "sethostname", { 0, -1ul }, EPERM },
	{ "setdomainname", { 0, -1ul }, EPERM }, { "swapon", { 0 }, EPERM }, { "swapoff", { 0 }, EPERM },
	{ "quotactl", { -1ul }, EPERM }, { "fanotify_init", { -1ul }, EPERM }, { "bpf", { -1ul }, EPERM },
	{ "perf_event_open", { 0 }, EPERM }, { "userfaultfd", { -1ul }, EPERM },
	{ "pidfd_getfd", { -1ul }, EPERM }, { "kcmp", { -1ul }, EPERM }, { "init_module", { 0 }, EPERM },
	{ "finit_module", { -1ul }, EPERM }, { "delete_module", { 0 }, EPERM },
	{ "kexec_load", { 0, -1ul }, EPERM }, { "kexec_file_load", { -1ul }, EPERM },
	{ "reboot", { 0 }, EPERM }, { "settimeofday", { 1 }, EPERM }, { "clock_settime", { -1ul }, EPERM },
	{ "syslog", { -1ul }, EPERM }, { "acct", { 1 }, EPERM }, { "mbind", { 1 }, EPERM },
	{ "set_mempolicy", { -1ul }, EPERM }, { "open_by_handle_at", { -1ul }, EPERM },
	{ "add_key", { 0 }, EPERM }, { "request_key", { 0 }, EPERM }, { "keyctl", { -1ul }, EPERM },
	{ "io_uring_setup", { 0 }, EPERM }, { "io_uring_enter", { -1ul }, EPERM },
	{ "io_uring_register", { -1ul }, EPERM }, { "lsm_set_self_attr", { -1ul }, ENOSYS },
	{ "statmount", { 0 }, ENOSYS }, { NULL, { 600 }, ENOSYS },    /* calls to come */
	{ NULL, { 4000 }, ENOSYS }, { NULL, { 0x40000027 }, ENOSYS }, /* x32 */
};

static void
load_filter(void)
{
	struct sock_fprog p = { (unsigned short)sec_default_len,
		(struct sock_filter *)(uintptr_t)sec_default_program };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) != 0)
		_exit(255);
}

/* The errno of a call made in a process of its own; 0: it succeeded. */
static int
call(bool filtered, long nr, const unsigned long *args)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (filtered)
			load_filter();
		_exit(syscall(nr, args[0], args[1], args[2], 0, 0, 0) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("call %ld: the process was killed by %d", nr, WTERMSIG(status));
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static void
test_real_processes(void **state)
{
	static const unsigned long none[3];
	unsigned bad = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		long nr = r->call == NULL ? (long)r->args[0] : sec_number(sec_machine_native(), r->call);
		const unsigned long *args = r->call == NULL ? none : r->args;
		int got, want = r->want;

		if (nr == SEC_NR_ABSENT)
			continue; /* this architecture never had it */
		assert_true(nr >= 0);
		if (want == ALLOWED)
			want = call(false, nr, args);
		got = call(true, nr, args);
		if (got != want) {
			print_error("%s %#lx %#lx: errno %d (%s), wanted %d\n", r->call, r->args[0],
			    r->args[1], got, strerror(got), want);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

#ifdef __x86_64__
/* A call of the 32-bit kind, which every 64-bit process can make. */
static int
old_call(bool filtered, int nr, unsigned arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		long r = nr;

		if (filtered)
			load_filter();
		__asm__ volatile("int $0x80"
				 : "+a"(r)
				 : "b"(arg), "c"(0), "d"(0)
				 : "memory", "r8", "r9", "r10", "r11");
		_exit((int)r < 0 ? -(int)r : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("32-bit call %d: the process was killed by %d", nr, WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void
test_real_calls_of_32_bits(void **state)
{
	enum {
		I386_GETPID = 20,
		I386_MOUNT = 21,
		I386_SOCKETCALL = 102,
		I386_CLONE3 = 435,
		I386_UNSHARE = 310
	};
	/* A kernel without 32-bit programs ends who tries. */
	if (access("/proc/sys/abi/vsyscall32", F_OK) != 0) {
		print_message("skip test_real_calls_of_32_bits: this kernel runs no 32-bit programs\n");
		skip();
	}
	assert_int_equal(old_call(true, I386_GETPID, 0), 0);
	assert_int_equal(old_call(true, I386_MOUNT, 0), EPERM);
	assert_int_equal(old_call(true, I386_SOCKETCALL, 1), ENOSYS);
	assert_int_equal(old_call(true, I386_CLONE3, 0), ENOSYS);
	assert_int_equal(old_call(true, I386_UNSHARE, CLONE_NEWUTS), EPERM);
	assert_int_equal(old_call(true, I386_UNSHARE, CLONE_FS), 0);
}
#endif

static const struct {
	const char *machine;
	uint32_t audit;
} archs[] = {
	{ "SCMP_ARCH_X86_64", AUDIT_ARCH_X86_64 },
	{ "SCMP_ARCH_X86", AUDIT_ARCH_I386 },
	{ "SCMP_ARCH_AARCH64", AUDIT_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", AUDIT_ARCH_ARM },
};

/* The answer of a compiled default profile to a call of one architecture. */
static uint32_t
answer(const struct sec_prog *prog, size_t arch, const char *name, const unsigned long *args)
{
	long nr = name == NULL ? (long)args[0] : sec_number(sec_machine_find(archs[arch].machine), name);
	struct seccomp_data d = { .nr = (int)nr, .arch = archs[arch].audit };

	for (int i = 0; i < 3; i++)
		d.args[i] = name == NULL ? 0 : arch % 2 == 0 ? args[i] : (uint32_t)args[i];
	return nr == SEC_NR_ABSENT ? SEC_RET_ANY : machine_run(prog->v, prog->n, &d);
}

static struct sec_prog *
compile(const char *cpu, uint64_t caps)
{
	struct sec_prog *prog = malloc(sizeof(*prog));
	struct sec_filter f = { 0 };

	assert_non_null(prog);
	assert_int_equal(sec_default(&f, cpu, caps), SEC_OK);
	assert_int_equal(sec_program(&f, prog), SEC_OK);
	sec_filter_fini(&f);
	return prog;
}

/* The same table on the architectures of both kinds of machines. */
static void
test_every_architecture(void **state)
{
	struct sec_prog *progs[] = { compile("x86_64", 0), compile("aarch64", 0) };
	unsigned bad = 0;

	for (size_t a = 0; a < sizeof(archs) / sizeof(archs[0]); a++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			uint32_t got = answer(progs[a / 2], a, rows[i].call, rows[i].args);
			uint32_t want = rows[i].want == ALLOWED ? SECCOMP_RET_ALLOW
								: SECCOMP_RET_ERRNO | (uint32_t)rows[i].want;

			if (got == want || got == SEC_RET_ANY)
				continue;
			print_error("%s: %s %#lx: %#x, wanted %#x\n", archs[a].machine, rows[i].call,
			    rows[i].args[0], got, want);
			bad++;
		}
		for (size_t other = 0; other < sizeof(archs) / sizeof(archs[0]); other++) {
			static const unsigned long none[3];

			if (other / 2 != a / 2)
				assert_int_equal(
				    answer(progs[a / 2], other, "getpid", none), SECCOMP_RET_KILL_PROCESS);
		}
	}
	assert_int_equal(bad, 0);
	free(progs[0]);
	free(progs[1]);
}

/* What each capability opens, and nothing else. */
static void
test_capabilities_open_their_calls(void **state)
{
	static const struct {
		uint64_t cap;
		struct row row;
	} opened[] = {
		{ CAP(SYS_ADMIN), { "mount", { 0 }, 0 } },
		{ CAP(SYS_ADMIN), { "clone3", { 0 }, 0 } },
		{ CAP(SYS_ADMIN), { "clone", { CLONE_NEWUSER }, 0 } },
		{ CAP(SYS_ADMIN), { "unshare", { CLONE_NEWNET }, 0 } },
		{ CAP(SYS_ADMIN), { "setns", { 0 }, 0 } },
		{ CAP(SYS_ADMIN), { "bpf", { 0 }, 0 } },
		{ CAP(SYS_ADMIN), { "socket", { AF_VSOCK }, 0 } },
		{ CAP(BPF), { "bpf", { 0 }, 0 } },
		{ CAP(PERFMON), { "perf_event_open", { 0 }, 0 } },
		{ CAP(SYSLOG), { "syslog", { 0 }, 0 } },
		{ CAP(SYS_PTRACE), { "pidfd_getfd", { 0 }, 0 } },
		{ CAP(SYS_MODULE), { "finit_module", { 0 }, 0 } },
		{ CAP(SYS_BOOT), { "reboot", { 0 }, 0 } },
		{ CAP(SYS_RAWIO), { "iopl", { 0 }, 0 } },
		{ CAP(SYS_TIME), { "settimeofday", { 0 }, 0 } },
		{ CAP(SYS_TTY_CONFIG), { "vhangup", { 0 }, 0 } },
		{ CAP(SYS_TTY_CONFIG), { "ioctl", { 0, 0x541c }, 0 } },
		{ CAP(SYS_PACCT), { "acct", { 0 }, 0 } },
		{ CAP(SYS_NICE), { "mbind", { 0 }, 0 } },
		{ CAP(DAC_READ_SEARCH), { "open_by_handle_at", { 0 }, 0 } },
		{ CAP(NET_ADMIN), { "socket", { AF_CAN }, 0 } },
		{ CAP(AUDIT_WRITE), { "socket", { AF_NETLINK, SOCK_RAW, 9 }, 0 } },
	};
	static const struct row closed[] = {
		{ "socket", { AF_VSOCK }, CAP_NET_ADMIN },
		{ "socket", { AF_ALG }, CAP_NET_ADMIN },
		{ "mount", { 0 }, CAP_NET_ADMIN },
		{ "mount", { 0 }, CAP_BPF },
		{ "ioctl", { 0, 0x5412 }, CAP_SYS_ADMIN },
		{ "keyctl", { 0 }, CAP_SYS_ADMIN },
		{ "io_uring_setup", { 0 }, CAP_SYS_ADMIN },
		{ "finit_module", { 0 }, CAP_SYS_ADMIN },
		{ "open_by_handle_at", { 0 }, CAP_SYS_ADMIN },
	};

	for (size_t i = 0; i < sizeof(opened) / sizeof(opened[0]); i++) {
		struct sec_prog *with = compile("x86_64", opened[i].cap), *without = compile("x86_64", 0);

		assert_false(seccomp_default_fits(opened[i].cap));
		assert_int_equal(answer(with, 0, opened[i].row.call, opened[i].row.args), SECCOMP_RET_ALLOW);
		assert_int_not_equal(
		    answer(without, 0, opened[i].row.call, opened[i].row.args), SECCOMP_RET_ALLOW);
		free(with);
		free(without);
	}
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		struct sec_prog *with = compile("x86_64", UINT64_C(1) << closed[i].want);

		assert_int_not_equal(answer(with, 0, closed[i].call, closed[i].args), SECCOMP_RET_ALLOW);
		free(with);
	}
	/* What a pot usually has opens nothing. */
	assert_true(seccomp_default_fits(CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) |
	    CAP(KILL) | CAP(NET_BIND_SERVICE) | CAP(SETFCAP) | CAP(SETGID) | CAP(SETPCAP) | CAP(SETUID) |
	    CAP(SYS_CHROOT) | CAP(MKNOD) | CAP(NET_RAW)));
}

/* What was made while building is what is made now, and short. */
static void
test_built_in_program(void **state)
{
	struct sec_prog *prog = compile(NULL, 0), *again = compile(NULL, 0);
	const void *v;
	size_t len;

	assert_int_equal(seccomp_default(&v, &len, NULL), 0);
	assert_int_equal(len, prog->n * sizeof(prog->v[0]));
	assert_memory_equal(v, prog->v, len);
	assert_memory_equal(again->v, prog->v, len);
	assert_int_equal(seccomp_check(v, len, NULL), 0);
	assert_true(seccomp_check(v, len - 1, NULL) < 0);
	assert_true(seccomp_check(v, 0, NULL) < 0);
	assert_true(seccomp_check(v, SECCOMP_PROG_MAX + 8, NULL) < 0);
	print_message("%zu instructions\n", prog->n);
	/* Its length is its cost at every start. */
	assert_in_range(prog->n, 50, 250);
	free(prog);
	free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_processes),
#ifdef __x86_64__
		cmocka_unit_test(test_real_calls_of_32_bits),
#endif
		cmocka_unit_test(test_every_architecture),
		cmocka_unit_test(test_capabilities_open_their_calls),
		cmocka_unit_test(test_built_in_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
