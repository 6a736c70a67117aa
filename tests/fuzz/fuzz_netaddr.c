/* Addresses, prefixes and rates from whatever people type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/netaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check(const struct ip_prefix *p)
{
	struct ip_prefix again;
	struct ip_addr network = ip_network(p), broadcast = ip_broadcast(p), next = ip_add(&network, 1);
	char text[IP_TEXT];

	ip_prefix_print(p, text);
	if (ip_prefix_parse(text, &again, NULL) < 0 || again.len != p->len ||
	    !ip_equal(&again.addr, &p->addr))
		abort();
	if (!ip_in(p, &network) || !ip_in(p, &broadcast) || ip_compare(&network, &broadcast) > 0 ||
	    !ip_overlap(p, p))
		abort();
	if (ip_in(p, &next) == ip_equal(&network, &broadcast))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	struct err e = ERR_INIT;
	struct ip_prefix p;
	struct ip_addr a;
	uint64_t bits;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (ip_parse(text, &a, &e) == 0 && (a.family != 4 && a.family != 6))
		abort();
	if (ip_prefix_parse(text, &p, &e) == 0)
		check(&p);
	else if (e.msg[0] == '\0')
		abort();
	if (ip_rate_parse(text, &bits, "rate", &e) == 0 && (bits < IP_RATE_MIN || bits > IP_RATE_MAX))
		abort();
	return 0;
}
