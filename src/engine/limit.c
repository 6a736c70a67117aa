/*
 * Limits of pots: from pot.conf to the isolation, changing them for stopped
 * and running pots, and what became of a pot that reached its memory. A change
 * of a running pot is journalled; what pot.conf lists counts (as with mounts),
 * so that a killed update leaves either the old or the new limits, whole. The
 * control files are isolation's, the choice of CPUs is in cpus.c.
 */
#include "engine/limit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/text.h"

#define MIB (1u << 20)

/* ---- from pot.conf to the isolation */

static int
check_host(const struct limits *l, struct err *e)
{
	AUTO_FREE unsigned *cpus = calloc(CPUS_MAX, sizeof(*cpus));
	struct limits_host h = { 0 };
	struct iso_host has = { 0 };
	size_t n;
	int rc = cpus == NULL ? err_nomem(e) : iso_cpus_allowed(cpus, CPUS_MAX, &n, e);

	if (rc < 0)
		return rc;
	iso_host(&has);
	h.memory = has.memory;
	h.pids = has.pids;
	h.nofile = has.nofile;
	h.cpus = n;
	return limits_check(l, &h, e);
}

/* The device by its path; "": the one that the installation is on. */
static int
find_device(struct epot *p, const struct limits_io *from, struct iso_io_limit *to, struct err *e)
{
	const char *path = from->device[0] != '\0' ? from->device : p->eng->root;
	int rc = iso_block_device(path, &to->major, &to->minor, e);

	to->rbps = from->rate[LIMITS_RBPS];
	to->wbps = from->rate[LIMITS_WBPS];
	to->riops = from->rate[LIMITS_RIOPS];
	to->wiops = from->rate[LIMITS_WIOPS];
	return rc;
}

int
epot_limits_ready(struct epot *p, struct epot_limits *l, struct err *e)
{
	const struct limits *s = &l->set;
	int rc = 0;

	for (size_t i = 0; i < s->nio && rc == 0; i++)
		rc = find_device(p, &s->io[i], &l->io[i], e);
	l->iso = (struct iso_limits){
		.memory = s->memory,
		/* Without a word about swap, memory is all there is. */
		.memory_swap = s->memory_swap != 0 ? s->memory_swap : s->memory,
		.swap_wanted = s->memory_swap != 0,
		.reservation = s->memory_reservation,
		.pids = s->pids_set ? s->pids : config_uint(p->eng->conf, "pids_limit"),
		.pids_wanted = s->pids_set,
		.cpu_shares = s->cpu_shares,
		.cpu_quota = s->cpu_quota,
		.cpus = l->cpus[0] != '\0' ? l->cpus : NULL,
		.io_weight = s->io_weight,
		.oom_group = s->on_oom == LIMITS_OOM_STOP,
		.io = l->io,
		.nio = s->nio,
	};
	return rc;
}

int
epot_limits_get(struct epot *p, struct epot_limits *l, struct err *e)
{
	static const struct limits none;
	int rc;

	l->cpus[0] = '\0';
	rc = limits_read(&p->conf, &l->set, e);
	/* Most pots have none; the host is asked only for those that do. */
	if (rc == 0 && memcmp(&l->set, &none, sizeof(none)) != 0)
		rc = check_host(&l->set, e);
	return rc < 0 ? rc : epot_limits_ready(p, l, e);
}

unsigned
epot_limits_controllers(const struct epot_limits *l)
{
	return ISO_CG_ALWAYS | iso_limits_controllers(&l->iso) | (l->set.cpus != 0 ? ISO_CG_CPUSET : 0);
}

const char *
eng_cgroup_parent(const struct eng *g, char prefix[static 64])
{
	const char *id = kv_get(&g->node, "id"), *parent = config_get(g->conf, "cgroup_parent");

	snprintf(prefix, 64, "pot-%s", id == NULL ? "node" : id);
	return *parent == '\0' ? NULL : parent;
}

