/*
 * Bringing back what somebody else took away: bridges, membership, translation rules,
 * published ports, aliases, forwarding. Nothing is restarted.
 */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "network/freebsd/os.h"
#include "network/hosts.h"

#define RULES_MAX (1024 * 1024)

/* 1: something was missing. A link that is gone cannot come back while the pot runs. */
static int
reattach(struct net_os *os, const struct net_plan *p, struct err *e)
{
	int changed = 0;

	for (size_t i = 0; i < p->nlinks; i++) {
		const struct net_plan_link *l = &p->links[i];
		int rc = link_get(&os->links, l->host, NULL, e);

		if (rc > 0 && (rc = link_member_is(&os->links, l->bridge, l->host, e)) == 0) {
			rc = os_attach(os, l, e);
			changed = 1;
		}
		if (rc < 0)
			return rc;
	}
	return changed;
}

/* 1: the anchor had to be filled. */
static int
refill(struct net_os *os, const char *anchor, const struct buf *text, struct err *e)
{
	int rc = text->len == 0 ? 1 : pf_filled(&os->pf, anchor, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = pf_load(&os->pf, anchor, buf_cstr(text), e);
	return rc < 0 ? rc : 1;
}

static int
republish(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan *p, struct err *e)
{
	AUTO_FINI(buf) struct buf rdr = BUF_INIT(RULES_MAX), filter = BUF_INIT(RULES_MAX);
	char anchor[RULES_PATH];
	int rc = os_pot_rules(n, p, &filter, e), filled;

	rules_rdr_print(n->node, p->elems, p->nelems, &rdr);
	if (rc < 0 || (rc = buf_check(&rdr, "pf's rules", e)) < 0)
		return rc;
	rules_anchor_pot(n->node, s->id, anchor);
	if ((filled = refill(os, anchor, &filter, e)) < 0)
		return filled;
	rules_anchor_rdr(n->node, s->id, anchor);
	rc = refill(os, anchor, &rdr, e);
	return rc < 0 ? rc : rc > 0 || filled > 0;
}

static int
repair_pot(struct net *n, struct net_os *os, const struct net_spec *s, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	struct net_bridge bridges[NET_BRIDGES_MAX];
	int rc, again, changed;

	if (s->type == NET_ALIAS)
		return net_alias_up(n, s, e);
	if (s->type != NET_BRIDGE)
		return 0;
	rc = os_plan(n, s, bridges, &plan, e);
	if (rc < 0)
		return rc;
	changed = os_ensure(n, os, bridges, plan.nlinks, e);
	again = changed < 0 ? changed : reattach(os, &plan, e);
	fault_point("net.repair.bridges");
	/* A bridge that is made anew begins with nobody's name. */
	if (again > 0 && (rc = net_hosts_add(n, s, e)) < 0)
		return rc;
	if (again < 0 || (rc = republish(n, os, s, &plan, e)) < 0)
		return again < 0 ? again : rc;
	return changed > 0 || again > 0 || rc > 0;
}

/* The outside's interfaces may have changed since the rules were made. */
static int
repair_rules(struct net *n, struct net_os *os, struct err *e)
{
	AUTO(fd) int lock = net_lock(n, e);
	int rc;

	if (lock < 0)
		return lock;
	rc = os_pf_on(n, os, e);
	return rc < 0 ? rc : os_rules_load(n, os, e);
}

int
net_repair(struct net *n, const struct net_spec *running, size_t nrunning, struct err *e)
{
	struct net_os *os;
	bool changed = false, bridged = false;
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &os, e);
	for (size_t i = 0; rc >= 0 && i < nrunning; i++) {
		bridged = bridged || running[i].type == NET_BRIDGE;
		rc = repair_pot(n, os, &running[i], e);
		if (rc < 0)
			return err_wrap(e, "pot '%s'", running[i].pot);
		changed = changed || rc > 0;
	}
	if (rc >= 0 && bridged)
		rc = repair_rules(n, os, e);
	return rc < 0 ? rc : changed || rc > 0;
}
