/* Shared by the files that make and take away what one pot has. */
#ifndef NETWORK_LINUX_POT_H
#define NETWORK_LINUX_POT_H

#include "network/linux/os.h"

/* The plan of a pot, with the records of its bridges (in the order of the leases; may be NULL without any). */
int pot_plan(
    struct net *, const struct net_spec *, struct os_bridge *, struct net_plan *, struct err *) MUST_CHECK;

#endif
