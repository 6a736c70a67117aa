/* Kills, crowds and other people's hands: what remains, and what comes back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "network_lab.h"

#define SEES(want, ns, addr, port)                                     \
	do {                                                           \
		char seen_[64];                                        \
		lab_ask(ns, PORT_TCP, addr, port, seen_);              \
		if (strcmp(seen_, want) != 0)                          \
			printf("# saw '%s', not '%s'\n", seen_, want); \
		OK(strcmp(seen_, want) == 0);                          \
	} while (0)

/* A child that opens the installation for itself, as another pot program would. */
static int
run_child(struct lab *t, int (*fn)(struct lab *, struct net *, unsigned), unsigned arg, const char *fault,
    const char *log)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct net *n;

		if (fault != NULL)
			setenv("POT_FAULT", fault, 1);
		if (log != NULL)
			setenv("POT_FAULT_LOG", log, 1);
		if (net_open(&n, &t->par, &t->e) < 0)
			_exit(99);
		status = fn(t, n, arg) < 0 ? 1 : 0;
		if (status != 0)
			printf("# child: %s\n", t->e.msg);
		net_close(n);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return status;
}

static int
do_up(struct lab *t, struct net *n, unsigned i)
{
	return net_up(n, &t->pots[i].spec, t->pots[i].pid, NULL, &t->e);
}

static int
do_down(struct lab *t, struct net *n, unsigned i)
{
	return net_down(n, &t->pots[i].spec, &t->e);
}

static int
do_fini(struct lab *t, struct net *n, unsigned i)
{
	return net_fini(n, &t->e);
}

/* The points that an operation passes, in order, each with how often: "net.up.pair:2". */
static bool
points(struct lab *t, int (*fn)(struct lab *, struct net *, unsigned), unsigned arg, struct strv *out)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(65536);
	char log[128];

	snprintf(log, sizeof(log), "%s.log", t->dir);
	unlink(log);
	OK(run_child(t, fn, arg, NULL, log) == 0);
	DO(file_read(AT_FDCWD, log, &b, &t->e));
	for (char *line = b.data, *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		unsigned nth = 1;

		*end = '\0';
		for (size_t i = 0; i < out->n; i++)
			nth += strncmp(out->v[i], line, strlen(line)) == 0 && out->v[i][strlen(line)] == ':';
		strv_fmt(out, "%s:%u", line, nth);
	}
	unlink(log);
	return true;
}

static bool
prepare(struct lab *t)
{
	if (t->n == NULL && !lab_install(t, false))
		return false;
	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_publish(t, 0, "8080:80"));
	return true;
}

/* Killed at every point of a start, on a host without and with bridge and rules: down leaves nothing, and the next start works. */
static bool
kill_up(struct lab *t)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(256);

	OK(prepare(t));
	OK(points(t, do_up, 0, &v));
	OK(v.n > 8);
	OK(lab_down(t, 0));
	for (size_t i = 0; i < v.n; i++)
		for (int fresh = 0; fresh < 2; fresh++) {
			int status;

			if (fresh)
				OK(lab_uninstall(t));
			OK(prepare(t));
			status = run_child(t, do_up, 0, v.v[i], NULL);
			printf("# killed at %s on a %s host: %x\n", v.v[i], fresh ? "new" : "used", status);
			/* Points of making the bridge are passed on a fresh host only. */
			if (!(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
			    !(status == 0 && !fresh)) {
				printf("# %s: status %x\n", v.v[i], status);
				OK(false);
			}
			DO(net_down(t->n, &t->pots[0].spec, &t->e));
			lab_kill(&t->pots[0].pid);
			OK(lab_no_pots(t));
			OK(lab_pot(t, 0, NULL, STACK_DUAL));
			OK(lab_up(t, 0, 80));
			SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
			OK(lab_down(t, 0));
			OK(lab_no_pots(t));
		}
	return true;
}

/* Killed at every point of an end: repeated, it leaves nothing. */
static bool
kill_down(struct lab *t)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(256);

	OK(prepare(t));
	OK(lab_up(t, 0, 0));
	OK(points(t, do_down, 0, &v));
	OK(v.n > 2);
	OK(lab_down(t, 0));
	for (size_t i = 0; i < v.n; i++) {
		int status;

		OK(prepare(t));
		OK(lab_up(t, 0, 0));
		status = run_child(t, do_down, 0, v.v[i], NULL);
		OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		OK(lab_down(t, 0));
		OK(lab_no_pots(t));
	}
	return true;
}

