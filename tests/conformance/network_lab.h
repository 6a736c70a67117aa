/*
 * The laboratory of the network suite: a host of its own (this process lives in
 * a new network namespace), a machine on its LAN, and pots that are plain
 * processes with a network namespace. Services answer with the address that
 * they see their client by.
 */
#ifndef CONFORMANCE_NETWORK_LAB_H
#define CONFORMANCE_NETWORK_LAB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "network/network.h"

#define LAN_HOST4 "192.0.2.1" /* the host's addresses on the LAN */
#define LAN_HOST6 "2001:db8:1::1"
#define LAN_PEER4 "192.0.2.2" /* the other machine's */
#define LAN_PEER6 "2001:db8:1::2"

#define LAB_POTS 64
struct lab_pot {
	char id[17], name[32];
	pid_t pid;                  /* holds the namespace; 0 none */
	pid_t service;              /* 0 none */
	struct port_map ports[512]; /* spec.ports */
	struct net_spec spec;
};

struct lab {
	struct net *n;
	struct net_params par;
	char dir[64];
	pid_t lan, lan_service;
	struct lab_pot pots[LAB_POTS];
	unsigned warnings;
	struct err e; /* of the last call */
	char skip[256];
};

bool lab_init(struct lab *, const char *dir);
void lab_fini(struct lab *);
/* An installation, closed and removed after each case. */
bool lab_install(struct lab *, bool isolate);
bool lab_uninstall(struct lab *);

/* A process in a network namespace of its own, that waits to be killed. */
pid_t lab_namespace(void);
/* A service in the namespace of a process: TCP and UDP, one port, on all addresses of both families. */
pid_t lab_serve(pid_t ns, uint16_t port);
/* On one address, IPv4 as "::ffff:127.0.0.1". */
pid_t lab_serve_on(pid_t ns, const char *addr, uint16_t port);
void lab_kill(pid_t *);
/* Asks a service from the namespace of a process (0: the host): what it saw, or "" when nobody answered. */
void lab_ask(pid_t ns, enum port_proto, const char *addr, uint16_t port, char seen[static 64]);
/* The same from an address of its own. */
void lab_ask_from(
    pid_t ns, const char *from, enum port_proto, const char *addr, uint16_t port, char seen[static 64]);
/* Runs a command of sh, on the host or in a namespace: its exit status is 0? */
bool lab_sh(pid_t ns, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* First line of what it prints. */
void lab_read(pid_t ns, char out[static 256], const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Waits for a link to go (an event, no polling); false after ten seconds. */
bool lab_gone(const char *ifname);
/* Nothing of ours is left on the host but bridges, rules and sysctls. */
bool lab_no_pots(struct lab *);

/* Takes addresses for a pot on a bridge (several: call again) and makes its namespace. */
bool lab_pot(struct lab *, unsigned i, const char *bridge, enum ip_stack);
bool lab_publish(struct lab *, unsigned i, const char *port);
bool lab_up(struct lab *, unsigned i, uint16_t service);
bool lab_down(struct lab *, unsigned i);
void lab_addr(const struct lab *, unsigned i, int family, char out[static IP_TEXT]);

bool lab_fail(struct lab *, const char *file, int line, const char *what);
#define OK(cond)                                                       \
	do {                                                           \
		if (!(cond))                                           \
			return lab_fail(t, __FILE__, __LINE__, #cond); \
	} while (0)
#define DO(call) OK((call) >= 0)
#define REFUSED(want, call)                             \
	do {                                            \
		t->e = (struct err)ERR_INIT;            \
		OK((call) == -(want));                  \
		OK(t->e.code == (want) && t->e.msg[0]); \
	} while (0)

struct lab_case {
	const char *name;
	bool (*run)(struct lab *);
};
extern const struct lab_case network_reach[]; /* network_reach.c */
extern const struct lab_case network_life[];  /* network_life.c */

#endif
