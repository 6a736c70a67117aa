/*
 * Networks of pots on a real FreeBSD kernel: what src/network makes there, seen from inside of jails, from the host and
 * from a host outside of it, over real TCP. Whole in itself: needs VIMAGE, pf, /sbin/pfctl and root, prints TAP and
 * takes everything away. The outside is a jail with a network of its own behind an epair; nothing of the
 * machine's own interfaces is touched. pf's main ruleset must be empty, or lead to pot's anchors already.
 */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <net/if.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "network/freebsd/os.h"

#define NODE "c0f0aa01"
#define HANG_MS 20000  /* what should answer is given this long */
#define SILENT_MS 1500 /* what should not */
#define OUT_HOST4 "198.51.100.1"
#define OUT_PEER4 "198.51.100.2"
#define OUT_HOST6 "2001:db8:51::1"
#define OUT_PEER6 "2001:db8:51::2"
#define OUT_LINK "pottest0"

static unsigned tests, failed;

static bool
ok(bool holds, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", holds ? "" : "not ", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
	fflush(stdout);
	failed += !holds;
	return holds;
}

static bool
fine(int rc, const struct err *e, const char *what)
{
	if (!ok(rc >= 0, "%s", what))
		printf("# %s%s%s\n", e->msg, e->hint[0] != '\0' ? "; " : "", e->hint);
	return rc >= 0;
}

static void
bail(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

/* ---- jails ------------------------------------------------------------------------------ */

/* The kernel lets nobody into a jail who holds an open directory: all but this fd and stdio are closed. */
static bool
enter(int jid, int keep)
{
	if (jid <= 0)
		return true;
	if (keep > 3)
		(void)close_range(3, (unsigned)keep - 1, 0);
	(void)close_range((unsigned)keep + 1, ~0U, 0);
	return jail_attach(jid) == 0;
}

struct guest {
	int jid;
	pid_t pid; /* a process in it */
};

static void
param(struct iovec *v, size_t *n, const char *name, const void *value, size_t len)
{
	v[*n].iov_base = (void *)(uintptr_t)name;
	v[(*n)++].iov_len = strlen(name) + 1;
	v[*n].iov_base = (void *)(uintptr_t)value;
	v[(*n)++].iov_len = len;
}

/* A jail with a network of its own and one process, which waits to be killed. */
static struct guest
guest_new(const char *name)
{
	struct iovec v[16];
	struct guest g = { -1, -1 };
	char errmsg[256] = "";
	int vnet = JAIL_SYS_NEW, ready[2];
	size_t n = 0;

	param(v, &n, "name", name, strlen(name) + 1);
	param(v, &n, "path", "/", 2);
	param(v, &n, "vnet", &vnet, sizeof(vnet));
	param(v, &n, "persist", NULL, 0);
	param(v, &n, "errmsg", errmsg, sizeof(errmsg));
	g.jid = jail_set(v, (unsigned)n, JAIL_CREATE);
	if (g.jid < 0) {
		printf("# jail_set: %s %s\n", strerror(errno), errmsg);
		bail("no jail with a network of its own");
	}
	if (pipe(ready) != 0 || (g.pid = fork()) < 0)
		bail("fork");
	if (g.pid == 0) {
		char c = 'y';

		if (!enter(g.jid, ready[1])) {
			printf("# jail_attach(%d): %s\n", g.jid, strerror(errno));
			fflush(stdout);
			c = 'n';
		}

		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char c = 'n';

	close(ready[1]);
	if (read(ready[0], &c, 1) != 1 || c != 'y')
		bail("jail_attach");
	close(ready[0]);
	return g;
}

static void
guest_end(struct guest *g)
{
	if (g->pid > 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	if (g->jid > 0)
		jail_remove(g->jid);
	g->pid = g->jid = -1;
}

/* ---- TCP --------------------------------------------------------------------------------- */

static socklen_t
address(const char *text, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *a4 = (void *)ss;
	struct sockaddr_in6 *a6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_len = sizeof(*a4);
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
		return sizeof(*a4);
	}
	inet_pton(AF_INET6, text, &a6->sin6_addr);
	a6->sin6_len = sizeof(*a6);
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(port);
	return sizeof(*a6);
}

/* Tells everybody who calls who he is. */
static void
answer_all(int fd)
{
	for (;;) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int c = accept(fd, (struct sockaddr *)&ss, &len);
		char text[INET6_ADDRSTRLEN] = "";

		if (c < 0)
			continue;
		inet_ntop(ss.ss_family,
		    ss.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)(void *)&ss)->sin_addr
					    : (void *)&((struct sockaddr_in6 *)(void *)&ss)->sin6_addr,
		    text, sizeof(text));
		(void)!write(c, text, strlen(text));
		close(c);
	}
}