static bool
kill_fini(struct lab *t)
{
	AUTO_FINI(strv) struct strv v = STRV_INIT(256);

	OK(prepare(t));
	OK(lab_up(t, 0, 0));
	OK(lab_down(t, 0));
	OK(points(t, do_fini, 0, &v));
	OK(v.n > 2);
	net_close(t->n);
	t->n = NULL;
	rmdir(t->dir);
	for (size_t i = 0; i < v.n; i++) {
		int status;

		OK(lab_install(t, false));
		OK(prepare(t));
		OK(lab_up(t, 0, 0));
		OK(lab_down(t, 0));
		status = run_child(t, do_fini, 0, v.v[i], NULL);
		OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		OK(lab_uninstall(t)); /* finishes it */
	}
	return lab_install(t, false);
}

/* A failing start takes back what it made. */
static bool
undo(struct lab *t)
{
	OK(prepare(t));
	OK(lab_up(t, 0, 0)); /* bridge and rules are there */
	OK(lab_pot(t, 1, "public", STACK_IPV4));
	lab_kill(&t->pots[1].pid);
	t->pots[1].pid = 1 << 22; /* beyond the kernel's last pid */
	REFUSED(E_NOENT, net_up(t->n, &t->pots[1].spec, t->pots[1].pid, NULL, &t->e));
	t->pots[1].pid = 0;
	OK(lab_down(t, 0));
	OK(lab_no_pots(t));
	return true;
}

/* The namespace that somebody still holds loses its link all the same. */
static bool
held(struct lab *t)
{
	pid_t pid;

	OK(prepare(t));
	OK(lab_up(t, 0, 0));
	pid = t->pots[0].pid;
	t->pots[0].pid = 0;
	OK(lab_down(t, 0));
	OK(lab_no_pots(t));
	lab_kill(&pid);
	return true;
}

