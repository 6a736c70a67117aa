/*
 * What FreeBSD is asked for, in which order, and what is taken back: the real steps over a
 * recorder in the place of ioctl(2), jail_attach(2) and pfctl(8). Each request is made to
 * fail in turn.
 */
#include "../model/expect.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "network/freebsd/os.h"

#define NODE "0123abcd"
#define BRIDGE "pb0123abcd-0"
#define ID "00000000000000aa"
#define NAMES_MAX 64

/* ---- the recorder ----------------------------------------------------------------- */

/* Names that exist: interfaces, anchors, memberships "BRIDGE<MEMBER", addresses "IFNAME=ADDRESS". */
struct names {
	char v[NAMES_MAX][160];
	size_t n;
};

static struct {
	struct names there;
	struct buf log;
	int countdown; /* the request that fails; 0: none */
	bool hooks;    /* pf.conf leads to our anchors */
	bool pf_on;
	bool pipes;   /* the kernel has dummynet */
	bool members; /* pf is asked about frames on bridges */
} sys;

static size_t
find(const char *name)
{
	size_t i;

	for (i = 0; i < sys.there.n && strcmp(sys.there.v[i], name) != 0; i++)
		continue;
	return i;
}

static bool
is_there(const char *name)
{
	return find(name) < sys.there.n;
}

PRINTF(1, 2) static void appear(const char *fmt, ...)
{
	char name[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (is_there(name))
		return;
	assert_true(sys.there.n < NAMES_MAX);
	strcpy(sys.there.v[sys.there.n++], name);
}

/* The name, and what belongs to it. */
static void
vanish(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < sys.there.n;) {
		char *v = sys.there.v[i], *member = strchr(v, '<');

		if (strcmp(v, name) == 0 ||
		    (strncmp(v, name, len) == 0 && (v[len] == '=' || v[len] == '<')) ||
		    (member != NULL && strcmp(member + 1, name) == 0))
			memmove(v, sys.there.v[--sys.there.n], sizeof(sys.there.v[0]));
		else
			i++;
	}
}

/* A request: in the log, and 0 or the failure that a test asked for. */
PRINTF(2, 3) static int request(struct err *e, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_fmt(&sys.log, "%s\n", line);
	if (sys.countdown > 0 && --sys.countdown == 0)
		return err_set(e, E_SYS, "injected: %s", line);
	return 0;
}

void
link_sys_fini(struct link_sys *l)
{
}

int
link_get(struct link_sys *l, const char *name, bool *up, struct err *e)
{
	char flag[64];

	snprintf(flag, sizeof(flag), "%s=up", name);
	if (up != NULL)
		*up = is_there(flag);
	return is_there(name);
}

unsigned
link_index(const char *name)
{
	return is_there(name) ? 5 : 0;
}

unsigned
pipes_of(unsigned ifindex)
{
	return PIPES_FIRST + 2 * ifindex;
}

int
pipe_set(unsigned number, uint64_t bits_per_s, struct err *e)
{
	int rc = sys.pipes ? request(e, "pipe %u %llu", number, (unsigned long long)bits_per_s)
			   : err_set(e, E_NOTSUP, "the kernel has no pipes");

	if (rc == 0)
		appear("pipe/%u", number);
	return rc;
}

void
pipe_remove(unsigned number)
{
	char name[24];

	snprintf(name, sizeof(name), "pipe/%u", number);
	if (is_there(name) && request(NULL, "unpipe %u", number) == 0)
		vanish(name);
}

int
link_label(struct link_sys *l, const char *name, const char *group, const char *text, struct err *e)
{
	return request(e, "label %s group %s '%s'", name, group, text);
}

int
link_bridge_make(struct link_sys *l, const char *name, struct err *e)
{
	int rc = request(e, "bridge %s", name);

	if (rc == 0)
		appear("%s", name);
	return rc;
}

