/*
 * Rate limits: a token bucket (tbf) on what leaves an interface. Towards a pot that is
 * its host end; from it, its inner end, where the pot's sender is slowed down
 * instead of its packets being dropped behind it. The pot cannot take that one away
 * without CAP_NET_ADMIN, which no pot has unless it was given.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "base/fault.h"
#include "network/linux/os.h"
#include "network/linux/pot.h"

#define QUEUE_MS 100 /* what waits at most, at the full rate */

static void
put_bucket(struct nl_batch *b, int index, const struct net_rate *r)
{
	uint64_t queue = r->bytes_per_s / 1000 * QUEUE_MS + r->burst;
	/* Linklayer given: the kernel computes times itself and wants no table. */
	struct tc_tbf_qopt q = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
		    .rate = r->bytes_per_s > UINT32_MAX ? UINT32_MAX : (uint32_t)r->bytes_per_s },
		.limit = queue > UINT32_MAX ? UINT32_MAX : (uint32_t)queue,
	};
	struct tcmsg h = { .tcm_ifindex = index, .tcm_parent = TC_H_ROOT, .tcm_handle = 1u << 16 };
	size_t options;

	nl_begin(b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &h, sizeof(h), "cannot limit the rate", 0);
	nl_put_str(b, TCA_KIND, "tbf");
	options = nl_nest(b, TCA_OPTIONS);
	nl_put(b, TCA_TBF_PARMS, &q, sizeof(q));
	if (r->bytes_per_s > UINT32_MAX)
		nl_put_u64(b, TCA_TBF_RATE64, r->bytes_per_s);
	nl_put_u32(b, TCA_TBF_BURST, r->burst);
	nl_nest_end(b, options);
}

/* The kernel's own queue comes back. */
static void
put_none(struct nl_batch *b, int index)
{
	struct tcmsg h = { .tcm_ifindex = index, .tcm_parent = TC_H_ROOT };

	nl_begin(b, RTM_DELQDISC, 0, &h, sizeof(h), "cannot take the limit of the rate away", ENOENT);
}

int
os_rate(struct nl_sock *s, const char *ifname, const struct net_rate *r, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct link_info l;
	int rc = link_get(s, ifname, &l, e);

	if (rc == 0 && l.index == 0)
		rc = err_set(e, E_NOENT, "there is no interface %s", ifname);
	if (rc < 0)
		return rc;
	if (r->bytes_per_s != 0)
		put_bucket(&b, l.index, r);
	else
		put_none(&b, l.index);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	if (rc < 0 && e != NULL && e->sys == ENOENT)
		err_hint(e, "the kernel needs the module sch_tbf");
	return rc < 0 ? err_wrap(e, "%s", ifname) : 0;
}

/* ---- of a running pot */

/*
 * Is this namespace the other end of the pot's link? A process number may have passed on to
 * somebody else, whose interfaces are none of ours.
 */
static int
check_other_end(struct nl_sock *s, const char *host, int ns_fd, struct err *e)
{
	struct link_info l;
	int nsid = -1, rc = link_get(s, host, &l, e);

	if (rc == 0 && l.index != 0)
		rc = link_nsid(s, ns_fd, &nsid, e);
	if (rc < 0)
		return rc;
	return l.index != 0 && nsid >= 0 && nsid == l.nsid ? 0 : err_set(e, E_STATE, "the pot has ended");
}

static int
set_rates(struct net_os *os, const struct net_plan *p, struct nl_sock *inner, int ns_fd, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->nlinks; i++) {
		const struct net_plan_link *l = &p->links[i];

		rc = check_other_end(&os->rt, l->host, ns_fd, e);
		if (rc == 0)
			rc = os_rate(&os->rt, l->host, &l->in, e);
		fault_point("net.rates.in");
		if (rc == 0)
			rc = os_rate(inner, l->inner, &l->out, e);
		fault_point("net.rates.out");
	}
	return rc;
}

int
net_rates(struct net *n, const struct net_spec *s, int32_t pid, struct err *e)
{
	AUTO_FINI(nl_sock) struct nl_sock inner = NL_SOCK_INIT;
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	struct os_bridge bridges[NET_BRIDGES_MAX];
	AUTO(fd) int ns_fd = -1;
	struct net_os *os;
	int rc;

	if (s->type != NET_BRIDGE)
		return 0;
	if ((rc = net_ready(n, e)) < 0 || (rc = os_get(n, &os, e)) < 0 ||
	    (rc = pot_plan(n, s, bridges, &plan, e)) < 0)
		return rc;
	rc = ns_fd = link_netns(pid, e);
	if (rc == -E_NOENT)
		return err_set(e, E_STATE, "the pot has ended");
	if (rc >= 0)
		rc = link_enter(ns_fd, false, &inner, e);
	return rc < 0 ? rc : set_rates(os, &plan, &inner, ns_fd, e);
}