/* Fifty at once, on a host where nothing is made yet: no address or port twice, all answer. */
static bool
crowd(struct lab *t)
{
	enum { N = 50 };
	pid_t kids[N];
	char addr[IP_TEXT], other[IP_TEXT];

	for (unsigned i = 0; i < N; i++) {
		OK(lab_pot(t, i, "public", STACK_DUAL));
		OK(lab_publish(t, i, ":80"));
	}
	fflush(stdout);
	for (unsigned i = 0; i < N; i++) {
		kids[i] = fork();
		if (kids[i] == 0) {
			struct net *n;

			if (net_open(&n, &t->par, &t->e) < 0 || do_up(t, n, i) < 0) {
				printf("# %s\n", t->e.msg);
				_exit(1);
			}
			net_close(n);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		int status;

		OK(waitpid(kids[i], &status, 0) == kids[i] && status == 0);
	}
	for (unsigned i = 0; i < N; i++) {
		t->pots[i].service = lab_serve(t->pots[i].pid, 80);
		OK(t->pots[i].service > 0);
		SEES(LAN_PEER4, t->lan, LAN_HOST4, t->pots[i].ports[0].host);
		SEES(LAN_PEER6, t->lan, LAN_HOST6, t->pots[i].ports[0].host);
		lab_addr(t, i, 4, addr);
		for (unsigned k = 0; k < i; k++) {
			lab_addr(t, k, 4, other);
			OK(strcmp(addr, other) != 0);
			OK(t->pots[i].ports[0].host != t->pots[k].ports[0].host);
		}
	}
	return true;
}

struct findings {
	unsigned bad, warn;
	char text[1024], remedy[1024];
};

static int
finding(void *arg, int severity, const char *check, const char *text, const char *remedy)
{
	struct findings *f = arg;

	if (severity > 0) {
		snprintf(f->text, sizeof(f->text), "%s", text);
		snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	}
	f->bad += severity == 2;
	f->warn += severity == 1;
	return 0;
}

/* Whatever of ours somebody takes away is noticed by doctor and comes back, with all pots' elements. */
static bool
flushed(struct lab *t)
{
	static const char *const harm[] = { "nft flush ruleset", "nft delete table inet pot-c0ffee01",
		"nft flush table inet pot-c0ffee01", "nft flush chain inet pot-c0ffee01 publish",
		"nft flush map inet pot-c0ffee01 port4", "nft flush set bridge pot-c0ffee01 source4",
		"nft delete table bridge pot-c0ffee01", "ip link del pbc0ffee01-0" };
	struct net_spec specs[2];

	for (unsigned i = 0; i < 2; i++) {
		OK(lab_pot(t, i, "public", STACK_DUAL));
		OK(lab_publish(t, i, i == 0 ? "8080:80" : "8081:80"));
		OK(lab_up(t, i, 80));
		specs[i] = t->pots[i].spec;
	}
	DO(net_repair(t->n, specs, 2, &t->e));
	OK(net_repair(t->n, specs, 2, &t->e) == 0);
	for (size_t k = 0; k < ARRAY_LEN(harm); k++) {
		struct findings f = { 0 };

		if (strstr(harm[k], "bridge pot") != NULL &&
		    !lab_sh(0, "nft list table bridge pot-c0ffee01 >/dev/null 2>&1"))
			continue;
		printf("# %s\n", harm[k]);
		OK(lab_sh(0, "%s", harm[k]));
		DO(net_check(t->n, finding, &f, &t->e));
		if (strncmp(harm[k], "nft flush map", 13) != 0 &&
		    strncmp(harm[k], "nft flush set", 13) != 0 && strncmp(harm[k], "ip", 2) != 0)
			OK(f.bad > 0);
		OK(net_repair(t->n, specs, 2, &t->e) == 1);
		OK(net_repair(t->n, specs, 2, &t->e) == 0);
		for (unsigned i = 0; i < 2; i++) {
			SEES(LAN_PEER4, t->lan, LAN_HOST4, (uint16_t)(8080 + i));
			SEES(LAN_PEER6, t->lan, LAN_HOST6, (uint16_t)(8080 + i));
		}
	}
	return true;
}

/* The next start makes rules that are gone, says so, and asks for the elements of the others. */
static bool
flushed_start(struct lab *t)
{
	OK(lab_pot(t, 0, "public", STACK_DUAL));
	OK(lab_publish(t, 0, "8080:80"));
	OK(lab_up(t, 0, 80));
	OK(t->warnings == 0);
	OK(lab_sh(0, "nft flush ruleset"));
	OK(lab_pot(t, 1, "public", STACK_DUAL));
	OK(net_up(t->n, &t->pots[1].spec, t->pots[1].pid, NULL, &t->e) == 1);
	OK(t->warnings == 1);
	OK(net_repair(t->n, &t->pots[0].spec, 1, &t->e) == 1);
	SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
	return true;
}

/* Firewalls of others that drop what is forwarded, and forwarding that is off, are found and explained. */
static bool
doctor(struct lab *t)
{
	struct findings f = { 0 };

	OK(prepare(t));
	OK(lab_up(t, 0, 80));
	DO(net_check(t->n, finding, &f, &t->e));
	OK(f.bad == 0 && f.warn == 0);
	OK(lab_sh(0,
	    "nft 'table inet mine { chain passing { type filter hook forward priority 0; policy drop; }; "
	    "}'"));
	DO(net_check(t->n, finding, &f, &t->e));
	OK(f.warn == 1 && strstr(f.text, "'inet mine'") != NULL);
	/* The remedy is a command that helps. */
	lab_ask(t->lan, PORT_TCP, LAN_HOST4, 8080, f.text);
	OK(f.text[0] == '\0');
	OK(lab_sh(0, "%s", f.remedy));
	SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
	OK(lab_sh(0, "nft delete table inet mine"));
	OK(lab_sh(0,
	    "printf 'table ip filter { chain DOCKER-USER { }\\n chain FORWARD { type filter hook forward "
	    "priority 0; policy drop; }\\n }\\n' | nft -f -"));
	f = (struct findings){ 0 };
	DO(net_check(t->n, finding, &f, &t->e));
	OK(f.warn == 1 && strstr(f.remedy, "iptables -I DOCKER-USER") != NULL);
	OK(lab_sh(0, "nft delete table ip filter"));
	/* Nor do the old tables hide it, where the kernel has them. */
	if (lab_sh(0, "iptables-legacy -P FORWARD DROP && ip6tables-legacy -P FORWARD DROP")) {
		f = (struct findings){ 0 };
		DO(net_check(t->n, finding, &f, &t->e));
		OK(f.warn == 2 && strstr(f.remedy, "ip6tables-legacy -I FORWARD") != NULL);
		OK(lab_sh(0, "ip6tables-legacy -P FORWARD ACCEPT"));
		DO(net_check(t->n, finding, &f, &t->e));
		OK(f.warn == 3 && strstr(f.remedy, "iptables-legacy -I FORWARD") == f.remedy);
		lab_ask(t->lan, PORT_TCP, LAN_HOST4, 8080, f.text);
		OK(f.text[0] == '\0');
		OK(lab_sh(0, "%s", f.remedy));
		SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
		OK(lab_sh(0, "iptables-legacy -F && iptables-legacy -P FORWARD ACCEPT"));
	}
	OK(lab_sh(0, "sysctl -qw net.ipv4.ip_forward=0"));
	f = (struct findings){ 0 };
	DO(net_check(t->n, finding, &f, &t->e));
	OK(f.bad == 1 && strstr(f.remedy, "sysctl") != NULL);
	OK(lab_sh(0, "sh -c '%s' >/dev/null", f.remedy));
	SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
	return true;
}

/* Forwarding is as it was after de-init, unless somebody else set it meanwhile; listeners to routers go on listening. */
static bool
sysctls(struct lab *t)
{
	static const char show[] = "sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding "
				   "net.ipv6.conf.lan0.accept_ra | tr '\\n' ' '";
	char line[256];

	OK(lab_sh(0,
	    "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 "
	    "net.ipv6.conf.lan0.accept_ra=1"));
	OK(prepare(t));
	OK(lab_up(t, 0, 0));
	lab_read(0, line, "%s", show);
	OK(strcmp(line, "1 1 2 ") == 0);
	OK(lab_down(t, 0));
	DO(net_fini(t->n, &t->e));
	lab_read(0, line, "%s", show);
	OK(strcmp(line, "0 0 1 ") == 0);
	DO(net_init(t->n, &t->e));
	OK(prepare(t));
	OK(lab_up(t, 0, 0));
	OK(lab_down(t, 0));
	OK(lab_sh(0, "sysctl -qw net.ipv6.conf.lan0.accept_ra=0"));
	DO(net_fini(t->n, &t->e));
	lab_read(0, line, "sysctl -n net.ipv6.conf.lan0.accept_ra");
	OK(strcmp(line, "0") == 0);
	return true;
}

/* A thousand ports: more than one message's worth, all there, all gone. */
static bool
many_ports(struct lab *t)
{
	static struct port_map ports[PORT_MAPS_MAX];
	size_t n = 0;
	struct lab_pot *p = &t->pots[0];

	OK(lab_pot(t, 0, "public", STACK_DUAL));
	DO(port_parse("10000-11023:10000-11023", ports, &n, &t->e));
	p->spec.ports = ports;
	p->spec.nports = n;
	OK(lab_up(t, 0, 11023));
	SEES(LAN_PEER4, t->lan, LAN_HOST4, 11023);
	SEES(LAN_PEER6, t->lan, LAN_HOST6, 11023);
	OK(lab_down(t, 0));
	OK(lab_no_pots(t));
	return true;
}

static int
one_stat(void *arg, const struct net_stats *s)
{
	struct net_stats *out = arg;

	*out = *s;
	return 0;
}

/* Until nothing has passed between two looks inside: the one from outside was between them. */
static bool
counters(struct lab *t, const char *id, struct net_stats *s, struct net_stats *far)
{
	struct net_stats before = { { 0 } };
	struct net_counters *c;

	for (int i = 0; i < 1000; i++) {
		DO(net_stats(t->n, t->pots[0].pid, one_stat, &before, &t->e));
		DO(net_counters_read(&c, id, &t->e));
		DO(net_counters_of(c, t->pots[0].id, one_stat, far));
		net_counters_free(c);
		DO(net_stats(t->n, t->pots[0].pid, one_stat, s, &t->e));
		if (s->rx_packets == before.rx_packets && s->tx_packets == before.tx_packets)
			return true;
	}
	return false;
}

/* What the host's end of a link tells is what the pot's own interface tells. */
static bool
stats(struct lab *t)
{
	struct net_stats s = { { 0 } }, far = { { 0 } };
	struct net_counters *c;

	OK(prepare(t));
	OK(lab_up(t, 0, 80));
	SEES(LAN_PEER4, t->lan, LAN_HOST4, 8080);
	/* All links, and those of one pot. */
	for (int one = 0; one < 2; one++) {
		OK(counters(t, one != 0 ? t->pots[0].id : NULL, &s, &far));
		OK(strcmp(s.ifname, "eth0") == 0 && s.rx_packets > 0 && s.tx_packets > 0 &&
		    s.rx_bytes > s.rx_packets);
		OK(s.rx_bytes != s.tx_bytes);
		OK(strcmp(far.ifname, "eth0") == 0 && far.rx_packets == s.rx_packets &&
		    far.tx_packets == s.tx_packets && far.rx_bytes == s.rx_bytes &&
		    far.tx_bytes == s.tx_bytes);
	}
	memset(&far, 0, sizeof(far));
	DO(net_counters_read(&c, NULL, &t->e));
	DO(net_counters_of(c, "00000000000000ff", one_stat, &far));
	net_counters_free(c);
	OK(far.ifname[0] == '\0');
	return true;
}

const struct lab_case network_life[] = {
	{ "killed at every point of a start", kill_up },
	{ "killed at every point of an end", kill_down },
	{ "killed at every point of de-init", kill_fini },
	{ "a failing start takes everything back", undo },
	{ "a namespace that somebody holds", held },
	{ "fifty pots started at once", crowd },
	{ "rules that somebody took away come back", flushed },
	{ "the next start notices that rules are gone", flushed_start },
	{ "other firewalls are explained", doctor },
	{ "sysctls are restored", sysctls },
	{ "a thousand ports", many_ports },
	{ "statistics", stats },
	{ NULL, NULL },
};
