/* Who has a port of the host, as /proc tells it. */
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

bool
net_port_holder(const struct port_map *m, char out[static NET_HOLDER_TEXT])
{
	static const char *const tables[][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
		{ "/proc/net/udp", "/proc/net/udp6" } };
	const char *const *t = tables[m->proto == PORT_UDP];
	uint64_t inode = 0;

	for (size_t i = 0; i < 2 && inode == 0; i++)
		inode = find_socket(t[i], m);
	return inode != 0 && find_process(inode, out, NET_HOLDER_TEXT);
}
