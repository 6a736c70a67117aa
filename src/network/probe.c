/*
 * Is a port of the host free? Asked by binding it, which is exact and costs the same
 * however many sockets there are; only for the message about a port that is not free
 * the system's list of sockets is read (net_port_holder).
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "network/net_impl.h"

static int
try_bind(int fd, const struct port_map *m, bool six)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(m->host) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(m->host) };
	int on = 1, off = 0;

	/* What remains of ended connections is no listener. For UDP it would let two share the port. */
	if (m->proto == PORT_TCP && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	if (!six) {
		memcpy(&a4.sin_addr, m->addr.b, 4);
		return bind(fd, (struct sockaddr *)&a4, sizeof(a4));
	}
	memcpy(&a6.sin6_addr, m->addr.b, 16);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, m->addr.family == 6 ? &on : &off, sizeof(on)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&a6, sizeof(a6));
}

/* 0, or -1 with errno. Any address means both families, where there are both. */
static int
probe(const struct port_map *m)
{
	bool six = m->addr.family != 4;
	int type = m->proto == PORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
	AUTO(fd) int fd = socket(six ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && m->addr.family == 0) {
		six = false;
		fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	}
	return fd < 0 ? -1 : try_bind(fd, m, six);
}

static int
say_who(const struct port_map *m, struct err *e)
{
	char text[PORT_TEXT], who[NET_HOLDER_TEXT];

	if (!net_port_holder(m, who))
		snprintf(who, sizeof(who), "something on the host");
	port_print(m, text);
	err_set(e, E_BUSY, "port %s: %s has the host's port", text, who);
	return err_hint(e, "end it, or publish another port");
}

int
net_port_probe(const struct port_map *m, struct err *e)
{
	char text[PORT_TEXT];

	if (probe(m) == 0)
		return 0;
	port_print(m, text);
	if (errno == EADDRINUSE)
		return say_who(m, e);
	if (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT) {
		err_set(e, E_INVAL, "port %s: the host has no such address", text);
		return err_hint(e, "leave the address out to publish on all of the host's");
	}
	return err_sys(e, "port %s", text);
}
