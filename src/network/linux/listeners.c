/*
 * Is a port of the host free, and who has it? The first is asked by binding it, which is
 * exact and costs the same however many sockets there are; only for the
 * message about a port that is not free /proc is read.
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "network/net_impl.h"

#define TCP_LISTEN_STATE 0x0a

/* ---- binding --------------------------------------------------------------------- */

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

/* ---- who has it --------------------------------------------------------------------- */

/* The kernel prints an address as words of 32 bits in its own byte order. */
static bool
parse_hex_addr(const char *hex, size_t digits, struct ip_addr *a)
{
	*a = (struct ip_addr){ .family = digits == 8 ? 4 : 6 };
	for (size_t i = 0; i < digits / 8; i++) {
		char word[9] = "";
		uint32_t v;

		memcpy(word, hex + 8 * i, 8);
		v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(a->b + 4 * i, &v, 4);
	}
	return digits == 8 || digits == 32;
}

/* The bind failed, so what is at this port and could be reached by these addresses is the reason. */
static bool
same_address(const struct port_map *m, const struct ip_addr *there)
{
	static const uint8_t zero[16], mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (m->addr.family == 0 || memcmp(there->b, zero, 16) == 0)
		return true;
	if (there->family == 6 && m->addr.family == 4 && memcmp(there->b, mapped, 12) == 0)
		return memcmp(there->b + 12, m->addr.b, 4) == 0;
	return ip_equal(there, &m->addr);
}

/* Inode of the first socket in a /proc/net table that has the port; 0: none. */
static uint64_t
find_socket(const char *table, const struct port_map *m)
{
	AUTO(file) FILE *f = fopen(table, "re");
	char line[512], hex[40];
	unsigned port, state;
	uint64_t inode;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		struct ip_addr a;

		/* sl local rem st tx:rx tr:tm retrnsmt uid timeout inode (Documentation/networking/proc_net_tcp) */
		if (sscanf(line, " %*[0-9]: %39[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %" SCNu64, hex, &port,
			&state, &inode) != 4 ||
		    port != m->host || !parse_hex_addr(hex, strlen(hex), &a) || !same_address(m, &a))
			continue;
		if (m->proto == PORT_UDP || state == TCP_LISTEN_STATE)
			return inode;
	}
	return 0;
}

static bool
has_socket(const char *pid, const char *target)
{
	AUTO(dir) DIR *d = NULL;
	char path[64], link[64];
	struct dirent *de;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	d = opendir(path);
	while (d != NULL && (de = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), de->d_name, link, sizeof(link) - 1);

		if (n > 0 && (link[n] = '\0', strcmp(link, target) == 0))
			return true;
	}
	return false;
}

/* "PID (name)" of a process that has the socket open; false: none that can be seen. */
static bool
find_process(uint64_t inode, char *out, size_t size)
{
	AUTO(dir) DIR *d = opendir("/proc");
	char target[40];
	struct dirent *de;

	snprintf(target, sizeof(target), "socket:[%" PRIu64 "]", inode);
	while (d != NULL && (de = readdir(d)) != NULL) {
		AUTO(file) FILE *f = NULL;
		char path[64], comm[64] = "", safe[64];

		if (de->d_name[0] < '1' || de->d_name[0] > '9' || !has_socket(de->d_name, target))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/comm", de->d_name);
		if ((f = fopen(path, "re")) != NULL && fgets(comm, sizeof(comm), f) != NULL)
			comm[strcspn(comm, "\n")] = '\0';
		text_escape_into(safe, sizeof(safe), comm, strlen(comm));
		snprintf(out, size, "process %.16s (%s)", de->d_name, safe);
		return true;
	}
	return false;
}

static int
say_who(const struct port_map *m, struct err *e)
{
	static const char *const tables[][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
		{ "/proc/net/udp", "/proc/net/udp6" } };
	const char *const *t = tables[m->proto == PORT_UDP];
	char text[PORT_TEXT], who[128] = "something on the host";
	uint64_t inode = 0;

	for (size_t i = 0; i < 2 && inode == 0; i++)
		inode = find_socket(t[i], m);
	if (inode != 0)
		(void)find_process(inode, who, sizeof(who));
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
