/*
 * What loading a system call filter costs a start: the default one, and the
 * same decisions as libseccomp compiles them, once ready made and once
 * compiled in the process that loads it. Median of the children, microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "seccomp/linux/default_program.h"
#include "seccomp/linux/filter.h"

#define ROUNDS 300
#define KINDS 4

static uint32_t
their_action(uint32_t ret)
{
	return ret == SECCOMP_RET_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ret & 0xffff);
}

/* The default profile for libseccomp. */
static scmp_filter_ctx
theirs(int tree)
{
	struct sec_filter f = { 0 };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	if (ctx == NULL || sec_default(&f, NULL, 0) != SEC_OK)
		exit(1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, tree ? 2 : 1);
	if (f.narchs > 1)
		seccomp_arch_add(
		    ctx, seccomp_arch_native() == SCMP_ARCH_X86_64 ? SCMP_ARCH_X86 : SCMP_ARCH_ARM);
	for (size_t i = 0; i < f.archs[0].nrules; i++) {
		const struct sec_rule *r = &f.archs[0].rules[i];
		struct scmp_arg_cmp cmp[6];

		if (r->ret == SEC_RET_ANY || r->ret == f.otherwise)
			continue;
		for (unsigned c = 0; c < r->nconds; c++)
			cmp[c] = (struct scmp_arg_cmp){ r->conds[c].arg, SCMP_CMP_MASKED_EQ, r->conds[c].mask,
				r->conds[c].value };
		/* What it finds to be in conflict it leaves out; for the time that is the same. */
		seccomp_rule_add_array(ctx, their_action(r->ret), (int)r->nr, r->nconds, cmp);
	}
	sec_filter_fini(&f);
	return ctx;
}

static size_t export(scmp_filter_ctx ctx, struct sock_filter *v, size_t max)
{
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	ssize_t len;

	if (fd < 0 || seccomp_export_bpf(ctx, fd) != 0)
		exit(1);
	len = pread(fd, v, max * sizeof(*v), 0);
	close(fd);
	return len < 0 ? 0 : (size_t)len / sizeof(*v);
}

static double
load(const struct sock_filter *v, size_t n)
{
	struct sock_fprog p = { (unsigned short)n, (struct sock_filter *)(uintptr_t)v };
	double from = now_us();
	scmp_filter_ctx ctx = NULL;

	if (v == NULL) {
		ctx = theirs(1);
		return seccomp_load(ctx) == 0 ? now_us() - from : -1;
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) != 0)
		return -1;
	return now_us() - from;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int
main(void)
{
	static struct sock_filter linear[SEC_INSNS_MAX], tree[SEC_INSNS_MAX];
	static double times[KINDS][ROUNDS];
	size_t nlinear = export(theirs(0), linear, SEC_INSNS_MAX),
	       ntree = export(theirs(1), tree, SEC_INSNS_MAX);
	const struct {
		const char *name;
		const struct sock_filter *v;
		size_t n;
	} kinds[KINDS] = {
		{ "default filter", sec_default_program, sec_default_len },
		{ "libseccomp, list, ready made", linear, nlinear },
		{ "libseccomp, tree, ready made", tree, ntree },
		{ "libseccomp, compiled at start", NULL, ntree },
	};
	double *shared =
	    mmap(NULL, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return 1;
	for (int r = 0; r < ROUNDS; r++) {
		for (int k = 0; k < KINDS; k++) {
			pid_t pid = fork();

			if (pid == 0) {
				*shared = load(kinds[k].v, kinds[k].n);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			times[k][r] = *shared;
		}
	}
	for (int k = 0; k < KINDS; k++) {
		qsort(times[k], ROUNDS, sizeof(double), compare);
		printf("%-32s %5zu instructions %8.1f us (least %.1f)\n", kinds[k].name, kinds[k].n,
		    times[k][ROUNDS / 2], times[k][0]);
	}
	return 0;
}