int
link_epair_make(struct link_sys *l, const char *name, char inner[static NET_IFNAME], struct err *e)
{
	int rc;

	if (is_there(name))
		return err_set(e, E_EXIST, "there is an interface %s already", name);
	rc = request(e, "epair %s", name);
	snprintf(inner, NET_IFNAME, "epair20000b");
	if (rc == 0)
		appear("%s", name);
	return rc;
}

int
link_destroy(struct link_sys *l, const char *name, struct err *e)
{
	int rc = is_there(name) ? request(e, "destroy %s", name) : 0;

	if (rc == 0)
		vanish(name);
	return rc;
}

int
link_set_mac(struct link_sys *l, const char *name, const uint8_t mac[static NET_MAC], struct err *e)
{
	return request(e, "mac %s %02x:…", name, mac[0]);
}

int
link_up(struct link_sys *l, const char *name, struct err *e)
{
	int rc = request(e, "up %s", name);

	if (rc == 0)
		appear("%s=up", name);
	return rc;
}

int
link_ip6(struct link_sys *l, const char *name, bool on, struct err *e)
{
	return request(e, "ip6 %s %s", name, on ? "on" : "off");
}

int
link_addr_add(struct link_sys *l, const char *name, const struct ip_prefix *p, struct err *e)
{
	char text[IP_TEXT], bare[IP_TEXT];
	int rc;

	ip_prefix_print(p, text);
	ip_print(&p->addr, bare);
	rc = request(e, "address %s %s", name, text);
	if (rc == 0)
		appear("%s=%s", name, bare);
	return rc;
}

int
link_addr_del(struct link_sys *l, const char *name, const struct ip_addr *a, struct err *e)
{
	char text[IP_TEXT], both[80];
	int rc;

	ip_print(a, text);
	rc = request(e, "unaddress %s %s", name, text);
	snprintf(both, sizeof(both), "%s=%s", name, text);
	if (rc == 0)
		vanish(both);
	return rc;
}

int
link_addr_has(const char *name, const struct ip_addr *a, struct err *e)
{
	char text[IP_TEXT], both[80];

	ip_print(a, text);
	snprintf(both, sizeof(both), "%s=%s", name, text);
	return is_there(both);
}

int
link_addr_where(const struct ip_addr *a, char ifname[static NET_IFNAME], struct err *e)
{
	snprintf(ifname, NET_IFNAME, "em0");
	return link_addr_has("em0", a, e);
}

int
link_member_add(struct link_sys *l, const char *bridge, const char *member, const uint8_t mac[static NET_MAC],
    bool isolated, struct err *e)
{
	int rc = request(e, "member %s %s %02x:…%s", bridge, member, mac[0], isolated ? " isolated" : "");

	if (rc == 0)
		appear("%s<%s", bridge, member);
	return rc;
}

int
link_member_is(struct link_sys *l, const char *bridge, const char *member, struct err *e)
{
	char both[80];

	snprintf(both, sizeof(both), "%s<%s", bridge, member);
	return is_there(both);
}

int
link_neighbor_set(
    const char *ifname, const struct ip_addr *a, const uint8_t mac[static NET_MAC], struct err *e)
{
	char text[IP_TEXT];
	int rc;

	ip_print(a, text);
	rc = request(e, "neighbor %s %s %02x:…", ifname, text, mac[0]);
	if (rc == 0)
		appear("%s=neighbor %s", ifname, text);
	return rc;
}

int
link_neighbor_del(const char *ifname, const struct ip_addr *a, struct err *e)
{
	char text[IP_TEXT], both[80];
	int rc = 0;

	ip_print(a, text);
	snprintf(both, sizeof(both), "%s=neighbor %s", ifname, text);
	if (is_there(both))
		rc = request(e, "forget %s %s", ifname, text);
	if (rc == 0)
		vanish(both);
	return rc;
}

int
link_jail_of(int32_t pid, int *jid, struct err *e)
{
	*jid = 7;
	return pid == 77 ? 0 : err_set(e, E_STATE, "the pot's process %d has ended", (int)pid);
}