/* jid 0: on the host. The child listens when this returns. */
static pid_t
serve(int jid, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	int ready[2];
	char c = 'n';
	pid_t pid = -1;

	if (pipe(ready) != 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0) {
		int fd, on = 1;

		if (!enter(jid, ready[1]))
			_exit(1);
		fd = socket(ss.ss_family, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		c = bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, 8) == 0 ? 'y' : 'n';
		if (write(ready[1], &c, 1) != 1 || c == 'n')
			_exit(1);
		answer_all(fd);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1 || c != 'y')
		printf("# nobody can listen on %s port %u in jail %d\n", addr, port, jid);
	close(ready[0]);
	return pid;
}

static void
silence(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
call(const char *addr, uint16_t port, int ms, int out)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	char text[INET6_ADDRSTRLEN] = "";
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), why = 0;
	socklen_t wlen = sizeof(why);
	struct pollfd p = { fd, POLLOUT, 0 };

	if (fd < 0 || (connect(fd, (struct sockaddr *)&ss, len) != 0 && errno != EINPROGRESS) ||
	    poll(&p, 1, ms) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &wlen) != 0 || why != 0)
		_exit(1);
	p.events = POLLIN;
	if (poll(&p, 1, ms) != 1 || read(fd, text, sizeof(text) - 1) <= 0)
		_exit(2);
	_exit(write(out, text, strlen(text)) > 0 ? 0 : 3);
}

/* As whom is one seen who calls from there? "" : nobody answers. */
static const char *
called(int jid, const char *addr, uint16_t port, int ms)
{
	static char text[INET6_ADDRSTRLEN];
	int out[2];
	pid_t pid = -1;
	ssize_t n;

	if (pipe(out) != 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0) {
		if (!enter(jid, out[1]))
			_exit(9);
		call(addr, port, ms, out[1]);
	}
	close(out[1]);
	n = read(out[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(out[0]);
	waitpid(pid, NULL, 0);
	return text;
}

static void
answers(int jid, const char *addr, uint16_t port, const char *seen, const char *what)
{
	const char *got = called(jid, addr, port, HANG_MS);

	if (!ok(got[0] != '\0' && (seen == NULL || strcmp(got, seen) == 0), "%s", what))
		printf("# %s port %u: seen as '%s'%s%s\n", addr, port, got, seen != NULL ? ", not as " : "",
		    seen != NULL ? seen : "");
}

static void
is_silent(int jid, const char *addr, uint16_t port, const char *what)
{
	const char *got = called(jid, addr, port, SILENT_MS);

	ok(got[0] == '\0', "%s", what);
}

/* ---- the outside --------------------------------------------------------------------------- */

static struct guest outside;
static struct link_sys links = LINK_SYS_INIT;

static void
outside_make(void)
{
	struct net_plan_link l = { .inner = "eth0", .ip4 = true, .ip6 = true, .naddrs = 2 };
	struct ip_prefix p4, p6;
	char inner[NET_IFNAME];
	struct err e = ERR_INIT;

	outside = guest_new("pottest-outside");
	if (ip_prefix_parse(OUT_PEER4 "/24", &l.addrs[0], &e) < 0 ||
	    ip_prefix_parse(OUT_PEER6 "/64", &l.addrs[1], &e) < 0 ||
	    ip_prefix_parse(OUT_HOST4 "/24", &p4, &e) < 0 || ip_prefix_parse(OUT_HOST6 "/64", &p6, &e) < 0 ||
	    link_epair_make(&links, OUT_LINK, inner, &e) < 0 || link_ip6(&links, OUT_LINK, true, &e) < 0 ||
	    link_addr_add(&links, OUT_LINK, &p4, &e) < 0 || link_addr_add(&links, OUT_LINK, &p6, &e) < 0 ||
	    link_up(&links, OUT_LINK, &e) < 0 || link_move(&links, inner, outside.jid, &e) < 0 ||
	    link_inside(outside.jid, inner, &l, &e) < 0) {
		printf("# %s\n", e.msg);
		bail("no outside");
	}
}

/* What the machine's pf says; put there where it says nothing. */
static void
pf_prepare(void)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);
	struct pf pf = PF_INIT;
	struct err e = ERR_INIT;
	bool nat, rdr;

	if (pf_enable(&pf, &e) < 0 || pf_main_rules(&text, &e) < 0) {
		printf("# %s\n", e.msg);
		bail("no pf");
	}
	rules_hooks(buf_cstr(&text), &nat, &rdr);
	if (nat && rdr)
		return;
	if (text.len > 0)
		bail("pf has rules of its own that do not lead to pot's anchors");
	if (system("printf 'nat-anchor pot-nat\\nrdr-anchor \"pot-rdr/*\"\\n' | /sbin/pfctl -q -f -") != 0)
		bail("pfctl");
	pf_fini(&pf);
}

