/*
 * Inside seccomp only: a filter as a list of decisions per architecture, and
 * the program made of it.  The generator that runs at build time uses this
 * too, so nothing here leans on other folders.
 */
#ifndef SECCOMP_LINUX_FILTER_H
#define SECCOMP_LINUX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEC_INSNS_MAX 4096 /* BPF_MAXINSNS */
#define SEC_RULES_MAX 16384
#define SEC_ARCHS_MAX 4

enum sec_op { SEC_NE, SEC_LT, SEC_LE, SEC_EQ, SEC_GE, SEC_GT, SEC_MASKED };

/* One test of an argument; SEC_MASKED: (argument & mask) == value. All 64 bits count, 32 where there are no more. */
struct sec_cond {
	uint8_t arg; /* 0..5 */
	enum sec_op op;
	uint64_t value, mask;
};

/* The kernel implements no such call: what is answered does not matter. No SECCOMP_RET_* looks like it. */
#define SEC_RET_ANY 0xfffffffeu

/*
 * What one call gets when all its tests hold. Rules with tests go before
 * those without; among either the first that was added counts.
 */
struct sec_rule {
	uint32_t nr;
	uint32_t ret; /* SECCOMP_RET_* with its data */
	unsigned order;
	unsigned nconds;
	struct sec_cond conds[6];
};

/* The calls that arrive under one AUDIT_ARCH_*. */
struct sec_arch {
	uint32_t audit;
	bool wide;      /* arguments have 64 bits */
	uint32_t limit; /* from this number on there is nothing (ENOSYS); 0: no limit */
	struct sec_rule *rules;
	size_t nrules, cap;
};

struct sec_filter {
	uint32_t otherwise; /* for calls that no rule names */
	uint32_t no_arch;   /* for architectures that are not listed */
	struct sec_arch archs[SEC_ARCHS_MAX];
	unsigned narchs;
};

struct sec_prog {
	struct sock_filter v[SEC_INSNS_MAX];
	size_t n;
};

/* SEC_UNKNOWN: a machine or a call that nobody knows. */
enum sec_result { SEC_OK, SEC_TOO_LONG, SEC_NOMEM, SEC_UNKNOWN };

void sec_filter_fini(struct sec_filter *);
/* Copies the rule (order is set here). */
enum sec_result sec_add(struct sec_arch *, const struct sec_rule *);
/* Sorts the rules and makes the program. The same filter gives the same bytes everywhere. */
enum sec_result sec_program(struct sec_filter *, struct sec_prog *);

/*
 * Architectures by the name that profiles use, and what they know of a call.
 */
struct sec_machine {
	const char *name;   /* SCMP_ARCH_… */
	const char *docker; /* its word in Docker's includes and excludes */
	uint32_t scmp;      /* libseccomp's token */
	uint32_t audit;
	bool wide;
};
/* NULL: never heard of. audit 0: known, and can never arrive on a machine that pot runs on. */
const struct sec_machine *sec_machine_find(const char *scmp_name);
const struct sec_machine *sec_machine_native(void);
/* Do calls of that kind come on this machine? */
bool sec_machine_runs_here(const struct sec_machine *);
/* The table's entry of the filter for calls of this machine, made when missing; NULL without room. */
struct sec_arch *sec_arch_get(struct sec_filter *, const struct sec_machine *);

#define SEC_NR_ABSENT (-1)  /* another architecture has it */
#define SEC_NR_UNKNOWN (-2) /* no architecture has it */
long sec_number(const struct sec_machine *, const char *call);

/* The default profile for a machine ("x86_64", "aarch64") and what runs on it; NULL: this one. */
enum sec_result sec_default(struct sec_filter *, const char *cpu, uint64_t caps);
/* All capabilities that change the default profile. */
uint64_t sec_default_caps(void);

#endif
