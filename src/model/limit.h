/*
 * What a pot may use, as its pot.conf says it: names of limits as options and
 * Potfiles have them, their texts, the numbers they mean, and which of them a
 * host can give. Pure: what a limit is made of in the kernel is isolation's.
 */
#ifndef MODEL_LIMIT_H
#define MODEL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "model/potconf.h"

#define LIMITS_IO_MAX 16
#define LIMITS_DEVICE_MAX 128

/* In this order: setrlimit(2)'s, by the names that everybody uses. */
#define LIMITS_ULIMITS(X) \
	X(as)             \
	X(core)           \
	X(cpu)            \
	X(data)           \
	X(fsize)          \
	X(memlock) X(msgqueue) X(nice) X(nofile) X(nproc) X(rss) X(rtprio) X(rttime) X(sigpending) X(stack)
enum limits_ulimit {
#define X(name) LIMITS_ULIMIT_##name,
	LIMITS_ULIMITS(X)
#undef X
	    LIMITS_NULIMITS
};
extern const char *const limits_ulimit_names[LIMITS_NULIMITS];
#define LIMITS_UNLIMITED UINT64_MAX

struct limits_range {
	bool set;
	uint64_t soft, hard; /* LIMITS_UNLIMITED: none */
};

enum limits_rate { LIMITS_RBPS, LIMITS_WBPS, LIMITS_RIOPS, LIMITS_WIOPS, LIMITS_RATES };
extern const char *const limits_rate_names[LIMITS_RATES];
struct limits_io {
	char device[LIMITS_DEVICE_MAX]; /* a path; "": that on which the installation is */
	uint64_t rate[LIMITS_RATES];    /* bytes and operations a second, 0: no limit */
};

enum limits_oom { LIMITS_OOM_KILL, LIMITS_OOM_RESTART, LIMITS_OOM_STOP };
extern const char *const limits_oom_names[]; /* NULL-terminated */
enum limits_restart {
	LIMITS_RESTART_NO,
	LIMITS_RESTART_ALWAYS,
	LIMITS_RESTART_ON_FAILURE,
	LIMITS_RESTART_UNLESS_STOPPED
};

/* 0 is no limit. */
struct limits {
	uint64_t memory, memory_swap, memory_reservation; /* bytes; memory_swap: both together */
	uint64_t cpus;                                    /* how many, pinned */
	uint64_t cpu_shares;                              /* 1024 is one share */
	uint64_t cpu_quota;                               /* thousandths of a CPU */
	uint64_t pids;
	bool pids_set; /* else the configuration's pids_limit */
	uint64_t io_weight;
	uint64_t disk; /* bytes */
	struct limits_range ulimit[LIMITS_NULIMITS];
	struct limits_io io[LIMITS_IO_MAX];
	size_t nio;
	enum limits_oom on_oom;
	enum limits_restart restart;
	uint64_t restart_max; /* with on-failure: 0 any number */
};

/* One limit by its name: what options, Potfiles and messages call it. */
struct limits_row {
	const char *name; /* "memory-swap" */
	const char *key;  /* of pot.conf */
	bool repeated;    /* one value for each device or ulimit */
	int (*parse)(struct limits *, const char *text, struct err *);
	/* Text of what is set, for pot.conf; index counts from 0. false: nothing (more) is set. */
	bool (*print)(const struct limits *, size_t index, char *out, size_t size);
};
extern const struct limits_row limits_rows[];
extern const size_t limits_nrows;

const struct limits_row *limits_find(const char *name, struct err *); /* E_INVAL with the nearest as hint */
const struct limits_row *limits_find_key(const char *key);

/*
 * "64m", "150%", "rbps=1m", "nofile=1024:4096" …; NULL, "" and "default" take the limit away (so does
 * "0", but of pids: no limit instead of the configuration's). Of the repeated ones that is all; "NAME=default",
 * "DEVICE:default" take one away.
 */
int limits_set(struct limits *, const char *name, const char *text, struct err *) MUST_CHECK;
int limits_read(const struct potconf *, struct limits *, struct err *) MUST_CHECK;
int limits_write(struct potconf *, const struct limits *, struct err *) MUST_CHECK;

/* The restart policy, also the usual one. */
void limits_restart_print(const struct limits *, char *out, size_t size);

/* What there is to give; 0: not known. */
struct limits_host {
	uint64_t memory, cpus, pids, nofile;
};
/* Do they fit each other and the host? E_INVAL, E_LIMIT: the message tells the number that would do. */
int limits_check(const struct limits *, const struct limits_host *, struct err *) MUST_CHECK;

/* "0-1,4" of CPU numbers in order. E_LIMIT when it does not fit. */
int limits_cpulist_print(const unsigned *cpus, size_t n, char *out, size_t size, struct err *) MUST_CHECK;
/* Adds 1 to load[i] for each number listed that is below n. */
void limits_cpulist_count(const char *list, unsigned *load, size_t n);
/*
 * Which `want` of the allowed CPUs are used least: load[i] is how many use CPU i. Ties go to the lower
 * number. Into out, in order.
 */
void limits_cpus_choose(
    const unsigned *allowed, size_t nallowed, const unsigned *load, size_t want, unsigned *out);

#endif
