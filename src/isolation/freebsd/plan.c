/*
 * The order of things on FreeBSD: record, devfs rules, mounts, jail, its
 * datasets, loopback and CPUs on the way up; on the way down the jail with its
 * processes and datasets, its limits, shared memory, mounts, rules and the
 * record, by what the record says and by nothing else. Pure.
 */
#include "isolation/freebsd/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static int
op(struct plan *p, enum plan_kind kind, const struct plan_mount *m, struct err *e)
{
	if (p->nops == PLAN_OPS_MAX)
		return err_set(e, E_LIMIT, "more than %d steps to start a pot", PLAN_OPS_MAX);
	p->ops[p->nops].kind = kind;
	if (m != NULL)
		p->ops[p->nops].mount = *m;
	p->nops++;
	return 0;
}

/* The kernel's own file systems, before what the user asked for. */
static int
system_mounts(struct plan *p, const struct param_mounts *m, struct err *e)
{
	const struct {
		bool wanted;
		struct plan_mount mount;
	} v[] = {
		{ true,
		    { .fstype = "devfs",
			.target = "/dev",
			.dir = true,
			.from_fd = -1,
			.ruleset = m->ruleset != 0 ? m->ruleset : p->record.ruleset } },
		{ m->fdescfs, { .fstype = "fdescfs", .target = "/dev/fd", .dir = true, .from_fd = -1 } },
		{ m->procfs, { .fstype = "procfs", .target = "/proc", .dir = true, .from_fd = -1 } },
		{ m->linprocfs,
		    { .fstype = "linprocfs", .target = "/compat/linux/proc", .dir = true, .from_fd = -1 } },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(v) && rc == 0; i++)
		if (v[i].wanted)
			rc = op(p, PLAN_MOUNT, &v[i].mount, e);
	return rc;
}

int
plan_start(struct plan *p, const struct iso_spec *s, const struct plan_input *in, struct err *e)
{
	struct param_mounts own;
	int rc = params_mounts(s, &own, e);

	if (rc < 0)
		return rc;
	memset(p, 0, sizeof(*p));
	p->record = *in->record;
	if (own.ruleset != 0)
		p->record.ruleset = 0;
	p->root_fd = s->root_fd;
	p->devices = in->devices;
	p->cpus = s->limits != NULL ? s->limits->cpus : NULL;
	rc = params_make(s, p->record.jail, p->record.root, in->osrelease, &p->params, e);
	if (rc == 0)
		rc = op(p, PLAN_RECORD, NULL, e);
	if (rc == 0 && p->record.ruleset != 0)
		rc = op(p, PLAN_RULESET, NULL, e);
	if (rc == 0 && p->record.covered)
		rc = op(p, PLAN_COVER, NULL, e);
	if (rc == 0)
		rc = system_mounts(p, &own, e);
	for (size_t i = 0; i < in->nmounts && rc == 0; i++)
		rc = op(p, PLAN_MOUNT, &in->mounts[i], e);
	if (rc == 0)
		rc = op(p, PLAN_JAIL, NULL, e);
	for (char *const *d = in->datasets; *d != NULL && rc == 0; d++) {
		rc = op(p, PLAN_DATASET, NULL, e);
		if (rc == 0)
			p->ops[p->nops - 1].dataset = *d;
	}
	if (rc == 0 && s->own_net)
		rc = op(p, PLAN_LOOPBACK, NULL, e);
	if (rc == 0 && p->cpus != NULL)
		rc = op(p, PLAN_CPUS, NULL, e);
	return rc;
}

static int
up_one(const struct plan *p, const struct plan_op *o, const struct kern *k, struct err *e)
{
	switch (o->kind) {
	case PLAN_RECORD:
		return k->record(k->arg, &p->record, e);
	case PLAN_RULESET:
		return k->ruleset_make(k->arg, p->record.ruleset, p->devices, e);
	case PLAN_COVER:
		return k->cover(k->arg, p->root_fd, p->record.root, e);
	case PLAN_MOUNT:
		return k->mount(k->arg, p->root_fd, p->record.covered ? p->record.root : NULL, &o->mount, e);
	case PLAN_JAIL:
		return k->jail_make(k->arg, &p->params, e);
	case PLAN_DATASET:
		return k->dataset(k->arg, p->record.jail, o->dataset, e);
	case PLAN_LOOPBACK:
		return k->loopback(k->arg, p->record.jail, e);
	case PLAN_CPUS:
		return k->cpus(k->arg, p->record.jail, p->cpus, e);
	}
	return 0;
}

