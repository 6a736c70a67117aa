/* What the tables of the old iptables do to packets for pots. */
#ifndef NETWORK_LINUX_LEGACY_H
#define NETWORK_LINUX_LEGACY_H

#include <stdbool.h>

/* Does FORWARD of iptables-legacy drop by policy? family: AF_INET, AF_INET6. False where nobody can tell. */
bool legacy_drops(int family);

#endif