int
link_move(struct link_sys *l, const char *name, int jid, struct err *e)
{
	return request(e, "move %s into %d", name, jid);
}

int
link_inside(int jid, const char *from, const struct net_plan_link *p, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(512);

	buf_fmt(&b, "inside %d lo0", jid);
	if (from != NULL)
		buf_fmt(&b, " %s as %s", from, p->inner);
	for (size_t i = 0; from != NULL && i < p->naddrs; i++) {
		char text[IP_TEXT];

		ip_prefix_print(&p->addrs[i], text);
		buf_fmt(&b, " %s", text);
	}
	for (size_t i = 0; from != NULL && i < p->nroutes; i++) {
		char text[IP_TEXT];

		ip_print(&p->routes[i].via, text);
		buf_fmt(&b, " via %s", text);
	}
	return request(e, "%s", buf_cstr(&b));
}

int
link_group_each(struct link_sys *l, const char *group, link_name_fn *fn, void *arg, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sys.there.n; i++)
		if (strpbrk(sys.there.v[i], "=</") == NULL && strcmp(sys.there.v[i], "em0") != 0 &&
		    strcmp(sys.there.v[i], RULES_NAT) != 0 && strcmp(sys.there.v[i], RULES_FILTER) != 0)
			rc = fn(arg, sys.there.v[i], e);
	return rc;
}

int
link_outward_each(int family, link_name_fn *fn, void *arg, struct err *e)
{
	return fn(arg, "em0", e);
}

int
link_default(int family, char ifname[static NET_IFNAME], struct err *e)
{
	snprintf(ifname, NET_IFNAME, "em0");
	return 0;
}

void
pf_fini(struct pf *pf)
{
}

int
pf_open(struct pf *pf, struct err *e)
{
	return 0;
}

int
pf_load(struct pf *pf, const char *anchor, const char *text, struct err *e)
{
	int rc = request(e, "load %s", anchor);

	if (rc == 0)
		appear("%s", anchor);
	return rc;
}

int
pf_flush(struct pf *pf, const char *anchor, struct err *e)
{
	int rc = is_there(anchor) ? request(e, "flush %s", anchor) : 0;

	if (rc == 0)
		vanish(anchor);
	return rc;
}

int
pf_filled(struct pf *pf, const char *anchor, struct err *e)
{
	return is_there(anchor);
}

int
pf_children(struct pf *pf, const char *parent, const char *prefix, struct strv *out, struct err *e)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", parent, prefix);
	for (size_t i = 0; i < sys.there.n; i++)
		if (strncmp(sys.there.v[i], path, strlen(path)) == 0 &&
		    strchr(sys.there.v[i] + strlen(parent) + 1, '/') == NULL)
			strv_add(out, sys.there.v[i] + strlen(parent) + 1);
	return strv_check(out, "anchors", e);
}

int
pf_main_rules(struct buf *out, struct err *e)
{
	buf_str(out,
	    sys.hooks
		? "nat-anchor \"pot-nat\" all\nrdr-anchor \"pot-rdr/*\" all\nanchor \"pot-filter\" all\n"
		: "nat on em0 inet from any to any -> (em0)\n");
	return 0;
}

long
os_sysctl_get(const char *name)
{
	return strcmp(name, OS_MEMBERS) == 0 ? sys.members : 1;
}

int
os_forwarding(const struct net *n, bool ip4, bool ip6, struct err *e)
{
	return request(e, "forward%s%s", ip4 ? " 4" : "", ip6 ? " 6" : "");
}

int
os_pf_on(const struct net *n, struct net_os *os, struct err *e)
{
	int rc = sys.pf_on ? 0 : request(e, "pf on");

	sys.pf_on = sys.pf_on || rc == 0;
	return rc;
}

int
os_settings_restore(const struct net *n, struct net_os *os, struct err *e)
{
	sys.pf_on = false;
	return request(e, "settings as they were");
}

int
net_host_prefixes(net_prefix_fn *fn, void *arg, struct err *e)
{
	return 0;
}

