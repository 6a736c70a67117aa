/*
 * Bridges as records: which there are, their ranges and numbers. Nothing is made on the host
 * here; a link appears with the first pot.
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
#include "model/name.h"
#include "network/bridge.h"

#define RECORD_VERSION "1"
#define RECORD_MAX 4096
#define PUBLIC_LEN 16 /* of the public range that we choose */

/* ---- records -------------------------------------------------------------------- */

bool
net_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_equal(&a->addr, &b->addr);
}

static int
record_path(const char *name, char *out, size_t size, struct err *e)
{
	int r;

	if (strcmp(name, NET_PUBLIC) == 0) {
		snprintf(out, size, "%s", NET_PUBLIC);
		return 0;
	}
	if ((r = name_check(name, "bridge", e)) < 0)
		return r;
	snprintf(out, size, "bridges/%s", name);
	return 0;
}

static int
get_prefix(const struct kv *kv, const char *key, int family, struct ip_prefix *out, struct err *e)
{
	const char *text = kv_get(kv, key);
	int r;

	*out = (struct ip_prefix){ 0 };
	if (text == NULL)
		return 0;
	if ((r = ip_prefix_parse(text, out, e)) < 0)
		return r;
	if (out->addr.family != family)
		return err_set(e, E_CORRUPT, "%s: '%.64s' is not of this family", key, text);
	out->addr = ip_network(out);
	return 0;
}

static struct ip_addr
first_host(const struct ip_prefix *p)
{
	struct ip_addr net = ip_network(p);

	return p->addr.family == 0 ? (struct ip_addr){ 0 } : ip_add(&net, 1);
}

static int
parse_record(const struct net *n, const struct kv *kv, struct net_bridge *b, unsigned *index, struct err *e)
{
	const char *version = kv_get(kv, "version"), *text = kv_get(kv, "index"), *nat6 = kv_get(kv, "nat6");
	uint64_t number;
	int r;

	if (version == NULL || strcmp(version, RECORD_VERSION) != 0)
		return err_set(e, E_NOTSUP, "version '%.16s' of a bridge's record", version ? version : "");
	if ((r = text_uint(text != NULL ? text : "", 0, NET_BRIDGE_INDEX_MAX, &number, "index", e)) < 0 ||
	    (r = get_prefix(kv, "net4", 4, &b->net4, e)) < 0 ||
	    (r = get_prefix(kv, "net6", 6, &b->net6, e)) < 0)
		return r;
	b->gw4 = first_host(&b->net4);
	b->gw6 = first_host(&b->net6);
	b->nat6 = nat6 != NULL && strcmp(nat6, "YES") == 0;
	b->is_public = strcmp(b->name, NET_PUBLIC) == 0;
	net_name_bridge(n->node, (unsigned)number, b->ifname);
	*index = (unsigned)number;
	return 0;
}

static int
read_record(const struct net *n, const char *name, struct net_bridge *b, unsigned *index, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char path[sizeof("bridges/") + NET_NAME_MAX];
	int r;

	*b = (struct net_bridge){ 0 };
	if ((r = net_ready(n, e)) < 0 || (r = record_path(name, path, sizeof(path), e)) < 0)
		return r;
	snprintf(b->name, sizeof(b->name), "%s", name);
	if ((r = file_read(n->fd, path, &text, e)) < 0) {
		if (r == -E_NOENT) {
			err_set(e, E_NOENT, "bridge '%s': there is none by this name", name);
			err_hint(e, "pot create-private-bridge makes one; pot network ls shows them");
		}
		return r;
	}
	if ((r = kv_parse(&kv, buf_cstr(&text), text.len, path, e)) < 0 ||
	    (r = parse_record(n, &kv, b, index, e)) < 0) {
		err_wrap(e, "bridge '%s'", name);
		return r;
	}
	return 0;
}

