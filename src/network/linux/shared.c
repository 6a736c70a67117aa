/*
 * What all pots of a node share: the table with its rules, the bridges, forwarding.
 * Made by the first pot that needs it and looked at by all others: the
 * look takes two questions and no lock. A bridge is set up (IFF_UP) when all else of it is
 * done, so one that is up is complete, whenever its maker was killed.
 */
#include <net/if.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/event.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/proc.h"
#include "network/hosts.h"
#include "network/linux/os.h"

#define RULES_MAX (4 * 1024 * 1024)
#define LOADER "pot-nft"
#define LOADER_MS 30000

/* ---- rules --------------------------------------------------------------------------- */

static int
apply_text(const struct buf *text, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(64 * 1024);
	AUTO(fd) int fd = memfd_create("rules", MFD_CLOEXEC);
	struct proc_spec p = PROC_SPEC_INIT;
	char loader[PATH_MAX];
	const char *argv[] = { loader, NULL };
	int rc = host_find_program(LOADER, host_libexec(), loader, sizeof(loader), e);

	if (rc == 0 && fd < 0)
		rc = err_sys(e, "cannot make a file in memory");
	if (rc < 0 || (rc = fd_write_all(fd, text->data, text->len, "rules", e)) < 0)
		return rc;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "rules");
	p.argv = argv;
	p.fd_in = fd;
	p.err = &said;
	p.timeout_ms = LOADER_MS;
	rc = proc_run(&p, NULL, e);
	return rc < 0 ? err_wrap(e, "cannot make the filter's rules") : 0;
}

int
os_load_rules(struct net *n, struct net_os *os, const struct net_elem *v, size_t nv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RULES_MAX);
	AUTO_FREE struct net_elem *bridges = NULL;
	size_t nbridges = 0;
	int rc = net_ruleset(&os->rules, &b, e);

	if (rc == 0)
		rc = os_bridge_elems(n, os, NULL, &bridges, &nbridges, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < nbridges; i++)
		net_elem_text(&os->rules, "add", &bridges[i], &b);
	for (size_t i = 0; i < nv; i++)
		net_elem_text(&os->rules, "add", &v[i], &b);
	rc = buf_check(&b, "the rules", e);
	return rc < 0 ? rc : apply_text(&b, e);
}

int
os_remove_rules(struct net_os *os, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RULES_MAX);
	int rc;

	net_ruleset_remove(&os->rules, &b);
	rc = buf_check(&b, "the rules", e);
	return rc < 0 ? rc : apply_text(&b, e);
}

/* ---- bridges ------------------------------------------------------------------------------ */

/* 1: the bridge has its addresses of IPv6. Turning that off and on again, for one, takes them away. */
static int
has_addresses6(struct net *n, struct net_os *os, const struct os_bridge *br, struct err *e)
{
	struct net_bridge_plan plan;
	int rc = 1;

	net_plan_bridge(&plan, n->node, n->isolate, &br->rec);
	for (size_t i = 0; rc == 1 && i < plan.naddrs; i++)
		if (plan.addrs[i].addr.family == 6)
			rc = link_addr_has6(&os->rt, br->index, &plan.addrs[i].addr, e);
	return rc;
}

int
os_bridge_whole(struct net *n, struct net_os *os, struct os_bridge *br, struct err *e)
{
	struct link_info l;
	int rc = link_get(&os->rt, br->rec.ifname, &l, e);

	br->index = l.index;
	if (rc < 0 || !l.bridge || !(l.flags & IFF_UP) || l.group != net_name_group(n->node))
		return rc < 0 ? rc : 0;
	return has_addresses6(n, os, br, e);
}