int
net_port_probe(const struct port_map *m, struct err *e)
{
	return 0;
}

/* ---- a node with a pot to start ------------------------------------------------------ */

struct world {
	char dir[40], veth[NET_IFNAME];
	int fd;
	struct net *net;
	struct net_spec spec;
	struct port_map port;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = ERR_INIT;

	assert_non_null(w);
	memset(&sys, 0, sizeof(sys));
	sys.log = (struct buf)BUF_INIT(1 << 20);
	sys.hooks = true;
	sys.pipes = true;
	appear("em0");
	strcpy(w->dir, "/tmp/pot-test-fbsd-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->fd >= 0);
	const struct net_params p = { .root = w->dir,
		.root_fd = w->fd,
		.id = NODE,
		.cidr4 = "10.192.0.0/16",
		.cidr6 = "fd00:1::/64",
		.routed6 = "" };
	assert_int_equal(net_open(&w->net, &p, &e), 0);
	assert_int_equal(net_init(w->net, &e), 0);
	w->port = (struct port_map){ .proto = PORT_TCP, .host = 8080, .pot = 80 };
	w->spec = (struct net_spec){
		.id = ID, .pot = "web", .type = NET_BRIDGE, .stack = STACK_DUAL, .nleases = 1, .nports = 1
	};
	w->spec.ports = &w->port;
	net_name_veth(ID, 0, w->veth);
	assert_int_equal(net_lease(w->net, ID, "web", "public", STACK_DUAL, &(struct ip_addr){ 0 },
			     &(struct ip_addr){ 0 }, &w->spec.leases[0], &e),
	    0);
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
	buf_fini(&sys.log);
	free(w);
	return 0;
}

static void
clear_log(void)
{
	buf_fini(&sys.log);
	sys.log = (struct buf)BUF_INIT(1 << 20);
}

/* The log in one piece, with the pot's interface as VETH; and empty from now on. */
static void
expect_log(struct world *w, const char *want)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(1 << 20);
	const char *at = buf_cstr(&sys.log), *hit;

	while ((hit = strstr(at, w->veth)) != NULL) {
		buf_add(&b, at, (size_t)(hit - at));
		buf_str(&b, "VETH");
		at = hit + strlen(w->veth);
	}
	buf_str(&b, at);
	assert_string_equal(buf_cstr(&b), want);
	clear_log();
}

#define RULES_LOADED "load pot-filter/" NODE "\nload pot-filter\nload pot-nat/" NODE "\nload pot-nat\n"
#define SHARED                                                                                      \
	"forward 4 6\nbridge " BRIDGE "\nlabel " BRIDGE " group pot0123abcdn 'pot public bridge'\n" \
	"mac " BRIDGE " 0a:…\nip6 " BRIDGE " on\naddress " BRIDGE " 10.192.0.1/16\n"                \
	"address " BRIDGE " fd00:1::1/64\naddress " BRIDGE " fe80::1/64\nup " BRIDGE                \
	"\npf on\n" RULES_LOADED
#define POT_LINK                                                                                             \
	"epair VETH\nlabel VETH group pot0123abcdn 'web'\nmac VETH fe:…\nip6 VETH off\n"                   \
	"mac epair20000b 02:…\nmember " BRIDGE " VETH 02:…\n"                                              \
	"neighbor " BRIDGE " 10.192.0.2 02:…\nneighbor " BRIDGE " fd00:1::2 02:…\nup VETH\n"               \
	"move epair20000b into 7\n"                                                                          \
	"inside 7 lo0 epair20000b as eth0 10.192.0.2/16 fd00:1::2/64 fe80::2a:aff:fec0:2/64 via 10.192.0.1 " \
	"via fd00:1::1\n"
#define POT_PORTS "load pot-filter/" NODE "/" ID "\nload pot-rdr/" NODE "-" ID "\n"
#define POT_DOWN                                                                          \
	"flush pot-rdr/" NODE "-" ID "\nflush pot-filter/" NODE "/" ID "\ndestroy VETH\n" \
	"forget " BRIDGE " 10.192.0.2\nforget " BRIDGE " fd00:1::2\n"