int
net_bridge_read(const struct net *n, const char *name, struct net_bridge *b, struct err *e)
{
	unsigned index;

	return read_record(n, name, b, &index, e);
}

static int
add_prefix(struct kv *kv, const char *key, const struct ip_prefix *p, struct err *e)
{
	char text[IP_TEXT];

	if (p->addr.family == 0)
		return 0;
	ip_prefix_print(p, text);
	return kv_add(kv, key, text, e);
}

int
net_bridge_write(const struct net *n, const struct net_bridge *b, unsigned index, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO(fd) int dir = -1;
	char number[8];
	int r;

	snprintf(number, sizeof(number), "%u", index % (NET_BRIDGE_INDEX_MAX + 1));
	if ((r = kv_add(&kv, "version", RECORD_VERSION, e)) < 0 ||
	    (r = kv_add(&kv, "index", number, e)) < 0 || (r = add_prefix(&kv, "net4", &b->net4, e)) < 0 ||
	    (r = add_prefix(&kv, "net6", &b->net6, e)) < 0 ||
	    (r = kv_add(&kv, "nat6", b->nat6 ? "YES" : "NO", e)) < 0)
		return r;
	kv_print(&kv, &text);
	if ((r = buf_check(&text, "a bridge's record", e)) < 0)
		return r;
	if (strcmp(b->name, NET_PUBLIC) == 0)
		return file_write_atomic(n->fd, NET_PUBLIC, 0600, text.data, text.len, e);
	if ((dir = r = dir_open(n->fd, "bridges", e)) < 0)
		return r;
	return file_write_atomic(dir, b->name, 0600, text.data, text.len, e);
}

/* ---- all of them ----------------------------------------------------------------- */

/* Names of the private bridges, sorted; temporary files of a killed writer begin with a dot. */
static int
private_names(const struct net *n, struct strv *names, struct err *e)
{
	AUTO(fd) int fd = -1;
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;
	int r;

	if ((r = net_ready(n, e)) < 0 || (fd = r = dir_open(n->fd, "bridges", e)) < 0)
		return r;
	d = fdopendir(fd);
	if (d == NULL)
		return err_sys(e, "bridges");
	fd = -1;
	while ((errno = 0, de = readdir(d)) != NULL) {
		if (name_check(de->d_name, "bridge", NULL) == 0)
			strv_add(names, de->d_name);
	}
	if (errno != 0)
		return err_sys(e, "bridges");
	strv_sort(names);
	return strv_check(names, "the list of bridges", e);
}

struct survey {
	struct net_ranges taken;
	bool used[NET_BRIDGE_INDEX_MAX + 1];
};

static int
take_prefix(void *arg, const struct ip_prefix *p)
{
	struct survey *s = arg;

	return net_ranges_add(&s->taken, p, NULL);
}

/* What is taken: by the host when asked, by our bridges (but `except`). */
static int
look_around(const struct net *n, struct survey *s, const char *except, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(NET_BRIDGE_INDEX_MAX + 1);
	struct net_bridge b;
	unsigned index;
	int r;

	if ((r = net_host_prefixes(take_prefix, s, e)) < 0 || (r = private_names(n, &names, e)) < 0)
		return r;
	strv_add(&names, NET_PUBLIC);
	if ((r = strv_check(&names, "the list of bridges", e)) < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		if (except != NULL && strcmp(names.v[i], except) == 0)
			continue;
		if ((r = read_record(n, names.v[i], &b, &index, e)) < 0)
			return r;
		s->used[index] = true;
		if ((r = net_ranges_add(&s->taken, &b.net4, e)) < 0 ||
		    (r = net_ranges_add(&s->taken, &b.net6, e)) < 0)
			return r;
	}
	return 0;
}

/* ---- ranges ------------------------------------------------------------------------ */

/* From where the ranges that we choose are: the classic one first. */
static const struct ip_prefix pools[] = {
	{ { 4, { 10, 192 } }, 10 },
	{ { 4, { 172, 16 } }, 12 },
	{ { 4, { 192, 168 } }, 16 },
	{ { 4, { 10 } }, 8 },
};

