/*
 * Making and finding links by rtnetlink. What a link must be like is decided in
 * plan.c; addresses and routes are in address.c, the way into a pot's
 * namespace in netns.c, rates in tc.c.
 *
 * IPv6 autoconfiguration is off on everything we make: with it, and with
 * multicast snooping, the 500th pot would start five times slower than the first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "network/linux/link.h"

#define QUEUES 1 /* a pot's link needs no queue per CPU, and each costs memory */

static void
begin_link(
    struct nl_batch *b, uint16_t type, uint16_t flags, int index, uint32_t up, const char *what, int allow)
{
	struct ifinfomsg h = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = index,
		.ifi_flags = up,
		.ifi_change = up,
	};

	nl_begin(b, type, flags, &h, sizeof(h), what, allow);
}

/* No link-local address, no duplicate address detection, no router solicitation. */
static void
put_no_autoconf(struct nl_batch *b)
{
	size_t spec = nl_nest(b, IFLA_AF_SPEC), inet6 = nl_nest(b, AF_INET6);

	nl_put_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nl_nest_end(b, inet6);
	nl_nest_end(b, spec);
}

/* ---- looking ------------------------------------------------------------------- */

static void
read_info(const struct nlmsghdr *h, struct link_info *l)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct nlattr *nsid = nl_find_msg(h, sizeof(*m), IFLA_LINK_NETNSID);
	const struct nlattr *info = nl_find_msg(h, sizeof(*m), IFLA_LINKINFO);

	l->index = m->ifi_index;
	l->flags = m->ifi_flags;
	l->group = nl_u32(nl_find_msg(h, sizeof(*m), IFLA_GROUP));
	l->master = (int)nl_u32(nl_find_msg(h, sizeof(*m), IFLA_MASTER));
	l->nsid = nsid != NULL ? (int)nl_u32(nsid) : -1;
	l->bridge = nl_is_str(nl_find_in(info, IFLA_INFO_KIND), "bridge");
}

