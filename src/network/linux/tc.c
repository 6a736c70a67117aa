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

#include "network/linux/os.h"

#define QUEUE_MS 100 /* what waits at most, at the full rate */

int
os_rate(struct nl_sock *s, const char *ifname, const struct net_rate *r, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	uint64_t queue = r->bytes_per_s / 1000 * QUEUE_MS + r->burst;
	/* Linklayer given: the kernel computes times itself and wants no table. */
	struct tc_tbf_qopt q = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET,
		    .rate = r->bytes_per_s > UINT32_MAX ? UINT32_MAX : (uint32_t)r->bytes_per_s },
		.limit = queue > UINT32_MAX ? UINT32_MAX : (uint32_t)queue,
	};
	struct link_info l;
	struct tcmsg h = { .tcm_parent = TC_H_ROOT, .tcm_handle = 1u << 16 };
	size_t options;
	int rc = link_get(s, ifname, &l, e);

	if (rc == 0 && l.index == 0)
		rc = err_set(e, E_NOENT, "there is no interface %s", ifname);
	if (rc < 0)
		return rc;
	h.tcm_ifindex = l.index;
	nl_begin(&b, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &h, sizeof(h), "cannot limit the rate", 0);
	nl_put_str(&b, TCA_KIND, "tbf");
	options = nl_nest(&b, TCA_OPTIONS);
	nl_put(&b, TCA_TBF_PARMS, &q, sizeof(q));
	if (r->bytes_per_s > UINT32_MAX)
		nl_put_u64(&b, TCA_TBF_RATE64, r->bytes_per_s);
	nl_put_u32(&b, TCA_TBF_BURST, r->burst);
	nl_nest_end(&b, options);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	if (rc < 0 && e != NULL && e->sys == ENOENT)
		err_hint(e, "the kernel needs the module sch_tbf");
	return rc < 0 ? err_wrap(e, "%s", ifname) : 0;
}