static int
find_range(const struct net_ranges *taken, unsigned len, unsigned start, struct ip_prefix *out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
		if (net_range_find(taken, &pools[i], len, start, out))
			return 0;
	}
	err_set(e, E_LIMIT,
	    "no free IPv4 range of length /%u: the host's interfaces and routes have them all", len);
	return err_hint(e, "set network in pot.conf to a range that may be used");
}

static int
configured(
    const char *text, const char *what, int family, unsigned longest, struct ip_prefix *out, struct err *e)
{
	struct ip_addr network;
	int r;

	if ((r = ip_prefix_parse(text, out, e)) < 0) {
		err_wrap(e, "%s", what);
		return r;
	}
	network = ip_network(out);
	if (out->addr.family != family || out->len > longest || out->len == 0 ||
	    !ip_equal(&network, &out->addr)) {
		err_set(e, E_INVAL, "%s: '%.64s' is not the address of an IPv%d range of length 1 to %u",
		    what, text, family, longest);
		return err_hint(e, "for example %s", family == 4 ? "10.192.0.0/16" : "fd12:3456:789a::/64");
	}
	return 0;
}

/* A range that was asked for and that something on the host has: said, not refused (it may be our own bridge). */
static int
choose6(const struct net *n, unsigned index, struct net_bridge *b, struct err *e)
{
	struct ip_prefix routed;
	int r;

	if (n->routed6[0] != '\0') {
		if ((r = configured(n->routed6, "routed6", 6, 120, &routed, e)) < 0)
			return r;
		if (net_range_routed(&routed, index, &b->net6))
			return 0;
	}
	b->nat6 = true;
	if (index == 0 && n->cidr6[0] != '\0')
		return configured(n->cidr6, "network6", 6, 120, &b->net6, e);
	b->net6 = net_range_ula(n->node, index);
	return 0;
}

