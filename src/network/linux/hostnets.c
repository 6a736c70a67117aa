/*
 * Which ranges the host uses: its routes of all interfaces and their
 * addresses. Read when a range is chosen, not when a pot starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/net_impl.h"

/* /proc/net/route: words of 32 bits in the kernel's byte order. */
static int
routes4(net_prefix_fn *fn, void *arg)
{
	AUTO(file) FILE *f = fopen("/proc/net/route", "re");
	char line[512];
	int r = 0;

	while (r == 0 && f != NULL && fgets(line, sizeof(line), f) != NULL) {
		struct ip_prefix p = { .addr.family = 4 };
		unsigned dst, mask;

		if (sscanf(line, "%*s %8x %*x %*x %*d %*d %*d %8x", &dst, &mask) != 2 || mask == 0)
			continue;
		memcpy(p.addr.b, &dst, 4);
		p.len = (uint8_t)__builtin_popcount(mask);
		r = fn(arg, &p);
	}
	return r;
}

/* /proc/net/ipv6_route: 32 digits in network order, and the length in hexadecimal. */
static int
routes6(net_prefix_fn *fn, void *arg)
{
	AUTO(file) FILE *f = fopen("/proc/net/ipv6_route", "re");
	char line[512];
	int r = 0;

	while (r == 0 && f != NULL && fgets(line, sizeof(line), f) != NULL) {
		struct ip_prefix p = { .addr.family = 6 };
		unsigned len;
		char hex[33];

		if (sscanf(line, "%32[0-9a-f] %2x", hex, &len) != 2 || strlen(hex) != 32 || len == 0 ||
		    len > 128)
			continue;
		for (size_t i = 0; i < 16; i++) {
			char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

			p.addr.b[i] = (uint8_t)strtoul(byte, NULL, 16);
		}
		p.len = (uint8_t)len;
		r = fn(arg, &p);
	}
	return r;
}

int
net_host_prefixes(net_prefix_fn *fn, void *arg, struct err *e)
{
	int r = net_host_interfaces(fn, arg, e);

	if (r < 0)
		return r;
	if (routes4(fn, arg) < 0 || routes6(fn, arg) < 0)
		return err_nomem(e);
	return 0;
}
