/*
 * Inside network only: an opened installation's network and its records.
 *
 *   ROOT/net/lock             held for every change below
 *            public           record of the public bridge
 *            bridges/NAME     of the private ones
 *            leases/NAME/ADDRESS   "id=…", "pot=…": who has it; leases/NAME/.next4, .next6 hints
 *            ports/PROTO-PORT/any|ADDRESS   the same
 *            pots/ID          "lease NAME ADDRESS", "port PROTO-PORT/WHERE": what the pot may have,
 *                             written before it is taken; what counts is the file that names the pot
 *            hosts/…          see hosts.h
 */
#ifndef NETWORK_NET_IMPL_H
#define NETWORK_NET_IMPL_H

#include "base/kv.h"
#include "network/names.h"

#define NET_PUBLIC "public"
#define NET_CLAIM_MAX 4096      /* bytes of a lease or reservation */
#define NET_INDEX_MAX (1 << 20) /* of pots/ID */

struct net_os; /* sockets and what else the system's part keeps open */

struct net {
	int root_fd; /* own */
	int fd;      /* ROOT/net, or -1 before net_init */
	char node[9];
	char *cidr4, *cidr6, *routed6;
	bool isolate;
	struct pot_events events;
	struct net_os *os;                 /* NULL until first needed */
	void (*os_close)(struct net_os *); /* set together with os */
};

/* E_STATE with the hint to run init while there is no ROOT/net. */
int net_ready(const struct net *, struct err *) MUST_CHECK;
/* The lock; closing the fd unlocks. */
int net_lock(const struct net *, struct err *) MUST_CHECK;
/* Takes ROOT/net away with all its content (the last part of net_fini, after the system's). */
int net_records_remove(struct net *, struct err *) MUST_CHECK;

/* net_bridge_get without counting pots: one small file is read. */
int net_bridge_read(const struct net *, const char *name, struct net_bridge *, struct err *) MUST_CHECK;

/* ---- claims: files that say whose something is (claim.c) ------------------------- */

struct net_claim {
	char id[17];
	char pot[NET_NAME_MAX + 1]; /* for messages: the name it had then */
};
/*
 * Makes dirfd/name for the pot, whole or not at all. 0 made, 1 it is the pot's already, E_EXIST another
 * has it (*holder, may be NULL, says who). durable: on the disk when it returns.
 */
int net_claim_make(int dirfd, const char *name, const struct net_claim *, bool durable,
    struct net_claim *holder, struct err *) MUST_CHECK;
int net_claim_read(int dirfd, const char *name, struct net_claim *, struct err *) MUST_CHECK;
/* Removes it if it is the pot's: 1; 0 not there or another's. */
int net_claim_drop(int dirfd, const char *name, const char *id, struct err *) MUST_CHECK;
/* A line of pots/ID, before what it names is claimed. */
int net_index_add(
    const struct net *, const char *id, const char *line, bool durable, struct err *) MUST_CHECK;
/* The lines of pots/ID, torn ones left out; none when there is no such file. */
int net_index_read(const struct net *, const char *id, struct strv *, struct err *) MUST_CHECK;
int net_index_drop(const struct net *, const char *id, struct err *) MUST_CHECK;
/* Fills a claim; E_INVAL for what is no id. */
int net_claim_init(struct net_claim *, const char *id, const char *pot, struct err *) MUST_CHECK;

/* ---- a pot's aliases (alias.c) --------------------------------------------------- */

int net_alias_up(struct net *, const struct net_spec *, struct err *) MUST_CHECK;
int net_alias_down(struct net *, const char *id, struct err *) MUST_CHECK;

/* ---- per system ------------------------------------------------------------------ */

/* 1 the host has this interface, 0 not. */
int net_host_link(struct net *, const char *ifname, struct err *) MUST_CHECK;
/* The interface of the default route. E_NOENT: there is none. */
int net_host_default(struct net *, int family, char ifname[static NET_IFNAME], struct err *) MUST_CHECK;
/* 1 and the interface that has the address, 0 the host has it not. */
int net_host_address(
    struct net *, const struct ip_addr *, char ifname[static NET_IFNAME], struct err *) MUST_CHECK;
int net_host_address_add(struct net *, const char *ifname, const struct ip_prefix *, struct err *) MUST_CHECK;
/* Absent, or without the interface, is fine. */
int net_host_address_del(struct net *, const char *ifname, const struct ip_prefix *, struct err *) MUST_CHECK;

/* Prefixes of the host's interfaces and routes (not the default ones). */
typedef int net_prefix_fn(void *arg, const struct ip_prefix *);
int net_host_prefixes(net_prefix_fn *, void *arg, struct err *) MUST_CHECK;
/* Those of the interfaces alone (hostifs.c). */
int net_host_interfaces(net_prefix_fn *, void *arg, struct err *) MUST_CHECK;
/* Could this host port be bound? E_BUSY naming the process that has it, E_INVAL: no address of this host. */
int net_port_probe(const struct port_map *, struct err *) MUST_CHECK;
/* The process that has a port which cannot be bound: "process PID (NAME)"; false: none that can be seen. */
#define NET_HOLDER_TEXT 128
bool net_port_holder(const struct port_map *, char out[static NET_HOLDER_TEXT]);

/* Deletes a link of ours and waits for nothing; absent is fine. */
int net_link_remove(struct net *, const char *ifname, struct err *) MUST_CHECK;

/* net_leases without asking first whether there is a network. */
int net_leases_find(
    const struct net *, const char *id, struct net_lease *, size_t *n, struct err *) MUST_CHECK;
/* Parts of net_release that also run alone; the lock is held. */
int net_leases_drop(const struct net *, const char *id, const struct strv *lines, struct err *) MUST_CHECK;
int net_ports_drop(const struct net *, const char *id, const struct strv *lines, struct err *) MUST_CHECK;
/* How many pots have a lease on a bridge; who (the first), for a message, may be NULL. */
int net_bridge_pots(
    const struct net *, const char *name, unsigned *n, struct net_claim *who, struct err *) MUST_CHECK;

#endif
