/*
 * The policy of the chain FORWARD in the tables of the old iptables, which nftables does
 * not show: asked with the socket options of the iptables-legacy programs. Only looks,
 * and only where the table is in use already: asking for it would make it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "base/auto.h"
#include "base/file.h"
#include "network/linux/legacy.h"

#define TABLE "filter"
#define TABLES_MAX 4096
#define BLOB_MAX (64u << 20)

static bool
is_used(const char *list)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(TABLES_MAX);
	const char *line;

	if (file_read(AT_FDCWD, list, &b, NULL) < 0)
		return false;
	for (line = buf_cstr(&b); *line != '\0'; line += strcspn(line, "\n") + (strchr(line, '\n') != NULL))
		if (strncmp(line, TABLE "\n", sizeof(TABLE)) == 0)
			return true;
	return false;
}

/* The last rule of a chain of the kernel's is its policy: a verdict without condition. */
static bool
is_drop(const char *target, size_t room)
{
	struct xt_standard_target t;

	if (room < sizeof(t))
		return false;
	memcpy(&t, target, sizeof(t));
	return t.target.u.user.name[0] == '\0' && t.verdict == -NF_DROP - 1;
}

static int
drops4(int fd)
{
	struct ipt_getinfo info = { .name = TABLE };
	AUTO_FREE struct ipt_get_entries *all = NULL;
	socklen_t len = sizeof(info);
	struct ipt_entry last;
	size_t at;

	if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len) < 0 || info.size > BLOB_MAX)
		return 0;
	len = (socklen_t)(sizeof(*all) + info.size);
	all = calloc(1, len);
	at = info.underflow[NF_INET_FORWARD];
	if (all == NULL || at + sizeof(last) > info.size)
		return 0;
	memcpy(all->name, TABLE, sizeof(TABLE));
	all->size = info.size;
	if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, all, &len) < 0)
		return 0;
	memcpy(&last, (const char *)all->entrytable + at, sizeof(last));
	if (last.target_offset > info.size - at)
		return 0;
	return is_drop(
	    (const char *)all->entrytable + at + last.target_offset, info.size - at - last.target_offset);
}

static int
drops6(int fd)
{
	struct ip6t_getinfo info = { .name = TABLE };
	AUTO_FREE struct ip6t_get_entries *all = NULL;
	socklen_t len = sizeof(info);
	struct ip6t_entry last;
	size_t at;

	if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_INFO, &info, &len) < 0 || info.size > BLOB_MAX)
		return 0;
	len = (socklen_t)(sizeof(*all) + info.size);
	all = calloc(1, len);
	at = info.underflow[NF_INET_FORWARD];
	if (all == NULL || at + sizeof(last) > info.size)
		return 0;
	memcpy(all->name, TABLE, sizeof(TABLE));
	all->size = info.size;
	if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_ENTRIES, all, &len) < 0)
		return 0;
	memcpy(&last, (const char *)all->entrytable + at, sizeof(last));
	if (last.target_offset > info.size - at)
		return 0;
	return is_drop(
	    (const char *)all->entrytable + at + last.target_offset, info.size - at - last.target_offset);
}

bool
legacy_drops(int family)
{
	bool six = family == AF_INET6;
	AUTO(fd) int fd = -1;

	if (!is_used(six ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names"))
		return false;
	fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	return fd >= 0 && (six ? drops6(fd) : drops4(fd));
}
