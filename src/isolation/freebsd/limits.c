/*
 * Limits of a pot and of its processes, and what the host has: rules of
 * rctl(8) for the jail, CPUs by cpuset(2), setrlimit(2) of a process. What
 * isolation.h calls a control group is the pot's jail here: its text is
 * "jail:NAME", and nothing has to be made before the jail itself.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/rctl.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

#define INF ISO_RLIM_INFINITY
#define MIB (1024 * 1024)
#define USAGE_MAX 4096

bool
racct_is_on(void)
{
	bool on = false;
	size_t n = sizeof(on);

	return sysctlbyname("kern.racct.enable", &on, &n, NULL, 0) == 0 && on;
}

int
racct_off(const char *what, struct err *e)
{
	err_set(e, E_NOTSUP, "%s: the kernel does not count what jails use", what);
	return err_hint(e, "put kern.racct.enable=1 into /boot/loader.conf and restart the machine");
}

/* ---- the text */

int
iso_cgroup_path(const char *parent, const char *prefix, const char *name, unsigned controllers,
    char out[static ISO_CGROUP_MAX], struct err *e)
{
	char jail[JAIL_NAME_MAX];
	int rc = jail_name(prefix, name, jail, e);

	(void)parent; /* jails of pots stand beside each other */
	(void)controllers;
	if (rc == 0)
		snprintf(out, ISO_CGROUP_MAX, "jail:%s", jail);
	return rc;
}

int
iso_cgroup_make(const char *cgroup, struct err *e)
{
	/* What a start before has left, when nobody was there to take it down. */
	return iso_cgroup_remove(cgroup, e);
}

int
iso_cgroup_remove(const char *cgroup, struct err *e)
{
	struct plan_record r = { .ruleset = 0 };
	const char *jail = jail_of(cgroup);
	char rules[JAIL_NAME_MAX + 8];
	int rc;

	if (jail == NULL)
		return err_set(e, E_INVAL, "\"%s\" does not name a jail", cgroup);
	rc = record_read(jail, &r, e);
	if (rc == 0)
		return plan_down(&r, &kern_freebsd, e);
	if (rc != -E_NOENT)
		return rc;
	/* Never made, or gone: limits may have been given before the jail was. A jail that pot has no
	   record of is not pot's. */
	snprintf(rules, sizeof(rules), "jail:%s:", jail);
	return kern_freebsd.rule_drop(NULL, rules, e);
}

int
iso_cgroup_extend(const struct iso_ref *ref, const char *parent, const char *prefix, const char *name,
    unsigned controllers, char out[static ISO_CGROUP_MAX], struct err *e)
{
	return iso_cgroup_path(parent, prefix, name, controllers, out, e);
}

int
iso_cgroup_join(const char *cgroup, struct err *e)
{
	return 0;
}

int
iso_cgroup_follow(const char *cgroup, struct err *e)
{
	return 0;
}

/* ---- limits */

unsigned
iso_limits_controllers(const struct iso_limits *l)
{
	return 0;
}

int
iso_limits_check(const struct iso_limits *l, struct err *e)
{
	return rules_check(l, e);
}

/* Those that pot would set by itself are left out where the kernel does not count. */
static struct iso_limits
possible(const struct iso_limits *l)
{
	struct iso_limits out = *l;

	if (racct_is_on())
		return out;
	if (!l->pids_wanted)
		out.pids = 0;
	if (!l->swap_wanted)
		out.memory_swap = 0;
	return out;
}

int
iso_limits_apply(
    const char *cgroup, const struct iso_limits *have, const struct iso_limits *want, struct err *e)
{
	struct iso_limits old = { 0 }, now = possible(want);
	const char *jail = jail_of(cgroup);
	int rc;

	if (jail == NULL)
		return err_set(e, E_INVAL, "\"%s\" does not name a jail", cgroup);
	if (have != NULL)
		old = possible(have);
	rc = rules_change(&kern_freebsd, jail, have != NULL ? &old : NULL, &now, e);
	/* The CPUs of a pot that starts are given with its jail. */
	if (rc == 0 && have != NULL && now.cpus != NULL &&
	    (old.cpus == NULL || strcmp(old.cpus, now.cpus) != 0)) {
		rc = kern_freebsd.cpus(NULL, jail, now.cpus, e);
		if (rc < 0)
			(void)!rules_change(&kern_freebsd, jail, &now, &old, NULL);
	}
	return rc;
}

