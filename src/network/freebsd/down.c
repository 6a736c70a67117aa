/*
 * A pot's network taken away: names, published ports, links, aliases; each may be gone
 * already. The host's end of a link takes the pot's with it, wherever that is: in
 * the jail, or back on the host because the jail is gone. Also the end of the
 * whole node's network.
 */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "network/freebsd/os.h"
#include "network/hosts.h"

int
os_plan(
    struct net *n, const struct net_spec *s, struct net_bridge *recs, struct net_plan *plan, struct err *e)
{
	struct net_bridge own[NET_BRIDGES_MAX] = { { { 0 } } };
	struct net_bridge *v = recs != NULL ? recs : own;
	int rc = 0;

	if (s->type == NET_BRIDGE && s->nleases > NET_BRIDGES_MAX)
		return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX);
	for (size_t i = 0; s->type == NET_BRIDGE && rc == 0 && i < s->nleases; i++)
		rc = net_bridge_read(n, s->leases[i].bridge, &v[i], e);
	return rc < 0 ? rc : net_plan_pot(plan, n->node, n->isolate, s, v, e);
}

/* Whatever the first failure was, the rest is tried. */
static void
keep_first(int *rc, int next, struct err *e, const struct err *why)
{
	if (*rc == 0 && next < 0) {
		*rc = next;
		if (e != NULL)
			*e = *why;
	}
}

/* What the host knows of the pot's addresses; a bridge whose record is gone knows nobody. */
static int
forget(struct net *n, const struct net_spec *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->nleases; i++) {
		const struct net_lease *l = &s->leases[i];
		struct net_bridge b;

		if (net_bridge_read(n, l->bridge, &b, NULL) < 0)
			continue;
		if (l->a4.family != 0)
			rc = link_neighbor_del(b.ifname, &l->a4, e);
		if (rc == 0 && l->a6.family != 0)
			rc = link_neighbor_del(b.ifname, &l->a6, e);
	}
	return rc;
}

static void
remove_pipes(const char *host)
{
	unsigned index = link_index(host), pipes = index == 0 ? 0 : pipes_of(index);

	if (pipes == 0)
		return;
	pipe_remove(pipes);
	pipe_remove(pipes + 1);
}

static int
down_bridge(struct net *n, struct net_os *os, const struct net_spec *s, struct err *e)
{
	struct err why = ERR_INIT;
	char anchor[RULES_PATH];
	int rc = net_hosts_remove(n, s, e);

	fault_point("net.down.names");
	rules_anchor_rdr(n->node, s->id, anchor);
	keep_first(&rc, pf_flush(&os->pf, anchor, &why), e, &why);
	rules_anchor_pot(n->node, s->id, anchor);
	keep_first(&rc, pf_flush(&os->pf, anchor, &why), e, &why);
	fault_point("net.down.elements");
	for (unsigned slot = 0; slot < NET_BRIDGES_MAX; slot++) {
		char name[NET_IFNAME];

		net_name_veth(s->id, slot, name);
		if (s->in_bps != 0 || s->out_bps != 0)
			remove_pipes(name);
		keep_first(&rc, link_destroy(&os->links, name, &why), e, &why);
	}
	fault_point("net.down.links");
	keep_first(&rc, forget(n, s, &why), e, &why);
	return rc;
}

int
net_down(struct net *n, const struct net_spec *s, struct err *e)
{
	struct net_os *os;
	int rc;

	if (s->type == NET_INHERIT || s->type == NET_NONE)
		return 0;
	if ((rc = net_ready(n, e)) < 0 || (rc = net_pot_id_check(s->id, e)) < 0 ||
	    (rc = os_get(n, &os, e)) < 0)
		return rc;
	return s->type == NET_ALIAS ? net_alias_down(n, s->id, e) : down_bridge(n, os, s, e);
}

/* ---- the end of all --------------------------------------------------------------------- */

static int
add_name(void *arg, const char *name, struct err *e)
{
	struct strv *all = arg;

	strv_add(all, name);
	return strv_check(all, "the node's interfaces", e);
}

static int
remove_links(struct net *n, struct net_os *os, struct err *e)
{
	AUTO_FINI(strv) struct strv all = STRV_INIT(65536);
	char group[NET_IFNAME];
	int rc;

	rules_group(n->node, group);
	rc = link_group_each(&os->links, group, add_name, &all, e);
	for (size_t i = 0; rc == 0 && i < all.n; i++)
		rc = link_destroy(&os->links, all.v[i], e);
	return rc;
}

/* All children of an anchor whose names begin so. */
static int
flush_below(struct net_os *os, const char *parent, const char *prefix, struct err *e)
{
	AUTO_FINI(strv) struct strv pots = STRV_INIT(65536);
	int rc = pf_children(&os->pf, parent, prefix, &pots, e);

	for (size_t i = 0; rc == 0 && i < pots.n; i++) {
		char path[RULES_PATH + RULES_ANCHOR];

		snprintf(path, sizeof(path), "%s/%.*s", parent, RULES_ANCHOR - 1, pots.v[i]);
		rc = pf_flush(&os->pf, path, e);
	}
	return rc;
}

/* The last node takes the way to all of them along. */
static int
flush_last(struct net_os *os, const char *root, struct err *e)
{
	AUTO_FINI(strv) struct strv nodes = STRV_INIT(65536);
	int rc = pf_children(&os->pf, root, "", &nodes, e);

	return rc == 0 && nodes.n == 0 ? pf_flush(&os->pf, root, e) : rc;
}

static int
remove_rules(struct net *n, struct net_os *os, struct err *e)
{
	char nat[RULES_PATH], filter[RULES_PATH], prefix[16];
	int rc;

	snprintf(prefix, sizeof(prefix), "%.8s-", n->node);
	rules_anchor_nat(n->node, nat);
	rules_anchor_filter(n->node, filter);
	rc = flush_below(os, RULES_RDR, prefix, e);
	if (rc == 0)
		rc = pf_flush(&os->pf, nat, e);
	if (rc == 0)
		rc = flush_last(os, RULES_NAT, e);
	if (rc == 0)
		rc = flush_below(os, filter, "", e);
	if (rc == 0)
		rc = pf_flush(&os->pf, filter, e);
	return rc == 0 ? flush_last(os, RULES_FILTER, e) : rc;
}

int
net_fini(struct net *n, struct err *e)
{
	struct err why = ERR_INIT;
	struct net_os *os;
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &os, e);
	if (rc == 0)
		rc = remove_links(n, os, e);
	fault_point("net.fini.links");
	/* A host without pf has no rules of ours. */
	if (rc == 0 && pf_open(&os->pf, &why) == 0)
		rc = remove_rules(n, os, e);
	else if (rc == 0 && why.code != E_NOTSUP)
		return err_set(e, why.code, "%s", why.msg);
	fault_point("net.fini.rules");
	if (rc == 0)
		rc = os_settings_restore(n, os, e);
	fault_point("net.fini.sysctls");
	return rc < 0 ? rc : net_records_remove(n, e);
}