/* ---- the tests -------------------------------------------------------------------------------- */

struct pot {
	struct guest g;
	char id[17], a4[IP_TEXT], a6[IP_TEXT], veth[NET_IFNAME];
	struct port_map port;
	struct net_spec spec;
};

static void
pot_make(struct net *n, struct pot *p, unsigned number, const char *bridge)
{
	struct err e = ERR_INIT;
	struct ip_addr none = { 0 };

	memset(p, 0, sizeof(*p));
	snprintf(p->id, sizeof(p->id), "00000000000000%02x", 0xa0 + number);
	p->g = guest_new(p->id);
	p->spec = (struct net_spec){ .id = p->id,
		.pot = number == 1 ? "web" : "db",
		.type = NET_BRIDGE,
		.stack = STACK_DUAL,
		.nleases = 1 };
	net_name_veth(p->id, 0, p->veth);
	if (!fine(net_lease(n, p->id, p->spec.pot, bridge, STACK_DUAL, &none, &none, &p->spec.leases[0], &e),
		&e, "a lease"))
		return;
	ip_print(&p->spec.leases[0].a4, p->a4);
	ip_print(&p->spec.leases[0].a6, p->a6);
}

static bool
exists(const char *ifname)
{
	struct err e = ERR_INIT;

	return link_get(&links, ifname, NULL, &e) == 1;
}

static int
count_interfaces(void)
{
	struct if_nameindex *v = if_nameindex();
	int n = 0;

	while (v != NULL && v[n].if_index != 0)
		n++;
	if_freenameindex(v);
	return n;
}

/* Two pots, their bridge, the host and the outside. */
static void
test_reach(struct net *n, struct pot *a, struct pot *b)
{
	struct net_bridge br;
	struct err e = ERR_INIT;
	char gw4[IP_TEXT], gw6[IP_TEXT];
	pid_t s;

	fine(net_up(n, &a->spec, a->g.pid, NULL, &e), &e, "net_up of a pot with a published port");
	fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "net_up of another");
	fine(net_bridge_get(n, "public", &br, &e), &e, "the bridge's record");
	ip_print(&br.gw4, gw4);
	ip_print(&br.gw6, gw6);
	ok(exists(br.ifname) && exists(a->veth) && exists(b->veth),
	    "bridge and host ends have their derived names");

	s = serve(a->g.jid, "0.0.0.0", 80);
	answers(b->g.jid, a->a4, 80, b->a4, "pots of a bridge reach each other by IPv4, as themselves");
	answers(0, a->a4, 80, gw4, "the host reaches a pot");
	answers(a->g.jid, "127.0.0.1", 80, "127.0.0.1", "lo0 is up inside");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4,
	    "a published port answers outside and sees who calls (IPv4)");
	answers(
	    b->g.jid, OUT_HOST4, 8080, NULL, "a neighbour on the bridge reaches it under the host's address");
	is_silent(outside.jid, OUT_HOST4, 8081, "a port that is not published is silent");
	silence(s);

	s = serve(a->g.jid, "::", 80);
	answers(b->g.jid, a->a6, 80, b->a6, "the same by IPv6, at once: no duplicate address detection");
	answers(a->g.jid, "::1", 80, "::1", "and ::1 inside");
	answers(outside.jid, OUT_HOST6, 8080, OUT_PEER6, "a published port answers outside (IPv6)");
	answers(b->g.jid, OUT_HOST6, 8080, NULL, "and a neighbour (IPv6)");
	silence(s);

	s = serve(outside.jid, "0.0.0.0", 7000);
	answers(a->g.jid, OUT_PEER4, 7000, OUT_HOST4, "a pot reaches the outside by IPv4, as the host");
	silence(s);
	s = serve(outside.jid, "::", 7000);
	answers(a->g.jid, OUT_PEER6, 7000, OUT_HOST6, "a pot reaches the outside by IPv6, as the host");
	silence(s);
	s = serve(0, gw4, 7001);
	answers(a->g.jid, gw4, 7001, a->a4, "a pot reaches the host by the bridge's address");
	silence(s);
}