static int
got_link(void *arg, const struct nlmsghdr *h, struct err *e)
{
	if (h->nlmsg_type == RTM_NEWLINK && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		read_info(h, arg);
	return 0;
}

static void
put_get(struct nl_batch *b, const char *name)
{
	begin_link(b, RTM_GETLINK, 0, 0, 0, "cannot look for a link", ENODEV);
	nl_put_str(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

int
link_get(struct nl_sock *s, const char *name, struct link_info *out, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;

	memset(out, 0, sizeof(*out));
	put_get(&b, name);
	return nl_talk(s, &b, got_link, out, NULL, e);
}

struct found {
	struct link_info *v;
	size_t n, max;
};

static int
got_found(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct found *f = arg;

	if (f->n == f->max || h->nlmsg_type != RTM_NEWLINK ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	read_info(h, &f->v[f->n++]);
	return 0;
}

int
link_get_all(struct nl_sock *s, char (*names)[NET_IFNAME], size_t n, struct link_info *out, size_t *nout,
    struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct found f = { .v = out, .max = n };
	int rc;

	for (size_t i = 0; i < n; i++)
		put_get(&b, names[i]);
	rc = nl_talk(s, &b, got_found, &f, NULL, e);
	*nout = f.n;
	return rc;
}

struct each {
	link_fn *fn;
	void *arg;
};

static int
got_each(void *arg, const struct nlmsghdr *h, struct err *e)
{
	struct each *w = arg;
	struct link_info l;
	const struct nlattr *name, *kind;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	read_info(h, &l);
	name = nl_find_msg(h, sizeof(struct ifinfomsg), IFLA_IFNAME);
	kind = nl_find_in(nl_find_msg(h, sizeof(struct ifinfomsg), IFLA_LINKINFO), IFLA_INFO_KIND);
	return name == NULL ? 0 : w->fn(w->arg, nl_data(name), kind != NULL ? nl_data(kind) : "", &l);
}

int
link_each(struct nl_sock *s, link_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct each w = { fn, arg };

	begin_link(&b, RTM_GETLINK, NLM_F_DUMP, 0, 0, "cannot list the links", 0);
	nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nl_talk(s, &b, got_each, &w, NULL, e);
}

int
link_peer_lives(struct nl_sock *s, const struct link_info *l, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	unsigned failed;
	int rc;

	if (l->nsid < 0)
		return 0;
	/* A namespace without users cannot be asked about its links any more. */
	begin_link(&b, RTM_GETLINK, 0, 1, 0, "cannot look into a namespace", EINVAL);
	nl_put_u32(&b, IFLA_TARGET_NETNSID, (uint32_t)l->nsid);
	rc = nl_talk(s, &b, NULL, NULL, &failed, e);
	return rc < 0 ? rc : failed == 0;
}

static int
got_nsid(void *arg, const struct nlmsghdr *h, struct err *e)
{
	const struct nlattr *id = nl_find_msg(h, NLMSG_ALIGN(sizeof(struct rtgenmsg)), NETNSA_NSID);

	(void)e;
	if (h->nlmsg_type == RTM_NEWNSID && id != NULL)
		*(int *)arg = (int)nl_u32(id);
	return 0;
}

int
link_nsid(struct nl_sock *s, int ns_fd, int *nsid, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct rtgenmsg h = { .rtgen_family = AF_UNSPEC };

	*nsid = -1;
	nl_begin(&b, RTM_GETNSID, 0, &h, sizeof(h), "cannot find a network namespace", 0);
	nl_put_u32(&b, NETNSA_FD, (uint32_t)ns_fd);
	return nl_talk(s, &b, got_nsid, nsid, NULL, e);
}

/* ---- bridges ------------------------------------------------------------------- */

static void
put_bridge(struct nl_batch *b, const struct net_bridge_plan *p)
{
	size_t info, data;

	nl_put_str(b, IFLA_IFNAME, p->ifname);
	nl_put(b, IFLA_ADDRESS, p->mac, NET_MAC);
	nl_put_u32(b, IFLA_GROUP, p->group);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "bridge");
	data = nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_BR_FORWARD_DELAY, 0);
	nl_put_u32(b, IFLA_BR_STP_STATE, 0);
	nl_put_u8(b, IFLA_BR_MCAST_SNOOPING, 0);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

int
link_bridge_make(struct nl_sock *s, const struct net_bridge_plan *p, int *index, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct link_info l;
	int rc = link_get(s, p->ifname, &l, e);

	if (rc == 0 && l.index == 0) {
		begin_link(
		    &b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, "cannot make the bridge", EEXIST);
		put_bridge(&b, p);
		rc = nl_talk(s, &b, NULL, NULL, NULL, e);
		if (rc == 0)
			rc = link_get(s, p->ifname, &l, e);
	}
	if (rc < 0)
		return err_wrap(e, "%s", p->ifname);
	if (!l.bridge)
		return err_set(
		    e, E_EXIST, "'%s' is the name of a bridge of pot's, but it is something else", p->ifname);
	*index = l.index;
	return 0;
}

int
link_bridge_up(struct nl_sock *s, const struct net_bridge_plan *p, int index, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	int rc;

	if (p->ip6) {
		begin_link(&b, RTM_NEWLINK, 0, index, 0, "cannot turn IPv6 autoconfiguration off", 0);
		put_no_autoconf(&b);
	}
	/* Repeated on one that was made before us: it may have lost them. */
	begin_link(&b, RTM_NEWLINK, 0, index, 0, "cannot set up the bridge", 0);
	nl_put_u32(&b, IFLA_GROUP, p->group);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	for (size_t i = 0; rc == 0 && i < p->naddrs; i++) {
		rc = link_addr_add(s, index, &p->addrs[i], e);
		if (rc == -E_EXIST)
			rc = 0;
	}
	if (rc == 0) {
		nl_batch_reset(&b);
		begin_link(&b, RTM_NEWLINK, 0, index, IFF_UP, "cannot set the bridge up", 0);
		rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	}
	return rc < 0 ? err_wrap(e, "%s", p->ifname) : 0;
}

/* ---- the pair of a pot ----------------------------------------------------------- */

static void
put_pair(struct nl_batch *b, const struct net_plan_link *l, uint32_t group, int bridge_index, int ns_fd)
{
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC };
	size_t info, data, inner;

	nl_put_str(b, IFLA_IFNAME, l->host);
	nl_put(b, IFLA_ADDRESS, l->host_mac, NET_MAC);
	nl_put_u32(b, IFLA_GROUP, group);
	nl_put_u32(b, IFLA_MASTER, (uint32_t)bridge_index);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, QUEUES);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, QUEUES);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	data = nl_nest(b, IFLA_INFO_DATA);
	inner = nl_nest(b, VETH_INFO_PEER);
	nl_extend(b, &peer, sizeof(peer));
	nl_put_str(b, IFLA_IFNAME, l->inner);
	nl_put(b, IFLA_ADDRESS, l->inner_mac, NET_MAC);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, QUEUES);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, QUEUES);
	nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	nl_nest_end(b, inner);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

