/*
 * Bringing back what somebody else took away: rules, elements, bridges, membership of a
 * bridge, aliases, forwarding. Nothing is restarted and no connection of a pot is
 * cut where all is well.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "network/hosts.h"
#include "network/linux/os.h"
#include "network/linux/pot.h"

struct wanted {
	struct net_elem *v;
	size_t n, cap;
	bool changed;
};

static int
add_elems(struct wanted *w, const struct net_elem *v, size_t n, struct err *e)
{
	if (w->n + n > w->cap) {
		size_t cap = 2 * (w->n + n);
		struct net_elem *p = reallocarray(w->v, cap, sizeof(*p));

		if (p == NULL)
			return err_nomem(e);
		w->v = p;
		w->cap = cap;
	}
	if (n > 0)
		memcpy(w->v + w->n, v, n * sizeof(*v));
	w->n += n;
	return 0;
}

/* The host ends on their bridges again, for those that were remade under them. */
static int
reattach(struct net_os *os, const struct net_spec *s, const struct net_plan *p,
    const struct os_bridge *bridges, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	bool hairpin = os_hairpin(s);
	int rc;

	for (size_t i = 0; i < p->nlinks; i++) {
		link_put_master(&b, p->links[i].host, bridges[i].index);
		link_put_port(&b, p->links[i].host, p->links[i].isolated, hairpin);
	}
	rc = nl_talk(&os->rt, &b, NULL, NULL, NULL, e);
	for (size_t i = 0; rc == 0 && i < p->nlinks; i++)
		rc = link_settle(&os->rt, &p->links[i], bridges[i].index, e);
	return rc;
}

/* Are its bridges there and its links on them? 1, 0. */
static int
attached(struct net *n, struct net_os *os, const struct net_plan *p, struct os_bridge *v, struct err *e)
{
	for (size_t i = 0; i < p->nlinks; i++) {
		struct link_info l;
		int rc = os_bridge_whole(n, os, &v[i], e);

		if (rc > 0) {
			rc = link_get(&os->rt, p->links[i].host, &l, e);
			/* One that is gone cannot come back while the pot runs. */
			if (rc == 0)
				rc = l.index == 0 || l.master == v[i].index;
		}
		if (rc <= 0)
			return rc;
	}
	return 1;
}

static int
repair_pot(struct net *n, struct net_os *os, const struct net_spec *s, struct wanted *w, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	struct os_bridge bridges[NET_BRIDGES_MAX];
	int rc;

	if (s->type == NET_ALIAS)
		return net_alias_up(n, s, e);
	if (s->type != NET_BRIDGE)
		return 0;
	rc = pot_plan(n, s, bridges, &plan, e);
	if (rc == 0)
		rc = attached(n, os, &plan, bridges, e);
	if (rc == 0) {
		rc = os_ensure(n, os, bridges, plan.nlinks, e);
		if (rc >= 0)
			rc = reattach(os, s, &plan, bridges, e);
		/* A bridge that is made anew begins with nobody's name. */
		if (rc == 0)
			rc = net_hosts_add(n, s, e);
		w->changed = true;
	}
	return rc < 0 ? err_wrap(e, "pot '%s'", s->pot) : add_elems(w, plan.elems, plan.nelems, e);
}

/* Rules that are not what they should be are made anew with all elements at once; else what is missing is added. */
static int
repair_rules(struct net *n, struct net_os *os, struct wanted *w, size_t npots, struct err *e)
{
	AUTO(fd) int lock = net_lock(n, e);
	AUTO_FREE struct net_elem *bridges = NULL;
	size_t nbridges = 0;
	int rc;

	if (lock < 0)
		return lock;
	rc = os_bridge_elems(n, os, NULL, &bridges, &nbridges, e);
	/* Rules that nobody needs are made with the first pot. */
	if (rc < 0 || (nbridges == 0 && npots == 0))
		return rc;
	rc = nft_table_whole(&os->nft, &os->rules, e);
	if (rc == 0) {
		w->changed = true;
		return os_load_rules(n, os, w->v, w->n, e);
	}
	if (rc > 0)
		rc = add_elems(w, bridges, nbridges, e);
	if (rc == 0)
		rc = nft_have(&os->nft, &os->rules, w->v, w->n, NULL, e);
	if (rc == 0) {
		w->changed = true;
		return nft_add(&os->nft, &os->rules, w->v, w->n, e);
	}
	return rc < 0 ? rc : 0;
}

int
net_repair(struct net *n, const struct net_spec *running, size_t nrunning, struct err *e)
{
	struct wanted w = { NULL, 0, 0, false };
	struct net_os *os;
	size_t npots = 0;
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &os, e);
	for (size_t i = 0; rc == 0 && i < nrunning; i++) {
		npots += running[i].type == NET_BRIDGE;
		rc = repair_pot(n, os, &running[i], &w, e);
	}
	fault_point("net.repair.bridges");
	if (rc == 0)
		rc = repair_rules(n, os, &w, npots, e);
	free(w.v);
	return rc < 0 ? rc : w.changed;
}
