/*
 * Published ports. New form `[ADDR:]HOST:PORT[/tcp|udp]` (--publish; HOST empty: chosen; ranges A-B:C-D of equal
 * length; IPv6 addresses in brackets), classic form `[proto:]PORT[:HOSTPORT]` (export-ports -e).
 */
#ifndef MODEL_PORT_H
#define MODEL_PORT_H

#include "base/buf.h"
#include "model/netaddr.h"

enum port_proto { PORT_TCP = 6, PORT_UDP = 17 };

struct port_map {
	enum port_proto proto;
	struct ip_addr addr; /* family 0: any address of the host, both families */
	uint16_t host;       /* 0: to be chosen */
	uint16_t pot;
};
#define PORT_MAPS_MAX 1024
#define PORT_TEXT 80

/* Appends the one or (range) several maps to v[*n], at most PORT_MAPS_MAX in all. */
int port_parse(const char *, struct port_map *v, size_t *n, struct err *) MUST_CHECK;
int port_parse_classic(const char *, struct port_map *v, size_t *n, struct err *) MUST_CHECK;
/* One map in the new form; what pot.conf stores under pot.export.ports. */
void port_print(const struct port_map *, char out[static PORT_TEXT]);
/* Do two maps claim the same host port? */
bool port_conflict(const struct port_map *, const struct port_map *);

#endif
