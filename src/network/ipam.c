/*
 * Leases: which pot has which address. One claim per address below
 * leases/BRIDGE; for the next free one a hint says below which address all are
 * taken. The hint may be wrong after a crash or two: too low costs a few
 * looks, too high leaves addresses out until the end is reached and the search goes round.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "network/net_impl.h"

#define POOL_MAX (1u << 20) /* addresses of a range that are given out by themselves: the first */
#define LINE_MAX_LEN (NET_NAME_MAX + IP_TEXT + 16)

/* Open directories and the pot, for one call. */
struct taker {
	const struct net *net;
	const struct net_bridge *bridge;
	struct net_claim claim;
	int dir; /* leases/BRIDGE */
};

static int
open_leases(const struct net *n, const char *bridge, bool make, struct err *e)
{
	AUTO(fd) int dir = dir_open(n->fd, "leases", e);

	if (dir < 0)
		return dir;
	return make ? dir_make(dir, bridge, 0700, e) : dir_open(dir, bridge, e);
}

/* ---- the hint --------------------------------------------------------------------- */

static const char *
hint_name(int family)
{
	return family == 4 ? ".next4" : ".next6";
}

static unsigned
hint_read(int dir, int family)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(32);
	uint64_t n;

	if (file_read(dir, hint_name(family), &b, NULL) < 0 ||
	    text_uint(buf_cstr(&b), 0, POOL_MAX, &n, "hint", NULL) < 0)
		return 0;
	return (unsigned)n;
}

/* Not worth an error: without it the search begins at the first address. */
static void
hint_write(int dir, int family, unsigned n)
{
	AUTO(fd) int fd = -1;
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	fd = openat(dir, hint_name(family), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len)
		(void)unlinkat(dir, hint_name(family), 0);
}

/* ---- taking ------------------------------------------------------------------------ */

static const struct ip_prefix *
range_of(const struct net_bridge *b, int family)
{
	return family == 4 ? &b->net4 : &b->net6;
}

/* Addresses of the range that may be given: host numbers 2 to what this returns (1 is the gateway). */
static unsigned
last_host(const struct ip_prefix *p)
{
	unsigned bits = (p->addr.family == 4 ? 32u : 128u) - p->len;
	unsigned last = bits >= 20 ? POOL_MAX : (1u << bits) - 1;

	if (p->addr.family == 4 && bits < 20 && last > 0)
		last--; /* the broadcast address */
	return last;
}

static int
take_address(const struct taker *t, const struct ip_addr *a, struct net_claim *holder, struct err *e)
{
	char addr[IP_TEXT], line[LINE_MAX_LEN];
	int r;

	ip_print(a, addr);
	snprintf(line, sizeof(line), "lease %s %s", t->bridge->name, addr);
	if ((r = net_index_add(t->net, t->claim.id, line, true, e)) < 0)
		return r;
	fault_point("net.lease.indexed");
	return net_claim_make(t->dir, addr, &t->claim, true, holder, e);
}

static int
take_next(const struct taker *t, int family, struct ip_addr *out, struct err *e)
{
	const struct ip_prefix *p = range_of(t->bridge, family);
	unsigned last = last_host(p), hint = hint_read(t->dir, family), first = hint;
	struct ip_addr base = ip_network(p);
	char addr[IP_TEXT];
	int r;

	if (first < 2 || first > last)
		first = 2;
	for (unsigned i = first; last >= 2;) {
		*out = ip_add(&base, i);
		ip_print(out, addr);
		if (faccessat(t->dir, addr, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno != ENOENT)
				return err_sys(e, "lease %s", addr);
			if ((r = take_address(t, out, NULL, e)) < 0)
				return r;
			hint_write(t->dir, family, i + 1);
			return 0;
		}
		i = i < last ? i + 1 : 2;
		if (i == first)
			break;
	}
	ip_prefix_print(p, addr);
	err_set(e, E_LIMIT, "bridge '%s': all addresses of %s are taken", t->bridge->name, addr);
	return err_hint(e, "destroy a pot on it, or make a larger bridge");
}

static int
check_wanted(const struct net_bridge *b, const struct ip_addr *a, struct err *e)
{
	const struct ip_prefix *p = range_of(b, a->family);
	struct ip_addr network = ip_network(p), broadcast = ip_broadcast(p);
	const struct ip_addr *gw = a->family == 4 ? &b->gw4 : &b->gw6;
	char addr[IP_TEXT], range[IP_TEXT];
	const char *why = NULL;

	ip_print(a, addr);
	ip_prefix_print(p, range);
	if (p->addr.family == 0)
		return err_set(
		    e, E_INVAL, "address %s: the bridge '%s' has no IPv%d range", addr, b->name, a->family);
	if (!ip_in(p, a))
		why = "outside the range";
	else if (ip_equal(a, gw))
		why = "the gateway";
	else if (ip_equal(a, &network))
		why = a->family == 4 ? "the network's own address" : "the routers' own address";
	else if (a->family == 4 && ip_equal(a, &broadcast))
		why = "the broadcast address";
	if (why == NULL)
		return 0;
	err_set(e, E_INVAL, "address %s: %s of the bridge '%s' (%s)", addr, why, b->name, range);
	return err_hint(e, "give another one, or none: the next free is taken");
}

