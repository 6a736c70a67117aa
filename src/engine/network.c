/*
 * The network of one pot: from what was asked for to pot.conf and leases, from these to
 * the specification that network/ makes exist, and back. Published ports are in
 * publish.c, bridges and what concerns all pots in bridges.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/text.h"
#include "engine/epot.h"

#define PUBLIC "public"

bool
network_is_bridged(const char *network)
{
	return strcmp(network, "public-bridge") == 0 || strcmp(network, "private-bridge") == 0;
}

bool
network_is_own(const char *network)
{
	return strcmp(network, "none") == 0 || network_is_bridged(network);
}

static enum net_type
type_of(const char *network)
{
	return network_is_bridged(network)  ? NET_BRIDGE
	    : strcmp(network, "alias") == 0 ? NET_ALIAS
	    : strcmp(network, "none") == 0  ? NET_NONE
					    : NET_INHERIT;
}

void
epot_net_fini(struct epot_net *en)
{
	free(en->ports);
	en->ports = NULL;
	strv_fini(&en->names);
}

int
network_address(const char *text, char where[static 64], struct ip_prefix *p, struct err *e)
{
	const char *bar = strchr(text, '|');
	int rc;

	where[0] = '\0';
	if (bar != NULL && (bar == text || bar - text > 63))
		return err_set(e, E_INVAL, "'%.80s' is not of the form [WHERE|]ADDRESS", text);
	if (bar != NULL)
		snprintf(where, 64, "%.*s", (int)(bar - text), text);
	rc = ip_prefix_parse(bar == NULL ? text : bar + 1, p, e);
	return rc < 0 ? err_wrap(e, "address '%.80s'", text) : 0;
}

int
epot_bridges(const struct epot *p, struct strv *out, struct err *e)
{
	const char *network = potconf_get(&p->conf, PC_NETWORK, "inherit"), *name;
	size_t pos = 0;

	if (!network_is_bridged(network))
		return 0;
	while ((name = kv_next(&p->conf.kv, PC_BRIDGE, &pos)) != NULL)
		strv_add(out, name);
	if (out->n == 0)
		strv_add(out, PUBLIC);
	return strv_check(out, "the list of bridges", e);
}

/* ---- the specification ---------------------------------------------------------- */

static enum ip_stack
stack_of(const struct epot *p)
{
	enum ip_stack stack;

	return ip_stack_parse(potconf_get(&p->conf, PC_STACK, "ipv4"), &stack, NULL) < 0 ? STACK_IPV4 : stack;
}

static int
get_aliases(struct epot *p, struct net_spec *s, struct err *e)
{
	const char *text, *external = config_get(p->eng->conf, "external_interface");
	size_t pos = 0;

	while ((text = kv_next(&p->conf.kv, PC_IP, &pos)) != NULL) {
		struct net_alias *a = &s->aliases[s->naliases];
		char where[64];
		int rc;

		if (s->naliases == NET_ALIASES_MAX)
			return err_set(e, E_LIMIT, "more than %d addresses", NET_ALIASES_MAX);
		rc = network_address(text, where, &a->addr, e);
		if (rc < 0)
			return rc;
		/* Of a family that the pot does not have: kept for the day when it does. */
		if ((stack_of(p) & (a->addr.addr.family == 4 ? STACK_IPV4 : STACK_IPV6)) == 0)
			continue;
		if (strlen(where[0] != '\0' ? where : external) >= sizeof(a->ifname))
			return err_set(e, E_INVAL, "'%.64s' is too long for the name of an interface", where);
		snprintf(a->ifname, sizeof(a->ifname), "%.15s", where[0] != '\0' ? where : external);
		s->naliases++;
	}
	return 0;
}

/* What pot.conf says of the addresses on a bridge; families 0 where it says nothing. */
static int
wanted_on(const struct epot *p, const char *bridge, bool first, struct ip_addr want[2], struct err *e)
{
	const char *text;
	size_t pos = 0;

	want[0].family = want[1].family = 0;
	while ((text = kv_next(&p->conf.kv, PC_IP, &pos)) != NULL) {
		struct ip_prefix addr;
		char where[64];
		int rc = network_address(text, where, &addr, e);

		if (rc < 0)
			return rc;
		if (where[0] == '\0' ? first : strcmp(where, bridge) == 0)
			want[addr.addr.family == 6] = addr.addr;
	}
	return 0;
}