size_t
epot_rlimits(const struct limits *l, struct iso_rlimit out[static LIMITS_NULIMITS])
{
	size_t n = 0;

	for (size_t u = 0; u < LIMITS_NULIMITS; u++)
		if (l->ulimit[u].set)
			out[n++] = (struct iso_rlimit){ limits_ulimit_names[u], l->ulimit[u].soft,
				l->ulimit[u].hard };
	return n;
}

/* ---- out of memory */

uint64_t
epot_oom_kills(const struct epot *p)
{
	const struct state_rec *r = &p->state.rec;
	uint64_t n = r->oom_kills, now;

	if (state_is_active(r) && r->cgroup[0] != '\0' && iso_oom_kills(r->cgroup, &now, NULL) == 0)
		n = now;
	return n;
}

void
epot_note_oom(struct epot *p)
{
	uint64_t n = epot_oom_kills(p);

	p->state.rec.oom_kills = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* ---- changing */

static int
change(struct limits *l, const struct pot_limit *v, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = limits_set(l, v[i].name, v[i].value, e);
	return rc == 0 ? check_host(l, e) : rc;
}

/* The same with the rates of the network, which a new pot gets with its network. */
static int
change_all(struct epot_limits *l, const struct pot_limit *v, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = epot_rates_set(&l->rates, v[i].name, v[i].value, e);
		if (rc == 0)
			rc = limits_set(&l->set, v[i].name, v[i].value, e);
	}
	return rc < 0 ? rc : check_host(&l->set, e);
}

int
epot_quota(struct epot *p, uint64_t bytes, struct err *e)
{
	int rc = eng_need_storage(p->eng, e);

	return rc < 0 ? rc : stor_quota(p->eng->stor, epot_fs(p), bytes, e);
}

/* Whatever is wrong with a limit is found now, not at the first start. */
static int
check_controllers(struct epot *p, const struct epot_limits *l, struct err *e)
{
	char prefix[64], text[ISO_CGROUP_MAX];
	const char *parent = eng_cgroup_parent(p->eng, prefix);
	int rc = iso_limits_check(&l->iso, e);

	return rc < 0 ? rc : iso_cgroup_path(parent, prefix, p->name, epot_limits_controllers(l), text, e);
}

int
epot_limits_create(struct epot *p, const struct pot_limit *v, size_t n, struct err *e)
{
	AUTO_FREE struct epot_limits *l = calloc(1, sizeof(*l));
	uint64_t old_disk;
	int rc;

	if (l == NULL)
		return err_nomem(e);
	rc = limits_read(&p->conf, &l->set, e);
	old_disk = l->set.disk;
	if (rc == 0)
		rc = change(&l->set, v, n, e);
	if (rc == 0)
		rc = epot_limits_ready(p, l, e);
	if (rc == 0)
		rc = check_controllers(p, l, e);
	/* A clone's storage has no quota yet, whatever its source's is. */
	if (rc == 0 && (l->set.disk != 0 || old_disk != 0))
		rc = epot_quota(p, l->set.disk, e);
	return rc < 0 ? rc : limits_write(&p->conf, &l->set, e);
}

static int
below_use(const struct epot *p, const char *what, uint64_t want, uint64_t used, bool bytes, struct err *e)
{
	char size[TEXT_SIZE_LEN];

	text_size_print(used, size);
	return err_set(e, E_LIMIT, "%s %" PRIu64 " is less than pot %s uses now: at least %" PRIu64 "%s%s%s",
	    what, want, p->name, used, bytes ? " (" : "", bytes ? size : "", bytes ? ")" : "");
}

