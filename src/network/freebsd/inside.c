/*
 * What is done in a jail's own network. jail_attach(2) cannot be taken back, so a child
 * does it: attached, it sets the interface up, says how that went and ends. The
 * caller never stands in the jail.
 */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <net/if.h>
#include <net/if_types.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "network/freebsd/link_impl.h"

#define CHILD_MS 10000

static int
lo_up(struct link_sys *l, struct err *e)
{
	const struct ip_prefix local = { { 4, { 127, 0, 0, 1 } }, 8 };
	int rc = link_addr_add(l, "lo0", &local, e);

	/* ::1 comes with it. */
	return rc < 0 ? rc : link_up(l, "lo0", e);
}

static int
inner_set(struct link_sys *l, const char *from, const struct net_plan_link *p, struct err *e)
{
	uint8_t mac[NET_MAC];
	int rc = link_rename(l, from, p->inner, e);

	if (rc == 0)
		rc = link_ip6(l, p->inner, p->ip6, e);
	for (size_t i = 0; rc == 0 && i < p->naddrs; i++)
		rc = link_addr_add(l, p->inner, &p->addrs[i], e);
	if (rc == 0)
		rc = link_up(l, p->inner, e);
	/* The gateway's address is known from the start: no neighbour passes himself off as it. */
	net_mac_bridge(p->bridge, mac);
	for (size_t i = 0; rc == 0 && i < p->nroutes; i++) {
		rc = link_route_add(&p->routes[i], e);
		if (rc == 0)
			rc = link_neighbor_set(p->inner, &p->routes[i].via, mac, e);
	}
	return rc;
}

/* What the child says at its end. */
struct word {
	struct err e;
	size_t n;
	struct net_stats v[LINK_STATS_MAX];
};

/* What the kernel itself puts into each network, for who listens there: no traffic of the pot's own. */
static bool
is_tap(uint8_t type)
{
	return type == IFT_PFLOG || type == IFT_PFSYNC || type == IFT_ENC;
}

static int
look(struct word *w)
{
	struct ifaddrs *all, *ia;

	if (getifaddrs(&all) != 0)
		return err_sys(&w->e, "the pot's interfaces");
	for (ia = all; ia != NULL && w->n < LINK_STATS_MAX; ia = ia->ifa_next) {
		const struct if_data *d = ia->ifa_data;
		struct net_stats *s = &w->v[w->n];

		if (ia->ifa_addr == NULL || ia->ifa_addr->sa_family != AF_LINK || d == NULL ||
		    (ia->ifa_flags & IFF_LOOPBACK) || is_tap(d->ifi_type))
			continue;
		*s = (struct net_stats){ .rx_bytes = d->ifi_ibytes,
			.tx_bytes = d->ifi_obytes,
			.rx_packets = d->ifi_ipackets,
			.tx_packets = d->ifi_opackets,
			.rx_errors = d->ifi_ierrors,
			.tx_errors = d->ifi_oerrors };
		snprintf(s->ifname, sizeof(s->ifname), "%.*s", NET_IFNAME - 1, ia->ifa_name);
		w->n++;
	}
	freeifaddrs(all);
	return 0;
}

struct errand {
	int jid;
	bool stats;
	const char *from; /* of a link to be set up, or NULL */
	const struct net_plan_link *link;
};

/* In the child: all of it, and the word about it on the pipe. */
static void
visit(const struct errand *a, int out)
{
	struct link_sys l = LINK_SYS_INIT;
	struct word w = { .e = ERR_INIT };
	int rc = 0;

	/* The kernel lets nobody into a jail who holds an open directory. */
	if (out > 3)
		(void)close_range(3, (unsigned)out - 1, 0);
	(void)close_range((unsigned)out + 1, ~0U, 0);
	if (jail_attach(a->jid) != 0)
		rc = err_sys(&w.e, "cannot enter the pot's network (jail %d)", a->jid);
	if (rc == 0 && a->stats)
		rc = look(&w);
	if (rc == 0 && !a->stats)
		rc = lo_up(&l, &w.e);
	if (rc == 0 && a->from != NULL)
		rc = inner_set(&l, a->from, a->link, &w.e);
	if (rc == 0)
		w.e = (struct err)ERR_INIT;
	_exit(fd_write_all(out, &w, sizeof(w), "pipe", NULL) == 0 ? 0 : 1);
}

/* The child's word, or that there is none. */
static int
hear(int in, struct word *w, struct err *e)
{
	int64_t deadline = text_monotonic_ms() + CHILD_MS, left;
	size_t got = 0;

	while (got < sizeof(*w)) {
		struct pollfd p = { in, POLLIN, 0 };
		ssize_t n;

		left = deadline - text_monotonic_ms();
		if (left <= 0)
			return err_set(e, E_TIMEOUT, "setting up the pot's network takes too long");
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(in, (char *)w + got, sizeof(*w) - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, E_SYS, "the process that sets up the pot's network died");
		got += (size_t)n;
	}
	if (w->e.code != 0 && e != NULL)
		*e = w->e;
	return -w->e.code;
}

static int
run(const struct errand *a, struct word *w, struct err *e)
{
	AUTO(fd) int in = -1, out = -1;
	int pipefd[2], rc;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	in = pipefd[0];
	out = pipefd[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot make a process for the pot's network");
	if (pid == 0)
		visit(a, out);
	fd_close(take_fd(out));
	rc = hear(in, w, e);
	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return rc;
}

int
link_inside(int jid, const char *from, const struct net_plan_link *p, struct err *e)
{
	const struct errand a = { .jid = jid, .from = from, .link = p };
	struct word w;

	return run(&a, &w, e);
}

int
link_inside_stats(int jid, struct net_stats v[static LINK_STATS_MAX], size_t *n, struct err *e)
{
	const struct errand a = { .jid = jid, .stats = true };
	struct word w;
	int rc = run(&a, &w, e);

	*n = rc < 0 ? 0 : w.n;
	if (rc == 0)
		memcpy(v, w.v, w.n * sizeof(*v));
	return rc;
}
