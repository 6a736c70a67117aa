/*
 * Removing pots. The journal says so first; then storage, leases and the
 * directory go, in this order, and whoever is killed in between has it ended
 * by the next command.
 */
#include "engine/remove.h"

#include <sys/random.h>
#include <errno.h>
#include <stdio.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/walls.h"

#define PRUNE_GRACE_NS (60 * 1000000000LL)

int
epot_remove_dir(struct epot *p, struct err *e)
{
	char gone[128];
	unsigned long long r = 0;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, "cannot get random bytes");
	snprintf(gone, sizeof(gone), REMOVED_PREFIX "%016llx", r);
	if (renameat(p->eng->pots_fd, p->name, p->eng->pots_fd, gone) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove the directory of %s", p->name);
	fault_point("remove.renamed");
	return tree_remove(p->eng->pots_fd, gone, e);
}

int
epot_remove(struct epot *p, struct err *e)
{
	int rc = eng_need_storage(p->eng, e);

	if (rc == 0)
		rc = stor_recover(p->eng->stor, epot_fs(p), e);
	if (rc == 0)
		rc = stor_destroy(p->eng->stor, epot_fs(p), e);
	if (rc < 0)
		return err_wrap(e, "cannot remove %s", p->name);
	fault_point("remove.storage");
	rc = epot_net_release(p, e);
	if (rc == 0)
		rc = ids_release(p->eng, p->state.rec.id, e);
	fault_point("remove.leases");
	return rc < 0 ? rc : epot_remove_dir(p, e);
}

int
eng_destroy(struct eng *g, const char *name, bool force, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = eng_need_storage(g, e);

	if (rc == 0)
		rc = epot_get_settled(&p, g, name, e);
	if (rc < 0)
		return rc;
	rc = epot_reconcile(&p, e);
	if (rc < 0 && !(force && rc != -E_NOENT)) {
		/* What was half made or half removed is gone now, as asked; a whole damaged one needs -F. */
		return rc == -E_NOENT ? rc : err_hint(e, "pot destroy -F %s removes it all the same", name);
	}
	/* Whoever starts it again in between is ended again. */
	while (rc == 0 && state_is_active(&p.state.rec)) {
		if (!force) {
			err_set(e, E_STATE, "pot %s is %s", name, pot_state_name(p.state.rec.state));
			return err_hint(e, "pot stop %s, or destroy -F", name);
		}
		rc = epot_end(&p, 0, e);
		if (rc < 0)
			return rc;
	}
	if (p.state.fd >= 0 && p.state.rec.magic != 0) {
		p.state.rec.op = OP_DESTROY;
		rc = state_write(&p.state, true, e);
		if (rc < 0 && !force)
			return rc;
	}
	fault_point("destroy.journalled");
	return epot_remove(&p, e);
}

/* ---- all that nobody needs ------------------------------------------------ */

struct prune {
	struct eng *g;
	const struct pot_prune_args *args;
	pot_name_fn *fn;
	void *arg;
};

static int
is_prunable(struct epot *p, bool grace, struct err *e)
{
	const struct state_rec *r = &p->state.rec;
	int rc = epot_load_conf(p, e);

	if (rc < 0)
		return rc;
	return !state_is_active(r) && r->runs > 0 && potconf_attr_bool(&p->conf, "prunable") &&
	    (!grace || text_now_ns() - r->stopped_ns >= PRUNE_GRACE_NS);
}

static int
prune_one(void *arg, const char *name, struct err *e)
{
	struct prune *pr = arg;
	struct err own = ERR_INIT;
	int rc;

	{
		AUTO_FINI(epot) struct epot p = EPOT_INIT;

		rc = epot_get(&p, pr->g, name, EPOT_READ, &own);
		if (rc == 0)
			rc = is_prunable(&p, pr->args->grace, &own);
	}
	if (rc == 1 && !pr->args->dry_run)
		rc = eng_destroy(pr->g, name, false, &own) < 0 ? -own.code : 1;
	if (rc < 0 && rc != -E_NOENT)
		event_warn(&pr->g->events, "%s", own.msg);
	return rc == 1 && pr->fn != NULL ? pr->fn(pr->arg, name) : 0;
}

int
eng_prune(struct eng *g, const struct pot_prune_args *args, pot_name_fn *fn, void *arg, struct err *e)
{
	struct prune pr = { g, args, fn, arg };
	int rc = eng_need_storage(g, e);

	if (rc == 0 && !args->dry_run)
		rc = eng_base_recover(g, e);
	if (rc == 0)
		rc = epot_each(g, prune_one, &pr, e);
	if (rc == 0 && !args->dry_run)
		rc = ids_reclaim(g, e);
	return rc < 0 || args->dry_run ? rc : eng_net_reclaim(g, e);
}
