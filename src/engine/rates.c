/*
 * Rates of a pot's network: as update is told them, in pot.conf, and given to
 * the links of a running pot. They are part of a change of limits (limit.c), which
 * decides when, and what becomes of the rest when one part fails.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/limit.h"
#include "model/netaddr.h"

static const char *const keys[RATES_WAYS] = { PC_NETIN, PC_NETOUT };
static const char *const names[RATES_WAYS] = { "net-in", "net-out" };

void
epot_rates_get(const struct epot *p, struct epot_rates *r)
{
	for (size_t i = 0; i < RATES_WAYS; i++)
		r->bps[i] = strtoull(potconf_get(&p->conf, keys[i], "0"), NULL, 10);
}

int
epot_rates_set(struct epot_rates *r, const char *name, const char *text, struct err *e)
{
	char what[16];
	size_t i = 0;
	int rc;

	while (i < RATES_WAYS && strcmp(name, names[i]) != 0)
		i++;
	if (i == RATES_WAYS)
		return 0;
	snprintf(what, sizeof(what), "--%s", name);
	if (text == NULL || *text == '\0' || strcmp(text, "0") == 0 || strcmp(text, "default") == 0)
		r->bps[i] = 0;
	else if ((rc = ip_rate_parse(text, &r->bps[i], what, e)) < 0)
		return rc;
	return 1;
}

bool
epot_rates_equal(const struct epot_rates *a, const struct epot_rates *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int
epot_rates_store(struct epot *p, const struct epot_rates *r, struct err *e)
{
	static const struct epot_rates none;
	const char *network = potconf_get(&p->conf, PC_NETWORK, "inherit");
	int rc = 0;

	if (!epot_rates_equal(r, &none) && !network_is_bridged(network)) {
		err_set(e, E_INVAL, "pot %s is on no bridge: its rates cannot be limited", p->name);
		return err_hint(e, "its network type is %s", network);
	}
	for (size_t i = 0; i < RATES_WAYS && rc == 0; i++) {
		char text[24];

		snprintf(text, sizeof(text), "%" PRIu64, r->bps[i]);
		rc = potconf_set(&p->conf, keys[i], r->bps[i] == 0 ? NULL : text, e);
	}
	return rc;
}

int
epot_rates_apply(struct epot *p, const struct epot_rates *r, struct err *e)
{
	AUTO_FINI(epot_net) struct epot_net en = EPOT_NET_INIT;
	int rc;

	if (!network_is_bridged(potconf_get(&p->conf, PC_NETWORK, "inherit")))
		return 0;
	rc = epot_net_get(p, &en, true, e);
	if (rc < 0)
		return rc;
	en.spec.in_bps = r->bps[RATES_IN];
	en.spec.out_bps = r->bps[RATES_OUT];
	return net_rates(p->eng->net, &en.spec, p->state.rec.init.pid, e);
}
