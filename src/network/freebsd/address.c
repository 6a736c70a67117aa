/* Addresses of interfaces, what IPv6 does there, routes and neighbours: ioctl(2) and the routing socket. */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <net/if.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <net/if_var.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/in_var.h>
#include <netinet6/in6_var.h>
#include <netinet6/nd6.h>
#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/text.h"
#include "network/freebsd/link_impl.h"

#define ROUTE_ANSWER_MS 2000

static void
fill4(struct sockaddr_in *s, const uint8_t *addr)
{
	*s = (struct sockaddr_in){ .sin_len = sizeof(*s), .sin_family = AF_INET };
	memcpy(&s->sin_addr, addr, 4);
}

static void
fill6(struct sockaddr_in6 *s, const uint8_t *addr)
{
	*s = (struct sockaddr_in6){ .sin6_len = sizeof(*s), .sin6_family = AF_INET6 };
	memcpy(&s->sin6_addr, addr, 16);
}

static void
mask_of(unsigned len, uint8_t *out, size_t n)
{
	for (size_t i = 0; i<n; i++, len = len> 8 ? len - 8 : 0)
		out[i] = len >= 8 ? 0xff : (uint8_t)(0xff00u >> len);
}

/* ---- addresses --------------------------------------------------------------------- */

static int
add4(int fd, const char *name, const struct ip_prefix *p)
{
	struct in_aliasreq r = { 0 };
	struct ip_addr last = ip_broadcast(p);
	uint8_t mask[4];

	mask_of(p->len, mask, sizeof(mask));
	snprintf(r.ifra_name, sizeof(r.ifra_name), "%s", name);
	fill4(&r.ifra_addr, p->addr.b);
	fill4(&r.ifra_mask, mask);
	if (p->len < 31)
		fill4(&r.ifra_broadaddr, last.b);
	return ioctl(fd, SIOCAIFADDR, &r);
}

static int
add6(int fd, const char *name, const struct ip_prefix *p)
{
	struct in6_aliasreq r = { .ifra_flags = IN6_IFF_NODAD,
		.ifra_lifetime = {
		    .ia6t_vltime = ND6_INFINITE_LIFETIME, .ia6t_pltime = ND6_INFINITE_LIFETIME } };
	uint8_t mask[16];

	mask_of(p->len, mask, sizeof(mask));
	snprintf(r.ifra_name, sizeof(r.ifra_name), "%s", name);
	fill6(&r.ifra_addr, p->addr.b);
	fill6(&r.ifra_prefixmask, mask);
	return ioctl(fd, SIOCAIFADDR_IN6, &r);
}

int
link_addr_add(struct link_sys *l, const char *name, const struct ip_prefix *p, struct err *e)
{
	int fd = link_socket(l, p->addr.family, e);
	char text[IP_TEXT];

	if (fd < 0)
		return fd;
	if ((p->addr.family == 6 ? add6 : add4)(fd, name, p) == 0 || errno == EEXIST)
		return 0;
	ip_prefix_print(p, text);
	return err_sys(e, "cannot give %s the address %s", name, text);
}

int
link_addr_del(struct link_sys *l, const char *name, const struct ip_addr *a, struct err *e)
{
	int fd = link_socket(l, a->family, e), rc;
	char text[IP_TEXT];

	if (fd < 0)
		return fd;
	if (a->family == 6) {
		struct in6_ifreq r = { 0 };

		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
		fill6(&r.ifr_addr, a->b);
		rc = ioctl(fd, SIOCDIFADDR_IN6, &r);
	} else {
		struct ifreq r = { 0 };

		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
		fill4((struct sockaddr_in *)(void *)&r.ifr_addr, a->b);
		rc = ioctl(fd, SIOCDIFADDR, &r);
	}
	if (rc == 0 || errno == EADDRNOTAVAIL || errno == ENXIO)
		return 0;
	ip_print(a, text);
	return err_sys(e, "cannot take the address %s from %s", text, name);
}