static int
lease(struct epot *p, const char *bridge, bool first, struct net_lease *out, struct err *e)
{
	struct ip_addr want[2];
	int rc = wanted_on(p, bridge, first, want, e);

	return rc < 0 ? rc
		      : net_lease(p->eng->net, p->state.rec.id, p->name, bridge, stack_of(p), &want[0],
			    &want[1], out, e);
}

static bool
is_whole(const struct net_lease *l, enum ip_stack stack)
{
	return ((stack & STACK_IPV4) == 0 || l->a4.family != 0) &&
	    ((stack & STACK_IPV6) == 0 || l->a6.family != 0);
}

/* In the order of the bridges. One that is missing (somebody removed records) is taken again. */
static int
get_leases(struct epot *p, struct net_spec *s, struct err *e)
{
	AUTO_FINI(strv) struct strv bridges = STRV_INIT(NET_BRIDGES_MAX);
	struct net_lease has[NET_BRIDGES_MAX];
	size_t n;
	int rc = epot_bridges(p, &bridges, e);

	if (rc == 0)
		rc = net_leases(p->eng->net, s->id, has, &n, e);
	for (size_t i = 0; rc == 0 && i < bridges.n; i++) {
		size_t k = 0;

		while (k < n && strcmp(has[k].bridge, bridges.v[i]) != 0)
			k++;
		if (k < n && is_whole(&has[k], s->stack))
			s->leases[s->nleases++] = has[k];
		else
			rc = lease(p, bridges.v[i], i == 0, &s->leases[s->nleases++], e);
	}
	return rc;
}

static int
get_names(struct epot *p, struct epot_net *en, struct err *e)
{
	const char *host = potconf_get(&p->conf, PC_HOSTNAME, p->name), *name;
	size_t pos = 0;

	if (strcmp(host, p->name) != 0)
		strv_add(&en->names, host);
	while ((name = kv_next(&p->conf.kv, PC_ALIAS, &pos)) != NULL)
		strv_add(&en->names, name);
	en->spec.names = (const char *const *)strv_argv(&en->names);
	return strv_check(&en->names, "the names of the pot", e);
}

static void
begin_spec(struct epot *p, struct epot_net *en, const char *network)
{
	en->spec.id = p->state.rec.id;
	en->spec.pot = p->name;
	en->spec.type = type_of(network);
}

static uint64_t
rate_of(const struct epot *p, const char *key)
{
	return strtoull(potconf_get(&p->conf, key, "0"), NULL, 10);
}

int
epot_net_get(struct epot *p, struct epot_net *en, bool running, struct err *e)
{
	struct net_spec *s = &en->spec;
	int rc = epot_load_conf(p, e);

	if (rc < 0)
		return rc;
	begin_spec(p, en, potconf_get(&p->conf, PC_NETWORK, "inherit"));
	s->stack = stack_of(p);
	if (s->type == NET_INHERIT || s->type == NET_NONE)
		return 0;
	rc = eng_need_net(p->eng, e);
	if (rc < 0)
		return rc;
	if (s->type == NET_ALIAS)
		return get_aliases(p, s, e);
	s->in_bps = rate_of(p, PC_NETIN);
	s->out_bps = rate_of(p, PC_NETOUT);
	rc = get_leases(p, s, e);
	if (rc == 0)
		rc = get_names(p, en, e);
	if (rc == 0)
		rc = epot_ports_new(&en->ports, e);
	if (rc == 0)
		rc = running ? epot_ports_recorded(p, en->ports, &s->nports, e)
			     : epot_ports_get(p, en->ports, &s->nports, e);
	s->ports = en->ports;
	return rc;
}

int
epot_net_start(struct epot *p, const struct net_spec **spec, struct err *e)
{
	int rc = 0;

	if (p->net == NULL) {
		p->net = malloc(sizeof(*p->net));
		if (p->net == NULL)
			return err_nomem(e);
		*p->net = (struct epot_net)EPOT_NET_INIT;
		rc = epot_net_get(p, p->net, false, e);
	}
	if (rc < 0) {
		epot_net_fini(p->net);
		free(p->net);
		p->net = NULL;
		return rc;
	}
	*spec = &p->net->spec;
	return 0;
}