int
net_bridge_public(const struct net *n, const struct net_bridge *old, struct net_bridge *b, struct err *e)
{
	AUTO_FREE struct survey *s = NULL;
	int r;

	*b = (struct net_bridge){ .name = NET_PUBLIC, .is_public = true };
	if ((r = choose6(n, 0, b, e)) < 0)
		return r;
	if (old != NULL && n->cidr6[0] == '\0' && n->routed6[0] == '\0') {
		b->net6 = old->net6;
		b->nat6 = old->nat6;
	}
	if (n->cidr4[0] != '\0')
		return configured(n->cidr4, "network", 4, 30, &b->net4, e);
	if (old != NULL) {
		b->net4 = old->net4;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	r = look_around(n, s, NET_PUBLIC, e);
	if (r == 0)
		r = find_range(&s->taken, PUBLIC_LEN, 0, &b->net4, e);
	net_ranges_fini(&s->taken);
	return r;
}

/* ---- the contract -------------------------------------------------------------------- */

static int
choose_private(const struct net *n, const struct survey *s, unsigned hosts, struct net_bridge *b,
    unsigned *index, struct err *e)
{
	unsigned len = net_range_len(hosts), block = 1 + net_name_group(n->node) % 62;
	int r;

	for (*index = 1; *index <= NET_BRIDGE_INDEX_MAX && s->used[*index]; (*index)++)
		;
	if (*index > NET_BRIDGE_INDEX_MAX)
		return err_set(e, E_LIMIT, "%d private bridges are the most", NET_BRIDGE_INDEX_MAX);
	/*
	 * Nodes on one host begin in different parts of 10.192.0.0/10: the ranges of a bridge on which no
	 * pot runs are not to be seen by the other node.
	 */
	if ((r = find_range(&s->taken, len, block << (len > 16 ? len - 16 : 0), &b->net4, e)) < 0)
		return r;
	return choose6(n, *index, b, e);
}

int
net_bridge_create(struct net *n, const char *name, unsigned hosts, struct err *e)
{
	AUTO(fd) int lock = -1;
	AUTO_FREE struct survey *s = NULL;
	struct net_bridge b = { 0 };
	unsigned index;
	int r;

	if ((r = name_check(name, "bridge", e)) < 0)
		return r;
	if (strcmp(name, NET_PUBLIC) == 0)
		return err_set(e, E_EXIST, "bridge '%s': that is the public one", name);
	if (hosts < 2 || hosts > 65534)
		return err_set(e, E_INVAL, "bridge '%s': 2 to 65534 pots, not %u", name, hosts);
	if ((lock = r = net_lock(n, e)) < 0)
		return r;
	if (net_bridge_read(n, name, &b, NULL) == 0)
		return err_set(e, E_EXIST, "bridge '%s': exists already", name);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	b = (struct net_bridge){ 0 };
	snprintf(b.name, sizeof(b.name), "%s", name);
	if ((r = look_around(n, s, NULL, e)) == 0 && (r = choose_private(n, s, hosts, &b, &index, e)) == 0)
		r = net_bridge_write(n, &b, index, e);
	net_ranges_fini(&s->taken);
	return r;
}

int
net_bridge_destroy(struct net *n, const char *name, struct err *e)
{
	AUTO(fd) int lock = -1;
	AUTO(fd) int dir = -1;
	struct net_bridge b;
	struct net_claim who;
	unsigned pots;
	int r;

	if (strcmp(name, NET_PUBLIC) == 0) {
		err_set(e, E_INVAL, "bridge '%s': the public one goes with de-init", name);
		return -E_INVAL;
	}
	if ((lock = r = net_lock(n, e)) < 0 || (r = net_bridge_read(n, name, &b, e)) < 0 ||
	    (r = net_bridge_pots(n, name, &pots, &who, e)) < 0)
		return r;
	if (pots > 0) {
		err_set(e, E_BUSY, "bridge '%s': %u pot%s an address on it, '%s' first", name, pots,
		    pots == 1 ? " has" : "s have", who.pot);
		return err_hint(e, "destroy these pots first");
	}
	/* The record last: what is found without one would be nobody's. */
	if ((r = net_link_remove(n, b.ifname, e)) < 0)
		return r;
	fault_point("net.bridge.link");
	if ((dir = r = dir_open(n->fd, "leases", e)) < 0 || (r = tree_remove(dir, name, e)) < 0)
		return r;
	fault_point("net.bridge.leases");
	fd_close(take_fd(dir));
	if ((dir = r = dir_open(n->fd, "hosts", e)) < 0 || (r = tree_remove(dir, name, e)) < 0)
		return r;
	fd_close(take_fd(dir));
	if ((dir = r = dir_open(n->fd, "bridges", e)) < 0)
		return r;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "bridge '%s'", name);
	return dir_sync(dir, "bridges", e);
}

int
net_bridge_get(struct net *n, const char *name, struct net_bridge *b, struct err *e)
{
	int r = net_bridge_read(n, name, b, e);

	return r < 0 ? r : net_bridge_pots(n, name, &b->pots, NULL, e);
}

int
net_bridge_list(struct net *n, net_bridge_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(NET_BRIDGE_INDEX_MAX + 1);
	struct net_bridge b;
	struct err why = ERR_INIT;
	int r;

	if ((r = net_bridge_get(n, NET_PUBLIC, &b, e)) < 0 || (r = fn(arg, &b)) != 0 ||
	    (r = private_names(n, &names, e)) < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		r = net_bridge_get(n, names.v[i], &b, &why);
		if (r == -E_NOENT) /* destroyed since */
			continue;
		if (r < 0) {
			if (e != NULL)
				*e = why;
			return r;
		}
		if ((r = fn(arg, &b)) != 0)
			return r;
	}
	return 0;
}