/* The whole life of a pot's network: what is made, in order, and what is left when it is down. */
static void
test_order(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	expect_log(w, SHARED POT_LINK POT_PORTS);
	assert_int_equal(net_down(w->net, &w->spec, &e), 0);
	expect_log(w, POT_DOWN);
	/* Again: nothing is there. */
	assert_int_equal(net_down(w->net, &w->spec, &e), 0);
	expect_log(w, "");
}

/* A second pot makes only its own; one without ports touches no rule. */
static void
test_second(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	assert_int_equal(net_bridge_up(w->net, "public", &e), 0);
	expect_log(w, SHARED);
	assert_int_equal(net_bridge_up(w->net, "public", &e), 0);
	expect_log(w, "");
	w->spec.nports = 0;
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	expect_log(w, POT_LINK);
}

/* A host as it was before the first pot. */
static void
clean_host(void)
{
	memset(&sys.there, 0, sizeof(sys.there));
	sys.pf_on = false;
	appear("em0");
	clear_log();
}

static int
do_up(struct world *w, struct err *e)
{
	return net_up(w->net, &w->spec, 77, NULL, e);
}

static int
do_down(struct world *w, struct err *e)
{
	return net_down(w->net, &w->spec, e);
}

static int
do_bridge(struct world *w, struct err *e)
{
	return net_bridge_up(w->net, "public", e);
}

/* All that can be gone at once. */
static int
do_repair(struct world *w, struct err *e)
{
	return net_repair(w->net, &w->spec, 1, e);
}

static int
do_fini(struct world *w, struct err *e)
{
	return net_fini(w->net, e);
}

/*
 * Makes each request of do_it fail in turn, on a host that `before` has prepared: the failure is told,
 * `left` looks at what it left, and do_it again goes through. How many requests there are.
 */
static int
fail_each(struct world *w, int (*before)(struct world *, struct err *),
    int (*do_it)(struct world *, struct err *), void (*left)(struct world *))
{
	for (int at = 1;; at++) {
		struct err e = ERR_INIT;
		int rc;

		clean_host();
		assert_true(before == NULL || before(w, &e) >= 0);
		sys.countdown = at;
		rc = do_it(w, &e);
		if (sys.countdown > 0) {
			assert_true(rc >= 0);
			sys.countdown = 0;
			return at - 1;
		}
		assert_int_equal(rc, -E_SYS);
		assert_non_null(strstr(e.msg, "injected"));
		if (left != NULL)
			left(w);
		assert_true(do_it(w, &e) >= 0);
	}
}

static void
nothing_of_the_pot(struct world *w)
{
	char anchor[RULES_PATH];

	assert_false(is_there(w->veth));
	assert_false(is_there(BRIDGE "=neighbor 10.192.0.2"));
	rules_anchor_rdr(NODE, ID, anchor);
	assert_false(is_there(anchor));
	rules_anchor_pot(NODE, ID, anchor);
	assert_false(is_there(anchor));
}

/* Whatever fails, nothing of the pot is left, and the next start goes through. */
static void
test_up_fails(void **state)
{
	struct world *w = *state;

	/* 14 for what pots share, 13 of the pot's own. */
	assert_int_equal(fail_each(w, NULL, do_up, nothing_of_the_pot), 27);
	assert_int_equal(fail_each(w, do_bridge, do_up, nothing_of_the_pot), 13);
	assert_int_equal(fail_each(w, NULL, do_bridge, NULL), 14);
}

/* One part that cannot be taken away keeps no other. */
static void
all_but_one(struct world *w)
{
	static const char *const parts[] = { "pot-rdr/" NODE "-" ID, "pot-filter/" NODE "/" ID,
		BRIDGE "=neighbor 10.192.0.2", BRIDGE "=neighbor fd00:1::2" };
	int left = is_there(w->veth);

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		left += is_there(parts[i]);
	/* Who cannot be forgotten is looked for in turn: the other may be left with him. */
	assert_in_range(left, 1, 2);
}