/* ---- making a pot ------------------------------------------------------------------ */

static int
set_all(struct epot *p, const char *key, const char *const *values, struct err *e)
{
	int rc = kv_set(&p->conf.kv, key, NULL, e);

	for (; values != NULL && *values != NULL && rc == 0; values++)
		rc = kv_add(&p->conf.kv, key, *values, e);
	return rc;
}

/* Options that the type of network has no use for would be forgotten in silence. */
static int
check_use(const char *network, const struct pot_create_args *a, struct err *e)
{
	enum net_type t = type_of(network);
	const char *what = NULL;

	if (t != NET_BRIDGE)
		what = a->bridges != NULL && *a->bridges != NULL ? "a bridge"
		    : a->publish != NULL && *a->publish != NULL  ? "published ports"
		    : a->names != NULL && *a->names != NULL      ? "further names"
		    : a->net_in != 0 || a->net_out != 0          ? "rate limits"
								 : NULL;
	if (what == NULL && t != NET_BRIDGE && t != NET_ALIAS && a->addrs != NULL && *a->addrs != NULL &&
	    strcmp(*a->addrs, "auto") != 0)
		what = "addresses";
	if (what == NULL)
		return 0;
	err_set(e, E_INVAL, "the network type %s goes without %s", network, what);
	return err_hint(e, "-N public-bridge or private-bridge%s",
	    strcmp(what, "addresses") == 0 ? "; alias for addresses of the host" : "");
}

static int
set_bridges(struct epot *p, const char *network, const char *const *bridges, struct err *e)
{
	bool is_private = strcmp(network, "private-bridge") == 0, has_public = false;
	int rc = kv_set(&p->conf.kv, PC_BRIDGE, NULL, e);

	for (size_t i = 0; bridges != NULL && bridges[i] != NULL; i++) {
		for (size_t k = 0; k < i; k++)
			if (strcmp(bridges[i], bridges[k]) == 0)
				return err_set(e, E_INVAL, "the bridge %s is named twice", bridges[i]);
		has_public = has_public || strcmp(bridges[i], PUBLIC) == 0;
		if (i == NET_BRIDGES_MAX - 1)
			return err_set(e, E_LIMIT, "a pot can be on %d bridges", NET_BRIDGES_MAX - 1);
	}
	if (rc == 0 && !is_private && !has_public && bridges != NULL && *bridges != NULL)
		rc = kv_add(&p->conf.kv, PC_BRIDGE, PUBLIC, e);
	for (; bridges != NULL && *bridges != NULL && rc == 0; bridges++)
		rc = kv_add(&p->conf.kv, PC_BRIDGE, *bridges, e);
	return rc;
}

/* Each address must be for one of the bridges, or for an interface. */
static int
set_addresses(struct epot *p, const char *network, const char *const *addrs, struct err *e)
{
	AUTO_FINI(strv) struct strv bridges = STRV_INIT(NET_BRIDGES_MAX);
	bool bridged = network_is_bridged(network);
	int rc = kv_set(&p->conf.kv, PC_IP, NULL, e);

	if (rc == 0)
		rc = epot_bridges(p, &bridges, e);
	for (; addrs != NULL && *addrs != NULL && rc == 0; addrs++) {
		struct ip_prefix addr;
		char where[64];
		bool known = !bridged;

		if (strcmp(*addrs, "auto") == 0 && bridged)
			continue;
		rc = network_address(*addrs, where, &addr, e);
		for (size_t i = 0; i < bridges.n && !known; i++)
			known = where[0] == '\0' || strcmp(where, bridges.v[i]) == 0;
		if (rc == 0 && !known)
			rc = err_set(e, E_INVAL, "'%.80s': the pot is not on the bridge %s", *addrs, where);
		if (rc == 0 && bridged &&
		    (stack_of(p) & (addr.addr.family == 4 ? STACK_IPV4 : STACK_IPV6)) == 0) {
			err_set(e, E_INVAL, "'%.80s': the pot's network stack is %s", *addrs,
			    ip_stack_name(stack_of(p)));
			rc = err_hint(e, "-S dual");
		}
		if (rc == 0)
			rc = kv_add(&p->conf.kv, PC_IP, *addrs, e);
	}
	return rc;
}

