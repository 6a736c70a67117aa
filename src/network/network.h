/*
 * Networks: bridges, addresses, published ports and names of pots.
 *
 * What must exist is decided by pure code (plan.c, ipam.c) and made by linux/
 * or freebsd/. Everything of ours on the host is one nftables table (pf
 * anchor), links whose names begin with our prefix, and files under ROOT/net.
 * A pot's network is identified by the pot's id (16 hex digits, kept by
 * rename), never by a name on the host that somebody else could own.
 *
 * Order in a pot's life: net_lease at create (addresses), net_up between the
 * making of the pot's processes and the execution of its command (their
 * network namespace exists, nothing of the user's runs), net_down after its
 * end by any kind of death, net_release at destroy.
 */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "model/netaddr.h"
#include "model/port.h"

#define NET_NAME_MAX 63
#define NET_IFNAME 16
#define NET_BRIDGES_MAX 8 /* of one pot */
#define NET_ALIASES_MAX 32

enum net_type { NET_INHERIT, NET_NONE, NET_BRIDGE, NET_ALIAS };

/* An opened installation's network part; opens nothing of the host until it is needed. */
struct net;

struct net_params {
	const char *root; /* installation directory */
	int root_fd;
	const char *id;            /* the node's id, 8 hex digits: names of table and links come from it */
	const char *cidr4, *cidr6; /* of the public bridge, "" : chosen at init (10.192.0.0/16 or the next
	                              that no interface or route of the host has; fdXX:…::/64 from the id) */
	const char *routed6;       /* routed prefix instead of ULA + NAT66, or "" */
	bool isolate;              /* pots of the public bridge do not reach each other */
	struct pot_events events;
};

int net_open(struct net **, const struct net_params *, struct err *) MUST_CHECK;
void net_close(struct net *);
/* At pot init: chooses the ranges and records them in ROOT/net/public; makes nothing on the host. */
int net_init(struct net *, struct err *) MUST_CHECK;
/* At de-init: links, table, forwarding sysctls as they were, ROOT/net. */
int net_fini(struct net *, struct err *) MUST_CHECK;

/* ---- bridges ---------------------------------------------------------------- */

struct net_bridge {
	char name[NET_NAME_MAX + 1]; /* "public" or a private bridge's */
	char ifname[NET_IFNAME];
	struct ip_prefix net4, net6; /* family 0: none */
	struct ip_addr gw4, gw6;
	bool is_public, nat6; /* nat6: NAT66, else routed */
	unsigned pots;        /* with a lease on it */
};
typedef int net_bridge_fn(void *arg, const struct net_bridge *);
/* hosts: how many pots it must hold (2..65534). E_EXIST, E_LIMIT when no range is free. */
int net_bridge_create(struct net *, const char *name, unsigned hosts, struct err *) MUST_CHECK;
/* E_BUSY naming pots that have a lease on it. */
int net_bridge_destroy(struct net *, const char *name, struct err *) MUST_CHECK;
int net_bridge_get(struct net *, const char *name, struct net_bridge *, struct err *) MUST_CHECK;
int net_bridge_list(struct net *, net_bridge_fn *, void *arg, struct err *) MUST_CHECK;
/* Makes it exist on the host, with rules and forwarding, as the first pot on it would. As net_up: 1, see net_repair. */
int net_bridge_up(struct net *, const char *name, struct err *) MUST_CHECK;

/* ---- leases: files below ROOT/net/leases, one per address, made with O_EXCL ---- */

struct net_lease {
	char bridge[NET_NAME_MAX + 1];
	struct ip_addr a4, a6; /* family 0: none */
};
/*
 * Takes addresses on a bridge for the pot `id` by the name `pot`: want4/want6 family 0: the next free one.
 * E_EXIST naming the holder, E_LIMIT pool full, E_INVAL outside the bridge's net or its gateway, network or broadcast.
 */
int net_lease(struct net *, const char *id, const char *pot, const char *bridge, enum ip_stack,
    const struct ip_addr *want4, const struct ip_addr *want6, struct net_lease *out, struct err *) MUST_CHECK;
/* All leases of a pot, on all bridges. */
int net_leases(struct net *, const char *id, struct net_lease out[static NET_BRIDGES_MAX], size_t *n,
    struct err *) MUST_CHECK;
/* Gives all addresses and reserved ports of a pot back. Absent is fine. */
int net_release(struct net *, const char *id, struct err *) MUST_CHECK;
/* Those whose pot `exists` (callback: 1, 0) no longer. For repair. */
int net_reclaim(struct net *, int (*exists)(void *arg, const char *id), void *arg, struct err *) MUST_CHECK;

