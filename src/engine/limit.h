/*
 * Limits of a pot, inside the engine: what pot.conf asks for, ready for the
 * isolation, with the CPUs that it was given.
 */
#ifndef ENGINE_LIMIT_H
#define ENGINE_LIMIT_H

#include "engine/epot.h"
#include "model/limit.h"

#define CPUS_MAX 4096 /* highest number of a CPU that pots are given, and one */
#define CPUS_TEXT 512

/* Bits per second to and from a pot; 0: no limit. */
enum { RATES_IN, RATES_OUT, RATES_WAYS };
struct epot_rates {
	uint64_t bps[RATES_WAYS];
};

/* iso points into the rest: not to be copied. */
struct epot_limits {
	struct limits set;
	struct epot_rates rates; /* only of a change */
	struct iso_limits iso;
	struct iso_io_limit io[LIMITS_IO_MAX];
	char cpus[CPUS_TEXT]; /* the list that it was given; "" until epot_cpus_take */
};

/* What pot.conf says, checked against the host. */
int epot_limits_get(struct epot *, struct epot_limits *, struct err *) MUST_CHECK;
/* Fills iso from set and cpus. */
int epot_limits_ready(struct epot *, struct epot_limits *, struct err *) MUST_CHECK;
/* Controllers that a start needs groups of. */
unsigned epot_limits_controllers(const struct epot_limits *);
/* The group prefix of this installation and the configured parent (NULL: none). */
const char *eng_cgroup_parent(const struct eng *, char prefix[static 64]);
/* setrlimit(2)'s of the pot's processes; returns how many. */
size_t epot_rlimits(const struct limits *, struct iso_rlimit out[static LIMITS_NULIMITS]);
/* Of a pot that is made: into its pot.conf; its quota is set by epot_limits_store. */
int epot_limits_create(struct epot *, const struct pot_limit *, size_t n, struct err *) MUST_CHECK;
/* The quota of its storage, when there is to be one. */
int epot_quota(struct epot *, uint64_t bytes, struct err *) MUST_CHECK;

/* rates.c: what pot.conf says of the rates of its network. */
void epot_rates_get(const struct epot *, struct epot_rates *);
/* "net-in", "net-out": 1; 0 another name. Text as for limits_set. */
int epot_rates_set(struct epot_rates *, const char *name, const char *text, struct err *) MUST_CHECK;
bool epot_rates_equal(const struct epot_rates *, const struct epot_rates *);
/* Into pot.conf (not yet saved). E_INVAL for a pot that is on no bridge. */
int epot_rates_store(struct epot *, const struct epot_rates *, struct err *) MUST_CHECK;
/* To the links of a running pot. After a failure some may be changed: apply what was. */
int epot_rates_apply(struct epot *, const struct epot_rates *, struct err *) MUST_CHECK;

/* What the run used up for want of memory, into the record: before its groups go. */
void epot_note_oom(struct epot *);
/* The same for a look at a running pot, without changing anything. */
uint64_t epot_oom_kills(const struct epot *);
/* OP_LIMITS: what pot.conf lists counts. */
int epot_finish_limits(struct epot *, struct err *) MUST_CHECK;

/*
 * cpus.c: which CPUs the pots of this installation are pinned to. Chosen in a
 * short lock: those least used. An entry counts while its run lives, so that nothing has
 * to be given back. want 0: none.
 */
int epot_cpus_take(struct epot *, uint64_t want, char out[static CPUS_TEXT], struct err *) MUST_CHECK;
/* Puts a list back that a failed change had replaced. */
void epot_cpus_put(struct epot *, const char *list);
/* What it has; "": none. */
int epot_cpus_get(const struct epot *, char out[static CPUS_TEXT], struct err *) MUST_CHECK;

#endif
