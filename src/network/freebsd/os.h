/* What is kept open on FreeBSD while an installation's network is, and what its parts do for each other. */
#ifndef NETWORK_FREEBSD_OS_H
#define NETWORK_FREEBSD_OS_H

#include "network/freebsd/link.h"
#include "network/freebsd/pf.h"
#include "network/freebsd/pipes.h"
#include "network/freebsd/rules.h"
#include "network/net_impl.h"

struct net_os {
	struct link_sys links;
	struct pf pf;
};
int os_get(struct net *, struct net_os **, struct err *) MUST_CHECK;

/* ---- what all pots share (shared.c) ------------------------------------------------ */

/*
 * Makes these bridges, forwarding and the node's translation rules where they are
 * missing. 1: rules or a bridge had been taken away from pots: net_repair.
 */
int os_ensure(struct net *, struct net_os *, const struct net_bridge *, size_t n, struct err *) MUST_CHECK;
/* Is it there, up and with its addresses? 1, 0. */
int os_bridge_whole(struct net *, struct net_os *, const struct net_bridge *, struct err *) MUST_CHECK;
/*
 * Loads the node's rules, as they should be now for the bridges that are on the host, unless they were
 * loaded like this and are there: 1 loaded, 0 not. The lock is held.
 */
int os_rules_load(struct net *, struct net_os *, struct err *) MUST_CHECK;
/* Are they there? 1, 0. */
int os_rules_are(struct net *, struct net_os *, struct err *) MUST_CHECK;
/* E_STATE telling the line that pf.conf lacks: RULES_HOOK_…. */
int os_hook_check(unsigned hook, struct err *) MUST_CHECK;

/* ---- sysctls (sysctl.c) ------------------------------------------------------------- */

#define OS_FORWARD4 "net.inet.ip.forwarding"
#define OS_FORWARD6 "net.inet6.ip6.forwarding"
/* pf is asked about frames between members of bridges, of all on the host: its owner's to turn on. */
#define OS_MEMBERS "net.link.bridge.pfil_member"
/* -1: there is no such. */
long os_sysctl_get(const char *name);
/* Forwarding; the values before are kept in ROOT/net/sysctl. The lock is held. */
int os_forwarding(const struct net *, bool ip4, bool ip6, struct err *) MUST_CHECK;
/* pf was turned on by us: remembered likewise. */
int os_pf_on(const struct net *, struct net_os *, struct err *) MUST_CHECK;
/* As they were, where nobody else has changed them since. */
int os_settings_restore(const struct net *, struct net_os *, struct err *) MUST_CHECK;

/* ---- a pot's link on its bridge (up.c) ------------------------------------------------- */

/* The host's end is a member, held to what the pot's end is. May be repeated. */
int os_attach(struct net_os *, const struct net_plan_link *, struct err *) MUST_CHECK;
/* What the pot's filter rules should be: "" none. */
int os_pot_rules(const struct net *, const struct net_plan *, struct buf *, struct err *) MUST_CHECK;

/* ---- a pot's plan (down.c) ------------------------------------------------------------ */

/* recs: NET_BRIDGES_MAX, may be NULL. */
int os_plan(struct net *, const struct net_spec *, struct net_bridge *recs, struct net_plan *,
    struct err *) MUST_CHECK;

#endif