static int
set_rate(struct epot *p, const char *key, uint64_t bps, struct err *e)
{
	char text[24];

	if (bps == 0)
		return 0;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bps);
	return potconf_set(&p->conf, key, text, e);
}

/* What was given, in the place of what was asked for. */
static int
take_leases(struct epot *p, struct err *e)
{
	AUTO_FINI(strv) struct strv bridges = STRV_INIT(NET_BRIDGES_MAX);
	AUTO_FINI(strv) struct strv given = STRV_INIT(2 * NET_BRIDGES_MAX);
	int rc = epot_bridges(p, &bridges, e);

	for (size_t i = 0; i < bridges.n && rc == 0; i++) {
		const char *where = bridges.n > 1 ? bridges.v[i] : "", *bar = bridges.n > 1 ? "|" : "";
		struct net_lease l;
		char text[IP_TEXT];

		rc = lease(p, bridges.v[i], i == 0, &l, e);
		fault_point("create.leased");
		if (rc == 0 && l.a4.family != 0) {
			ip_print(&l.a4, text);
			strv_fmt(&given, "%s%s%s", where, bar, text);
		}
		if (rc == 0 && l.a6.family != 0) {
			ip_print(&l.a6, text);
			strv_fmt(&given, "%s%s%s", where, bar, text);
		}
	}
	if (rc == 0)
		rc = strv_check(&given, "the pot's addresses", e);
	return rc < 0 ? rc : set_all(p, PC_IP, (const char *const *)strv_argv(&given), e);
}

/* A clone publishes what its source does, on host ports of its own. */
static int
set_ports(struct epot *p, const struct pot_create_args *a, struct err *e)
{
	AUTO_FREE struct port_map *v = NULL;
	size_t n = 0;
	int rc = epot_ports_new(&v, e);

	if (rc == 0 && a->publish == NULL) {
		rc = epot_ports_get(p, v, &n, e);
		for (size_t i = 0; i < n; i++)
			v[i].host = 0;
	}
	for (const char *const *t = a->publish; t != NULL && *t != NULL && rc == 0; t++)
		rc = port_parse(*t, v, &n, e);
	return rc < 0 || (n == 0 && a->publish == NULL) ? rc : epot_ports_set(p, v, n, e);
}

static int
create_bridged(struct epot *p, const char *network, const struct pot_create_args *a, struct err *e)
{
	const char *const *bridges = a->bridges;
	int rc = 0;

	if (bridges != NULL || a->network != NULL)
		rc = set_bridges(p, network, bridges, e);
	if (rc == 0 && strcmp(network, "private-bridge") == 0 && kv_get(&p->conf.kv, PC_BRIDGE) == NULL) {
		err_set(e, E_INVAL, "a pot with the network type private-bridge needs a bridge");
		return err_hint(e, "-B BRIDGE; pot list -B shows them, pot create-private-bridge makes one");
	}
	if (rc == 0)
		rc = set_addresses(p, network, a->addrs, e);
	if (rc == 0 && a->names != NULL)
		rc = kv_set(&p->conf.kv, PC_ALIAS, NULL, e);
	for (size_t i = 0; rc == 0 && a->names != NULL && a->names[i] != NULL; i++)
		rc = kv_add(&p->conf.kv, PC_ALIAS, a->names[i], e);
	if (rc == 0)
		rc = set_rate(p, PC_NETIN, a->net_in, e);
	if (rc == 0)
		rc = set_rate(p, PC_NETOUT, a->net_out, e);
	if (rc == 0)
		rc = eng_need_net(p->eng, e);
	if (rc == 0)
		rc = take_leases(p, e);
	return rc < 0 ? rc : set_ports(p, a, e);
}