/* What it uses now must fit; the number that would do leaves room for what it does meanwhile. */
static int
check_use(const struct epot *p, const struct iso_limits *have, const struct iso_limits *want, struct err *e)
{
	bool memory = want->memory != 0 && (have->memory == 0 || want->memory < have->memory);
	bool pids = want->pids != 0 && (have->pids == 0 || want->pids < have->pids);
	uint64_t bytes, n;
	int rc;

	if (!memory && !pids)
		return 0;
	rc = iso_limits_used(p->state.rec.cgroup, &bytes, &n, e);
	if (rc < 0)
		return rc;
	if (memory && want->memory < bytes)
		return below_use(p, "memory", want->memory, (bytes / MIB + 2) * MIB, true, e);
	if (pids && want->pids < n)
		return below_use(p, "pids", want->pids, n, false, e);
	return 0;
}

/* Journals the change, with the text of all groups that it may need from now on. */
static int
journal(struct epot *p, const struct epot_limits *want, struct err *e)
{
	struct state_rec *r = &p->state.rec;
	const struct iso_ref ref = epot_ref(p);
	char prefix[64], text[ISO_CGROUP_MAX];
	const char *parent = eng_cgroup_parent(p->eng, prefix);
	int rc = iso_cgroup_extend(&ref, parent, prefix, p->name, epot_limits_controllers(want), text, e);

	if (rc < 0)
		return rc;
	snprintf(r->cgroup, sizeof(r->cgroup), "%s", text);
	r->op = OP_LIMITS;
	return state_write(&p->state, false, e);
}

/* From `have` to `want` in the kernel; as before after a failure. */
static int
apply(struct epot *p, const struct epot_limits *have, struct epot_limits *want, struct err *e)
{
	const char *cgroup = p->state.rec.cgroup;
	bool repin = want->set.cpus != have->set.cpus;
	int rc = iso_cgroup_join(cgroup, e);

	snprintf(want->cpus, sizeof(want->cpus), "%s", have->cpus);
	if (rc == 0 && repin)
		rc = epot_cpus_take(p, want->set.cpus, want->cpus, e);
	if (rc == 0)
		rc = epot_limits_ready(p, want, e);
	fault_point("update.chosen");
	if (rc == 0)
		rc = iso_limits_apply(cgroup, &have->iso, &want->iso, e);
	if (rc < 0 && repin)
		epot_cpus_put(p, have->cpus);
	fault_point("update.applied");
	return rc;
}

static int
change_quota(struct epot *p, const struct epot_limits *have, const struct epot_limits *want, struct err *e)
{
	int rc = want->set.disk == have->set.disk ? 0 : epot_quota(p, want->set.disk, e);

	fault_point("update.quota");
	return rc;
}

static int
change_rates(struct epot *p, const struct epot_limits *have, const struct epot_limits *want, struct err *e)
{
	int rc = epot_rates_equal(&have->rates, &want->rates) ? 0 : epot_rates_apply(p, &want->rates, e);

	fault_point("update.rates");
	return rc;
}

/* What apply() has done, and all behind it. */
static void
go_back(struct epot *p, struct epot_limits *have, struct epot_limits *want)
{
	(void)!change_rates(p, want, have, NULL);
	(void)!iso_limits_apply(p->state.rec.cgroup, &want->iso, &have->iso, NULL);
	epot_cpus_put(p, have->cpus);
	(void)!change_quota(p, want, have, NULL);
}

/* Of a running pot: kernel first, then pot.conf; back again when that cannot be written. */
static int
change_running(struct epot *p, struct epot_limits *have, struct epot_limits *want, struct err *e)
{
	int rc = epot_cpus_get(p, have->cpus, e);

	if (rc == 0)
		rc = epot_limits_ready(p, have, e);
	if (rc == 0)
		rc = check_use(p, &have->iso, &want->iso, e);
	if (rc == 0)
		rc = journal(p, want, e);
	fault_point("update.journalled");
	if (rc < 0)
		return rc;
	rc = change_quota(p, have, want, e);
	if (rc == 0 && (rc = apply(p, have, want, e)) < 0)
		(void)!change_quota(p, want, have, NULL);
	else if (rc == 0 && ((rc = change_rates(p, have, want, e)) < 0 || (rc = epot_save_conf(p, e)) < 0))
		go_back(p, have, want);
	fault_point("update.saved");
	return epot_end_op(p, rc, e);
}