int
plan_up(const struct plan *p, const struct kern *k, struct err *e)
{
	struct err own = ERR_INIT;
	int rc = 0;

	for (size_t i = 0; i < p->nops && rc == 0; i++) {
		rc = up_one(p, &p->ops[i], k, &own);
		fault_point("jail.step");
		/* Nothing was changed before the record is there. */
		if (rc < 0 && i == 0)
			return e != NULL ? (*e = own, rc) : rc;
	}
	if (rc == 0)
		return 0;
	(void)!plan_down(&p->record, k, NULL);
	if (e != NULL)
		*e = own;
	return rc;
}

/* Keeps the first failure. */
static void
note(int *rc, int r, struct err *first, const struct err *own)
{
	if (r < 0 && *rc == 0) {
		*rc = r;
		if (first != NULL)
			*first = *own;
	}
}

int
plan_down(const struct plan_record *r, const struct kern *k, struct err *e)
{
	char rules[JAIL_NAME_MAX + 8];
	struct err own = ERR_INIT;
	int rc = 0;

	snprintf(rules, sizeof(rules), "jail:%s:", r->jail);
	note(&rc, k->jail_drop(k->arg, r->jail, &own), e, &own);
	fault_point("jail.dropped");
	note(&rc, k->rule_drop(k->arg, rules, &own), e, &own);
	note(&rc, k->shm_drop(k->arg, r->root, &own), e, &own);
	/* A root that is still used keeps its record: the next one who cleans up must find it. */
	if (rc == 0)
		note(&rc, k->unmount_all(k->arg, r->root, r->covered, &own), e, &own);
	if (rc == 0 && r->ruleset != 0)
		note(&rc, k->ruleset_drop(k->arg, r->ruleset, &own), e, &own);
	fault_point("jail.unmounted");
	if (rc == 0)
		note(&rc, k->forget(k->arg, r->jail, &own), e, &own);
	return rc;
}

/* ---- the record: lines of KEY VALUE, the first its version */

#define RECORD_FIRST "pot-jail 1"

void
plan_record_text(const struct plan_record *r, struct buf *b)
{
	buf_fmt(b, RECORD_FIRST "\njail %s\nruleset %u\ncovered %d\nroot %s\n", r->jail, r->ruleset,
	    r->covered, r->root);
}

static bool
value_of(const char *text, const char *key, char *out, size_t size)
{
	size_t n = strlen(key), len;

	for (const char *l = text; *l != '\0'; l += len + (l[len] == '\n')) {
		len = strcspn(l, "\n");
		if (len > n + 1 && len - n - 1 < size && strncmp(l, key, n) == 0 && l[n] == ' ' &&
		    l[len] == '\n') {
			memcpy(out, l + n + 1, len - n - 1);
			out[len - n - 1] = '\0';
			return true;
		}
	}
	return false;
}

int
plan_record_parse(const char *text, struct plan_record *r, struct err *e)
{
	char ruleset[16], covered[4];
	unsigned long n;
	char *end;

	memset(r, 0, sizeof(*r));
	if (strncmp(text, RECORD_FIRST "\n", sizeof(RECORD_FIRST)) != 0 ||
	    !value_of(text, "jail", r->jail, sizeof(r->jail)) ||
	    !value_of(text, "root", r->root, sizeof(r->root)) || r->root[0] != '/' ||
	    !value_of(text, "ruleset", ruleset, sizeof(ruleset)) ||
	    !value_of(text, "covered", covered, sizeof(covered)))
		return err_set(e, E_CORRUPT, "the record of a jail is damaged");
	n = strtoul(ruleset, &end, 10);
	if (*end != '\0' || n > 65535)
		return err_set(e, E_CORRUPT, "the record of jail %s is damaged", r->jail);
	r->ruleset = (unsigned)n;
	r->covered = covered[0] == '1';
	return 0;
}