static uint64_t
value_in(const char *usage, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = usage; *p != '\0'; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, key, n) == 0 && p[n] == '=')
			return strtoull(p + n + 1, NULL, 10);
	return ISO_UNKNOWN;
}

int
iso_limits_used(const char *cgroup, uint64_t *memory, uint64_t *pids, struct err *e)
{
	char filter[JAIL_NAME_MAX + 8], usage[USAGE_MAX];
	const char *jail = jail_of(cgroup);

	*memory = *pids = 0;
	if (jail == NULL)
		return err_set(e, E_INVAL, "\"%s\" does not name a jail", cgroup);
	if (!racct_is_on())
		return 0;
	snprintf(filter, sizeof(filter), "jail:%s", jail);
	if (rctl_get_racct(filter, strlen(filter) + 1, usage, sizeof(usage)) != 0)
		return err_sys(e, "cannot ask what jail %s uses", jail);
	*memory = value_in(usage, "memoryuse");
	*pids = value_in(usage, "maxproc");
	return 0;
}

/* ---- the host */

static uint64_t
number(const char *name)
{
	unsigned long l = 0;
	size_t n = sizeof(l);

	if (sysctlbyname(name, &l, &n, NULL, 0) != 0)
		return 0;
	return n == sizeof(int) ? *(unsigned *)(void *)&l : l;
}

void
iso_host(struct iso_host *h)
{
	*h =
	    (struct iso_host){ number("hw.physmem"), number("kern.maxproc"), number("kern.maxfilesperproc") };
}

int
iso_block_device(const char *path, unsigned *major, unsigned *minor, struct err *e)
{
	/* All devices together: rules of rctl know no others. */
	*major = *minor = 0;
	return access(path, F_OK) == 0 ? 0 : err_sys(e, "%s", path);
}

int
iso_cpus_allowed(unsigned *cpus, size_t max, size_t *n, struct err *e)
{
	cpuset_t set;

	*n = 0;
	if (cpuset_getaffinity(CPU_LEVEL_WHICH, CPU_WHICH_PID, -1, sizeof(set), &set) != 0)
		return err_sys(e, "cannot ask for CPUs");
	for (unsigned i = 0; i < CPU_SETSIZE && *n < max; i++)
		if (CPU_ISSET((int)i, &set))
			cpus[(*n)++] = i;
	return 0;
}

/* ---- setrlimit(2) */

static const struct {
	const char *name;
	int resource;
	uint64_t soft, hard;
} rows[] = {
	{ "as", RLIMIT_AS, INF, INF },
	{ "core", RLIMIT_CORE, 0, INF },
	{ "cpu", RLIMIT_CPU, INF, INF },
	{ "data", RLIMIT_DATA, INF, INF },
	{ "fsize", RLIMIT_FSIZE, INF, INF },
	{ "memlock", RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB },
	{ "nofile", RLIMIT_NOFILE, 1024, 1048576 },
	{ "nproc", RLIMIT_NPROC, INF, INF },
	{ "rss", RLIMIT_RSS, INF, INF },
	{ "stack", RLIMIT_STACK, 8 * MIB, 512 * MIB },
};

int
rlimits_check(const struct iso_rlimit *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t j = 0; j < ARRAY_LEN(rows); j++)
			known = known || strcmp(rows[j].name, v[i].name) == 0;
		if (!known)
			return err_set(e, E_NOTSUP, "this system has no limit \"%s\"", v[i].name);
	}
	return 0;
}

static rlim_t
as_limit(uint64_t v)
{
	return v >= (uint64_t)RLIM_INFINITY ? RLIM_INFINITY : (rlim_t)v;
}

