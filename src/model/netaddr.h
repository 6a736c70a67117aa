/* IP addresses and prefixes: text, arithmetic, order. Pure. */
#ifndef MODEL_NETADDR_H
#define MODEL_NETADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum ip_stack { STACK_IPV4 = 1, STACK_IPV6 = 2, STACK_DUAL = 3 }; /* bits */

struct ip_addr {
	uint8_t family; /* 0 none, 4, 6 */
	uint8_t b[16];  /* network order; IPv4 in the first four */
};
struct ip_prefix {
	struct ip_addr addr; /* as given; host bits may be set for an interface's address */
	uint8_t len;
};
#define IP_TEXT 48

/* "ipv4", "ipv6", "dual". */
int ip_stack_parse(const char *, enum ip_stack *, struct err *) MUST_CHECK;
const char *ip_stack_name(enum ip_stack);
int ip_parse(const char *, struct ip_addr *, struct err *) MUST_CHECK; /* no zone, no port */
/* "A/LEN"; without "/LEN" 32 or 128. */
int ip_prefix_parse(const char *, struct ip_prefix *, struct err *) MUST_CHECK;
void ip_print(const struct ip_addr *, char out[static IP_TEXT]);
void ip_prefix_print(const struct ip_prefix *, char out[static IP_TEXT]);
bool ip_equal(const struct ip_addr *, const struct ip_addr *);
int ip_compare(const struct ip_addr *, const struct ip_addr *);
bool ip_in(const struct ip_prefix *, const struct ip_addr *);
bool ip_overlap(const struct ip_prefix *, const struct ip_prefix *);
struct ip_addr ip_network(const struct ip_prefix *);   /* host bits 0 */
struct ip_addr ip_broadcast(const struct ip_prefix *); /* IPv4: host bits 1 */
struct ip_addr ip_add(const struct ip_addr *, uint64_t);
/* "500k", "10m", "1.5G", "100mbit": bits per second, powers of 1000; without a letter bits. */
#define IP_RATE_MIN UINT64_C(8000)
#define IP_RATE_MAX UINT64_C(1000000000000)
int ip_rate_parse(const char *, uint64_t *bits_per_s, const char *what, struct err *) MUST_CHECK;
bool ip_is_loopback(const struct ip_addr *);

#endif
