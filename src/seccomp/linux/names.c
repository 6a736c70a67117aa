/*
 * Names of architectures and system calls. libseccomp knows the numbers; calls
 * that are newer than Debian's libseccomp stand here (all architectures have
 * given them the same number since 424), so that a filter does not depend on
 * which libseccomp it was made with.
 */
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>

#include "seccomp/linux/filter.h"

#define X32_BIT 0x40000000u

static const struct sec_machine machines[] = {
	{ "SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, true },
	{ "SCMP_ARCH_X86", "x86", SCMP_ARCH_X86, AUDIT_ARCH_I386, false },
	{ "SCMP_ARCH_X32", "x32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, true },
	{ "SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, true },
	{ "SCMP_ARCH_ARM", "arm", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, false },
	/* Profiles list these for machines that pot does not run on. */
	{ "SCMP_ARCH_NATIVE", "", 0, 0, false },
	{ "SCMP_ARCH_MIPS", "mips", 0, 0, false },
	{ "SCMP_ARCH_MIPS64", "mips64", 0, 0, false },
	{ "SCMP_ARCH_MIPS64N32", "mips64n32", 0, 0, false },
	{ "SCMP_ARCH_MIPSEL", "mipsel", 0, 0, false },
	{ "SCMP_ARCH_MIPSEL64", "mipsel64", 0, 0, false },
	{ "SCMP_ARCH_MIPSEL64N32", "mipsel64n32", 0, 0, false },
	{ "SCMP_ARCH_PPC", "ppc", 0, 0, false },
	{ "SCMP_ARCH_PPC64", "ppc64", 0, 0, false },
	{ "SCMP_ARCH_PPC64LE", "ppc64le", 0, 0, false },
	{ "SCMP_ARCH_S390", "s390", 0, 0, false },
	{ "SCMP_ARCH_S390X", "s390x", 0, 0, false },
	{ "SCMP_ARCH_PARISC", "parisc", 0, 0, false },
	{ "SCMP_ARCH_PARISC64", "parisc64", 0, 0, false },
	{ "SCMP_ARCH_RISCV64", "riscv64", 0, 0, false },
	{ "SCMP_ARCH_LOONGARCH64", "loong64", 0, 0, false },
	{ "SCMP_ARCH_M68K", "m68k", 0, 0, false },
	{ "SCMP_ARCH_SH", "sh", 0, 0, false },
	{ "SCMP_ARCH_SHEB", "sheb", 0, 0, false },
};
#define NMACHINES (sizeof(machines) / sizeof(machines[0]))

/* From the kernel's tables of system calls, up to Linux 6.18. */
static const struct {
	const char *name;
	int nr;
} late[] = {
	{ "pidfd_send_signal", 424 },
	{ "io_uring_setup", 425 },
	{ "io_uring_enter", 426 },
	{ "io_uring_register", 427 },
	{ "open_tree", 428 },
	{ "move_mount", 429 },
	{ "fsopen", 430 },
	{ "fsconfig", 431 },
	{ "fsmount", 432 },
	{ "fspick", 433 },
	{ "pidfd_open", 434 },
	{ "clone3", 435 },
	{ "close_range", 436 },
	{ "openat2", 437 },
	{ "pidfd_getfd", 438 },
	{ "faccessat2", 439 },
	{ "process_madvise", 440 },
	{ "epoll_pwait2", 441 },
	{ "mount_setattr", 442 },
	{ "quotactl_fd", 443 },
	{ "landlock_create_ruleset", 444 },
	{ "landlock_add_rule", 445 },
	{ "landlock_restrict_self", 446 },
	{ "process_mrelease", 448 },
	{ "futex_waitv", 449 },
	{ "set_mempolicy_home_node", 450 },
	{ "cachestat", 451 },
	{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },
	{ "futex_wake", 454 },
	{ "futex_wait", 455 },
	{ "futex_requeue", 456 },
	{ "statmount", 457 },
	{ "listmount", 458 },
	{ "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },
	{ "mseal", 462 },
	{ "setxattrat", 463 },
	{ "getxattrat", 464 },
	{ "listxattrat", 465 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
};

/* These the kernel puts into a process by itself; a filter that forbids them breaks tracing. */
static const struct {
	const char *name;
	int nr;
} probes[] = {
	{ "uretprobe", 335 },
	{ "uprobe", 336 },
};

const struct sec_machine *
sec_machine_find(const char *scmp_name)
{
	if (strcmp(scmp_name, "SCMP_ARCH_NATIVE") == 0)
		return sec_machine_native();
	for (size_t i = 0; i < NMACHINES; i++) {
		if (strcmp(machines[i].name, scmp_name) == 0)
			return &machines[i];
	}
	return NULL;
}

const struct sec_machine *
sec_machine_native(void)
{
	uint32_t native = seccomp_arch_native();

	for (size_t i = 0; i < NMACHINES; i++) {
		if (machines[i].audit != 0 && machines[i].scmp == native)
			return &machines[i];
	}
	return NULL;
}

bool
sec_machine_runs_here(const struct sec_machine *m)
{
	const struct sec_machine *native = sec_machine_native();

	if (native == NULL || m->audit == 0)
		return false;
	return m->audit == native->audit ||
	    (native->audit == AUDIT_ARCH_X86_64 && m->audit == AUDIT_ARCH_I386) ||
	    (native->audit == AUDIT_ARCH_AARCH64 && m->audit == AUDIT_ARCH_ARM);
}

struct sec_arch *
sec_arch_get(struct sec_filter *f, const struct sec_machine *m)
{
	bool is_x32 = m->scmp == SCMP_ARCH_X32;
	struct sec_arch *a = NULL;

	for (unsigned i = 0; i < f->narchs; i++) {
		if (f->archs[i].audit == m->audit)
			a = &f->archs[i];
	}
	if (a == NULL && f->narchs < SEC_ARCHS_MAX) {
		a = &f->archs[f->narchs++];
		a->audit = m->audit;
		a->wide = m->wide;
		a->limit = m->audit == AUDIT_ARCH_X86_64 ? X32_BIT : 0;
	}
	if (a != NULL && is_x32)
		a->limit = 0;
	return a;
}

long
sec_number(const struct sec_machine *m, const char *call)
{
	int nr;

	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		if (strcmp(late[i].name, call) == 0)
			return m->scmp == SCMP_ARCH_X32 ? (long)(X32_BIT | (unsigned)late[i].nr) : late[i].nr;
	}
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		if (strcmp(probes[i].name, call) == 0)
			return m->scmp == SCMP_ARCH_X86_64 ? probes[i].nr : SEC_NR_ABSENT;
	}
	nr = seccomp_syscall_resolve_name_arch(m->scmp, call);
	if (nr == __NR_SCMP_ERROR)
		return SEC_NR_UNKNOWN;
	return nr < 0 ? SEC_NR_ABSENT : nr;
}
