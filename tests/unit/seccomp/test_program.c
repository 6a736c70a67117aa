/*
 * The programs that we make decide as libseccomp's do: the same rules, given
 * to both, get the same answers, on numbers and arguments around every edge.
 */
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine.h"
#include "seccomp/linux/filter.h"

#define CALLS 330 /* numbers that x86_64 has one after the other */
#define FILTERS 150
#define LOOKS 3000

struct pair {
	struct sec_filter ours;
	struct sec_prog prog, theirs;
	scmp_filter_ctx ctx;
	struct sec_arch *wide, *narrow;
};

/* xorshift: the same on every run. */
static uint64_t
number(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Values around which comparisons go wrong. */
static uint64_t
edge(uint64_t *seed)
{
	static const uint64_t edges[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
		0x100000000, 0x100000001, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffffe,
		0xffffffffffffffff, 0x7e020000, 0x5412, 0x100005412, 0xffffffff00005412 };

	return number(seed) % 4 == 0 ? number(seed)
				     : edges[number(seed) % (sizeof(edges) / sizeof(edges[0]))];
}

static void
begin(struct pair *p, uint32_t otherwise)
{
	memset(p, 0, sizeof(*p));
	p->ours.otherwise = otherwise;
	p->ours.no_arch = SECCOMP_RET_KILL_PROCESS;
	p->wide = sec_arch_get(&p->ours, sec_machine_find("SCMP_ARCH_X86_64"));
	p->narrow = sec_arch_get(&p->ours, sec_machine_find("SCMP_ARCH_X86"));
	assert_non_null(p->wide);
	assert_non_null(p->narrow);
	p->ctx = seccomp_init(
	    otherwise == SECCOMP_RET_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(otherwise & 0xffff));
	assert_non_null(p->ctx);
	assert_int_equal(seccomp_attr_set(p->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	if (seccomp_arch_native() != SCMP_ARCH_X86_64) {
		assert_int_equal(seccomp_arch_add(p->ctx, SCMP_ARCH_X86_64), 0);
		assert_int_equal(seccomp_arch_remove(p->ctx, seccomp_arch_native()), 0);
	}
	assert_int_equal(seccomp_arch_add(p->ctx, SCMP_ARCH_X86), 0);
}

/* One rule for a call that both architectures have. */
static void
add(struct pair *p, const char *name, uint32_t ret, const struct sec_cond *conds, unsigned n)
{
	static const enum scmp_compare theirs[] = { [SEC_NE] = SCMP_CMP_NE,
		[SEC_LT] = SCMP_CMP_LT,
		[SEC_LE] = SCMP_CMP_LE,
		[SEC_EQ] = SCMP_CMP_EQ,
		[SEC_GE] = SCMP_CMP_GE,
		[SEC_GT] = SCMP_CMP_GT,
		[SEC_MASKED] = SCMP_CMP_MASKED_EQ };
	struct sec_rule rule = { .ret = ret, .nconds = n };
	struct scmp_arg_cmp cmp[6];
	int nr = seccomp_syscall_resolve_name(name);

	if (n > 0)
		memcpy(rule.conds, conds, n * sizeof(*conds));
	for (unsigned i = 0; i < n; i++) {
		cmp[i] = (struct scmp_arg_cmp){ conds[i].arg, theirs[conds[i].op], conds[i].value, 0 };
		if (conds[i].op == SEC_MASKED) {
			cmp[i].datum_a = conds[i].mask;
			cmp[i].datum_b = conds[i].value;
		}
	}
	rule.nr = (uint32_t)sec_number(sec_machine_find("SCMP_ARCH_X86_64"), name);
	assert_int_equal(sec_add(p->wide, &rule), SEC_OK);
	rule.nr = (uint32_t)sec_number(sec_machine_find("SCMP_ARCH_X86"), name);
	assert_int_equal(sec_add(p->narrow, &rule), SEC_OK);
	assert_int_equal(
	    seccomp_rule_add_array(
		p->ctx, ret == SECCOMP_RET_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ret & 0xffff), nr, n, cmp),
	    0);
}

static void
finish(struct pair *p)
{
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	ssize_t len;

	assert_true(fd >= 0);
	assert_int_equal(seccomp_export_bpf(p->ctx, fd), 0);
	len = pread(fd, p->theirs.v, sizeof(p->theirs.v), 0);
	assert_true(len > 0 && len % (ssize_t)sizeof(p->theirs.v[0]) == 0);
	p->theirs.n = (size_t)len / sizeof(p->theirs.v[0]);
	close(fd);
	assert_int_equal(sec_program(&p->ours, &p->prog), SEC_OK);
}

static void
end(struct pair *p)
{
	seccomp_release(p->ctx);
	sec_filter_fini(&p->ours);
}

static void
same_answer(struct pair *p, const struct seccomp_data *d)
{
	uint32_t ours = machine_run(p->prog.v, p->prog.n, d),
		 theirs = machine_run(p->theirs.v, p->theirs.n, d);

	/* They kill calls of x32, for us they do not exist. */
	if (d->arch == AUDIT_ARCH_X86_64 && (uint32_t)d->nr >= 0x40000000u)
		theirs = SECCOMP_RET_ERRNO | ENOSYS;
	if (ours != theirs)
		fail_msg("arch %#x call %d (%#llx %#llx %#llx): %#x, libseccomp says %#x", d->arch, d->nr,
		    (unsigned long long)d->args[0], (unsigned long long)d->args[1],
		    (unsigned long long)d->args[2], ours, theirs);
}

/* Calls that have the same name and their own number on both. */
static const char *const names[] = { "read", "write", "open", "close", "lseek", "mprotect", "brk", "ioctl",
	"access", "pipe", "dup", "dup2", "pause", "nanosleep", "getitimer", "alarm", "getpid", "sendfile",
	"clone", "fork", "execve", "exit", "kill", "uname", "fcntl", "flock", "fsync", "truncate", "getdents",
	"getcwd", "chdir", "rename", "mkdir", "rmdir", "creat", "link", "unlink", "symlink", "readlink",
	"chmod", "umask", "ptrace", "syslog", "setsid", "capget", "utime", "mknod", "personality", "statfs",
	"sysfs", "getpriority", "mlock", "vhangup", "prctl", "chroot", "sync", "acct", "mount", "swapon",
	"reboot", "gettid", "readahead", "tkill", "futex", "io_setup", "timer_create", "exit_group",
	"epoll_wait", "tgkill", "mq_open", "waitid", "keyctl", "inotify_init", "openat", "unshare", "splice",
	"tee", "utimensat", "fallocate", "eventfd", "dup3", "prlimit64", "setns", "kcmp", "getrandom", "bpf",
	"execveat", "membarrier", "statx", "rseq" };
#define NNAMES (sizeof(names) / sizeof(names[0]))

static void
random_filter(struct pair *p, uint64_t *seed)
{
	uint32_t otherwise = number(seed) % 2 == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | ENOSYS;

	begin(p, otherwise);
	for (size_t i = 0; i < NNAMES; i++) {
		uint32_t ret = SECCOMP_RET_ERRNO | (uint32_t)(1 + number(seed) % 3);
		struct sec_cond conds[3];
		unsigned n = (unsigned)(number(seed) % 4);

		if (number(seed) % 3 == 0)
			continue;
		if (otherwise != SECCOMP_RET_ALLOW && number(seed) % 2 == 0)
			ret = SECCOMP_RET_ALLOW;
		for (unsigned c = 0; c < n; c++) {
			conds[c] = (struct sec_cond){ .arg = (uint8_t)c,
				.op = (enum sec_op)(number(seed) % 7),
				.value = edge(seed),
				.mask = edge(seed) };
			/* libseccomp compares with what the mask leaves of the value. */
			if (conds[c].op == SEC_MASKED)
				conds[c].value &= conds[c].mask;
		}
		add(p, names[i], ret, conds, n);
	}
	finish(p);
}

static void
look(struct pair *p, uint64_t *seed)
{
	struct seccomp_data d = { .nr = (int)(number(seed) % (CALLS + 150)) };
	bool wide = number(seed) % 2 == 0;

	d.arch = wide ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_I386;
	for (int i = 0; i < 6; i++)
		d.args[i] = wide ? edge(seed) : (uint32_t)edge(seed);
	/* Half of the looks are at calls that have rules, with the rules' own values near. */
	if (number(seed) % 2 == 0) {
		const struct sec_arch *a = wide ? p->wide : p->narrow;
		const struct sec_rule *r = &a->rules[number(seed) % a->nrules];

		d.nr = (int)r->nr;
		for (unsigned i = 0; i < r->nconds; i++) {
			d.args[r->conds[i].arg] = r->conds[i].value + number(seed) % 3 - 1;
			if (!wide)
				d.args[r->conds[i].arg] &= UINT32_MAX;
		}
	}
	same_answer(p, &d);
}

static void
test_random_filters_decide_as_libseccomp(void **state)
{
	struct pair *p = malloc(sizeof(*p));
	uint64_t seed = 88172645463325252u;

	for (int i = 0; i < FILTERS; i++) {
		random_filter(p, &seed);
		for (int k = 0; k < LOOKS; k++)
			look(p, &seed);
		end(p);
	}
	free(p);
}

static void
test_every_number_and_other_architectures(void **state)
{
	struct pair *p = malloc(sizeof(*p));
	struct seccomp_data d = { 0 };
	uint64_t seed = 42;

	random_filter(p, &seed);
	for (d.nr = 0; d.nr < 1024; d.nr++) {
		d.arch = AUDIT_ARCH_X86_64;
		same_answer(p, &d);
		d.arch = AUDIT_ARCH_I386;
		same_answer(p, &d);
	}
	d.nr = 0x40000001;
	d.arch = AUDIT_ARCH_X86_64;
	same_answer(p, &d);
	d.arch = AUDIT_ARCH_AARCH64;
	assert_int_equal(machine_run(p->prog.v, p->prog.n, &d), SECCOMP_RET_KILL_PROCESS);
	end(p);
	free(p);
}

/* One number after the other with another answer: jumps that are too long for their eight bits. */
static void
test_long_programs(void **state)
{
	struct sec_filter f = { .otherwise = SECCOMP_RET_ERRNO | ENOSYS,
		.no_arch = SECCOMP_RET_KILL_PROCESS };
	struct sec_arch *a = sec_arch_get(&f, sec_machine_find("SCMP_ARCH_X86_64"));
	struct sec_prog *prog = malloc(sizeof(*prog));
	struct seccomp_data d = { .arch = AUDIT_ARCH_X86_64 };

	for (uint32_t nr = 0; nr < 600; nr++) {
		struct sec_rule r = {
			.nr = nr, .ret = SECCOMP_RET_ERRNO | (nr % 200 + 1), .nconds = nr % 3 == 0
		};

		r.conds[0] = (struct sec_cond){ .arg = 0, .op = SEC_GT, .value = nr };
		assert_int_equal(sec_add(a, &r), SEC_OK);
	}
	assert_int_equal(sec_program(&f, prog), SEC_OK);
	assert_true(prog->n > 600);
	for (d.nr = 0; d.nr < 700; d.nr++) {
		uint32_t is = SECCOMP_RET_ERRNO | (uint32_t)(d.nr % 200 + 1),
			 none = SECCOMP_RET_ERRNO | ENOSYS;

		d.args[0] = (uint64_t)d.nr;
		assert_int_equal(machine_run(prog->v, prog->n, &d), d.nr < 600 && d.nr % 3 != 0 ? is : none);
		d.args[0] = (uint64_t)d.nr + 1;
		assert_int_equal(machine_run(prog->v, prog->n, &d), d.nr < 600 ? is : none);
		d.args[0] = UINT64_C(1) << 32;
		assert_int_equal(machine_run(prog->v, prog->n, &d), d.nr < 600 ? is : none);
	}
	sec_filter_fini(&f);
	free(prog);
}

static void
test_too_long_is_said(void **state)
{
	struct sec_filter f = { .otherwise = SECCOMP_RET_ALLOW };
	struct sec_arch *a = sec_arch_get(&f, sec_machine_find("SCMP_ARCH_X86_64"));
	struct sec_prog *prog = malloc(sizeof(*prog));

	for (uint32_t nr = 0; nr < 2000; nr++) {
		struct sec_rule r = { .nr = 2 * nr, .ret = SECCOMP_RET_ERRNO | 1, .nconds = 1 };

		r.conds[0] = (struct sec_cond){ .op = SEC_GT, .value = nr };
		assert_int_equal(sec_add(a, &r), SEC_OK);
	}
	assert_int_equal(sec_program(&f, prog), SEC_TOO_LONG);
	assert_int_equal(prog->n, 0);
	sec_filter_fini(&f);
	free(prog);
}

/* Rules with tests come first, the others are for what they leave; the first of two equals counts. */
static void
test_order_of_rules(void **state)
{
	struct sec_filter f = { .otherwise = SECCOMP_RET_ERRNO | 1 };
	struct sec_arch *a = sec_arch_get(&f, sec_machine_find("SCMP_ARCH_X86_64"));
	struct sec_prog *prog = malloc(sizeof(*prog));
	struct sec_rule plain = { .nr = 7, .ret = SECCOMP_RET_ALLOW },
			second = { .nr = 7, .ret = SECCOMP_RET_TRAP };
	struct sec_rule tested = {
		.nr = 7, .ret = SECCOMP_RET_ERRNO | 2, .nconds = 1, .conds = { { 0, SEC_EQ, 5, 0 } }
	};
	struct seccomp_data d = { .nr = 7, .arch = AUDIT_ARCH_X86_64, .args = { 5 } };

	assert_int_equal(sec_add(a, &plain), SEC_OK);
	assert_int_equal(sec_add(a, &second), SEC_OK);
	assert_int_equal(sec_add(a, &tested), SEC_OK);
	assert_int_equal(sec_program(&f, prog), SEC_OK);
	assert_int_equal(machine_run(prog->v, prog->n, &d), SECCOMP_RET_ERRNO | 2);
	d.args[0] = 6;
	assert_int_equal(machine_run(prog->v, prog->n, &d), SECCOMP_RET_ALLOW);
	sec_filter_fini(&f);
	free(prog);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_filters_decide_as_libseccomp),
		cmocka_unit_test(test_every_number_and_other_architectures),
		cmocka_unit_test(test_long_programs),
		cmocka_unit_test(test_too_long_is_said),
		cmocka_unit_test(test_order_of_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
