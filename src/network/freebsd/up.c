/*
 * A pot's network made, after plan.c's plan: links, their inner ends moved into the pot's jail
 * and set up there, published ports, names; read back, all of it or nothing. Taking away is
 * down.c's, what pots share is shared.c's.
 *
 * There are no elements for what may come out of a link (NET_EL_SOURCE and its kin): pf sees no
 * frames between members of a bridge, unless the host's owner wants it to. The bridge holds
 * a link to its MAC, the host knows the MAC of each address for good, and packets that
 * leave the bridge are of its range (rules.c). docs/platforms.md says what that leaves open.
 */
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/fault.h"
#include "network/freebsd/os.h"
#include "network/hosts.h"

#define RULES_MAX (1024 * 1024)

static int
make_epair(struct net_os *os, const char *name, char inner[static NET_IFNAME], struct err *e)
{
	struct err why = ERR_INIT;
	int rc = link_epair_make(&os->links, name, inner, &why);

	if (rc == -E_EXIST) {
		/* Of the pot's last run: a kill left it. */
		rc = link_destroy(&os->links, name, e);
		return rc < 0 ? rc : link_epair_make(&os->links, name, inner, e);
	}
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

static bool
is_link_local(const struct ip_addr *a)
{
	return a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

int
os_attach(struct net_os *os, const struct net_plan_link *l, struct err *e)
{
	int rc = link_member_add(&os->links, l->bridge, l->host, l->inner_mac, l->isolated, e);

	for (size_t i = 0; rc == 0 && i < l->naddrs; i++)
		if (!is_link_local(&l->addrs[i].addr))
			rc = link_neighbor_set(l->bridge, &l->addrs[i].addr, l->inner_mac, e);
	return rc;
}

static int
make_link(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan_link *l, int jid,
    struct err *e)
{
	char inner[NET_IFNAME], group[NET_IFNAME];
	int rc = make_epair(os, l->host, inner, e);

	fault_point("net.up.pair");
	rules_group(n->node, group);
	if (rc == 0)
		rc = link_label(&os->links, l->host, group, s->pot, e);
	if (rc == 0)
		rc = link_set_mac(&os->links, l->host, l->host_mac, e);
	/* No address ever appears on the host's end. */
	if (rc == 0)
		rc = link_ip6(&os->links, l->host, false, e);
	if (rc == 0)
		rc = link_set_mac(&os->links, inner, l->inner_mac, e);
	if (rc == 0)
		rc = os_attach(os, l, e);
	if (rc == 0)
		rc = link_up(&os->links, l->host, e);
	if (rc == 0)
		rc = link_move(&os->links, inner, jid, e);
	fault_point("net.up.moved");
	if (rc == 0)
		rc = link_inside(jid, inner, l, e);
	fault_point("net.up.inner");
	return rc;
}

static bool
has_rates(const struct net_plan_link *l)
{
	return l->in.bytes_per_s != 0 || l->out.bytes_per_s != 0;
}

/* Both pipes of each link, the one without a limit too: states of pf hold on to them. */
static int
set_pipes(const struct net_plan *p, struct err *e)
{
	int rc = p->nlinks > 0 && has_rates(&p->links[0]) ? os_hook_check(RULES_HOOK_FILTER, e) : 0;

	for (size_t i = 0; rc == 0 && i < p->nlinks; i++) {
		const struct net_plan_link *l = &p->links[i];
		unsigned pipes = pipes_of(link_index(l->host));

		if (pipes == 0)
			return err_set(e, E_LIMIT, "the interface %s: no pipe is left for its rate", l->host);
		rc = pipe_set(pipes, l->in.bytes_per_s * 8, e);
		if (rc == 0)
			rc = pipe_set(pipes + 1, l->out.bytes_per_s * 8, e);
	}
	return rc;
}

int
os_pot_rules(const struct net *n, const struct net_plan *p, struct buf *text, struct err *e)
{
	struct rules_pot r = { .node = n->node, .plan = p, .members = os_sysctl_get(OS_MEMBERS) == 1 };

	for (size_t i = 0; i < p->nlinks; i++)
		if (has_rates(&p->links[i]))
			r.pipes[i] = pipes_of(link_index(p->links[i].host));
	rules_pot_print(&r, text);
	return buf_check(text, "pf's rules", e);
}

static int
publish(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan *p, struct err *e)
{
	AUTO_FINI(buf) struct buf rdr = BUF_INIT(RULES_MAX), filter = BUF_INIT(RULES_MAX);
	char anchor[RULES_PATH];
	int rc = os_pot_rules(n, p, &filter, e);

	rules_rdr_print(n->node, p->elems, p->nelems, &rdr);
	if (rc < 0 || (rc = buf_check(&rdr, "pf's rules", e)) < 0)
		return rc;
	rules_anchor_pot(n->node, s->id, anchor);
	if (filter.len > 0 && (rc = pf_load(&os->pf, anchor, buf_cstr(&filter), e)) < 0)
		return rc;
	fault_point("net.up.filter");
	rules_anchor_rdr(n->node, s->id, anchor);
	if (rdr.len > 0 && (rc = os_hook_check(RULES_HOOK_RDR, e)) == 0)
		rc = pf_load(&os->pf, anchor, buf_cstr(&rdr), e);
	return rc;
}

static int
read_back(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan *p, struct err *e)
{
	char anchor[RULES_PATH];
	int rc = 1;

	for (size_t i = 0; rc == 1 && i < p->nlinks; i++)
		rc = link_member_is(&os->links, p->links[i].bridge, p->links[i].host, e);
	rules_anchor_rdr(n->node, s->id, anchor);
	if (rc == 1 && s->nports > 0)
		rc = pf_filled(&os->pf, anchor, e);
	if (rc == 0) {
		err_set(e, E_BUSY,
		    "the pot's network vanished while it was made: somebody else changes bridges or pf");
		return err_hint(e, "start the pot again; if it happens again, look for what flushes pf");
	}
	return rc < 0 ? rc : 0;
}

static int
make(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan *p, int jid,
    struct err *e)
{
	int rc = 0;

	{
		/* First names of interfaces are whoever's holds the lock (link.c). */
		AUTO(fd) int lock = net_lock(n, e);

		if (lock < 0)
			return lock;
		for (size_t i = 0; rc == 0 && i < p->nlinks; i++)
			rc = make_link(n, os, s, &p->links[i], jid, e);
	}
	fault_point("net.up.links");
	if (rc == 0 && p->nlinks > 0 && has_rates(&p->links[0]))
		rc = set_pipes(p, e);
	fault_point("net.up.rates");
	if (rc == 0)
		rc = publish(n, os, s, p, e);
	fault_point("net.up.elements");
	if (rc == 0)
		rc = read_back(n, os, s, p, e);
	if (rc == 0)
		rc = net_hosts_add(n, s, e);
	fault_point("net.up.names");
	return rc;
}

static int
undo(struct net *n, const struct net_spec *s, int rc, struct err *e)
{
	struct err why = ERR_INIT;

	if (net_down(n, s, &why) < 0)
		err_wrap(e, "taking it back failed too (%s)", why.msg);
	return rc;
}

static int
up_bridge(struct net *n, struct net_os *os, const struct net_spec *s, int32_t pid, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	struct net_bridge bridges[NET_BRIDGES_MAX];
	int jid, rc, remade;

	if ((rc = os_plan(n, s, bridges, &plan, e)) < 0 || (rc = link_jail_of(pid, &jid, e)) < 0)
		return rc;
	remade = os_ensure(n, os, bridges, plan.nlinks, e);
	if (remade < 0)
		return remade;
	fault_point("net.up.ensured");
	rc = make(n, os, s, &plan, jid, e);
	return rc < 0 ? undo(n, s, rc, e) : remade;
}

static int
up_alias(struct net *n, const struct net_spec *s, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	int rc = os_plan(n, s, NULL, &plan, e);

	if (rc == 0 && (rc = net_alias_up(n, s, e)) < 0)
		return undo(n, s, rc, e);
	return rc;
}

static int
up_none(int32_t pid, struct err *e)
{
	int jid, rc = link_jail_of(pid, &jid, e);

	return rc < 0 ? rc : link_inside(jid, NULL, NULL, e);
}

int
net_up(struct net *n, const struct net_spec *s, int32_t pid, const int *inside, struct err *e)
{
	struct net_os *os;
	int rc;

	(void)inside; /* Linux has something of that kind */
	if (s->type == NET_INHERIT)
		return 0;
	if (s->type == NET_NONE)
		return up_none(pid, e);
	if ((rc = net_ready(n, e)) < 0 || (rc = os_get(n, &os, e)) < 0)
		return rc;
	return s->type == NET_ALIAS ? up_alias(n, s, e) : up_bridge(n, os, s, pid, e);
}

/* A pipe is never taken from under states that use it: without rates it has no limit. */
int
net_rates(struct net *n, const struct net_spec *s, int32_t pid, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(RULES_MAX);
	struct net_bridge bridges[NET_BRIDGES_MAX];
	char anchor[RULES_PATH];
	struct net_os *os;
	int jid, rc;

	if (s->type != NET_BRIDGE)
		return 0;
	if ((rc = net_ready(n, e)) < 0 || (rc = os_get(n, &os, e)) < 0 ||
	    (rc = os_plan(n, s, bridges, &plan, e)) < 0 || (rc = link_jail_of(pid, &jid, e)) < 0 ||
	    (rc = set_pipes(&plan, e)) < 0 || (rc = os_pot_rules(n, &plan, &text, e)) < 0)
		return rc;
	fault_point("net.rates.pipes");
	rules_anchor_pot(n->node, s->id, anchor);
	return pf_load(&os->pf, anchor, buf_cstr(&text), e);
}
