/*
 * A pot's network made, after plan.c's plan: sources, links, rates, ports, names, in
 * this order, read back, all of it or nothing. Taking away is down.c's, what pots
 * share is shared.c's.
 */
#include <fcntl.h>
#include <string.h>

#include "base/fault.h"
#include "network/hosts.h"
#include "network/linux/os.h"
#include "network/linux/pot.h"

static bool
has_ip6(const struct net_plan *p)
{
	for (size_t i = 0; i < p->nlinks; i++)
		if (p->links[i].ip6)
			return true;
	return false;
}

/* How many of the elements come before the links. */
static size_t
count_first(const struct net_plan *p)
{
	size_t i = 0;

	while (i < p->nelems && (p->elems[i].kind == NET_EL_SOURCE || p->elems[i].kind == NET_EL_TARGET))
		i++;
	return i;
}

static int
make_link(struct net_os *os, const struct net_plan *p, size_t i, int bridge_index, int ns_fd, bool hairpin,
    struct err *e)
{
	const struct net_plan_link *l = &p->links[i];
	struct err why = ERR_INIT;
	int rc = link_pair_make(&os->rt, l, p->group, bridge_index, ns_fd, hairpin, &why);

	if (rc == -E_EXIST) {
		/* Of the pot's last run: the kernel is about to remove it, or a kill left it. */
		rc = link_delete(&os->rt, l->host, e);
		return rc < 0 ? rc : link_pair_make(&os->rt, l, p->group, bridge_index, ns_fd, hairpin, e);
	}
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

/* A copy of an fd of the caller's. */
static int
copy_fd(int fd, struct err *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy >= 0 ? copy : err_sys(e, "cannot duplicate a file descriptor");
}

/* The pot's namespace and a socket in it; copies of what the caller has there already. */
static int
get_inside(int32_t pid, const int *inside, bool adverts, struct nl_sock *inner, int *ns_fd, struct err *e)
{
	int rc = *ns_fd = inside != NULL ? copy_fd(inside[0], e) : link_netns(pid, e);

	if (rc < 0)
		return rc;
	if (inside == NULL || adverts)
		return link_enter(*ns_fd, adverts, inner, e);
	rc = copy_fd(inside[1], e);
	return rc < 0 ? rc : nl_adopt(inner, rc, e);
}

static int
make_links(struct net_os *os, const struct net_spec *s, const struct net_plan *p,
    const struct os_bridge *bridges, int32_t pid, const int *inside, struct err *e)
{
	AUTO_FINI(nl_sock) struct nl_sock inner = NL_SOCK_INIT;
	AUTO(fd) int ns_fd = -1;
	bool hairpin = os_hairpin(s);
	/* Advertisements of other pots are dropped by the rules where there are such; the file costs more than all else. */
	bool adverts = has_ip6(p) && !os->rules.bridge_family;
	int rc = get_inside(pid, inside, adverts, &inner, &ns_fd, e);

	fault_point("net.up.entered");
	for (size_t i = 0; rc == 0 && i < p->nlinks; i++) {
		const struct net_plan_link *l = &p->links[i];

		rc = make_link(os, p, i, bridges[i].index, ns_fd, hairpin, e);
		fault_point("net.up.pair");
		if (rc == 0)
			rc = link_inner_set(&inner, l, i == 0, e);
		fault_point("net.up.inner");
		if (rc == 0 && l->in.bytes_per_s != 0)
			rc = os_rate(&os->rt, l->host, &l->in, e);
		if (rc == 0 && l->out.bytes_per_s != 0)
			rc = os_rate(&inner, l->inner, &l->out, e);
		fault_point("net.up.rates");
	}
	/* Last of all: meanwhile most of it has happened. */
	for (size_t i = 0; rc == 0 && i < p->nlinks; i++)
		rc = link_settle(&os->rt, &p->links[i], bridges[i].index, e);
	return rc;
}

static int
read_back(struct net_os *os, const struct net_plan *p, struct err *e)
{
	int rc = nft_have(&os->nft, &os->rules, p->elems, p->nelems, NULL, e);

	if (rc == 0) {
		err_set(e, E_BUSY,
		    "the pot's rules vanished while they were made: somebody else changes the filter");
		return err_hint(
		    e, "start the pot again; if it happens again, look for what flushes nftables");
	}
	return rc < 0 ? rc : 0;
}

static int
make(struct net *n, struct net_os *os, const struct net_spec *s, const struct net_plan *p,
    struct os_bridge *bridges, int32_t pid, const int *inside, struct err *e)
{
	size_t first = count_first(p);
	int rc = nft_add(&os->nft, &os->rules, p->elems, first, e);

	fault_point("net.up.sources");
	if (rc == 0)
		rc = make_links(os, s, p, bridges, pid, inside, e);
	if (rc == 0 && p->nelems > first)
		rc = nft_add(&os->nft, &os->rules, p->elems + first, p->nelems - first, e);
	fault_point("net.up.elements");
	if (rc == 0)
		rc = read_back(os, p, e);
	if (rc == 0)
		rc = net_hosts_add(n, s, e);
	fault_point("net.up.names");
	return rc;
}

static int
up_bridge(
    struct net *n, struct net_os *os, const struct net_spec *s, int32_t pid, const int *inside, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	struct os_bridge bridges[NET_BRIDGES_MAX];
	int rc = pot_plan(n, s, bridges, &plan, e), remade;

	if (rc < 0)
		return rc;
	remade = os_ensure(n, os, bridges, plan.nlinks, e);
	if (remade < 0)
		return remade;
	fault_point("net.up.ensured");
	rc = make(n, os, s, &plan, bridges, pid, inside, e);
	if (rc < 0) {
		struct err undo = ERR_INIT;

		if (net_down(n, s, &undo) < 0)
			err_wrap(e, "taking it back failed too (%s)", undo.msg);
		return rc;
	}
	return remade;
}

static int
up_none(int32_t pid, struct err *e)
{
	AUTO_FINI(nl_sock) struct nl_sock inner = NL_SOCK_INIT;
	AUTO(fd) int ns_fd = link_netns(pid, e);
	int rc = ns_fd < 0 ? ns_fd : link_enter(ns_fd, false, &inner, e);

	return rc < 0 ? rc : link_lo_up(&inner, e);
}

static int
up_alias(struct net *n, struct net_os *os, const struct net_spec *s, struct err *e)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	int rc = pot_plan(n, s, NULL, &plan, e);

	if (rc < 0)
		return rc;
	rc = net_alias_up(n, s, e);
	if (rc < 0) {
		struct err undo = ERR_INIT;

		if (net_alias_down(n, s->id, &undo) < 0)
			err_wrap(e, "taking it back failed too (%s)", undo.msg);
	}
	return rc;
}

int
net_up(struct net *n, const struct net_spec *s, int32_t pid, const int *inside, struct err *e)
{
	struct net_os *os;
	int rc;

	if (s->type == NET_INHERIT)
		return 0;
	if (s->type == NET_NONE)
		return up_none(pid, e);
	if ((rc = net_ready(n, e)) < 0 || (rc = os_get(n, &os, e)) < 0)
		return rc;
	return s->type == NET_ALIAS ? up_alias(n, os, s, e) : up_bridge(n, os, s, pid, inside, e);
}
