/*
 * A pot's network taken away: names, elements, links, aliases; each may be gone
 * already. Links go with the pot's network namespace; one whose namespace somebody
 * still holds is removed by a process that waits in our place (linger.c). Also
 * the end of the whole node's network.
 */
#include <string.h>

#include "base/fault.h"
#include "network/hosts.h"
#include "network/linux/linger.h"
#include "network/linux/os.h"
#include "network/linux/pot.h"

int
pot_plan(
    struct net *n, const struct net_spec *s, struct os_bridge *bridges, struct net_plan *plan, struct err *e)
{
	struct net_bridge recs[NET_BRIDGES_MAX] = { { { 0 } } };
	int rc = 0;

	if (s->type == NET_BRIDGE && s->nleases > NET_BRIDGES_MAX)
		return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX);
	for (size_t i = 0; s->type == NET_BRIDGE && rc == 0 && i < s->nleases; i++) {
		rc = net_bridge_read(n, s->leases[i].bridge, &recs[i], e);
		if (bridges != NULL)
			bridges[i].rec = recs[i];
	}
	return rc < 0 ? rc : net_plan_pot(plan, n->node, n->isolate, s, recs, e);
}

/* Into the batch the removal of what is not about to vanish by itself. */
static int
put_links(struct net_os *os, const char *id, struct nl_batch *b, struct err *e)
{
	char names[NET_BRIDGES_MAX][NET_IFNAME];
	struct link_info links[NET_BRIDGES_MAX];
	size_t n;
	int rc;

	for (unsigned slot = 0; slot < NET_BRIDGES_MAX; slot++)
		net_name_veth(id, slot, names[slot]);
	rc = link_get_all(&os->rt, names, NET_BRIDGES_MAX, links, &n, e);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		rc = link_peer_lives(&os->rt, &links[i], e);
		if (rc > 0)
			link_put_delete(b, links[i].index);
	}
	return rc < 0 ? rc : 0;
}

static int
down_bridge(struct net *n, struct net_os *os, const struct net_spec *s, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	int rc = net_hosts_remove(n, s, e), got;

	fault_point("net.down.names");
	if (rc == 0)
		rc = pot_plan(n, s, NULL, &plan, e);
	if (rc == 0)
		rc = nft_del(&os->nft, &os->rules, plan.elems, plan.nelems, e);
	fault_point("net.down.elements");
	/* Whatever became of the elements: without its link a pot reaches nobody. */
	got = put_links(os, s->id, &b, rc < 0 ? NULL : e);
	if (got == 0)
		got = linger(&os->rt, &b, &os->nft, rc < 0 ? NULL : e);
	fault_point("net.down.links");
	return rc < 0 ? rc : got;
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

struct sweep {
	struct net_os *os;
	char prefix[NET_IFNAME];
	uint32_t group;
	struct nl_batch b;
};

static int
sweep_link(void *arg, const char *name, const char *kind, const struct link_info *l)
{
	struct sweep *w = arg;

	/* A bridge that was not completed has no group yet, one that somebody put another into it not our name. */
	if ((strcmp(kind, "bridge") == 0 && strncmp(name, w->prefix, strlen(w->prefix)) == 0) ||
	    (strcmp(kind, "veth") == 0 && l->group == w->group && strncmp(name, "pv", 2) == 0))
		link_put_delete(&w->b, l->index);
	return 0;
}

static int
remove_links(struct net *n, struct net_os *os, struct err *e)
{
	struct sweep w = { .os = os, .group = net_name_group(n->node), .b = NL_BATCH_INIT };
	int rc;

	net_name_bridge_prefix(n->node, w.prefix);
	rc = link_each(&os->rt, sweep_link, &w, e);
	if (rc == 0)
		rc = nl_talk(&os->rt, &w.b, NULL, NULL, NULL, e);
	nl_batch_fini(&w.b);
	return rc;
}

int
net_fini(struct net *n, struct err *e)
{
	struct net_os *os;
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &os, e);
	if (rc == 0)
		rc = remove_links(n, os, e);
	fault_point("net.fini.links");
	if (rc == 0)
		rc = os_remove_rules(os, e);
	fault_point("net.fini.rules");
	if (rc == 0)
		rc = os_forwarding_restore(n, e);
	fault_point("net.fini.sysctls");
	return rc < 0 ? rc : net_records_remove(n, e);
}