static void
test_repair(struct net *n, struct pot *a)
{
	char anchor[RULES_PATH];
	struct net_bridge br;
	struct pf pf = PF_INIT;
	struct err e = ERR_INIT;
	pid_t s = serve(a->g.jid, "0.0.0.0", 80), t = serve(outside.jid, "0.0.0.0", 7000);

	ok(net_repair(n, &a->spec, 1, &e) == 0, "where all is well nothing is repaired");
	rules_anchor_rdr(NODE, a->id, anchor);
	fine(pf_flush(&pf, anchor, &e), &e, "somebody flushes the pot's anchor");
	is_silent(outside.jid, OUT_HOST4, 8080, "its port is silent then");
	ok(net_repair(n, &a->spec, 1, &e) == 1, "net_repair says that it repaired");
	answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "and it answers again");
	rules_anchor_nat(NODE, anchor);
	fine(pf_flush(&pf, anchor, &e), &e, "somebody flushes the node's anchor");
	ok(net_repair(n, &a->spec, 1, &e) == 1, "that is repaired too");
	answers(a->g.jid, OUT_PEER4, 7000, OUT_HOST4, "and the pot reaches the outside again");
	if (net_bridge_get(n, "public", &br, &e) == 0 && link_destroy(&links, br.ifname, &e) == 0) {
		ok(net_repair(n, &a->spec, 1, &e) == 1, "a bridge that was destroyed comes back");
		answers(outside.jid, OUT_HOST4, 8080, OUT_PEER4, "with the pot on it");
	}
	silence(s);
	silence(t);
	pf_fini(&pf);
}

struct seen {
	uint64_t rx, tx;
	unsigned n;
};

static int
see(void *arg, const struct net_stats *s)
{
	struct seen *seen = arg;

	seen->n += strcmp(s->ifname, "eth0") == 0;
	seen->rx += s->rx_bytes;
	seen->tx += s->tx_bytes;
	return 0;
}

static void
test_counters(struct net *n, struct pot *a)
{
	struct net_counters *c;
	struct seen inside = { 0 }, host = { 0 };
	struct err e = ERR_INIT;

	fine(net_stats(n, a->g.pid, see, &inside, &e), &e, "counters from inside");
	if (fine(net_counters_read(&c, a->id, &e), &e, "counters from the host")) {
		ok(net_counters_of(c, a->id, see, &host) == 0 && host.n == 1 && inside.n == 1 &&
			host.rx > 0 && host.tx > 0 && inside.rx > 0 && inside.tx > 0,
		    "both know one eth0 with traffic");
		net_counters_free(c);
	}
}

