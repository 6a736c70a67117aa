/*
 * What all pots of a node share: bridges, forwarding, the node's rules. Made by
 * the first pot that needs it and looked at by all others. A bridge is brought up
 * when all else of it is done, so one that is up is complete, whenever its maker
 * was killed. The rules as they were loaded last are kept in ROOT/net/pf.rules, to
 * see without pfctl(8) whether they are what they should be now.
 */
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/fault.h"
#include "base/file.h"
#include "network/freebsd/os.h"
#include "network/hosts.h"

#define RECORD "pf.rules"
#define RULES_MAX (1024 * 1024)
#define BRIDGES_MAX 10000
#define HOOKS_MAX (1024 * 1024)
/* In pot-nat and pot-filter themselves, the same whoever writes it: on to the nodes' own. */
#define NAT_ROOT "nat-anchor \"*\"\n"
#define FILTER_ROOT "anchor \"*\"\n"

/* ---- the node's rules ----------------------------------------------------------------- */

struct gathering {
	struct net *n;
	struct net_os *os;
	struct rules_bridge *v;
	size_t nv, cap;
	struct err *e;
	struct strv *out;
};

static int
gather_bridge(void *arg, const struct net_bridge *b)
{
	struct gathering *g = arg;
	int rc = link_get(&g->os->links, b->ifname, NULL, g->e);

	if (rc <= 0)
		return rc;
	if (g->nv == g->cap) {
		size_t cap = g->cap == 0 ? 8 : 2 * g->cap;
		struct rules_bridge *v = cap > BRIDGES_MAX ? NULL : reallocarray(g->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(g->e);
		g->v = v;
		g->cap = cap;
	}
	g->v[g->nv] = (struct rules_bridge){
		.net4 = b->net4, .net6 = b->net6, .gw4 = b->gw4, .gw6 = b->gw6, .nat6 = b->nat6
	};
	memcpy(g->v[g->nv++].ifname, b->ifname, sizeof(b->ifname));
	return 0;
}

static int
gather_outward(void *arg, const char *name, struct err *e)
{
	struct gathering *g = arg;
	char prefix[NET_IFNAME];

	net_name_bridge_prefix(g->n->node, prefix);
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		strv_add(g->out, name);
	return strv_check(g->out, "the host's interfaces", e);
}

/* How they should be now, for the bridges that are on the host. */
static int
print_rules(struct net *n, struct net_os *os, struct buf *nat, struct buf *filter, struct err *e)
{
	AUTO_FINI(strv) struct strv out4 = STRV_INIT(BRIDGES_MAX), out6 = STRV_INIT(BRIDGES_MAX);
	struct gathering g = { .n = n, .os = os, .e = e };
	struct rules_node r = { .node = n->node, .out4 = &out4, .out6 = &out6 };
	int rc = net_bridge_list(n, gather_bridge, &g, e);

	g.out = &out4;
	if (rc == 0)
		rc = link_outward_each(4, gather_outward, &g, e);
	g.out = &out6;
	if (rc == 0)
		rc = link_outward_each(6, gather_outward, &g, e);
	r.bridges = g.v;
	r.nbridges = g.nv;
	if (rc == 0) {
		rules_nat_print(&r, nat);
		rules_filter_print(&r, filter);
		rc = buf_check(nat, "pf's rules", e);
	}
	free(g.v);
	return rc < 0 ? rc : buf_check(filter, "pf's rules", e);
}

int
os_rules_are(struct net *n, struct net_os *os, struct err *e)
{
	char anchor[RULES_PATH];
	int rc;

	rules_anchor_nat(n->node, anchor);
	if ((rc = pf_filled(&os->pf, anchor, e)) <= 0)
		return rc;
	rules_anchor_filter(n->node, anchor);
	return pf_filled(&os->pf, anchor, e);
}

/* 1: they are there as they were loaded, and that is how they should be. */
static int
are_loaded(struct net *n, struct net_os *os, const struct buf *want, struct err *e)
{
	AUTO_FINI(buf) struct buf was = BUF_INIT(2 * RULES_MAX);

	if (file_read(n->fd, RECORD, &was, NULL) < 0 || was.len != want->len ||
	    memcmp(was.data, want->data, want->len) != 0)
		return 0;
	return want->len == 0 ? 1 : os_rules_are(n, os, e);
}

static int
load(struct net *n, struct net_os *os, const struct buf *nat, const struct buf *filter, struct err *e)
{
	char anchor[RULES_PATH];
	int rc;

	/* Walls first: nobody is let out before they stand. */
	rules_anchor_filter(n->node, anchor);
	rc = pf_load(&os->pf, anchor, buf_cstr(filter), e);
	if (rc == 0)
		rc = pf_load(&os->pf, RULES_FILTER, FILTER_ROOT, e);
	fault_point("net.filter.loaded");
	rules_anchor_nat(n->node, anchor);
	if (rc == 0)
		rc = pf_load(&os->pf, anchor, buf_cstr(nat), e);
	fault_point("net.nat.loaded");
	return rc == 0 ? pf_load(&os->pf, RULES_NAT, NAT_ROOT, e) : rc;
}

int
os_rules_load(struct net *n, struct net_os *os, struct err *e)
{
	AUTO_FINI(buf) struct buf nat = BUF_INIT(RULES_MAX), filter = BUF_INIT(RULES_MAX);
	AUTO_FINI(buf) struct buf both = BUF_INIT(2 * RULES_MAX);
	int rc = print_rules(n, os, &nat, &filter, e), there;

	if (rc < 0)
		return rc;
	buf_add(&both, nat.data, nat.len);
	buf_add(&both, filter.data, filter.len);
	if ((rc = buf_check(&both, "pf's rules", e)) < 0)
		return rc;
	there = are_loaded(n, os, &both, e);
	if (there != 0)
		return there < 0 ? there : 0;
	rc = load(n, os, &nat, &filter, e);
	if (rc == 0)
		rc = file_write_atomic(n->fd, RECORD, 0600, both.data, both.len, e);
	return rc < 0 ? rc : 1;
}

int
os_hook_check(unsigned hook, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(HOOKS_MAX);
	const struct rules_hook *h = &rules_hooks[hook];
	int rc = pf_main_rules(&text, e);

	if (rc < 0 || rules_hook_is(h, buf_cstr(&text)))
		return rc;
	err_set(e, E_STATE, "the host's pf rules do not lead to those of pot: %s", h->without);
	return err_hint(e, "put before the filter rules of pf.conf, then load it: %s", h->line);
}

/* ---- bridges --------------------------------------------------------------------------- */

int
os_bridge_whole(struct net *n, struct net_os *os, const struct net_bridge *b, struct err *e)
{
	struct net_bridge_plan plan;
	bool up = false;
	int rc = link_get(&os->links, b->ifname, &up, e);

	if (rc <= 0 || !up)
		return rc < 0 ? rc : 0;
	net_plan_bridge(&plan, n->node, n->isolate, b);
	for (size_t i = 0; rc == 1 && i < plan.naddrs; i++)
		rc = link_addr_has(b->ifname, &plan.addrs[i].addr, e);
	return rc;
}

/* The bridge itself is there; what it is short of is given to it. */
static int
set_bridge(struct net *n, struct net_os *os, const struct net_bridge *b, struct err *e)
{
	struct net_bridge_plan plan;
	char group[NET_IFNAME];
	int rc;

	net_plan_bridge(&plan, n->node, n->isolate, b);
	rules_group(n->node, group);
	rc = link_label(
	    &os->links, b->ifname, group, b->is_public ? "pot public bridge" : "pot private bridge", e);
	if (rc == 0)
		rc = link_set_mac(&os->links, b->ifname, plan.mac, e);
	if (rc == 0)
		rc = link_ip6(&os->links, b->ifname, plan.ip6, e);
	for (size_t i = 0; rc == 0 && i < plan.naddrs; i++)
		rc = link_addr_add(&os->links, b->ifname, &plan.addrs[i], e);
	fault_point("net.bridge.addressed");
	return rc < 0 ? rc : link_up(&os->links, b->ifname, e);
}

static int
see_pot(void *arg, const char *name, struct err *e)
{
	bool *seen = arg;

	(void)e;
	*seen = *seen || strncmp(name, "pv", 2) == 0;
	return 0;
}

/* 1: there are links of pots. */
static int
see_pots(struct net *n, struct net_os *os, struct err *e)
{
	char group[NET_IFNAME];
	bool seen = false;
	int rc;

	rules_group(n->node, group);
	rc = link_group_each(&os->links, group, see_pot, &seen, e);
	return rc < 0 ? rc : seen;
}

/* 1: it is made anew and there are links of pots, which may have been on it. */
static int
make_bridge(struct net *n, struct net_os *os, const struct net_bridge *b, struct err *e)
{
	int there = link_get(&os->links, b->ifname, NULL, e);
	int rc = there < 0 ? there : os_forwarding(n, b->gw4.family != 0, b->gw6.family != 0, e);

	fault_point("net.bridge.forwarding");
	/* Names of pots that were on it before the machine was started, or somebody took it away. */
	if (rc == 0 && there == 0)
		rc = net_hosts_reset(n, b->name, e);
	if (rc == 0 && there == 0)
		rc = link_bridge_make(&os->links, b->ifname, e);
	fault_point("net.bridge.made");
	if (rc == 0)
		rc = set_bridge(n, os, b, e);
	fault_point("net.bridge.up");
	if (rc == 0 && there == 0)
		rc = see_pots(n, os, e);
	return rc < 0 ? err_wrap(e, "bridge '%s'", b->name) : rc;
}

static int
look(struct net *n, struct net_os *os, const struct net_bridge *v, size_t nv, struct err *e)
{
	for (size_t i = 0; i < nv; i++) {
		int rc = os_bridge_whole(n, os, &v[i], e);

		if (rc <= 0)
			return rc;
	}
	return os_rules_are(n, os, e);
}

/* pf on and the rules loaded. 1: they were gone, and pots missed them. */
static int
ensure_rules(struct net *n, struct net_os *os, struct err *e)
{
	int loaded, rc = os_pf_on(n, os, e), there;

	if (rc < 0 || (there = rc = os_rules_are(n, os, e)) < 0)
		return rc;
	loaded = os_rules_load(n, os, e);
	for (unsigned hook = 0; loaded > 0 && hook < RULES_HOOK_COUNT; hook++) {
		struct err why = ERR_INIT;

		/* Who publishes a port is told by its start. */
		if (hook != RULES_HOOK_RDR && os_hook_check(hook, &why) < 0)
			event_warn(&n->events, "%s (%s)", why.msg, why.hint);
	}
	return loaded <= 0 || there ? (loaded < 0 ? loaded : 0) : see_pots(n, os, e);
}

int
os_ensure(struct net *n, struct net_os *os, const struct net_bridge *v, size_t nv, struct err *e)
{
	AUTO(fd) int lock = -1;
	bool missed = false;
	int rc = look(n, os, v, nv, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if ((lock = net_lock(n, e)) < 0)
		return lock;
	for (size_t i = 0; rc >= 0 && i < nv; i++) {
		rc = os_bridge_whole(n, os, &v[i], e);
		if (rc == 0) {
			rc = make_bridge(n, os, &v[i], e);
			missed = missed || rc > 0;
		}
	}
	if (rc >= 0)
		rc = ensure_rules(n, os, e);
	return rc < 0 ? rc : missed || rc > 0;
}

int
net_bridge_up(struct net *n, const char *name, struct err *e)
{
	struct net_bridge b;
	struct net_os *os;
	int rc = net_ready(n, e);

	if (rc == 0)
		rc = net_bridge_read(n, name, &b, e);
	if (rc == 0)
		rc = os_get(n, &os, e);
	return rc < 0 ? rc : os_ensure(n, os, &b, 1, e);
}
