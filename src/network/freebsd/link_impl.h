/* Shared by link.c, address.c and inside.c only. */
#ifndef NETWORK_FREEBSD_LINK_IMPL_H
#define NETWORK_FREEBSD_LINK_IMPL_H

#include "network/freebsd/link.h"

/* The socket of a family (4, 6), borrowed. */
int link_socket(struct link_sys *, int family, struct err *) MUST_CHECK;
int link_rename(struct link_sys *, const char *from, const char *to, struct err *) MUST_CHECK;
/* A route of the network that the caller is in. There already: fine. */
int link_route_add(const struct net_route *, struct err *) MUST_CHECK;

#endif
