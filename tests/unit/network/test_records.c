/* Records of a network on the disk: ranges, bridges, leases, ports, hosts files, repair. */
#include "../model/expect.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "network/hosts.h"
#include "network/settings.h"

static struct ip_prefix host_has[4];
static size_t nhost;
static uint16_t busy_port;

/* What the host says, in these tests. */
int
net_host_prefixes(net_prefix_fn *fn, void *arg, struct err *e)
{
	for (size_t i = 0; i < nhost; i++) {
		if (fn(arg, &host_has[i]) < 0)
			return err_nomem(e);
	}
	return 0;
}

int
net_port_probe(const struct port_map *m, struct err *e)
{
	return m->host == busy_port ? err_set(e, E_BUSY, "port: process 7 (x) has it") : 0;
}

int
net_link_remove(struct net *n, const char *ifname, struct err *e)
{
	return 0;
}

#define A "00000000000000aa"
#define B "00000000000000bb"
#define C "00000000000000cc"

struct world {
	char dir[40];
	int fd;
	struct net *net;
	struct net_params p;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = ERR_INIT;

	assert_non_null(w);
	nhost = 0;
	busy_port = 0;
	strcpy(w->dir, "/tmp/pot-test-net-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->fd >= 0);
	w->p = (struct net_params){
		.root = w->dir, .root_fd = w->fd, .id = "0123abcd", .cidr4 = "", .cidr6 = "", .routed6 = ""
	};
	assert_int_equal(net_open(&w->net, &w->p, &e), 0);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	net_close(w->net);
	assert_int_equal(tree_remove(w->fd, "net", &e), 0);
	close(w->fd);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void
init(struct world *w)
{
	struct err e = ERR_INIT;

	if (net_init(w->net, &e) < 0)
		fail_msg("%s", e.msg);
}

static void
reopen(struct world *w)
{
	struct err e = ERR_INIT;

	net_close(w->net);
	assert_int_equal(net_open(&w->net, &w->p, &e), 0);
}

static const char *
text(const struct ip_addr *a)
{
	static char out[IP_TEXT];

	ip_print(a, out);
	return out;
}

static const char *
range(const struct ip_prefix *p)
{
	static char out[IP_TEXT];

	ip_prefix_print(p, out);
	return out;
}

static void
prefix(const char *s, struct ip_prefix *p)
{
	struct err e = ERR_INIT;

	assert_int_equal(ip_prefix_parse(s, p, &e), 0);
}

/* ---- ranges and bridges ------------------------------------------------------------ */

static void
without_init(void **state)
{
	struct world *w = *state;
	struct net_bridge b;
	struct net_lease l;
	struct err e = ERR_INIT;

	expect_err(net_bridge_get(w->net, "public", &b, &e), E_STATE, "no network yet");
	expect_hint("pot init");
	expect_err(
	    net_lease(w->net, A, "web", "public", STACK_IPV4, NULL, NULL, &l, &e), E_STATE, "no network");
	assert_int_equal(net_release(w->net, A, &e), 0);
}

static void
public_range(void **state)
{
	struct world *w = *state;
	struct net_bridge b;
	struct err e = ERR_INIT;

	prefix("10.192.7.0/24", &host_has[0]);
	prefix("10.0.0.0/32", &host_has[1]);
	prefix("10.193.0.0/17", &host_has[2]);
	nhost = 3;
	init(w);
	assert_int_equal(net_bridge_get(w->net, "public", &b, &e), 0);
	assert_string_equal(range(&b.net4), "10.194.0.0/16");
	assert_string_equal(text(&b.gw4), "10.194.0.1");
	assert_string_equal(b.ifname, "pb0123abcd-0");
	assert_true(b.is_public && b.nat6);
	assert_int_equal(b.net6.len, 64);
	assert_int_equal(b.net6.addr.b[0], 0xfd);
	/* It stays, whatever the host has later. */
	prefix("10.194.0.0/16", &host_has[0]);
	init(w);
	reopen(w);
	assert_int_equal(net_bridge_get(w->net, "public", &b, &e), 0);
	assert_string_equal(range(&b.net4), "10.194.0.0/16");
}

static void
configured_range(void **state)
{
	struct world *w = *state;
	struct net_bridge b;
	struct net_lease l;
	struct err e = ERR_INIT;

	w->p.cidr4 = "172.30.0.0/24";
	w->p.routed6 = "2001:db8:1::/56";
	reopen(w);
	init(w);
	assert_int_equal(net_bridge_get(w->net, "public", &b, &e), 0);
	assert_string_equal(range(&b.net4), "172.30.0.0/24");
	assert_string_equal(range(&b.net6), "2001:db8:1::/64");
	assert_false(b.nat6);
	assert_int_equal(net_bridge_create(w->net, "db", 5, &e), 0);
	assert_int_equal(net_bridge_get(w->net, "db", &b, &e), 0);
	assert_string_equal(range(&b.net6), "2001:db8:1:1::/64");
	assert_int_equal(b.net4.len, 29);
	/* Another one, while nobody is on it; and then no more. */
	w->p.cidr4 = "172.31.0.0/24";
	reopen(w);
	init(w);
	assert_int_equal(net_lease(w->net, A, "web", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_string_equal(text(&l.a4), "172.31.0.2");
	w->p.cidr4 = "172.30.0.0/24";
	reopen(w);
	expect_err(net_init(w->net, &e), E_BUSY, "1 pots have addresses in it, 'web' first");
	w->p.cidr4 = "172.30.0.1/24";
	reopen(w);
	expect_err(
	    net_init(w->net, &e), E_INVAL, "network: '172.30.0.1/24' is not the address of an IPv4 range");
}

static int
count_bridges(void *arg, const struct net_bridge *b)
{
	strcat(arg, b->name);
	strcat(arg, " ");
	return 0;
}

static void
bridges(void **state)
{
	struct world *w = *state;
	struct net_bridge one, two;
	struct net_lease l;
	struct err e = ERR_INIT;
	char names[64] = "";

	init(w);
	assert_int_equal(net_bridge_create(w->net, "one", 6, &e), 0);
	assert_int_equal(net_bridge_create(w->net, "two", 13, &e), 0);
	expect_err(net_bridge_create(w->net, "one", 6, &e), E_EXIST, "bridge 'one': exists already");
	expect_err(net_bridge_create(w->net, "public", 6, &e), E_EXIST, "that is the public one");
	expect_err(net_bridge_create(w->net, "a/b", 6, &e), E_INVAL, "bridge name 'a/b'");
	expect_err(net_bridge_create(w->net, "x", 1, &e), E_INVAL, "2 to 65534 pots, not 1");
	assert_int_equal(net_bridge_get(w->net, "one", &one, &e), 0);
	assert_int_equal(net_bridge_get(w->net, "two", &two, &e), 0);
	assert_int_equal(one.net4.len, 28);
	assert_int_equal(two.net4.len, 28);
	assert_false(ip_overlap(&one.net4, &two.net4));
	assert_false(ip_overlap(&one.net6, &two.net6));
	assert_string_equal(one.ifname, "pb0123abcd-1");
	assert_string_equal(two.ifname, "pb0123abcd-2");
	assert_int_equal(net_bridge_list(w->net, count_bridges, names, &e), 0);
	assert_string_equal(names, "public one two ");
	assert_int_equal(net_lease(w->net, A, "web", "one", STACK_DUAL, NULL, NULL, &l, &e), 0);
	assert_int_equal(net_lease(w->net, B, "db", "one", STACK_IPV6, NULL, NULL, &l, &e), 0);
	assert_int_equal(net_bridge_get(w->net, "one", &one, &e), 0);
	assert_int_equal(one.pots, 2);
	expect_err(
	    net_bridge_destroy(w->net, "one", &e), E_BUSY, "bridge 'one': 2 pots have an address on it");
	expect_err(net_bridge_destroy(w->net, "public", &e), E_INVAL, "goes with de-init");
	expect_err(net_bridge_destroy(w->net, "none", &e), E_NOENT, "bridge 'none': there is none");
	assert_int_equal(net_release(w->net, A, &e), 0);
	assert_int_equal(net_release(w->net, B, &e), 0);
	assert_int_equal(net_bridge_destroy(w->net, "one", &e), 0);
	/* The number is free again. */
	assert_int_equal(net_bridge_create(w->net, "three", 6, &e), 0);
	assert_int_equal(net_bridge_get(w->net, "three", &one, &e), 0);
	assert_string_equal(one.ifname, "pb0123abcd-1");
}

/* ---- leases -------------------------------------------------------------------------- */

static void
leases(void **state)
{
	struct world *w = *state;
	struct net_lease l, all[NET_BRIDGES_MAX];
	struct ip_addr want;
	struct err e = ERR_INIT;
	size_t n;

	init(w);
	assert_int_equal(net_bridge_create(w->net, "priv", 10, &e), 0);
	assert_int_equal(net_lease(w->net, A, "web", "public", STACK_DUAL, NULL, NULL, &l, &e), 0);
	assert_string_equal(text(&l.a4), "10.192.0.2");
	assert_int_equal(l.a6.b[15], 2);
	/* Again: the same. */
	assert_int_equal(net_lease(w->net, A, "web", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_string_equal(text(&l.a4), "10.192.0.2");
	assert_int_equal(net_lease(w->net, B, "db", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_string_equal(text(&l.a4), "10.192.0.3");
	assert_int_equal(ip_parse("10.192.0.2", &want, &e), 0);
	expect_err(net_lease(w->net, C, "c", "public", STACK_IPV4, &want, NULL, &l, &e), E_EXIST,
	    "address 10.192.0.2: the pot 'web' has it");
	assert_int_equal(ip_parse("10.192.3.4", &want, &e), 0);
	assert_int_equal(net_lease(w->net, C, "c", "public", STACK_IPV4, &want, NULL, &l, &e), 0);
	expect_err(net_lease(w->net, B, "db", "public", STACK_IPV4, &want, NULL, &l, &e), E_EXIST,
	    "the pot has the address 10.192.0.3 there");
	assert_int_equal(net_lease(w->net, A, "web", "priv", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_int_equal(net_leases(w->net, A, all, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(all[0].bridge, "public");
	assert_int_equal(all[0].a6.family, 6);
	assert_string_equal(all[1].bridge, "priv");
	/* What is given back is the next to be given. */
	assert_int_equal(net_release(w->net, A, &e), 0);
	assert_int_equal(net_release(w->net, A, &e), 0);
	assert_int_equal(net_leases(w->net, A, all, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(net_lease(w->net, A, "web", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_string_equal(text(&l.a4), "10.192.0.2");
}

static void
leases_refused(void **state)
{
	static const struct {
		const char *addr, *fragment;
	} rows[] = {
		{ "10.192.0.1", "the gateway of the bridge 'public' (10.192.0.0/16)" },
		{ "10.192.0.0", "the network's own address" },
		{ "10.192.255.255", "the broadcast address" },
		{ "10.193.0.2", "outside the range" },
	};
	struct world *w = *state;
	struct ip_addr want;
	struct net_lease l;
	struct err e = ERR_INIT;

	init(w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(ip_parse(rows[i].addr, &want, &e), 0);
		expect_err(net_lease(w->net, A, "a", "public", STACK_IPV4, &want, NULL, &l, &e), E_INVAL,
		    rows[i].fragment);
	}
	expect_err(net_lease(w->net, A, "a", "public", STACK_IPV6, NULL, &want, &l, &e), E_INVAL, "IPv4");
	expect_err(
	    net_lease(w->net, "zz", "a", "public", STACK_IPV4, NULL, NULL, &l, &e), E_INVAL, "pot id 'zz'");
	expect_err(
	    net_lease(w->net, A, "a", "nope", STACK_IPV4, NULL, NULL, &l, &e), E_NOENT, "bridge 'nope'");
}

static void
pool_full(void **state)
{
	struct world *w = *state;
	struct net_lease l;
	struct err e = ERR_INIT;
	char id[17];
	int r = 0, given = 0;

	init(w);
	assert_int_equal(net_bridge_create(w->net, "small", 5, &e), 0);
	while (given < 20) {
		snprintf(id, sizeof(id), "%016x", given + 1);
		if ((r = net_lease(w->net, id, "p", "small", STACK_IPV4, NULL, NULL, &l, &e)) < 0)
			break;
		given++;
	}
	assert_int_equal(given, 5);
	expect_err(r, E_LIMIT, "bridge 'small': all addresses of 10.");
	/* A hole in the middle is found, although the hint is past it. */
	assert_int_equal(net_release(w->net, "0000000000000003", &e), 0);
	assert_int_equal(net_lease(w->net, A, "p", "small", STACK_IPV4, NULL, NULL, &l, &e), 0);
}

/* A lease file that a power failure emptied is nobody's. */
static void
damaged(void **state)
{
	struct world *w = *state;
	struct net_lease l;
	struct ip_addr want;
	struct err e = ERR_INIT;
	char path[128];

	init(w);
	assert_int_equal(net_lease(w->net, A, "a", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	snprintf(path, sizeof(path), "%s/net/leases/public/10.192.0.2", w->dir);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(ip_parse("10.192.0.2", &want, &e), 0);
	assert_int_equal(net_lease(w->net, B, "b", "public", STACK_IPV4, &want, NULL, &l, &e), 0);
	/* An index that ends in half a line. */
	snprintf(path, sizeof(path), "%s/net/pots/" B, w->dir);
	assert_int_equal(truncate(path, 12), 0);
	assert_int_equal(net_release(w->net, B, &e), 0);
}

/* ---- ports ---------------------------------------------------------------------------- */

static struct port_map
port(const char *s)
{
	struct port_map v[PORT_MAPS_MAX];
	struct err e = ERR_INIT;
	size_t n = 0;

	if (port_parse(s, v, &n, &e) < 0)
		fail_msg("%s", e.msg);
	return v[0];
}

static void
ports(void **state)
{
	struct world *w = *state;
	struct port_map m = port("8080:80"), one = port("127.0.0.1:8080:80"), two = port("127.0.0.2:9000:80"),
			three = port("127.0.0.3:9000:80"), any = port("9000:1"), udp = port("8080:80/udp");
	struct err e = ERR_INIT;

	init(w);
	assert_int_equal(net_port_reserve(w->net, A, "web", &m, &e), 0);
	assert_int_equal(net_port_reserve(w->net, A, "web", &m, &e), 0);
	assert_int_equal(net_port_reserve(w->net, A, "web", &udp, &e), 0);
	expect_err(net_port_reserve(w->net, B, "db", &m, &e), E_BUSY,
	    "port 8080:80/tcp: the pot 'web' has the host's port");
	expect_err(net_port_reserve(w->net, B, "db", &one, &e), E_BUSY, "the pot 'web'");
	assert_int_equal(net_port_reserve(w->net, A, "web", &two, &e), 0);
	assert_int_equal(net_port_reserve(w->net, B, "db", &three, &e), 0);
	expect_err(net_port_reserve(w->net, C, "c", &any, &e), E_BUSY, "port 9000:1/tcp");
	busy_port = 7000;
	m = port("7000:80");
	expect_err(net_port_reserve(w->net, A, "web", &m, &e), E_BUSY, "process 7 (x)");
	assert_int_equal(net_ports_release(w->net, A, &e), 0);
	assert_int_equal(net_ports_release(w->net, A, &e), 0);
	assert_int_equal(net_port_reserve(w->net, B, "db", &one, &e), 0);
	assert_int_equal(net_release(w->net, B, &e), 0);
	assert_int_equal(net_port_reserve(w->net, C, "c", &any, &e), 0);
}

static void
chosen_ports(void **state)
{
	struct world *w = *state;
	struct port_map a = port(":80"), b = port(":80"), c = port(":80");
	struct err e = ERR_INIT;

	init(w);
	assert_int_equal(net_port_reserve(w->net, A, "a", &a, &e), 0);
	assert_in_range(a.host, 20000, 29999);
	assert_int_equal(net_port_reserve(w->net, A, "a", &b, &e), 0);
	assert_int_not_equal(a.host, b.host);
	/* Where the first choice is in use by a process, the next. */
	busy_port = a.host;
	assert_int_equal(net_ports_release(w->net, A, &e), 0);
	assert_int_equal(net_port_reserve(w->net, A, "a", &c, &e), 0);
	assert_int_equal(c.host, a.host == 29999 ? 20000 : a.host + 1);
}

/* ---- hosts files ------------------------------------------------------------------------ */

static char *
read_fd(int fd)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, &e), 0);
	return buf_take(&b);
}

/* Is there a live line "ADDR … NAME …"? */
static bool
resolves(int fd, const char *addr, const char *name)
{
	AUTO_FREE char *content = read_fd(fd);
	char *save, *line;
	bool found = false;

	for (line = strtok_r(content, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char *word, *words;

		line[strcspn(line, "#")] = '\0';
		word = strtok_r(line, " \t", &words);
		if (word == NULL || strcmp(word, addr) != 0)
			continue;
		while ((word = strtok_r(NULL, " \t", &words)) != NULL)
			found = found || strcmp(word, name) == 0;
	}
	return found;
}

static struct net_spec
on_public(struct world *w, const char *id, const char *pot, const char *const *names)
{
	struct net_spec s = { .id = id, .pot = pot, .type = NET_BRIDGE, .stack = STACK_IPV4, .names = names };
	struct err e = ERR_INIT;

	assert_int_equal(net_lease(w->net, id, pot, "public", STACK_IPV4, NULL, NULL, &s.leases[0], &e), 0);
	s.nleases = 1;
	return s;
}

static void
names(void **state)
{
	static const char *const more[] = { "www", "db.local", NULL };
	struct world *w = *state;
	struct net_spec a, b, c;
	struct err e = ERR_INIT;
	struct stat st, again;
	int shared, own;

	init(w);
	assert_int_equal(net_bridge_create(w->net, "priv", 10, &e), 0);
	a = on_public(w, A, "web", more);
	b = on_public(w, B, "db", NULL);
	c = on_public(w, C, "both", NULL);
	assert_int_equal(net_lease(w->net, C, "both", "priv", STACK_DUAL, NULL, NULL, &c.leases[1], &e), 0);
	c.nleases = 2;
	shared = net_hosts_fd(w->net, &a, NULL, &e);
	assert_true(shared >= 0);
	assert_true(resolves(shared, "127.0.0.1", "localhost"));
	assert_int_equal(net_hosts_add(w->net, &a, &e), 0);
	own = net_hosts_fd(w->net, &c, "10.0.0.1 outside\nfd00::9 outside\n", &e);
	assert_true(own >= 0);
	assert_true(resolves(own, "10.0.0.1", "outside"));
	assert_true(resolves(own, "10.192.0.2", "www"));
	assert_int_equal(net_hosts_add(w->net, &b, &e), 0);
	assert_int_equal(net_hosts_add(w->net, &c, &e), 0);
	assert_int_equal(net_hosts_add(w->net, &c, &e), 0);
	assert_true(resolves(shared, "10.192.0.3", "db"));
	assert_true(resolves(own, "10.192.0.3", "db"));
	assert_true(resolves(shared, "10.192.0.4", "both"));
	assert_true(resolves(own, text(&c.leases[1].a4), "both"));
	assert_true(resolves(own, text(&c.leases[1].a6), "both"));
	assert_false(resolves(shared, text(&c.leases[1].a4), "both"));
	assert_int_equal(net_hosts_remove(w->net, &a, &e), 0);
	assert_int_equal(net_hosts_remove(w->net, &a, &e), 0);
	assert_false(resolves(shared, "10.192.0.2", "web"));
	assert_false(resolves(own, "10.192.0.2", "web"));
	assert_true(resolves(own, "10.0.0.1", "outside"));
	/* Coming and going for ever, the file does not grow. */
	assert_int_equal(fstat(shared, &st), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(net_hosts_add(w->net, &a, &e), 0);
		assert_int_equal(net_hosts_remove(w->net, &a, &e), 0);
	}
	assert_int_equal(fstat(shared, &again), 0);
	assert_int_equal(st.st_size, again.st_size);
	assert_int_equal(net_release(w->net, C, &e), 0);
	assert_false(resolves(shared, "10.192.0.4", "both"));
	assert_int_equal(net_hosts_reset(w->net, "public", &e), 0);
	assert_false(resolves(shared, "10.192.0.3", "db"));
	assert_true(resolves(shared, "127.0.0.1", "localhost"));
	close(shared);
	close(own);
}

/* Lines of all sizes, added and removed in disorder: no line crosses a block of 1024 and all are whole. */
static void
slots(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	struct ip_addr a;
	bool there[64] = { false };
	char name[64][256];
	unsigned seed = 7;
	int fd;

	fd = hostsfile_new(w->fd, "hosts", NULL, &e);
	assert_true(fd >= 0);
	assert_int_equal(ip_parse("10.0.0.1", &a, &e), 0);
	for (int i = 0; i < 64; i++) {
		memset(name[i], 'a' + i % 26, sizeof(name[i]));
		name[i][10 + i * 37 % 240] = '\0';
	}
	for (int round = 0; round < 2000; round++) {
		const char *list[4];
		char tag[17];
		int i = (int)((seed = seed * 1103515245 + 12345) >> 16) % 64;
		size_t n = 1 + (size_t)i % 4;

		snprintf(tag, sizeof(tag), "%016x", i);
		for (size_t k = 0; k < n; k++)
			list[k] = name[i];
		if (there[i])
			assert_int_equal(hostsfile_remove(fd, tag, &e), 0);
		else
			assert_int_equal(hostsfile_add(fd, tag, &a, list, n, &e), 0);
		there[i] = !there[i];
		if (round % 50 == 0) {
			AUTO_FREE char *content = read_fd(fd);
			size_t at = 0, len;

			for (; content[at] != '\0'; at += len + 1) {
				len = strcspn(content + at, "\n");
				assert_int_equal(content[at + len], '\n');
				assert_int_equal(at / 1024, (at + len) / 1024);
			}
			for (int k = 0; k < 64; k++)
				assert_int_equal(resolves(fd, "10.0.0.1", name[k]), there[k]);
		}
	}
	close(fd);
	assert_int_equal(unlinkat(w->fd, "hosts", 0), 0);
}

/* ---- repair --------------------------------------------------------------------------------- */

static int
only_b(void *arg, const char *id)
{
	return strcmp(id, B) == 0;
}

static void
reclaim(void **state)
{
	struct world *w = *state;
	struct net_lease l, all[NET_BRIDGES_MAX];
	struct port_map m = port("8080:80");
	struct err e = ERR_INIT;
	char path[128];
	size_t n;

	init(w);
	assert_int_equal(net_lease(w->net, A, "a", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_int_equal(net_port_reserve(w->net, A, "a", &m, &e), 0);
	assert_int_equal(net_lease(w->net, B, "b", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	assert_int_equal(net_lease(w->net, C, "c", "public", STACK_IPV4, NULL, NULL, &l, &e), 0);
	/* Of this one the index was lost. */
	snprintf(path, sizeof(path), "%s/net/pots/" C, w->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(net_reclaim(w->net, only_b, NULL, &e), 0);
	assert_int_equal(net_leases(w->net, B, all, &n, &e), 0);
	assert_int_equal(n, 1);
	snprintf(path, sizeof(path), "%s/net/leases/public/10.192.0.2", w->dir);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/net/leases/public/10.192.0.4", w->dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(net_port_reserve(w->net, B, "b", &m, &e), 0);
}

static int
see_setting(void *arg, const char *name, long was, long ours, struct err *e)
{
	buf_fmt(arg, "%s %ld %ld\n", name, was, ours);
	return strcmp(name, "broken") == 0 ? err_set(e, E_SYS, "cannot set it") : 0;
}

/* The host's settings: what was found first is its own; of another boot nothing counts; a damaged record is told. */
static void
settings(void **state)
{
	struct world *w = *state;
	AUTO_FINI(buf) struct buf seen = BUF_INIT(4096);
	struct err e = ERR_INIT;

	init(w);
	for (int round = 0; round < 2; round++) {
		AUTO_FINI(kv) struct kv kv = KV_INIT;

		assert_int_equal(net_settings_read(w->net, &kv, &e), 0);
		assert_int_equal(net_settings_note(&kv, "forwarding", round, 1, &e), 0);
		assert_int_equal(net_settings_note(&kv, "6/forwarding", 0, 1, &e), 0);
		assert_int_equal(net_settings_write(w->net, &kv, &e), 0);
	}
	assert_int_equal(net_settings_each(w->net, see_setting, &seen, &e), 0);
	assert_string_equal(buf_cstr(&seen), "forwarding 0 1\n6/forwarding 0 1\n");
	{
		AUTO_FINI(kv) struct kv kv = KV_INIT;

		assert_int_equal(net_settings_read(w->net, &kv, &e), 0);
		assert_int_equal(net_settings_note(&kv, "broken", 2, 3, &e), 0);
		assert_int_equal(net_settings_write(w->net, &kv, &e), 0);
		assert_int_equal(net_settings_each(w->net, see_setting, &seen, &e), -E_SYS);
		assert_int_equal(kv_set(&kv, "set", "nonsense", &e), 0);
		assert_int_equal(net_settings_write(w->net, &kv, &e), 0);
		assert_int_equal(net_settings_each(w->net, see_setting, &seen, &e), -E_CORRUPT);
		assert_int_equal(kv_set(&kv, "boot", "00", &e), 0);
		assert_int_equal(net_settings_write(w->net, &kv, &e), 0);
		assert_int_equal(net_settings_each(w->net, see_setting, &seen, &e), 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_init),
		TEST(public_range),
		TEST(configured_range),
		TEST(bridges),
		TEST(leases),
		TEST(leases_refused),
		TEST(pool_full),
		TEST(damaged),
		TEST(ports),
		TEST(chosen_ports),
		TEST(names),
		TEST(slots),
		TEST(reclaim),
		TEST(settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