/* Host ports: one file per address family, protocol and port below ROOT/net/ports, made with O_EXCL.
   spec->host 0: chosen (20000..29999, not in use by a process) and filled in. E_BUSY naming the process or pot
   that has it (process: pid and name, from /proc/net and /proc/PID/fd). */
int net_port_reserve(
    struct net *, const char *id, const char *pot, struct port_map *spec, struct err *) MUST_CHECK;
int net_ports_release(struct net *, const char *id, struct err *) MUST_CHECK;
/* All of the pot but these. */
int net_ports_keep(
    struct net *, const char *id, const struct port_map *keep, size_t n, struct err *) MUST_CHECK;

/* ---- a running pot ------------------------------------------------------------ */

struct net_spec {
	const char *id, *pot; /* identity, name */
	enum net_type type;
	enum ip_stack stack;
	size_t nleases;
	struct net_lease
	    leases[NET_BRIDGES_MAX]; /* NET_BRIDGE: eth0, eth1 … in this order, default route by the first */
	size_t naliases;
	struct net_alias {
		char ifname[NET_IFNAME]; /* "" : the interface of the default route */
		struct ip_prefix addr;
	} aliases[NET_ALIASES_MAX];
	size_t nports;
	const struct port_map *ports; /* host ports all given */
	uint64_t in_bps, out_bps;     /* bits per second, 0 none */
	const char *const
	    *names; /* further names by which others on the bridge find it; NULL-terminated or NULL */
};

/*
 * Makes it exist: bridge and table when missing (first pot), the veth pair with its inner end made directly in the
 * namespace of the process `pid` under its final name, addresses, routes, elements of maps, name entries; read back.
 * All or nothing. NET_ALIAS: the addresses on the host's interface (the pot shares the host's network).
 * 1: done, and rules or a bridge had been taken away from running pots: net_repair with them.
 */
/* inside: that process's network namespace and an rtnetlink socket in it, both the caller's, and pid may be 0;
   NULL: looked for. */
int net_up(struct net *, const struct net_spec *, int32_t pid, const int *inside, struct err *) MUST_CHECK;
/* Takes away what net_up made for this pot; may be repeated; works after any crash from id and leases alone.
   Deletions that take the kernel long are not waited for. */
int net_down(struct net *, const struct net_spec *, struct err *) MUST_CHECK;
/*
 * Gives the links of a running pot the rates of the specification; 0 takes a limit away. pid: any process of the
 * pot; E_STATE when it has ended. After a failure some may be changed: call again with what was. Types without
 * links have no rates: nothing is done.
 */
int net_rates(struct net *, const struct net_spec *, int32_t pid, struct err *) MUST_CHECK;
/* Text of a resolv.conf for a pot on its bridge, "" for one that shares the host's network: a host resolver on
   127.0.0.x is reached through the gateway address. */
int net_resolv(
    struct net *, const struct net_spec *, const char *host_resolv, struct buf *out, struct err *) MUST_CHECK;
/* The hosts file of a bridge as it is kept current for all its pots: an fd to mount, read-only for the pot. -1 type none. */
int net_hosts_fd(struct net *, const struct net_spec *, const char *own_lines, struct err *) MUST_CHECK;

/* Interface statistics of a running pot, by pid. */
struct net_stats {
	char ifname[NET_IFNAME];
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_errors, tx_errors;
};
typedef int net_stats_fn(void *arg, const struct net_stats *);
int net_stats(struct net *, int32_t pid, net_stats_fn *, void *arg, struct err *) MUST_CHECK;
/* The same for very many pots on bridges: one look at the host, then each pot's interfaces by its id.
   id: only of this pot; NULL all. */
struct net_counters;
int net_counters_read(struct net_counters **, const char *id, struct err *) MUST_CHECK;
/* What fn says when it is not 0; a pot without links there has none. */
int net_counters_of(const struct net_counters *, const char *id, net_stats_fn *, void *arg) MUST_CHECK;
void net_counters_free(struct net_counters *);

/* For doctor: each finding (severity 0 ok, 1 warn, 2 fail), what and remedy; repairs a flushed table when asked. */
typedef int net_finding_fn(void *arg, int severity, const char *check, const char *text, const char *remedy);
int net_check(struct net *, net_finding_fn *, void *arg, struct err *) MUST_CHECK;
/* Brings the table back with the elements of these running pots, when it is not what it should be. 1 repaired, 0 fine. */
int net_repair(struct net *, const struct net_spec *running, size_t n, struct err *) MUST_CHECK;
/* What somebody can do whose other programs take rules of pots away. */
extern const char net_repair_remedy[];

#endif