int
rlimits_give(pid_t pid, const struct iso_rlimit *v, size_t n, struct err *e)
{
	for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
		int mib[5] = { CTL_KERN, KERN_PROC, KERN_PROC_RLIMIT, pid, rows[j].resource };
		struct rlimit l = { as_limit(rows[j].soft), as_limit(rows[j].hard) };
		bool asked = false;

		for (size_t i = 0; i < n; i++) {
			if (strcmp(rows[j].name, v[i].name) == 0) {
				l = (struct rlimit){ as_limit(v[i].soft), as_limit(v[i].hard) };
				asked = true;
			}
		}
		/* The usual values as far as the kernel gives them. */
		if (sysctl(mib, 5, NULL, NULL, &l, sizeof(l)) != 0 && asked)
			return err_sys(e, "cannot set the limit %s", rows[j].name);
	}
	return 0;
}

/* ---- usage */

struct iso_meter {
	bool racct;
	uint64_t memory;
};

int
iso_meter_open(struct iso_meter **out, struct err *e)
{
	struct iso_meter *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return err_nomem(e);
	m->racct = racct_is_on();
	m->memory = number("hw.physmem");
	*out = m;
	return 0;
}

void
iso_meter_close(struct iso_meter *m)
{
	free(m);
}

static int
add_proc(void *arg, const struct kinfo_proc *k)
{
	struct iso_stats *s = arg;

	s->cpu_ns += k->ki_runtime * 1000;
	s->memory += (uint64_t)k->ki_rssize * (uint64_t)getpagesize();
	s->pids++;
	return 0;
}

static uint64_t
or_zero(uint64_t v)
{
	return v == ISO_UNKNOWN ? 0 : v;
}

/* The limits stand in the rules that the kernel has for the jail. */
static void
limits_of(const char *jail, struct iso_stats *s)
{
	char filter[JAIL_NAME_MAX + 8], text[USAGE_MAX], key[JAIL_NAME_MAX + 40];
	const char *at;

	snprintf(filter, sizeof(filter), "jail:%s:", jail);
	if (rctl_get_rules(filter, strlen(filter) + 1, text, sizeof(text)) != 0)
		return;
	snprintf(key, sizeof(key), "jail:%s:memoryuse:sigkill=", jail);
	if ((at = strstr(text, key)) != NULL)
		s->memory_limit = strtoull(at + strlen(key), NULL, 10);
	snprintf(key, sizeof(key), "jail:%s:maxproc:deny=", jail);
	if ((at = strstr(text, key)) != NULL)
		s->pids_limit = strtoull(at + strlen(key), NULL, 10);
}

int
iso_stats(struct iso_meter *m, const struct iso_ref *ref, struct iso_stats *s, struct err *e)
{
	const char *jail = jail_of(ref->cgroup);
	char filter[JAIL_NAME_MAX + 8], usage[USAGE_MAX];
	int jid = jail == NULL ? -E_NOENT : jail_find(jail, e);

	if (jid == -E_NOENT)
		return err_set(e, E_STATE, "the pot has ended");
	if (jid < 0)
		return jid;
	memset(s, 0xff, sizeof(*s)); /* ISO_UNKNOWN */
	s->cpu_ns = s->memory = s->pids = 0;
	(void)!iso_oom_kills(ref->cgroup, &s->oom_kills, NULL);
	s->memory_limit = m->memory;
	snprintf(filter, sizeof(filter), "jail:%s", jail);
	if (!m->racct || rctl_get_racct(filter, strlen(filter) + 1, usage, sizeof(usage)) != 0)
		return procs_each(jid, add_proc, s, e);
	limits_of(jail, s);
	s->cpu_ns = or_zero(value_in(usage, "cputime")) * 1000000000u;
	s->memory = or_zero(value_in(usage, "memoryuse"));
	s->swap = value_in(usage, "swapuse");
	s->pids = or_zero(value_in(usage, "maxproc"));
	return 0;
}
