/* Reading a host's resolv.conf. Pure: text in, what it says out. */
#ifndef NETWORK_RESOLVTEXT_H
#define NETWORK_RESOLVTEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "model/netaddr.h"

#define RESOLV_SERVERS_MAX 3 /* MAXNS of resolv.h: what programs read */

struct resolv {
	struct ip_addr servers[RESOLV_SERVERS_MAX]; /* none on loopback */
	size_t n;
	struct ip_addr local; /* on 127.0.0.x; family 0: none */
	bool local6;          /* there is one on ::1 */
	bool stub;            /* systemd-resolved's is among them */
	struct buf rest;      /* all other lines; initialised by the caller */
};

/* Adds what a text says to r. With servers_only other lines are left out. What cannot be read is skipped, as libc does. */
void resolv_parse(struct resolv *, const char *text, bool servers_only);
/* As a pot's resolv.conf: the servers, then the other lines. */
int resolv_print(const struct resolv *, struct buf *out, struct err *) MUST_CHECK;

#endif
