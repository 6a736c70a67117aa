/*
 * What running pots use, very many of them in one pass: a pot costs one read of
 * its state and a few of its groups' files. Nothing is locked or repaired on
 * the way; a pot that starts or ends meanwhile is in the answer or is not.
 */
#include "engine/epot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

struct look {
	struct eng *g;
	struct net_counters *links; /* NULL until the first pot that has any */
	bool single;                /* only one pot is asked */
	pot_stats_fn *fn;
	void *arg;
};

/* What one pot's answer points to. */
struct answer {
	struct pot_stats s;
	struct pot_interface interfaces[NET_BRIDGES_MAX];
};

static int64_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int
add_interface(void *arg, const struct net_stats *s)
{
	struct answer *a = arg;
	struct pot_interface *i = &a->interfaces[a->s.ninterfaces];

	if (a->s.ninterfaces == ARRAY_LEN(a->interfaces))
		return 0;
	a->s.ninterfaces++;
	*i = (struct pot_interface){ .rx_bytes = s->rx_bytes,
		.tx_bytes = s->tx_bytes,
		.rx_packets = s->rx_packets,
		.tx_packets = s->tx_packets,
		.rx_errors = s->rx_errors,
		.tx_errors = s->tx_errors };
	snprintf(i->name, sizeof(i->name), "%s", s->ifname);
	return 0;
}

static int
add_network(struct look *l, const struct state_rec *r, struct answer *a, struct err *e)
{
	int rc = 0;

	a->s.own_network = network_is_own(r->network);
	a->s.interfaces = a->interfaces;
	if (!network_is_bridged(r->network))
		return 0;
	if (l->links == NULL)
		rc = net_counters_read(&l->links, l->single ? r->id : NULL, e);
	return rc < 0 ? rc : net_counters_of(l->links, r->id, add_interface, a);
}

/* E_STATE when it has ended. */
static int
measure(struct look *l, const struct epot *p, struct answer *a, struct err *e)
{
	const struct state_rec *r = &p->state.rec;
	struct iso_ref ref = epot_ref(p);
	struct iso_stats is;
	int rc = iso_stats(l->g->meter, &ref, &is, e);

	if (rc < 0)
		return err_wrap(e, "pot %s", p->name);
	a->s = (struct pot_stats){ .state = r->state,
		.started_ns = r->started_ns,
		.time_ns = text_now_ns(),
		.clock_ns = clock_now(),
		.cpu_ns = is.cpu_ns,
		.cpu_user_ns = is.user_ns,
		.cpu_system_ns = is.system_ns,
		.cpu_throttled = is.throttled,
		.cpu_throttled_ns = is.throttled_ns,
		.memory = is.memory,
		.memory_limit = is.memory_limit,
		.memory_peak = is.memory_peak,
		.cache = is.cache,
		.swap = is.swap,
		.pids = is.pids,
		.pids_limit = is.pids_limit,
		.read_bytes = is.read_bytes,
		.written_bytes = is.written_bytes,
		.reads = is.reads,
		.writes = is.writes,
		.oom_kills = is.oom_kills };
	snprintf(a->s.name, sizeof(a->s.name), "%s", p->name);
	return add_network(l, r, a, e);
}

/* Does it run, as far as one look can tell? One that is being stopped does, until it is gone. */
static bool
is_running(const struct state *s)
{
	const struct state_rec *r = &s->rec;

	return r->magic != 0 && r->op != OP_CREATE && r->op != OP_DESTROY && r->init.pid > 0 &&
	    (r->state == POT_RUNNING || r->state == POT_PAUSED || r->state == POT_STOPPING) && state_alive(s);
}

static int
if_running(void *arg, const char *name, struct err *e)
{
	struct look *l = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct err own = ERR_INIT;
	struct answer a;
	char path[80];
	int rc;

	(void)e;
	p.eng = l->g;
	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(path, sizeof(path), "%s/state", name);
	p.state.fd = openat(l->g->pots_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (p.state.fd < 0 || state_reload(&p.state, NULL) < 0 || !is_running(&p.state) ||
	    (p.state.rec.flags & STATE_BUILD) != 0)
		return 0;
	rc = measure(l, &p, &a, &own);
	if (rc == 0)
		return l->fn(l->arg, &a.s);
	if (rc != -E_STATE)
		event_warn(&l->g->events, "%s", own.msg);
	return 0;
}

static int
must_run(struct look *l, const char *name, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct answer a;
	int rc = epot_get(&p, l->g, name, EPOT_READ, e);

	if (rc == 0 && p.state.rec.state != POT_PAUSED && p.state.rec.state != POT_STOPPING)
		rc = epot_need_running(&p, e);
	if (rc == 0)
		rc = measure(l, &p, &a, e);
	return rc < 0 ? rc : l->fn(l->arg, &a.s);
}

int
eng_stats(struct eng *g, const char *const *names, unsigned flags, pot_stats_fn *fn, void *arg, struct err *e)
{
	struct look l = {
		.g = g, .single = names != NULL && names[0] != NULL && names[1] == NULL, .fn = fn, .arg = arg
	};
	int rc = g->meter == NULL ? iso_meter_open(&g->meter, e) : 0;

	if (rc == 0 && names == NULL)
		rc = epot_each(g, if_running, &l, e);
	for (; rc == 0 && names != NULL && *names != NULL; names++)
		rc = (flags & POT_STATS_RUNNING) != 0 ? if_running(&l, *names, e) : must_run(&l, *names, e);
	net_counters_free(l.links);
	return rc;
}
