/*
 * Counters of pots' interfaces. The host's end of a link counts what the pot's end
 * counts, mirrored, and its name follows from the pot's id: the host's list of
 * interfaces is enough, and no jail is entered; who has only a process of the pot at hand
 * has its jail asked (net_stats).
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <net/if.h>
#include <errno.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/freebsd/link.h"
#include "network/network.h"

#define COUNTERS_MAX (1u << 20) /* links of one host */

struct net_counters {
	struct net_stats *v; /* as the pot sees them, under the host's name; sorted by it */
	size_t n, cap;
};

static int
put(struct net_counters *c, const struct ifaddrs *ia, struct err *e)
{
	const struct if_data *d = ia->ifa_data;

	if (c->n == COUNTERS_MAX)
		return err_set(e, E_LIMIT, "this host has more than %u links", COUNTERS_MAX);
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 64 : 2 * c->cap;
		struct net_stats *v = reallocarray(c->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n] = (struct net_stats){ .rx_bytes = d->ifi_obytes,
		.tx_bytes = d->ifi_ibytes,
		.rx_packets = d->ifi_opackets,
		.tx_packets = d->ifi_ipackets,
		.rx_errors = d->ifi_oerrors,
		.tx_errors = d->ifi_ierrors };
	snprintf(c->v[c->n++].ifname, NET_IFNAME, "%.*s", NET_IFNAME - 1, ia->ifa_name);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct net_stats *)a)->ifname, ((const struct net_stats *)b)->ifname);
}

int
net_counters_read(struct net_counters **out, const char *id, struct err *e)
{
	struct net_counters *c = calloc(1, sizeof(*c));
	struct ifaddrs *all, *ia;
	int rc = 0;

	(void)id; /* the kernel tells all or nothing */
	if (c == NULL)
		return err_nomem(e);
	if (getifaddrs(&all) != 0) {
		free(c);
		return err_sys(e, "the counters of the host's interfaces");
	}
	for (ia = all; rc == 0 && ia != NULL; ia = ia->ifa_next)
		if (ia->ifa_addr != NULL && ia->ifa_addr->sa_family == AF_LINK && ia->ifa_data != NULL &&
		    strncmp(ia->ifa_name, "pv", 2) == 0)
			rc = put(c, ia, e);
	freeifaddrs(all);
	if (rc < 0) {
		net_counters_free(c);
		return rc;
	}
	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), by_name);
	*out = c;
	return 0;
}

int
net_counters_of(const struct net_counters *c, const char *id, net_stats_fn *fn, void *arg)
{
	for (unsigned slot = 0; slot < NET_BRIDGES_MAX && c->n > 0; slot++) {
		const struct net_stats *there;
		struct net_stats s = { .rx_bytes = 0 };
		int rc;

		net_name_veth(id, slot, s.ifname);
		there = bsearch(&s, c->v, c->n, sizeof(*c->v), by_name);
		if (there == NULL)
			break;
		s = *there;
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

int
net_stats(struct net *n, int32_t pid, net_stats_fn *fn, void *arg, struct err *e)
{
	struct net_stats v[LINK_STATS_MAX];
	size_t nv = 0;
	int jid, rc = link_jail_of(pid, &jid, e);

	(void)n;
	if (rc == 0)
		rc = link_inside_stats(jid, v, &nv, e);
	for (size_t i = 0; rc == 0 && i < nv; i++)
		rc = fn(arg, &v[i]);
	return rc;
}