static bool
is_up(const struct epot *p)
{
	const struct state_rec *r = &p->state.rec;

	return (r->state == POT_RUNNING || r->state == POT_PAUSED) && r->cgroup[0] != '\0';
}

static int
change_stopped(struct epot *p, struct epot_limits *have, struct epot_limits *want, struct err *e)
{
	int rc = check_controllers(p, want, e);

	if (rc == 0 && want->set.disk == have->set.disk)
		return epot_save_conf(p, e);
	if (rc < 0)
		return rc;
	p->state.rec.op = OP_LIMITS;
	rc = state_write(&p->state, false, e);
	if (rc == 0)
		rc = change_quota(p, have, want, e);
	if (rc == 0 && (rc = epot_save_conf(p, e)) < 0)
		(void)!change_quota(p, want, have, NULL);
	return epot_end_op(p, rc, e);
}

static int
change_pot(struct epot *p, const struct pot_limit *v, size_t n, struct epot_limits *have,
    struct epot_limits *want, struct err *e)
{
	int rc = limits_read(&p->conf, &have->set, e);

	epot_rates_get(p, &have->rates);
	want->set = have->set;
	want->rates = have->rates;
	if (rc == 0)
		rc = change_all(want, v, n, e);
	if (rc == 0)
		rc = epot_limits_ready(p, want, e);
	if (rc == 0)
		rc = limits_write(&p->conf, &want->set, e);
	if (rc == 0)
		rc = epot_rates_store(p, &want->rates, e);
	if (rc < 0)
		return rc;
	return is_up(p) ? change_running(p, have, want, e) : change_stopped(p, have, want, e);
}

int
eng_update(struct eng *g, const char *name, const struct pot_limit *v, size_t n, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FREE struct epot_limits *l = calloc(2, sizeof(*l));
	int rc;

	if (l == NULL)
		return err_nomem(e);
	rc = epot_get(&p, g, name, EPOT_WRITE, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	return rc < 0 ? rc : change_pot(&p, v, n, &l[0], &l[1], e);
}

int
epot_finish_limits(struct epot *p, struct err *e)
{
	AUTO_FREE struct epot_limits *l = calloc(1, sizeof(*l));
	struct err own = ERR_INIT, unlimited = ERR_INIT;
	char cpus[CPUS_TEXT];
	int rc = l == NULL ? err_nomem(e) : epot_load_conf(p, e);

	if (rc == 0)
		rc = limits_read(&p->conf, &l->set, e);
	if (rc < 0)
		return rc;
	rc = epot_quota(p, l->set.disk, &own);
	if (rc == -E_NOTSUP)
		own = (struct err)ERR_INIT;
	if (!is_up(p) || !state_alive(&p->state))
		return 0;
	/* Chosen anew: the line in the file may be that of the killed change. */
	if (epot_cpus_take(p, l->set.cpus, cpus, &own) == 0) {
		snprintf(l->cpus, sizeof(l->cpus), "%s", cpus);
		rc = epot_limits_ready(p, l, &own);
		if (rc == 0)
			rc = iso_cgroup_join(p->state.rec.cgroup, &own);
		if (rc == 0)
			rc = iso_limits_apply(p->state.rec.cgroup, &l->iso, &l->iso, &own);
	}
	epot_rates_get(p, &l->rates);
	if (epot_rates_apply(p, &l->rates, &unlimited) < 0)
		event_warn(&p->eng->events, "pot %s: %s", p->name, unlimited.msg);
	/* It may end right now. The pot is as good as one whose limits nobody has touched. */
	if (own.code != 0)
		event_warn(&p->eng->events, "pot %s: %s", p->name, own.msg);
	return 0;
}
