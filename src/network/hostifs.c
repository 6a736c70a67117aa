/* Prefixes of the host's interfaces; those of its routes each system tells in its own way. */
#include <sys/socket.h>
#include <netinet/in.h>
#include <ifaddrs.h>
#include <string.h>

#include "network/net_impl.h"

static int
len_of_mask(const uint8_t *mask, size_t n)
{
	int len = 0;

	for (size_t i = 0; i < n; i++)
		len += __builtin_popcount(mask[i]);
	return len;
}

static bool
prefix_of(const struct ifaddrs *ia, struct ip_prefix *p)
{
	*p = (struct ip_prefix){ 0 };
	if (ia->ifa_addr == NULL || ia->ifa_netmask == NULL)
		return false;
	if (ia->ifa_addr->sa_family == AF_INET) {
		p->addr.family = 4;
		memcpy(p->addr.b, &((struct sockaddr_in *)(void *)ia->ifa_addr)->sin_addr, 4);
		p->len = (uint8_t)len_of_mask(
		    (uint8_t *)&((struct sockaddr_in *)(void *)ia->ifa_netmask)->sin_addr, 4);
	} else if (ia->ifa_addr->sa_family == AF_INET6) {
		p->addr.family = 6;
		memcpy(p->addr.b, &((struct sockaddr_in6 *)(void *)ia->ifa_addr)->sin6_addr, 16);
		p->len = (uint8_t)len_of_mask(
		    (uint8_t *)&((struct sockaddr_in6 *)(void *)ia->ifa_netmask)->sin6_addr, 16);
	}
	return p->addr.family != 0;
}

int
net_host_interfaces(net_prefix_fn *fn, void *arg, struct err *e)
{
	struct ifaddrs *all, *ia;
	struct ip_prefix p;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return err_sys(e, "addresses of the host's interfaces");
	for (ia = all; r == 0 && ia != NULL; ia = ia->ifa_next) {
		if (prefix_of(ia, &p))
			r = fn(arg, &p);
	}
	freeifaddrs(all);
	return r;
}