static int
take_wanted(const struct taker *t, const struct ip_addr *a, struct err *e)
{
	struct net_claim holder = { 0 };
	char addr[IP_TEXT];
	int r = check_wanted(t->bridge, a, e);

	if (r < 0)
		return r;
	r = take_address(t, a, &holder, e);
	if (r == -E_EXIST) {
		ip_print(a, addr);
		err_set(e, E_EXIST, "address %s: the pot '%s' has it", addr, holder.pot);
		err_hint(e, "give another one, or none: the next free is taken");
	}
	return r;
}

/* An address lower than the hint is free again. */
static void
hint_lower(const struct net *n, int dir, const char *bridge, const struct ip_addr *a)
{
	struct net_bridge b;
	struct ip_addr base;
	unsigned host = 0, hint = hint_read(dir, a->family);

	if (hint == 0 || net_bridge_read(n, bridge, &b, NULL) < 0 || !ip_in(range_of(&b, a->family), a))
		return;
	base = ip_network(range_of(&b, a->family));
	/* Only the lower 32 bits are given out by us. */
	for (size_t i = a->family == 4 ? 0 : 12; i < (a->family == 4 ? 4u : 16u); i++)
		host = host << 8 | (unsigned)(a->b[i] & ~base.b[i]);
	if (host < hint)
		hint_write(dir, a->family, host);
}

/* ---- finding ------------------------------------------------------------------------- */

/* "lease NAME ADDRESS"; false for other lines. */
static bool
parse_line(
    const char *line, char bridge[static NET_NAME_MAX + 1], struct ip_addr *a, char addr[static IP_TEXT])
{
	const char *space;

	if (strncmp(line, "lease ", 6) != 0)
		return false;
	line += 6;
	space = strchr(line, ' ');
	if (space == NULL || space - line > NET_NAME_MAX || strlen(space + 1) >= IP_TEXT ||
	    ip_parse(space + 1, a, NULL) < 0)
		return false;
	memcpy(bridge, line, (size_t)(space - line));
	bridge[space - line] = '\0';
	if (strchr(bridge, '/') != NULL || bridge[0] == '.' || bridge[0] == '\0')
		return false;
	snprintf(addr, IP_TEXT, "%s", space + 1);
	return true;
}

/* Puts an address into the lease of its bridge, a new one at the end if there is none. */
static int
note_lease(struct net_lease *v, size_t *n, const char *bridge, const struct ip_addr *a, struct err *e)
{
	size_t i;

	for (i = 0; i < *n && strcmp(v[i].bridge, bridge) != 0; i++)
		;
	if (i == NET_BRIDGES_MAX)
		return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX);
	if (i == *n) {
		v[i] = (struct net_lease){ 0 };
		memcpy(v[i].bridge, bridge, strlen(bridge) + 1);
		(*n)++;
	}
	*(a->family == 4 ? &v[i].a4 : &v[i].a6) = *a;
	return 0;
}

int
net_leases_find(const struct net *net, const char *id, struct net_lease *v, size_t *n, struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(65536);
	int r = net_index_read(net, id, &lines, e);

	*n = 0;
	for (size_t i = 0; r == 0 && i < lines.n; i++) {
		char bridge[NET_NAME_MAX + 1], addr[IP_TEXT], path[LINE_MAX_LEN];
		struct net_claim c;
		struct ip_addr a;

		if (!parse_line(lines.v[i], bridge, &a, addr))
			continue;
		snprintf(path, sizeof(path), "leases/%s/%s", bridge, addr);
		if (net_claim_read(net->fd, path, &c, NULL) == 0 && strcmp(c.id, id) == 0)
			r = note_lease(v, n, bridge, &a, e);
	}
	return r;
}

/* ---- the contract --------------------------------------------------------------------- */

/* One family: what the pot has on this bridge already, or what it wants, or the next. */
static int
lease_family(const struct taker *t, const struct ip_addr *want, const struct ip_addr *has, int family,
    struct ip_addr *out, struct err *e)
{
	char old[IP_TEXT];

	if (want != NULL && want->family != 0 && want->family != family)
		return err_set(
		    e, E_INVAL, "an IPv%d address where one of IPv%d is meant", want->family, family);
	if (has->family != 0 && (want == NULL || want->family == 0 || ip_equal(want, has))) {
		*out = *has;
		return 0;
	}
	if (has->family != 0) {
		ip_print(has, old);
		return err_set(
		    e, E_EXIST, "bridge '%s': the pot has the address %s there", t->bridge->name, old);
	}
	if (want != NULL && want->family != 0) {
		*out = *want;
		return take_wanted(t, want, e);
	}
	if (range_of(t->bridge, family)->addr.family == 0)
		return err_set(e, E_INVAL, "bridge '%s': has no IPv%d range", t->bridge->name, family);
	return take_next(t, family, out, e);
}