static int
create_alias(struct epot *p, const struct pot_create_args *a, struct err *e)
{
	AUTO_FINI(epot_net) struct epot_net en = EPOT_NET_INIT;
	int rc = set_addresses(p, "alias", a->addrs, e);

	if (rc == 0)
		rc = get_aliases(p, &en.spec, e);
	if (rc < 0 || en.spec.naliases > 0)
		return rc;
	err_set(e, E_INVAL,
	    "a pot with the network type alias needs an address of the family of its stack (%s)",
	    ip_stack_name(stack_of(p)));
	return err_hint(e, "-i [INTERFACE|]ADDRESS/LEN");
}

int
epot_net_create(struct epot *p, const struct pot_create_args *a, struct err *e)
{
	static const char *const of_bridges[] = { PC_BRIDGE, PC_EXPORT, PC_NETIN, PC_NETOUT, PC_ALIAS };
	const char *network = potconf_get(&p->conf, PC_NETWORK, "inherit");
	int rc = check_use(network, a, e);

	if (rc == 0 && network_is_bridged(network))
		return create_bridged(p, network, a, e);
	/* Of the source of a clone. */
	for (size_t i = 0; i < ARRAY_LEN(of_bridges) && rc == 0; i++)
		rc = kv_set(&p->conf.kv, of_bridges[i], NULL, e);
	if (rc == 0 && strcmp(network, "alias") == 0)
		return create_alias(p, a, e);
	return rc < 0 ? rc : kv_set(&p->conf.kv, PC_IP, NULL, e);
}

/* ---- a run -------------------------------------------------------------------------- */

int
epot_net_up(struct epot *p, const int inside[static 2], struct err *e)
{
	const struct net_spec *s;
	struct err own = ERR_INIT;
	int rc = epot_net_start(p, &s, e);

	if (rc < 0 || s->type == NET_INHERIT || s->type == NET_NONE)
		return rc;
	/* Reserved when they were set; after a power failure the disk may know less. */
	for (size_t i = 0; i < s->nports && rc == 0; i++)
		rc = net_port_reserve(p->eng->net, s->id, p->name, &p->net->ports[i], e);
	if (rc == 0 && s->nports > 0)
		rc = epot_ports_record(p, s->ports, s->nports, e);
	fault_point("start.ports");
	if (rc == 0)
		rc = net_up(p->eng->net, s, p->state.rec.init.pid, inside[1] >= 0 ? inside : NULL, e);
	if (rc != 1)
		return rc;
	fault_point("start.rules-remade");
	/* This pot has its network, whatever becomes of the others'. */
	if (eng_net_repair(p->eng, &own) < 0)
		event_warn(
		    &p->eng->events, "the network of the other pots could not be brought back: %s", own.msg);
	return 0;
}

int
epot_net_down(struct epot *p, struct err *e)
{
	AUTO_FINI(epot_net) struct epot_net en = EPOT_NET_INIT;
	struct net_spec *s = &en.spec;
	struct err own = ERR_INIT;
	int rc;

	/* From id, leases and the record alone: pot.conf may be damaged. */
	begin_spec(p, &en, p->state.rec.network);
	if (s->type == NET_INHERIT || s->type == NET_NONE || s->id[0] == '\0')
		return 0;
	rc = eng_need_net(p->eng, e);
	if (rc == 0 && s->type == NET_BRIDGE)
		rc = net_leases(p->eng->net, s->id, s->leases, &s->nleases, e);
	if (rc == 0)
		rc = epot_ports_new(&en.ports, e);
	if (rc == 0)
		rc = epot_ports_recorded(p, en.ports, &s->nports, e);
	s->ports = en.ports;
	if (rc == 0)
		rc = net_down(p->eng->net, s, e);
	fault_point("walk-back.network-down");
	if (rc < 0 || s->nports == 0)
		return rc;
	if (unlinkat(p->dir_fd, ETC_DIR "/published", 0) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove the record of the ports of %s", p->name);
	if (epot_ports_settle(p, &own) < 0)
		event_warn(&p->eng->events, "pot %s: %s", p->name, own.msg);
	return 0;
}

int
epot_net_release(struct epot *p, struct err *e)
{
	int rc;

	if (p->state.rec.id[0] == '\0')
		return 0;
	rc = eng_need_net(p->eng, e);
	return rc < 0 ? rc : net_release(p->eng->net, p->state.rec.id, e);
}