static int
make_bridge(struct net *n, struct net_os *os, struct os_bridge *br, struct err *e)
{
	struct net_bridge_plan plan;
	struct net_elem elems[OS_BRIDGE_ELEMS];
	size_t nelems;
	int rc;

	net_plan_bridge(&plan, n->node, n->isolate, &br->rec);
	nelems = os_elems_of_bridge(n, &br->rec, elems);
	rc = os_forwarding(n, plan.ip4, plan.ip6, e);
	fault_point("net.bridge.forwarding");
	/* Names of pots that were on it before the machine was started, or somebody took it away. */
	if (rc == 0 && br->index == 0)
		rc = net_hosts_reset(n, br->rec.name, e);
	if (rc == 0)
		rc = link_bridge_make(&os->rt, &plan, &br->index, e);
	fault_point("net.bridge.made");
	if (rc == 0)
		rc = os_bridge_sysctls(&plan, e);
	if (rc == 0)
		rc = nft_add(&os->nft, &os->rules, elems, nelems, e);
	fault_point("net.bridge.elements");
	if (rc == 0)
		rc = link_bridge_up(&os->rt, &plan, br->index, e);
	fault_point("net.bridge.up");
	return rc < 0 ? err_wrap(e, "bridge '%s'", br->rec.name) : 0;
}

/* 1: all is there; 0: something is missing. */
static int
look(struct net *n, struct net_os *os, struct os_bridge *v, size_t nv, struct err *e)
{
	for (size_t i = 0; i < nv; i++) {
		int rc = os_bridge_whole(n, os, &v[i], e);

		if (rc <= 0)
			return rc;
	}
	return nft_table_ok(&os->nft, &os->rules, e);
}

/* Links of pots: any, and those without a bridge. */
struct seen {
	uint32_t group;
	unsigned pots, orphans;
};

static int
see_pot(void *arg, const char *name, const char *kind, const struct link_info *l)
{
	struct seen *s = arg;

	if (l->group == s->group && strcmp(kind, "veth") == 0) {
		s->pots++;
		s->orphans += l->master == 0;
	}
	return 0;
}

static int
see_pots(struct net *n, struct net_os *os, struct seen *s, struct err *e)
{
	*s = (struct seen){ .group = net_name_group(n->node) };
	return link_each(&os->rt, see_pot, s, e);
}

/* 1: they were missed by pots. */
static int
remake_rules(struct net *n, struct net_os *os, struct err *e)
{
	struct seen seen;
	int rc = see_pots(n, os, &seen, e);

	if (rc == 0 && seen.pots > 0)
		event_warn(&n->events, "somebody took away the rules of pot: they are made anew");
	if (rc == 0)
		rc = os_load_rules(n, os, NULL, 0, e);
	fault_point("net.rules.loaded");
	return rc < 0 ? rc : seen.pots > 0;
}

/* 1: there are pots that were on it. */
static int
remake_bridge(struct net *n, struct net_os *os, struct os_bridge *br, struct err *e)
{
	struct seen seen;
	int rc = make_bridge(n, os, br, e);

	if (rc == 0)
		rc = see_pots(n, os, &seen, e);
	if (rc == 0 && seen.orphans > 0)
		event_warn(&n->events, "somebody took away a bridge of pot: it is made anew");
	return rc < 0 ? rc : seen.orphans > 0;
}

int
os_ensure(struct net *n, struct net_os *os, struct os_bridge *v, size_t nv, struct err *e)
{
	AUTO(fd) int lock = -1;
	bool missed = false;
	int rc = look(n, os, v, nv, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if ((lock = net_lock(n, e)) < 0)
		return lock;
	rc = nft_table_ok(&os->nft, &os->rules, e);
	if (rc == 0) {
		rc = remake_rules(n, os, e);
		missed = rc > 0;
	}
	for (size_t i = 0; rc >= 0 && i < nv; i++) {
		rc = os_bridge_whole(n, os, &v[i], e);
		if (rc == 0) {
			rc = remake_bridge(n, os, &v[i], e);
			missed = missed || rc > 0;
		}
	}
	return rc < 0 ? rc : missed;
}
