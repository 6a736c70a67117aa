/*
 * A network without links and rules, for tests of the engine without root: all
 * records are the real ones; what would exist on the host is a file of the pot's
 * below ROOT/net/fake. Never in a program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "network/hosts.h"
#include "network/net_impl.h"

static int
place(struct net *n, struct err *e)
{
	int rc = net_ready(n, e);

	return rc < 0 ? rc : dir_make(n->fd, "fake", 0700, e);
}

int
net_up(struct net *n, const struct net_spec *s, int32_t pid, const int *inside, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(65536);
	AUTO(fd) int dir = -1;
	int rc;

	if (s->type == NET_INHERIT || s->type == NET_NONE)
		return 0;
	dir = place(n, e);
	if (dir < 0)
		return dir;
	buf_fmt(&text, "pid %d\n", (int)pid);
	for (size_t i = 0; i < s->nleases; i++)
		buf_fmt(&text, "link %s\n", s->leases[i].bridge);
	for (size_t i = 0; i < s->nports; i++)
		buf_fmt(&text, "port %u %u\n", s->ports[i].host, s->ports[i].pot);
	for (size_t i = 0; i < s->naliases; i++)
		buf_fmt(&text, "alias %s\n", s->aliases[i].ifname);
	rc = file_write_atomic(dir, s->id, 0600, text.data, text.len, e);
	fault_point("net.fake.up");
	return rc == 0 ? net_hosts_add(n, s, e) : rc;
}

int
net_rates(struct net *n, const struct net_spec *s, int32_t pid, struct err *e)
{
	AUTO(fd) int dir = -1;
	char name[24], text[64];

	(void)pid;
	if (s->type != NET_BRIDGE)
		return 0;
	dir = place(n, e);
	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), "%s.rates", s->id);
	snprintf(
	    text, sizeof(text), "%llu %llu\n", (unsigned long long)s->in_bps, (unsigned long long)s->out_bps);
	return file_write_atomic(dir, name, 0600, text, strlen(text), e);
}

int
net_down(struct net *n, const struct net_spec *s, struct err *e)
{
	AUTO(fd) int dir = -1;
	char rates[24];
	int rc;

	if (s->type == NET_INHERIT || s->type == NET_NONE)
		return 0;
	rc = net_hosts_remove(n, s, e);
	dir = place(n, e);
	if (rc < 0 || dir < 0)
		return rc < 0 ? rc : dir;
	snprintf(rates, sizeof(rates), "%s.rates", s->id);
	(void)!unlinkat(dir, rates, 0);
	return unlinkat(dir, s->id, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "the fake network");
}

int
net_bridge_up(struct net *n, const char *name, struct err *e)
{
	struct net_bridge b;

	return net_bridge_read(n, name, &b, e);
}

int
net_fini(struct net *n, struct err *e)
{
	return n->fd < 0 ? 0 : net_records_remove(n, e);
}

int
net_resolv(struct net *n, const struct net_spec *s, const char *host_resolv, struct buf *out, struct err *e)
{
	(void)n;
	(void)host_resolv;
	if (s->type == NET_BRIDGE)
		buf_str(out, "nameserver 192.0.2.53\n");
	return buf_check(out, "resolv.conf", e);
}

int
net_stats(struct net *n, int32_t pid, net_stats_fn *fn, void *arg, struct err *e)
{
	struct net_stats s = { .ifname = "eth0", .rx_bytes = 1, .tx_bytes = 2 };

	(void)n;
	(void)pid;
	(void)e;
	return fn(arg, &s);
}

struct net_counters {
	char unused;
};

int
net_counters_read(struct net_counters **out, const char *id, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : err_nomem(e);
}

int
net_counters_of(const struct net_counters *c, const char *id, net_stats_fn *fn, void *arg)
{
	struct net_stats s = { .ifname = "eth0", .rx_bytes = 1, .tx_bytes = 2 };

	(void)c;
	(void)id;
	return fn(arg, &s);
}

void
net_counters_free(struct net_counters *c)
{
	free(c);
}

int
net_check(struct net *n, net_finding_fn *fn, void *arg, struct err *e)
{
	(void)n;
	(void)e;
	return fn(arg, 0, "fake", "no network is made", "");
}

/* Files of running pots that somebody removed come back. */
int
net_repair(struct net *n, const struct net_spec *running, size_t count, struct err *e)
{
	AUTO(fd) int dir = place(n, e);
	int changed = 0;

	if (dir < 0)
		return dir;
	for (size_t i = 0; i < count; i++) {
		int rc;

		if (faccessat(dir, running[i].id, F_OK, 0) == 0)
			continue;
		changed = 1;
		rc = net_up(n, &running[i], 0, NULL, e);
		if (rc < 0)
			return rc;
	}
	return changed;
}

int
net_host_prefixes(net_prefix_fn *fn, void *arg, struct err *e)
{
	(void)fn;
	(void)arg;
	(void)e;
	return 0;
}

/* Port 1 belongs to a process. */
int
net_port_probe(const struct port_map *m, struct err *e)
{
	return m->host == 1 ? err_set(e, E_BUSY, "port 1: the process 1 (init) has it") : 0;
}

int
net_link_remove(struct net *n, const char *ifname, struct err *e)
{
	(void)n;
	(void)ifname;
	(void)e;
	return 0;
}

const char net_repair_remedy[] = "none";
