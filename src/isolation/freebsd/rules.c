/*
 * Limits of a pot as rules of rctl(8), in the form that the kernel takes:
 * plain numbers. Which rule a limit comes to is in one table; changing them
 * is all or nothing. Pure.
 */
#include "isolation/freebsd/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RULES_MAX 32

static int
lacks(struct err *e, const char *what, const char *instead)
{
	err_set(e, E_NOTSUP, "%s: jails have no such limit", what);
	return err_hint(e, "%s", instead);
}

int
rules_check(const struct iso_limits *l, struct err *e)
{
	if (l->reservation != 0)
		return lacks(e, "reserved memory", "--memory-reservation 0; limit the memory of others");
	if (l->cpu_shares != 0)
		return lacks(e, "CPU shares", "--cpu-shares 0; give it CPUs or a quota");
	if (l->io_weight != 0)
		return lacks(e, "I/O weight", "--io-weight 0; give it bytes or operations per second");
	return 0;
}

static void
rule(struct strv *v, const char *jail, const char *resource, const char *action, uint64_t n)
{
	strv_fmt(v, "jail:%s:%s:%s=%" PRIu64, jail, resource, action, n);
}

/* rctl knows no devices: what is asked for one holds for all together; the sum of several is taken. */
static void
io_rules(struct strv *v, const char *jail, const struct iso_limits *l)
{
	uint64_t sum[4] = { 0 };
	static const char *const names[4] = { "readbps", "writebps", "readiops", "writeiops" };

	for (size_t i = 0; i < l->nio; i++) {
		sum[0] += l->io[i].rbps;
		sum[1] += l->io[i].wbps;
		sum[2] += l->io[i].riops;
		sum[3] += l->io[i].wiops;
	}
	for (size_t i = 0; i < 4; i++)
		if (sum[i] != 0)
			rule(v, jail, names[i], "throttle", sum[i]);
}

int
rules_make(const char *jail, const struct iso_limits *l, struct strv *v, struct err *e)
{
	int rc = rules_check(l, e);

	if (rc < 0)
		return rc;
	if (l->memory != 0) {
		/* Who takes it over the limit is ended, and devd(8) hears of it: as the kernel of Linux does. */
		rule(v, jail, "memoryuse", "sigkill", l->memory);
		rule(v, jail, "memoryuse", "devctl", l->memory);
	}
	/* What the kernel counts there is all memory that could need swap, in use or not: the two together. */
	if (l->swap_wanted)
		rule(v, jail, "swapuse", "deny", l->memory_swap);
	if (l->pids != 0)
		rule(v, jail, "maxproc", "deny", l->pids);
	/* Thousandths of a CPU; rctl counts percent of one. */
	if (l->cpu_quota != 0)
		rule(v, jail, "pcpu", "deny", l->cpu_quota < 10 ? 1 : l->cpu_quota / 10);
	io_rules(v, jail, l);
	return strv_check(v, "limits", e);
}

static bool
has(const struct strv *v, const char *text)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], text) == 0)
			return true;
	return false;
}

static int
drop_others(const struct kern *k, const struct strv *from, const struct strv *but, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && rc == 0; i++)
		if (!has(but, from->v[i]))
			rc = k->rule_drop(k->arg, from->v[i], e);
	return rc;
}

static int
add_new(const struct kern *k, const struct strv *to, const struct strv *but, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < to->n && rc == 0; i++)
		if (!has(but, to->v[i]))
			rc = k->rule_add(k->arg, to->v[i], e);
	return rc;
}

int
rules_change(const struct kern *k, const char *jail, const struct iso_limits *have,
    const struct iso_limits *want, struct err *e)
{
	AUTO_FINI(strv) struct strv old = STRV_INIT(RULES_MAX), now = STRV_INIT(RULES_MAX);
	int rc = rules_make(jail, want, &now, e);

	if (rc == 0 && have != NULL)
		rc = rules_make(jail, have, &old, e);
	if (rc < 0)
		return rc;
	/* The new ones first: at no moment is there no limit. */
	rc = add_new(k, &now, &old, e);
	if (rc == 0)
		rc = drop_others(k, &old, &now, e);
	if (rc == 0)
		return 0;
	(void)!add_new(k, &old, &(struct strv)STRV_INIT(1), NULL);
	(void)!drop_others(k, &now, &old, NULL);
	return rc;
}