void
link_put_port(struct nl_batch *b, const char *name, bool isolated, bool hairpin)
{
	size_t info, data;

	begin_link(b, RTM_NEWLINK, 0, 0, 0, "cannot set up the port of the bridge", ENODEV);
	nl_put_str(b, IFLA_IFNAME, name);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nl_nest(b, IFLA_INFO_SLAVE_DATA);
	nl_put_u8(b, IFLA_BRPORT_ISOLATED, isolated);
	nl_put_u8(b, IFLA_BRPORT_MODE, hairpin);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
}

/* What can be said of the host end only when it exists, and that it goes up, last. */
static void
put_host_end(struct nl_batch *b, const struct net_plan_link *l, bool hairpin)
{
	begin_link(b, RTM_NEWLINK, 0, 0, 0, "cannot turn IPv6 autoconfiguration off", EAFNOSUPPORT);
	nl_put_str(b, IFLA_IFNAME, l->host);
	put_no_autoconf(b);
	if (l->isolated || hairpin)
		link_put_port(b, l->host, l->isolated, hairpin);
	begin_link(b, RTM_NEWLINK, 0, 0, IFF_UP, "cannot set the link up", 0);
	nl_put_str(b, IFLA_IFNAME, l->host);
}

int
link_pair_make(struct nl_sock *s, const struct net_plan_link *l, uint32_t group, int bridge_index, int ns_fd,
    bool hairpin, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	int rc;

	begin_link(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0, "cannot make the pot's link", 0);
	put_pair(&b, l, group, bridge_index, ns_fd);
	put_host_end(&b, l, hairpin);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	return rc < 0 ? err_wrap(e, "%s", l->host) : 0;
}

/* What is inside already: up, without addresses. *index of it. */
static int
inner_up(
    struct nl_sock *inner, const struct net_plan_link *l, bool first, struct link_info *info, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;

	if (first)
		begin_link(&b, RTM_NEWLINK, 0, 1, IFF_UP, "cannot set lo up", 0);
	begin_link(&b, RTM_NEWLINK, 0, 0, 0, "cannot turn IPv6 autoconfiguration off", EAFNOSUPPORT);
	nl_put_str(&b, IFLA_IFNAME, l->inner);
	put_no_autoconf(&b);
	begin_link(&b, RTM_NEWLINK, 0, 0, IFF_UP, "cannot set the link up", 0);
	nl_put_str(&b, IFLA_IFNAME, l->inner);
	begin_link(&b, RTM_GETLINK, 0, 0, 0, "cannot find the link", 0);
	nl_put_str(&b, IFLA_IFNAME, l->inner);
	nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return nl_talk(inner, &b, got_link, info, NULL, e);
}

int
link_inner_set(struct nl_sock *inner, const struct net_plan_link *l, bool first, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct link_info info = { 0 };
	int rc = inner_up(inner, l, first, &info, e);

	for (size_t i = 0; rc == 0 && i < l->naddrs; i++)
		link_put_addr(&b, true, info.index, &l->addrs[i], EEXIST);
	for (size_t i = 0; rc == 0 && i < l->nroutes; i++)
		link_put_route(&b, info.index, &l->routes[i]);
	if (rc == 0)
		rc = nl_talk(inner, &b, NULL, NULL, NULL, e);
	return rc < 0 ? err_wrap(e, "%s of the pot", l->inner) : 0;
}

/* lo of a pot without links. */
int
link_lo_up(struct nl_sock *inner, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;

	begin_link(&b, RTM_NEWLINK, 0, 1, IFF_UP, "cannot set lo up", 0);
	return nl_talk(inner, &b, NULL, NULL, NULL, e);
}

void
link_put_master(struct nl_batch *b, const char *name, int master)
{
	begin_link(b, RTM_NEWLINK, 0, 0, 0, "cannot put a link on its bridge", ENODEV);
	nl_put_str(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_MASTER, (uint32_t)master);
}

/* ---- taking away ------------------------------------------------------------------ */

void
link_put_delete(struct nl_batch *b, int index)
{
	begin_link(b, RTM_DELLINK, 0, index, 0, "cannot remove a link", ENODEV);
}

int
link_delete(struct nl_sock *s, const char *name, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	int rc;

	begin_link(&b, RTM_DELLINK, 0, 0, 0, "cannot remove a link", ENODEV);
	nl_put_str(&b, IFLA_IFNAME, name);
	rc = nl_talk(s, &b, NULL, NULL, NULL, e);
	return rc < 0 ? err_wrap(e, "%s", name) : 0;
}

int
link_delete_group(struct nl_sock *s, uint32_t group, struct err *e)
{
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;

	begin_link(&b, RTM_DELLINK, 0, 0, 0, "cannot remove the links of this node", ENODEV);
	nl_put_u32(&b, IFLA_GROUP, group);
	return nl_talk(s, &b, NULL, NULL, NULL, e);
}