/* What getifaddrs(3) says, without the interface's number that it puts into link-local ones. */
static bool
address_of(const struct sockaddr *sa, struct ip_addr *a)
{
	*a = (struct ip_addr){ 0 };
	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_INET) {
		a->family = 4;
		memcpy(a->b, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		a->family = 6;
		memcpy(a->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
		if (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
			a->b[2] = a->b[3] = 0;
	}
	return a->family != 0;
}

/* The first interface that has the address; name NULL: any. */
static int
find(const char *name, const struct ip_addr *a, char ifname[static NET_IFNAME], struct err *e)
{
	struct ifaddrs *all, *ia;
	int has = 0;

	if (getifaddrs(&all) != 0)
		return err_sys(e, "the addresses of the host's interfaces");
	for (ia = all; !has && ia != NULL; ia = ia->ifa_next) {
		struct ip_addr there;

		has = (name == NULL || strcmp(ia->ifa_name, name) == 0) && address_of(ia->ifa_addr, &there) &&
		    ip_equal(&there, a);
		if (has)
			snprintf(ifname, NET_IFNAME, "%.*s", NET_IFNAME - 1, ia->ifa_name);
	}
	freeifaddrs(all);
	return has;
}

int
link_addr_has(const char *name, const struct ip_addr *a, struct err *e)
{
	char ifname[NET_IFNAME];

	return find(name, a, ifname, e);
}

int
link_addr_where(const struct ip_addr *a, char ifname[static NET_IFNAME], struct err *e)
{
	return find(NULL, a, ifname, e);
}

int
link_outward_each(int family, link_name_fn *fn, void *arg, struct err *e)
{
	char last[NET_IFNAME] = "";
	struct ifaddrs *all, *ia;
	int rc = 0;

	if (getifaddrs(&all) != 0)
		return err_sys(e, "the addresses of the host's interfaces");
	/* One interface's entries follow each other. */
	for (ia = all; rc == 0 && ia != NULL; ia = ia->ifa_next) {
		struct ip_addr a;

		if (!(ia->ifa_flags & IFF_UP) || (ia->ifa_flags & IFF_LOOPBACK) ||
		    !address_of(ia->ifa_addr, &a) || a.family != family ||
		    (family == 6 && a.b[0] == 0xfe && (a.b[1] & 0xc0) == 0x80) ||
		    strcmp(last, ia->ifa_name) == 0)
			continue;
		snprintf(last, sizeof(last), "%s", ia->ifa_name);
		rc = fn(arg, ia->ifa_name, e);
	}
	freeifaddrs(all);
	return rc;
}

int
link_ip6(struct link_sys *l, const char *name, bool on, struct err *e)
{
	struct in6_ndireq r = { 0 };
	struct err why = ERR_INIT;
	int fd = link_socket(l, 6, &why);

	if (fd < 0 && !on)
		return 0; /* the kernel has none */
	if (fd < 0) {
		*e = why;
		return fd;
	}
	snprintf(r.ifname, sizeof(r.ifname), "%s", name);
	if (ioctl(fd, SIOCGIFINFO_IN6, &r) != 0)
		return err_sys(e, "IPv6 of %s", name);
	r.ndi.flags &= ~(u_int32_t)(ND6_IFF_ACCEPT_RTADV | ND6_IFF_AUTO_LINKLOCAL | ND6_IFF_IFDISABLED);
	r.ndi.flags |= on ? ND6_IFF_NO_DAD : ND6_IFF_IFDISABLED;
	return ioctl(fd, SIOCSIFINFO_FLAGS, &r) == 0 ? 0 : err_sys(e, "IPv6 of %s", name);
}

/* ---- routes ---------------------------------------------------------------------------- */

/* A message of the routing socket: route(4). */
struct message {
	struct rt_msghdr h;
	char addrs[3 * 64];
};

static void
put(struct message *m, size_t *at, const struct ip_addr *a, int bit)
{
	if (a->family == 6) {
		struct sockaddr_in6 s;

		fill6(&s, a->b);
		memcpy(m->addrs + *at, &s, sizeof(s));
		*at += SA_SIZE(&s);
	} else {
		struct sockaddr_in s;

		fill4(&s, a->b);
		memcpy(m->addrs + *at, &s, sizeof(s));
		*at += SA_SIZE(&s);
	}
	m->h.rtm_addrs |= bit;
}

int
link_route_add(const struct net_route *route, struct err *e)
{
	AUTO(fd) int fd = socket(PF_ROUTE, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct message m = { .h = { .rtm_version = RTM_VERSION, .rtm_type = RTM_ADD, .rtm_seq = 1 } };
	struct ip_addr mask = { .family = route->via.family }, dst = route->dst.addr;
	char text[IP_TEXT];
	size_t at = 0;

	dst.family = route->via.family;
	mask_of(route->dst.len, mask.b, dst.family == 6 ? 16 : 4);
	m.h.rtm_flags = RTF_UP | RTF_GATEWAY | RTF_STATIC;
	put(&m, &at, &dst, RTA_DST);
	put(&m, &at, &route->via, RTA_GATEWAY);
	put(&m, &at, &mask, RTA_NETMASK);
	m.h.rtm_msglen = (unsigned short)(sizeof(m.h) + at);
	if (fd >= 0 && (write(fd, &m, m.h.rtm_msglen) >= 0 || errno == EEXIST))
		return 0;
	ip_print(&route->via, text);
	return err_sys(e, "cannot set the route through %s", text);
}

/* ---- neighbours ------------------------------------------------------------------------- */

/* RTM_ADD or RTM_DELETE of an entry that is no route but a neighbour's. 0, or -1 with errno. */
static int
tell_neighbor(int type, unsigned ifindex, const struct ip_addr *a, const uint8_t *mac)
{
	AUTO(fd) int fd = socket(PF_ROUTE, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct message m = { .h = { .rtm_version = RTM_VERSION, .rtm_type = (uint8_t)type, .rtm_seq = 1 } };
	struct sockaddr_dl dl = { .sdl_len = sizeof(dl), .sdl_family = AF_LINK, .sdl_type = IFT_ETHER };
	size_t at = 0;

	dl.sdl_index = (u_short)ifindex;
	if (mac != NULL) {
		dl.sdl_alen = NET_MAC;
		memcpy(dl.sdl_data, mac, NET_MAC);
	}
	/* It never expires: rmx_expire stays 0. */
	m.h.rtm_inits = RTV_EXPIRE;
	m.h.rtm_flags = RTF_HOST | RTF_STATIC | RTF_LLDATA;
	put(&m, &at, a, RTA_DST);
	memcpy(m.addrs + at, &dl, sizeof(dl));
	at += SA_SIZE(&dl);
	m.h.rtm_addrs |= RTA_GATEWAY;
	m.h.rtm_msglen = (unsigned short)(sizeof(m.h) + at);
	return fd >= 0 && write(fd, &m, m.h.rtm_msglen) >= 0 ? 0 : -1;
}

int
link_neighbor_set(
    const char *ifname, const struct ip_addr *a, const uint8_t mac[static NET_MAC], struct err *e)
{
	unsigned ifindex = if_nametoindex(ifname);
	char text[IP_TEXT];

	/* What was learnt meanwhile is in the way. */
	if (ifindex != 0 &&
	    (tell_neighbor(RTM_ADD, ifindex, a, mac) == 0 ||
		(errno == EEXIST && tell_neighbor(RTM_DELETE, ifindex, a, NULL) == 0 &&
		    tell_neighbor(RTM_ADD, ifindex, a, mac) == 0)))
		return 0;
	ip_print(a, text);
	return err_sys(e, "cannot tell the interface %s who has %s", ifname, text);
}

int
link_neighbor_del(const char *ifname, const struct ip_addr *a, struct err *e)
{
	unsigned ifindex = if_nametoindex(ifname);
	char text[IP_TEXT];

	if (ifindex == 0 || tell_neighbor(RTM_DELETE, ifindex, a, NULL) == 0 || errno == ESRCH ||
	    errno == ENOENT || errno == ENXIO)
		return 0;
	ip_print(a, text);
	return err_sys(e, "cannot make the interface %s forget who has %s", ifname, text);
}

/* ---- the default route ----------------------------------------------------------------- */

/* The answer to RTM_GET of "anything": the interface stands at RTA_IFP. */
static int
read_interface(const struct message *m, size_t len, char ifname[static NET_IFNAME])
{
	size_t at = 0, have = len > sizeof(m->h) ? len - sizeof(m->h) : 0;

	for (int i = 0; i < RTAX_MAX && at + sizeof(struct sockaddr) <= have; i++) {
		struct sockaddr_dl s;
		const struct sockaddr *sa = (const struct sockaddr *)(const void *)(m->addrs + at);

		if ((m->h.rtm_addrs & (1 << i)) == 0)
			continue;
		if (i == RTAX_IFP && sa->sa_family == AF_LINK && at + sizeof(s) <= have) {
			memcpy(&s, sa, sizeof(s));
			if (s.sdl_nlen > 0 && s.sdl_nlen < NET_IFNAME) {
				snprintf(ifname, NET_IFNAME, "%.*s", s.sdl_nlen, s.sdl_data);
				return 1;
			}
			return if_indextoname(s.sdl_index, ifname) != NULL;
		}
		at += SA_SIZE(sa);
	}
	return 0;
}

static int
no_default(int family, struct err *e)
{
	return err_set(e, E_NOENT, "this host has no default route for IPv%d", family);
}

int
link_default(int family, char ifname[static NET_IFNAME], struct err *e)
{
	AUTO(fd) int fd = socket(PF_ROUTE, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct message m = { .h = { .rtm_version = RTM_VERSION, .rtm_type = RTM_GET, .rtm_seq = 1 } };
	union {
		struct message m;
		char bytes[2048];
	} in;
	struct ip_addr any = { .family = (uint8_t)family };
	int64_t deadline = text_monotonic_ms() + ROUTE_ANSWER_MS, left;
	size_t at = 0;
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "cannot make a routing socket");
	m.h.rtm_flags = RTF_UP | RTF_GATEWAY;
	put(&m, &at, &any, RTA_DST);
	put(&m, &at, &any, RTA_NETMASK);
	/* Asked for by its presence: where a netmask is, the route itself is meant, not a match. */
	memcpy(m.addrs + at,
	    &(struct sockaddr_dl){ .sdl_len = sizeof(struct sockaddr_dl), .sdl_family = AF_LINK },
	    sizeof(struct sockaddr_dl));
	at += sizeof(struct sockaddr_dl);
	m.h.rtm_addrs |= RTA_IFP;
	m.h.rtm_msglen = (unsigned short)(sizeof(m.h) + at);
	if (write(fd, &m, m.h.rtm_msglen) < 0)
		return errno == ESRCH ? no_default(family, e)
				      : err_sys(e, "cannot ask for the default route");
	/* Other messages come by too. */
	while ((left = deadline - text_monotonic_ms()) > 0 &&
	    poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, (int)left) > 0) {
		n = read(fd, &in, sizeof(in));
		if (n < (ssize_t)sizeof(in.m.h) || in.m.h.rtm_type != RTM_GET || in.m.h.rtm_seq != 1 ||
		    in.m.h.rtm_pid != getpid())
			continue;
		return in.m.h.rtm_errno == 0 && read_interface(&in.m, (size_t)n, ifname)
		    ? 0
		    : no_default(family, e);
	}
	return err_set(e, E_TIMEOUT, "the kernel does not tell its default route");
}
