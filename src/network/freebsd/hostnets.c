/* Which ranges the host uses: its interfaces and routes. Read when a range is chosen, not when a pot starts. */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "network/net_impl.h"

#define TABLE_MAX (64u * 1024 * 1024)
#define TABLE_TRIES 5

/* The routing table of a family as sysctl(3) dumps it. */
static int
read_table(int family, char **out, size_t *len, struct err *e)
{
	int mib[] = { CTL_NET, PF_ROUTE, 0, family, NET_RT_DUMP, 0 };

	*out = NULL;
	/* It may grow between the question for its size and the one for it. */
	for (int i = 0; i < TABLE_TRIES; i++) {
		AUTO_FREE char *p = NULL;

		if (sysctl(mib, ARRAY_LEN(mib), NULL, len, NULL, 0) != 0)
			return errno == EAFNOSUPPORT || errno == ENOENT ? 0 : err_sys(e, "the routing table");
		*len += *len / 4 + 4096;
		if (*len > TABLE_MAX)
			return err_set(e, E_LIMIT, "the host's routing table is too large");
		if ((p = malloc(*len)) == NULL)
			return err_nomem(e);
		if (sysctl(mib, ARRAY_LEN(mib), p, len, NULL, 0) == 0) {
			*out = take_ptr(p);
			return 0;
		}
		if (errno != ENOMEM)
			break;
	}
	return err_sys(e, "the routing table");
}

/* A netmask is cut short behind its last byte that is not zero: what is missing is zero. */
static unsigned
mask_len(const struct sockaddr *sa, size_t offset, size_t bytes)
{
	unsigned len = 0;

	for (size_t i = 0; i < bytes && offset + i < sa->sa_len; i++)
		len += (unsigned)__builtin_popcount(((const uint8_t *)sa)[offset + i]);
	return len;
}

/* The destination of one route; false: the default, a host's own, or none that can be told. */
static bool
destination(const struct rt_msghdr *h, struct ip_prefix *p)
{
	const char *at = (const char *)(h + 1), *end = (const char *)h + h->rtm_msglen;
	bool is_host = (h->rtm_flags & RTF_HOST) != 0;

	*p = (struct ip_prefix){ 0 };
	for (int i = 0; i < RTAX_MAX && at + sizeof(struct sockaddr) <= end; i++) {
		const struct sockaddr *sa = (const struct sockaddr *)(const void *)at;

		if ((h->rtm_addrs & (1 << i)) == 0)
			continue;
		if (i == RTAX_DST && sa->sa_family == AF_INET) {
			p->addr.family = 4;
			memcpy(p->addr.b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		} else if (i == RTAX_DST && sa->sa_family == AF_INET6) {
			p->addr.family = 6;
			memcpy(p->addr.b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
		} else if (i == RTAX_NETMASK && p->addr.family == 4) {
			p->len = (uint8_t)mask_len(sa, offsetof(struct sockaddr_in, sin_addr), 4);
		} else if (i == RTAX_NETMASK && p->addr.family == 6) {
			p->len = (uint8_t)mask_len(sa, offsetof(struct sockaddr_in6, sin6_addr), 16);
		}
		at += SA_SIZE(sa);
	}
	if (is_host)
		p->len = p->addr.family == 4 ? 32 : 128;
	/* Link-local ranges are on every interface. */
	return p->addr.family != 0 && p->len != 0 &&
	    !(p->addr.family == 6 && p->addr.b[0] == 0xfe && (p->addr.b[1] & 0xc0) == 0x80) &&
	    !(p->addr.family == 6 && p->addr.b[0] == 0xff);
}

static int
routes(int family, net_prefix_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE char *table = NULL;
	size_t len = 0, at = 0;
	int rc = read_table(family, &table, &len, e);

	while (rc == 0 && table != NULL && at + sizeof(struct rt_msghdr) <= len) {
		const struct rt_msghdr *h = (const struct rt_msghdr *)(const void *)(table + at);
		struct ip_prefix p;

		if (h->rtm_msglen < sizeof(*h) || at + h->rtm_msglen > len)
			break;
		if (h->rtm_version == RTM_VERSION && destination(h, &p))
			rc = fn(arg, &p);
		at += h->rtm_msglen;
	}
	return rc;
}

int
net_host_prefixes(net_prefix_fn *fn, void *arg, struct err *e)
{
	int rc = net_host_interfaces(fn, arg, e);

	if (rc == 0)
		rc = routes(AF_INET, fn, arg, e);
	return rc == 0 ? routes(AF_INET6, fn, arg, e) : rc;
}
