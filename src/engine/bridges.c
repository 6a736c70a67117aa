/*
 * The network of the whole node: opening it, the ranges at init, bridges, and the repair of
 * what all pots share. The network of one pot is in network.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "engine/epot.h"

static int
open_net(struct eng *g, const char *cidr4, const char *cidr6, struct err *e)
{
	struct net_params np = {
		.root = g->root,
		.root_fd = g->root_fd,
		.id = kv_get(&g->node, "id"),
		.cidr4 = cidr4,
		.cidr6 = cidr6,
		.routed6 = config_get(g->conf, "routed6"),
		.isolate = config_uint(g->conf, "isolate_pots") != 0,
		.events = g->events,
	};

	if (np.id == NULL)
		return err_set(e, E_CORRUPT, "%s/node does not say the node's id", g->root);
	return net_open(&g->net, &np, e);
}

int
eng_need_net(struct eng *g, struct err *e)
{
	int rc;

	if (g->net != NULL)
		return 0;
	rc = eng_need_node(g, e);
	return rc < 0 ? rc : open_net(g, config_get(g->conf, "network"), config_get(g->conf, "network6"), e);
}

int
eng_net_init(struct eng *g, const struct pot_init_args *a, struct pot_init_report *r, struct err *e)
{
	struct net_bridge b;
	int rc;

	net_close(g->net);
	g->net = NULL;
	rc = open_net(g, a->network != NULL ? a->network : config_get(g->conf, "network"),
	    a->network6 != NULL ? a->network6 : config_get(g->conf, "network6"), e);
	if (rc == 0)
		rc = net_init(g->net, e);
	if (rc == 0)
		rc = net_bridge_get(g->net, "public", &b, e);
	if (rc < 0)
		return rc;
	if (b.net4.addr.family != 0)
		ip_prefix_print(&b.net4, r->network);
	if (b.net6.addr.family != 0)
		ip_prefix_print(&b.net6, r->network6);
	return 0;
}

/* ---- bridges ------------------------------------------------------------------------ */

int
eng_bridge_create(struct eng *g, const char *name, unsigned hosts, struct err *e)
{
	int rc = eng_need_net(g, e);

	return rc < 0 ? rc : net_bridge_create(g->net, name, hosts, e);
}

int
eng_bridge_destroy(struct eng *g, const char *name, struct err *e)
{
	int rc = eng_need_net(g, e);

	/* A pot that was destroyed half may seem to be on it still. */
	if (rc == 0)
		rc = eng_net_reclaim(g, e);
	return rc < 0 ? rc : net_bridge_destroy(g->net, name, e);
}

struct listing {
	pot_bridge_fn *fn;
	void *arg;
};

static int
list_one(void *arg, const struct net_bridge *b)
{
	const struct listing *l = arg;
	struct pot_bridge_info i = { .is_public = b->is_public, .nat6 = b->nat6, .pots = b->pots };

	snprintf(i.name, sizeof(i.name), "%s", b->name);
	snprintf(i.interface, sizeof(i.interface), "%s", b->ifname);
	if (b->gw4.family != 0) {
		ip_prefix_print(&b->net4, i.network);
		ip_print(&b->gw4, i.gateway);
	}
	if (b->gw6.family != 0) {
		ip_prefix_print(&b->net6, i.network6);
		ip_print(&b->gw6, i.gateway6);
	}
	return l->fn(l->arg, &i);
}

int
eng_bridge_list(struct eng *g, pot_bridge_fn *fn, void *arg, struct err *e)
{
	struct listing l = { fn, arg };
	int rc = eng_need_net(g, e);

	return rc < 0 ? rc : net_bridge_list(g->net, list_one, &l, e);
}

int
eng_bridge_up(struct eng *g, const char *name, struct err *e)
{
	int rc = eng_need_net(g, e);

	if (rc == 0)
		rc = net_bridge_up(g->net, name == NULL ? "public" : name, e);
	if (rc >= 0)
		rc = eng_net_repair(g, e);
	return rc < 0 ? rc : 0;
}

/* ---- repair ---------------------------------------------------------------------------- */

struct running {
	struct eng *g;
	struct one {
		struct epot pot;
		struct epot_net net;
	} * *v;
	size_t n, cap;
};

static void
one_free(struct one *o)
{
	if (o == NULL)
		return;
	epot_net_fini(&o->net);
	epot_fini(&o->pot);
	free(o);
}

static int
keep(struct running *r, struct one *o, struct err *e)
{
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
		struct one **v = reallocarray(r->v, cap, sizeof(struct one *));

		if (v == NULL)
			return err_nomem(e);
		r->v = v;
		r->cap = cap;
	}
	/* Of the pot only what the specification points to: 1000 pots would be too many files. */
	state_fini(&o->pot.state);
	fd_close(o->pot.dir_fd);
	o->pot.dir_fd = -1;
	r->v[r->n++] = o;
	return 0;
}

