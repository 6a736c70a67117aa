/*
 * The policy of the chain FORWARD in the tables of the old iptables, which nftables does
 * not show: asked with the socket options of the iptables-legacy programs. Only looks,
 * and only where the table is in use already: asking for it would make it.
 */
#include <fcntl.h>
#include <stddef.h>
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

/* The two families differ in how large the head of a rule is, and in nothing else that is read here. */
static const struct family {
	int level, info, entries;
	size_t head, target_offset; /* of a rule */
} family4 = { IPPROTO_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES, sizeof(struct ipt_entry),
	offsetof(struct ipt_entry, target_offset) },
  family6 = { IPPROTO_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES, sizeof(struct ip6t_entry),
	  offsetof(struct ip6t_entry, target_offset) };

_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
	offsetof(struct ipt_getinfo, underflow) == offsetof(struct ip6t_getinfo, underflow) &&
	offsetof(struct ipt_getinfo, size) == offsetof(struct ip6t_getinfo, size) &&
	offsetof(struct ipt_get_entries, size) == offsetof(struct ip6t_get_entries, size) &&
	offsetof(struct ipt_get_entries, entrytable) == offsetof(struct ip6t_get_entries, entrytable) &&
	sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries),
    "ip_tables and ip6_tables answer in one form");

static bool
drops(int fd, const struct family *f)
{
	struct ipt_getinfo info = { .name = TABLE };
	AUTO_FREE struct ipt_get_entries *all = NULL;
	socklen_t len = sizeof(info);
	const char *rules;
	uint16_t target;
	size_t at;

	if (getsockopt(fd, f->level, f->info, &info, &len) < 0 || info.size > BLOB_MAX)
		return false;
	len = (socklen_t)(sizeof(*all) + info.size);
	all = calloc(1, len);
	at = info.underflow[NF_INET_FORWARD];
	if (all == NULL || at + f->head > info.size)
		return false;
	memcpy(all->name, TABLE, sizeof(TABLE));
	all->size = info.size;
	if (getsockopt(fd, f->level, f->entries, all, &len) < 0)
		return false;
	rules = (const char *)all->entrytable;
	memcpy(&target, rules + at + f->target_offset, sizeof(target));
	return target <= info.size - at && is_drop(rules + at + target, info.size - at - target);
}

bool
legacy_drops(int family)
{
	bool six = family == AF_INET6;
	AUTO(fd) int fd = -1;

	if (!is_used(six ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names"))
		return false;
	fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	return fd >= 0 && drops(fd, six ? &family6 : &family4);
}
