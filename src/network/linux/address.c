/*
 * Addresses and routes by rtnetlink, on the host and in pots. Every address is
 * added without duplicate address detection: who has it is known (leases),
 * and the detection would make each start wait for a second.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "network/linux/link.h"

static uint8_t
family_of(const struct ip_addr *a)
{
	return a->family == 4 ? AF_INET : AF_INET6;
}

static size_t
size_of(const struct ip_addr *a)
{
	return a->family == 4 ? 4 : 16;
}

void
link_put_addr(struct nl_batch *b, bool add, int index, const struct ip_prefix *p, int allow)
{
	struct ifaddrmsg h = {
		.ifa_family = family_of(&p->addr),
		.ifa_prefixlen = p->len,
		.ifa_index = (uint32_t)index,
	};
	struct ip_addr broadcast = ip_broadcast(p);

	nl_begin(b, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0, &h, sizeof(h),
	    add ? "cannot add an address" : "cannot remove an address", allow);
	nl_put(b, IFA_LOCAL, p->addr.b, size_of(&p->addr));
	nl_put(b, IFA_ADDRESS, p->addr.b, size_of(&p->addr));
	if (add && p->addr.family == 4 && p->len < 31)
		nl_put(b, IFA_BROADCAST, broadcast.b, 4);
	if (add)
		nl_put_u32(b, IFA_FLAGS, IFA_F_NODAD);
}

void
link_put_route(struct nl_batch *b, int index, const struct net_route *r)
{
	struct rtmsg h = {
		.rtm_family = family_of(&r->via),
		.rtm_dst_len = r->dst.len,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};

	nl_begin(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &h, sizeof(h), "cannot add a route", 0);
	if (r->dst.len > 0)
		nl_put(b, RTA_DST, r->dst.addr.b, size_of(&r->via));
	nl_put(b, RTA_GATEWAY, r->via.b, size_of(&r->via));
	nl_put_u32(b, RTA_OIF, (uint32_t)index);
}

static int
change_addr(struct nl_sock *s, bool add, int index, const struct ip_prefix *p, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	char text[IP_TEXT];
	int rc;

	link_put_addr(&b, add, index, p, 0);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	if (rc == 0)
		return 0;
	ip_prefix_print(p, text);
	if (e != NULL && (e->sys == EADDRNOTAVAIL || e->sys == ENODEV))
		return err_set(e, E_NOENT, "%s is not there", text);
	return err_wrap(e, "%s", text);
}

int
link_addr_add(struct nl_sock *s, int index, const struct ip_prefix *p, struct err *e)
{
	return change_addr(s, true, index, p, e);
}

int
link_addr_del(struct nl_sock *s, int index, const struct ip_prefix *p, struct err *e)
{
	return change_addr(s, false, index, p, e);
}

/* ---- the host's addresses and routes ------------------------------------------------ */

/* An attribute as an address; family 0 when it is none. */
static struct ip_addr
addr_of(const struct nlattr *a, uint8_t family)
{
	struct ip_addr out = { 0 };

	if (a != NULL && ((family == AF_INET && nl_len(a) == 4) || (family == AF_INET6 && nl_len(a) == 16))) {
		out.family = family == AF_INET ? 4 : 6;
		memcpy(out.b, nl_data(a), nl_len(a));
	}
	return out;
}

struct find {
	const struct ip_addr *addr;
	int index;
};

static int
got_addr(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct find *f = arg;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct nlattr *local;
	struct ip_addr a;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	local = nl_find_msg(h, sizeof(*m), IFA_LOCAL);
	a = addr_of(local != NULL ? local : nl_find_msg(h, sizeof(*m), IFA_ADDRESS), m->ifa_family);
	if (a.family != 0 && ip_equal(&a, f->addr))
		f->index = (int)m->ifa_index;
	return 0;
}

int
link_addr_find(struct nl_sock *s, const struct ip_addr *addr, int *index, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct ifaddrmsg h = { .ifa_family = family_of(addr) };
	struct find f = { addr, 0 };
	int rc;

	nl_begin(&b, RTM_GETADDR, NLM_F_DUMP, &h, sizeof(h), "cannot list the host's addresses", 0);
	rc = nl_talk(s, &b, got_addr, &f, NULL, e);
	*index = f.index;
	return rc;
}

int
link_addr_has6(struct nl_sock *s, int index, const struct ip_addr *addr, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct ifaddrmsg h = { .ifa_family = AF_INET6, .ifa_index = (uint32_t)index };
	struct find f = { addr, 0 };
	int rc;

	nl_begin(&b, RTM_GETADDR, 0, &h, sizeof(h), "cannot look for an address", EADDRNOTAVAIL);
	nl_put(&b, IFA_ADDRESS, addr->b, 16);
	rc = nl_talk(s, &b, got_addr, &f, NULL, e);
	return rc < 0 ? rc : f.index == index;
}

static int
got_route(void *arg, const struct nlmsghdr *h, struct err *e)
{
	int *index = arg;

	if (h->nlmsg_type == RTM_NEWROUTE)
		*index = (int)nl_u32(nl_find_msg(h, sizeof(struct rtmsg), RTA_OIF));
	return 0;
}

int
link_default(struct nl_sock *s, int family, int *index, struct err *e)
{
	/* Any address outside will do; these are reserved for documentation (RFC 5737, RFC 3849). */
	static const struct ip_addr outside4 = { 4, { 198, 51, 100, 1 } };
	static const struct ip_addr outside6 = { 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	const struct ip_addr *to = family == 4 ? &outside4 : &outside6;
	struct rtmsg h = { .rtm_family = family_of(to), .rtm_dst_len = family == 4 ? 32 : 128 };
	int rc;

	*index = 0;
	nl_begin(&b, RTM_GETROUTE, 0, &h, sizeof(h), "cannot look for the default route", ENETUNREACH);
	nl_put(&b, RTA_DST, to->b, size_of(to));
	rc = nl_talk(s, &b, got_route, index, NULL, e);
	/* Index 1: lo, which IPv6 names in its answer that there is none. */
	if (rc == 0 && *index <= 1)
		rc = err_set(e, E_NOENT, "the host has no default route for IPv%d", family);
	return rc;
}
