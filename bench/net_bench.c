/*
 * How long a pot's network takes, as a whole and part by part, in a loop inside one
 * process with N pots living beside it; in a network namespace of its own.
 *
 *   net_bench [ROUNDS] [LIVING]     as root; pot-nft beside it or installed
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "base/file.h"
#include "network/hosts.h"
#include "network/linux/os.h"
#include "network/linux/pot.h"

enum part {
	OPEN,
	LEASE,
	PORT,
	UP,
	ENSURE,
	SOURCES,
	ENTER,
	PAIR,
	INNER,
	SETTLE,
	PORTS,
	BACK,
	NAMES,
	DOWN,
	CLOSE,
	NPARTS
};
static const char *const part_names[NPARTS] = { "net_open", "net_lease (dual)", "net_port_reserve", "net_up",
	"  the shared: look", "  elements: sources", "  into the namespace", "  veth pair", "  inner end",
	"  until frames pass", "  elements: ports", "  read back", "  names", "net_down", "net_close" };

static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "net_bench: %s: %s\n", what, e->msg);
	exit(1);
}

static pid_t
holder(void)
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(p[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		exit(1);
	close(p[0]);
	return pid;
}

struct pot {
	char id[17];
	pid_t pid;
	struct port_map port;
	struct net_spec spec;
};

static double *times[NPARTS];
static size_t round_now;

#define TIMED(part, call)                               \
	do {                                            \
		double t_ = now_us();                   \
		if ((call) < 0)                         \
			die(part_names[part], &e);      \
		times[part][round_now] = now_us() - t_; \
	} while (0)

static void
prepare(struct net *n, struct pot *p, unsigned i)
{
	struct err e = ERR_INIT;

	memset(p, 0, sizeof(*p));
	snprintf(p->id, sizeof(p->id), "%016x", i + 1);
	p->pid = holder();
	p->port = (struct port_map){ .proto = PORT_TCP, .pot = 80 };
	p->spec = (struct net_spec){
		.id = p->id, .pot = p->id, .type = NET_BRIDGE, .stack = STACK_DUAL, .nleases = 1
	};
	p->spec.ports = &p->port;
	p->spec.nports = 1;
	TIMED(LEASE, net_lease(n, p->id, p->id, "public", STACK_DUAL, NULL, NULL, &p->spec.leases[0], &e));
	TIMED(PORT, net_port_reserve(n, p->id, p->id, &p->port, &e));
}

static void
finish(struct net *n, struct pot *p)
{
	struct err e = ERR_INIT;

	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	TIMED(DOWN, net_down(n, &p->spec, &e));
	if (net_release(n, p->id, &e) < 0)
		die("net_release", &e);
}

/* What net_up does, step by step. */
static void
parts(struct net *n, struct pot *p)
{
	AUTO_FINI(net_plan) struct net_plan plan = NET_PLAN_INIT;
	AUTO_FINI(nl_sock) struct nl_sock inner = NL_SOCK_INIT;
	AUTO(fd) int ns_fd = -1;
	struct os_bridge br[NET_BRIDGES_MAX];
	struct err e = ERR_INIT;
	struct net_os *os;
	size_t first = 0;

	if (os_get(n, &os, &e) < 0 || pot_plan(n, &p->spec, br, &plan, &e) < 0)
		die("plan", &e);
	while (first < plan.nelems && plan.elems[first].kind <= NET_EL_TARGET)
		first++;
	TIMED(ENSURE, os_ensure(n, os, br, 1, &e));
	TIMED(SOURCES, nft_add(&os->nft, &os->rules, plan.elems, first, &e));
	TIMED(ENTER, (ns_fd = link_netns(p->pid, &e)) < 0 ? ns_fd : link_enter(ns_fd, false, &inner, &e));
	TIMED(PAIR, link_pair_make(&os->rt, &plan.links[0], plan.group, br[0].index, ns_fd, true, &e));
	TIMED(INNER, link_inner_set(&inner, &plan.links[0], true, &e));
	TIMED(SETTLE, link_settle(&os->rt, &plan.links[0], br[0].index, &e));
	TIMED(PORTS, nft_add(&os->nft, &os->rules, plan.elems + first, plan.nelems - first, &e));
	TIMED(BACK, nft_have(&os->nft, &os->rules, plan.elems, plan.nelems, NULL, &e));
	TIMED(NAMES, net_hosts_add(n, &p->spec, &e));
}

int
main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 50,
	       living = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	char dir[] = "/tmp/net_bench-XXXXXX";
	struct net_params par = { .root = dir, .id = "be0c4be0", .cidr4 = "", .cidr6 = "", .routed6 = "" };
	struct pot *beside = calloc(living + 1, sizeof(*beside)), p;
	struct err e = ERR_INIT;
	struct net *n;

	if (rounds == 0 || beside == NULL || unshare(CLONE_NEWNET) < 0 || mkdtemp(dir) == NULL)
		return 1;
	for (size_t i = 0; i < NPARTS; i++)
		times[i] = calloc(rounds, sizeof(double));
	par.root_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (net_open(&n, &par, &e) < 0 || net_init(n, &e) < 0)
		die("init", &e);
	for (unsigned i = 0; i < living; i++) {
		prepare(n, &beside[i], i + 10);
		if (net_up(n, &beside[i].spec, beside[i].pid, NULL, &e) < 0)
			die("net_up", &e);
	}
	net_close(n);
	/* Round -1 makes bridge and rules, and is not counted. */
	for (size_t r = 0; r <= rounds; r++)
		for (int whole = 0; whole < 2; whole++) {
			round_now = r == 0 ? 0 : r - 1;
			TIMED(OPEN, net_open(&n, &par, &e));
			prepare(n, &p, (unsigned)(living + 100 + 2 * r + (unsigned)whole));
			if (whole || r == 0)
				TIMED(UP, net_up(n, &p.spec, p.pid, NULL, &e));
			else
				parts(n, &p);
			finish(n, &p);
			double t = now_us();
			net_close(n);
			times[CLOSE][round_now] = now_us() - t;
		}
	printf("%zu rounds, %zu pots beside\n", rounds, living);
	for (size_t i = 0; i < NPARTS; i++) {
		qsort(times[i], rounds, sizeof(double), by_value);
		printf(
		    "%-24s min %7.0f  median %7.0f us\n", part_names[i], times[i][0], times[i][rounds / 2]);
	}
	if (net_open(&n, &par, &e) < 0)
		die("net_open", &e);
	for (unsigned i = 0; i < living; i++)
		finish(n, &beside[i]);
	if (net_fini(n, &e) < 0)
		die("net_fini", &e);
	net_close(n);
	return rmdir(dir) < 0;
}