static int
lease_locked(const struct net *n, const struct taker *t, enum ip_stack stack, const struct ip_addr *want4,
    const struct ip_addr *want6, struct net_lease *out, struct err *e)
{
	struct net_lease has[NET_BRIDGES_MAX], none = { 0 }, *mine = &none;
	size_t nhas;
	char addr[IP_TEXT];
	int r = net_leases_find(n, t->claim.id, has, &nhas, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nhas; i++) {
		if (strcmp(has[i].bridge, t->bridge->name) == 0)
			mine = &has[i];
	}
	if (mine == &none && nhas == NET_BRIDGES_MAX)
		return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX);
	*out = (struct net_lease){ 0 };
	memcpy(out->bridge, t->bridge->name, sizeof(out->bridge));
	if ((stack & STACK_IPV4) && (r = lease_family(t, want4, &mine->a4, 4, &out->a4, e)) < 0)
		return r;
	if ((stack & STACK_IPV6) && (r = lease_family(t, want6, &mine->a6, 6, &out->a6, e)) < 0) {
		struct err ignored;

		/* Both or none; the first error is the one to tell. */
		ip_print(&out->a4, addr);
		if (out->a4.family != 0 && mine->a4.family == 0 &&
		    net_claim_drop(t->dir, addr, t->claim.id, &ignored) == 1)
			hint_lower(n, t->dir, t->bridge->name, &out->a4);
		return r;
	}
	return 0;
}

int
net_lease(struct net *n, const char *id, const char *pot, const char *bridge, enum ip_stack stack,
    const struct ip_addr *want4, const struct ip_addr *want6, struct net_lease *out, struct err *e)
{
	AUTO(fd) int lock = -1;
	AUTO(fd) int dir = -1;
	struct net_bridge b;
	struct taker t = { .net = n, .bridge = &b };
	int r;

	if ((r = net_claim_init(&t.claim, id, pot, e)) < 0 || (lock = r = net_lock(n, e)) < 0 ||
	    (r = net_bridge_read(n, bridge, &b, e)) < 0 || (dir = r = open_leases(n, bridge, true, e)) < 0)
		return r;
	t.dir = dir;
	return lease_locked(n, &t, stack, want4, want6, out, e);
}

int
net_leases(
    struct net *n, const char *id, struct net_lease out[static NET_BRIDGES_MAX], size_t *count, struct err *e)
{
	int r = net_ready(n, e);

	*count = 0;
	return r < 0 ? r : net_leases_find(n, id, out, count, e);
}

int
net_leases_drop(const struct net *n, const char *id, const struct strv *lines, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		AUTO(fd) int dir = -1;
		char bridge[NET_NAME_MAX + 1], addr[IP_TEXT];
		struct ip_addr a;
		struct err why = ERR_INIT;
		int r;

		if (!parse_line(lines->v[i], bridge, &a, addr))
			continue;
		dir = r = open_leases(n, bridge, false, &why);
		if (r == -E_NOENT)
			continue;
		if (r < 0 || (r = net_claim_drop(dir, addr, id, &why)) < 0) {
			if (e != NULL)
				*e = why;
			return r;
		}
		fault_point("net.lease.dropped");
		if (r == 1)
			hint_lower(n, dir, bridge, &a);
	}
	return 0;
}

/* ---- all leases of a bridge ------------------------------------------------------------ */

static int
compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The ids of those with a lease here, each once. */
static int
holders(int fd, struct strv *ids, struct net_claim *who, struct err *e)
{
	AUTO(dir) DIR *d = fdopendir(fd);
	struct net_claim c;
	struct dirent *de;

	if (d == NULL) {
		fd_close(fd);
		return err_sys(e, "leases");
	}
	while ((errno = 0, de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.' || net_claim_read(dirfd(d), de->d_name, &c, NULL) < 0)
			continue;
		if (ids->n == 0 && who != NULL)
			*who = c;
		strv_add(ids, c.id);
	}
	return errno != 0 ? err_sys(e, "leases") : strv_check(ids, "the list of leases", e);
}

int
net_bridge_pots(const struct net *n, const char *name, unsigned *count, struct net_claim *who, struct err *e)
{
	AUTO_FINI(strv) struct strv ids = STRV_INIT(2 * POOL_MAX);
	struct err why = ERR_INIT;
	int fd, r;

	*count = 0;
	if ((r = net_ready(n, e)) < 0)
		return r;
	fd = open_leases(n, name, false, &why);
	if (fd == -E_NOENT)
		return 0;
	if (fd < 0) {
		if (e != NULL)
			*e = why;
		return fd;
	}
	if ((r = holders(fd, &ids, who, e)) < 0 || ids.n == 0)
		return r;
	qsort(ids.v, ids.n, sizeof(*ids.v), compare_text);
	for (size_t i = 0; i < ids.n; i++)
		*count += i == 0 || strcmp(ids.v[i], ids.v[i - 1]) != 0;
	return 0;
}
