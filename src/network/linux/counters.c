/*
 * Counters of all pots' interfaces at once. The host's end of a link counts what
 * the pot's end counts, mirrored, and its name follows from the pot's id: one dump
 * of the host's links is enough, and no pot's namespace is entered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "network/linux/netlink.h"
#include "network/names.h"
#include "network/network.h"

#define COUNTERS_MAX (1u << 20) /* links of one host */

struct link_counters {
	char host[NET_IFNAME];
	struct net_stats s; /* as the pot sees it; its name there is filled in when asked for */
};

struct net_counters {
	struct link_counters *v;
	size_t n, cap;
};

static struct link_counters *
next_free(struct net_counters *c, struct err *e)
{
	if (c->n == COUNTERS_MAX) {
		err_set(e, E_LIMIT, "this host has more than %u links", COUNTERS_MAX);
		return NULL;
	}
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 64 : c->cap * 2;
		struct link_counters *v = reallocarray(c->v, cap, sizeof(*v));

		if (v == NULL) {
			err_nomem(e);
			return NULL;
		}
		c->v = v;
		c->cap = cap;
	}
	return &c->v[c->n++];
}

static int
got_link(void *arg, const struct nlmsghdr *h, struct err *e)
{
	const struct nlattr *name, *stats;
	struct rtnl_link_stats64 s = { 0 };
	struct link_counters *l;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return 0;
	name = nl_find_msg(h, sizeof(struct ifinfomsg), IFLA_IFNAME);
	stats = nl_find_msg(h, sizeof(struct ifinfomsg), IFLA_STATS64);
	if (name == NULL || stats == NULL || nl_len(name) < 2 || nl_len(name) > NET_IFNAME)
		return 0;
	l = next_free(arg, e);
	if (l == NULL)
		return -E_NOMEM;
	/* An older kernel has fewer fields, a newer one more. */
	memcpy(&s, nl_data(stats), nl_len(stats) < sizeof(s) ? nl_len(stats) : sizeof(s));
	memset(l, 0, sizeof(*l));
	memcpy(l->host, nl_data(name), nl_len(name) - 1);
	l->s = (struct net_stats){ .rx_bytes = s.tx_bytes,
		.tx_bytes = s.rx_bytes,
		.rx_packets = s.tx_packets,
		.tx_packets = s.rx_packets,
		.rx_errors = s.tx_errors,
		.tx_errors = s.rx_errors };
	return 0;
}

static int
by_host(const void *a, const void *b)
{
	return strcmp(((const struct link_counters *)a)->host, ((const struct link_counters *)b)->host);
}

static void
ask_all(struct nl_batch *b)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	size_t info;

	nl_begin(b, RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head), "cannot read the links' counters", 0);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	nl_nest_end(b, info);
}

/* Every link that it can have, in one send: how many it has nobody here knows. */
static void
ask_one(struct nl_batch *b, const char *id)
{
	const struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	char name[NET_IFNAME];

	for (unsigned slot = 0; slot < NET_BRIDGES_MAX; slot++) {
		net_name_veth(id, slot, name);
		nl_begin(b, RTM_GETLINK, 0, &head, sizeof(head), "cannot read a link's counters", ENODEV);
		nl_put_str(b, IFLA_IFNAME, name);
	}
}

int
net_counters_read(struct net_counters **out, const char *id, struct err *e)
{
	AUTO_FINI(nl_sock) struct nl_sock s = NL_SOCK_INIT;
	AUTO_FINI(nl_batch) struct nl_batch b = NL_BATCH_INIT;
	struct net_counters *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_nomem(e);
	rc = nl_open(&s, NETLINK_ROUTE, e);
	if (id != NULL)
		ask_one(&b, id);
	else
		ask_all(&b);
	if (rc == 0)
		rc = nl_talk(&s, &b, got_link, c, NULL, e);
	if (rc < 0) {
		net_counters_free(c);
		return rc;
	}
	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), by_host);
	*out = c;
	return 0;
}

int
net_counters_of(const struct net_counters *c, const char *id, net_stats_fn *fn, void *arg)
{
	for (unsigned slot = 0; slot < NET_BRIDGES_MAX && c->n > 0; slot++) {
		struct link_counters key = { .host = "" };
		const struct link_counters *l;
		struct net_stats s;
		int rc;

		net_name_veth(id, slot, key.host);
		l = bsearch(&key, c->v, c->n, sizeof(*c->v), by_host);
		if (l == NULL)
			break;
		s = l->s;
		snprintf(s.ifname, sizeof(s.ifname), "eth%u", slot);
		rc = fn(arg, &s);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void
net_counters_free(struct net_counters *c)
{
	if (c == NULL)
		return;
	free(c->v);
	free(c);
}