static void
test_down_fails(void **state)
{
	struct world *w = *state;

	assert_int_equal(fail_each(w, do_up, do_down, all_but_one), 5);
	do_down(w, NULL);
	nothing_of_the_pot(w);
}

static int
up_and_flushed(struct world *w, struct err *e)
{
	int rc = do_up(w, e);

	vanish("pot-nat/" NODE);
	vanish("pot-rdr/" NODE "-" ID);
	vanish("pot-filter/" NODE "/" ID);
	vanish(BRIDGE);
	return rc;
}

static void
test_repair_fails(void **state)
{
	struct world *w = *state;

	/* Bridge 9, node's rules 4, membership and neighbours 3, the pot's rules 2. */
	assert_int_equal(fail_each(w, up_and_flushed, do_repair, NULL), 18);
	assert_int_equal(do_repair(w, NULL), 0);
}

static int
fresh_and_up(struct world *w, struct err *e)
{
	int rc = net_init(w->net, e);

	if (rc == 0)
		rc = net_lease(w->net, ID, "web", "public", STACK_DUAL, &(struct ip_addr){ 0 },
		    &(struct ip_addr){ 0 }, &w->spec.leases[0], e);
	return rc < 0 ? rc : do_up(w, e);
}

/* Records stay as long as anything on the host does. */
static void
still_known(struct world *w)
{
	struct net_bridge b;

	assert_int_equal(net_bridge_get(w->net, "public", &b, NULL), 0);
}

static void
test_fini_fails(void **state)
{
	struct world *w = *state;

	/* Two interfaces, six anchors, the settings. */
	assert_int_equal(fail_each(w, fresh_and_up, do_fini, still_known), 9);
	assert_int_equal(net_init(w->net, NULL), 0); /* for teardown */
}

/* Where pf looks at frames, a pot without ports has rules too: it is held to its addresses. */
static void
test_members(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	sys.members = true;
	w->spec.nports = 0;
	assert_int_equal(do_bridge(w, &e), 0);
	clear_log();
	assert_int_equal(do_up(w, &e), 0);
	expect_log(w, POT_LINK "load pot-filter/" NODE "/" ID "\n");
}

/* A link that a killed start left is made anew. */
static void
test_leftover(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	assert_int_equal(net_bridge_up(w->net, "public", &e), 0);
	appear("%s", w->veth);
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	assert_non_null(strstr(buf_cstr(&sys.log), "destroy "));
	assert_true(is_there(w->veth));
}

/* Without the user's line in pf.conf a published port would not answer: the start says so. */
static void
test_hooks(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	sys.hooks = false;
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), -E_STATE);
	assert_non_null(strstr(e.hint, "rdr-anchor \"pot-rdr/*\""));
	assert_false(is_there(w->veth));
	w->spec.nports = 0;
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
}

/* What somebody took away comes back, and only that. */
static void
test_repair(void **state)
{
	struct world *w = *state;
	char anchor[RULES_PATH], member[80];
	struct err e = ERR_INIT;

	rules_anchor_rdr(NODE, ID, anchor);
	snprintf(member, sizeof(member), BRIDGE "<%s", w->veth);
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 0);
	clear_log();

	vanish(anchor);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 1);
	expect_log(w, "load pot-rdr/" NODE "-" ID "\n");
	vanish("pot-filter/" NODE "/" ID);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 1);
	expect_log(w, "load pot-filter/" NODE "/" ID "\n");
	vanish(member);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 1);
	expect_log(w,
	    "member " BRIDGE " VETH 02:…\nneighbor " BRIDGE " 10.192.0.2 02:…\n"
	    "neighbor " BRIDGE " fd00:1::2 02:…\n");
	vanish("pot-nat/" NODE);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 1);
	expect_log(w, RULES_LOADED);
	vanish("pot-filter/" NODE);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 1);
	expect_log(w, RULES_LOADED);
	assert_int_equal(net_repair(w->net, &w->spec, 1, &e), 0);
	expect_log(w, "");
}