/* One that is killed between any two steps leaves nothing that the next start minds. */
static void
test_killed(struct net *n, struct pot *b)
{
	static const char *const points[] = { "net.epair.cloned", "net.up.pair", "net.up.moved",
		"net.up.inner", "net.up.elements" };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		int before, status;
		pid_t pid;

		fine(net_down(n, &b->spec, &e), &e, "down");
		before = count_interfaces();
		pid = fork();
		if (pid == 0) {
			setenv("POT_FAULT", points[i], 1);
			_exit(net_up(n, &b->spec, b->g.pid, NULL, &e) < 0 ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		ok(WIFSIGNALED(status), "killed at %s", points[i]);
		fine(net_up(n, &b->spec, b->g.pid, NULL, &e), &e, "the next net_up goes through");
		ok(count_interfaces() == before + 1, "and no interface is left over");
	}
}

static void
test_down(struct net *n, struct pot *a, struct pot *b)
{
	struct err e = ERR_INIT;
	int before = count_interfaces();

	/* The jail first, as when a pot dies by itself: its end of the link comes back to the host. */
	guest_end(&a->g);
	fine(net_down(n, &a->spec, &e), &e, "net_down after the jail is gone");
	ok(!exists(a->veth), "its link is gone");
	fine(net_down(n, &b->spec, &e), &e, "net_down while the jail lives");
	ok(!exists(b->veth), "its link is gone");
	fine(net_down(n, &b->spec, &e), &e, "net_down again");
	ok(count_interfaces() == before - 2, "no other interface is there than before");
	is_silent(outside.jid, OUT_HOST4, 8080, "the published port is silent");
	guest_end(&b->g);
}

static void
test_others(struct net *n)
{
	struct net_spec s = { .id = "00000000000000bb", .pot = "other", .type = NET_NONE };
	struct guest g = guest_new("pottest-none");
	struct err e = ERR_INIT;
	pid_t p;

	fine(net_up(n, &s, g.pid, NULL, &e), &e, "net_up of the type none");
	p = serve(g.jid, "127.0.0.1", 80);
	answers(g.jid, "127.0.0.1", 80, "127.0.0.1", "it has its own lo0");
	silence(p);
	guest_end(&g);

	s = (struct net_spec){ .id = s.id, .pot = "other", .type = NET_ALIAS, .naliases = 2 };
	snprintf(s.aliases[0].ifname, NET_IFNAME, OUT_LINK);
	snprintf(s.aliases[1].ifname, NET_IFNAME, OUT_LINK);
	if (ip_prefix_parse("198.51.100.77", &s.aliases[0].addr, &e) < 0 ||
	    ip_prefix_parse("2001:db8:51::77", &s.aliases[1].addr, &e) < 0)
		bail("parse");
	fine(net_up(n, &s, 0, NULL, &e), &e, "net_up of the type alias");
	p = serve(0, "198.51.100.77", 7002);
	answers(outside.jid, "198.51.100.77", 7002, OUT_PEER4, "the address answers outside (IPv4)");
	silence(p);
	p = serve(0, "2001:db8:51::77", 7002);
	answers(outside.jid, "2001:db8:51::77", 7002, OUT_PEER6, "the address answers outside (IPv6)");
	silence(p);
	fine(net_down(n, &s, &e), &e, "net_down of it");
	ok(link_addr_has(OUT_LINK, &s.aliases[0].addr.addr, &e) == 0 &&
		link_addr_has(OUT_LINK, &s.aliases[1].addr.addr, &e) == 0 &&
		link_addr_has(OUT_LINK, &(struct ip_addr){ 4, { 198, 51, 100, 1 } }, &e) == 1,
	    "its addresses are gone, the host's own is not");
}

static int
say(void *arg, int severity, const char *check, const char *text, const char *remedy)
{
	printf("# doctor %d %s: %s (%s)\n", severity, check, text, remedy);
	*(int *)arg += severity == 2;
	return 0;
}

int
main(void)
{
	char dir[] = "/tmp/pot-net.XXXXXX";
	struct net *n;
	struct pot a, b;
	struct err e = ERR_INIT;
	int root = -1, before, bad = 0, forward;
	struct pf pf = PF_INIT;

	if (geteuid() != 0)
		bail("root only");
	pf_prepare();
	outside_make();
	if (mkdtemp(dir) == NULL || (root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		bail("mkdtemp");
	before = count_interfaces();
	forward = (int)os_sysctl_get(OS_FORWARD4);
	const struct net_params p = {
		.root = dir, .root_fd = root, .id = NODE, .cidr4 = "", .cidr6 = "", .routed6 = ""
	};
	if (!fine(net_open(&n, &p, &e), &e, "net_open") ||
	    !fine(net_init(n, &e), &e, "net_init chooses ranges"))
		return 1;
	pot_make(n, &a, 1, "public");
	pot_make(n, &b, 2, "public");
	a.port = (struct port_map){ .proto = PORT_TCP, .host = 8080, .pot = 80 };
	a.spec.ports = &a.port;
	a.spec.nports = 1;
	test_reach(n, &a, &b);
	test_counters(n, &a);
	test_repair(n, &a);
	test_killed(n, &b);
	fine(net_check(n, say, &bad, &e), &e, "what doctor says");
	ok(bad == 0, "nothing is bad");
	test_down(n, &a, &b);
	test_others(n);
	fine(net_fini(n, &e), &e, "net_fini");
	ok(count_interfaces() == before, "all interfaces are as before");
	/* The kernel keeps the name of one that had tables. */
	ok(pf_filled(&pf, RULES_NAT "/" NODE, &e) == 0, "no rule is left");
	ok(os_sysctl_get(OS_FORWARD4) == forward, "forwarding is as before");
	net_close(n);
	rmdir(dir);
	guest_end(&outside);
	if (link_destroy(&links, OUT_LINK, &e) < 0)
		printf("# %s\n", e.msg);
	printf("1..%u\n", tests);
	return failed != 0;
}