static int
add_running(void *arg, const char *name, struct err *e)
{
	struct running *r = arg;
	struct one *o = calloc(1, sizeof(*o));
	struct err own = ERR_INIT;
	/* The network of a start is made beside its processes; files for names, which count as network, before. */
	const unsigned made = 1u << STEP_NETWORK | 1u << STEP_PROCESS;
	const struct state_rec *rec;
	int rc;

	if (o == NULL)
		return err_nomem(e);
	o->pot = (struct epot)EPOT_INIT;
	o->net = (struct epot_net)EPOT_NET_INIT;
	rec = &o->pot.state.rec;
	/* As it is: a repair of the pot would have to wait for whoever is at work on it. */
	o->pot.eng = r->g;
	snprintf(o->pot.name, sizeof(o->pot.name), "%s", name);
	o->pot.dir_fd = dir_open(r->g->pots_fd, name, &own);
	rc = o->pot.dir_fd < 0 ? o->pot.dir_fd : state_open(&o->pot.state, o->pot.dir_fd, &own);
	if (rc == 0 && rec->op != OP_CREATE && rec->op != OP_DESTROY &&
	    (rec->state == POT_RUNNING || rec->state == POT_PAUSED || rec->state == POT_STARTING) &&
	    (rec->steps & made) == made && state_alive(&o->pot.state))
		rc = epot_net_get(&o->pot, &o->net, true, &own);
	else
		rc = -E_NOENT;
	if (rc == 0 && (o->net.spec.type == NET_BRIDGE || o->net.spec.type == NET_ALIAS)) {
		rc = keep(r, o, e);
		if (rc < 0)
			one_free(o);
		return rc;
	}
	if (rc < 0 && rc != -E_NOENT)
		event_warn(&r->g->events, "%s", own.msg);
	one_free(o);
	return 0;
}

int
eng_net_repair(struct eng *g, struct err *e)
{
	AUTO_FREE struct net_spec *specs = NULL;
	struct running r = { .g = g };
	int rc = eng_need_net(g, e);

	if (rc == 0)
		rc = epot_each(g, add_running, &r, e);
	if (rc == 0)
		specs = calloc(r.n + 1, sizeof(*specs));
	if (rc == 0 && specs == NULL)
		rc = err_nomem(e);
	for (size_t i = 0; i < r.n && rc == 0; i++)
		specs[i] = r.v[i]->net.spec;
	if (rc == 0)
		rc = net_repair(g->net, specs, r.n, e);
	for (size_t i = 0; i < r.n; i++)
		one_free(r.v[i]);
	free(r.v);
	return rc;
}

/* ---- what is left of pots that are no more ------------------------------------------------ */

struct ids {
	struct eng *g;
	struct strv v;
	bool unknown; /* there is a pot whose id cannot be read: everything may be its */
};

static int
add_id(void *arg, const char *name, struct err *e)
{
	struct ids *ids = arg;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;

	(void)e;
	p.eng = ids->g;
	snprintf(p.name, sizeof(p.name), "%s", name);
	p.dir_fd = dir_open(ids->g->pots_fd, name, NULL);
	if (p.dir_fd < 0)
		return 0;
	if (state_open(&p.state, p.dir_fd, NULL) == 0 && p.state.rec.id[0] != '\0')
		strv_add(&ids->v, p.state.rec.id);
	else if (epot_load_conf(&p, NULL) == 0)
		strv_add(&ids->v, potconf_get(&p.conf, PC_ID, ""));
	else
		ids->unknown = true;
	return 0;
}

static bool
has(const struct ids *ids, const char *id)
{
	for (size_t i = 0; i < ids->v.n; i++)
		if (strcmp(ids->v.v[i], id) == 0)
			return true;
	return ids->unknown || ids->v.failed;
}

static int
exists(void *arg, const char *id)
{
	struct ids *ids = arg;

	if (has(ids, id))
		return 1;
	/* Made since we looked: a pot's id is on the disk before anything is given to it. */
	strv_clear(&ids->v);
	return epot_each(ids->g, add_id, ids, NULL) < 0 || has(ids, id);
}

int
eng_net_reclaim(struct eng *g, struct err *e)
{
	struct ids ids = { .g = g, .v = STRV_INIT(1 << 20) };
	int rc = eng_need_net(g, e);

	if (rc == 0)
		rc = epot_each(g, add_id, &ids, e);
	if (rc == 0)
		rc = net_reclaim(g->net, exists, &ids, e);
	strv_fini(&ids.v);
	return rc;
}