/* The end of the node's network takes along what is its own, of pots too. */
static void
test_fini(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	appear("pot-rdr/ffffffff-" ID); /* another node's */
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	assert_int_equal(net_fini(w->net, &e), 0);
	assert_true(is_there("em0") && is_there("pot-rdr/ffffffff-" ID));
	assert_int_equal(sys.there.n, 2);
	assert_non_null(strstr(buf_cstr(&sys.log), "settings as they were\n"));
	assert_int_equal(net_init(w->net, &e), 0); /* for teardown */
}

static void
test_others(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	w->spec.type = NET_INHERIT;
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	expect_log(w, "");
	w->spec.type = NET_NONE;
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	expect_log(w, "inside 7 lo0\n");
	assert_int_equal(net_up(w->net, &w->spec, 78, NULL, &e), -E_STATE);
}

static int
up_slowly(struct world *w, struct err *e)
{
	w->spec.in_bps = 8000;
	w->spec.out_bps = 0;
	return do_up(w, e);
}

static int
do_rates(struct world *w, struct err *e)
{
	w->spec.out_bps = 16000;
	return net_rates(w->net, &w->spec, 77, e);
}

/* Two pipes, before the rules that lead through them. */
static void
test_rates(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	w->spec.nports = 0;
	assert_int_equal(do_bridge(w, &e), 0);
	clear_log();
	assert_int_equal(up_slowly(w, &e), 0);
	expect_log(w, POT_LINK "pipe 20010 8000\npipe 20011 0\nload pot-filter/" NODE "/" ID "\n");
	assert_int_equal(do_rates(w, &e), 0);
	expect_log(w, "pipe 20010 8000\npipe 20011 16000\nload pot-filter/" NODE "/" ID "\n");
	assert_int_equal(net_rates(w->net, &w->spec, 78, &e), -E_STATE);
	assert_int_equal(do_down(w, &e), 0);
	expect_log(w,
	    "flush pot-filter/" NODE "/" ID "\nunpipe 20010\nunpipe 20011\ndestroy VETH\n"
	    "forget " BRIDGE " 10.192.0.2\nforget " BRIDGE " fd00:1::2\n");
	assert_int_equal(fail_each(w, do_bridge, up_slowly, nothing_of_the_pot), 14);
	assert_int_equal(fail_each(w, up_slowly, do_rates, NULL), 3);
	/* Where pf does not come by our rules, rates would not hold. */
	clean_host();
	sys.hooks = false;
	assert_int_equal(up_slowly(w, &e), -E_STATE);
	assert_non_null(strstr(e.hint, "anchor pot-filter"));
	nothing_of_the_pot(w);
	sys.hooks = true;
	/* A kernel that cannot: nothing of the pot is made. */
	clean_host();
	sys.pipes = false;
	assert_int_equal(up_slowly(w, &e), -E_NOTSUP);
	nothing_of_the_pot(w);
}

static void
test_alias(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	w->spec = (struct net_spec){ .id = ID, .pot = "web", .type = NET_ALIAS, .naliases = 1 };
	assert_int_equal(ip_prefix_parse("192.0.2.7", &w->spec.aliases[0].addr, &e), 0);
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), 0);
	expect_log(w, "address em0 192.0.2.7/32\n");
	assert_int_equal(net_down(w->net, &w->spec, &e), 0);
	expect_log(w, "unaddress em0 192.0.2.7\n");
	/* The host's own is nobody's to take. */
	appear("em0=192.0.2.7");
	assert_int_equal(net_up(w->net, &w->spec, 77, NULL, &e), -E_EXIST);
	expect_log(w, "");
	assert_true(is_there("em0=192.0.2.7"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second, setup, teardown),
		cmocka_unit_test_setup_teardown(test_up_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_down_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fini_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hooks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fini, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alias, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
