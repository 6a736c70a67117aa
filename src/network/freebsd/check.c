/* What doctor says about the network: whether pf leads to our rules and the host forwards, and what to do. */
#include <stdio.h>

#include "network/freebsd/os.h"

#define RULES_MAX (1024 * 1024)

enum { FINE, WARN, BAD };

struct check {
	struct net *n;
	struct net_os *os;
	net_finding_fn *fn;
	void *arg;
	struct err *e;
	bool any4, any6;  /* families of our bridges */
	unsigned bridges; /* that are on the host */
};

static int
say(struct check *c, int severity, const char *what, const char *text, const char *remedy)
{
	return c->fn(c->arg, severity, what, text, remedy);
}

static int
see_bridge(void *arg, const struct net_bridge *b)
{
	struct check *c = arg;
	int rc = link_get(&c->os->links, b->ifname, NULL, c->e);

	c->any4 = c->any4 || b->gw4.family != 0;
	c->any6 = c->any6 || b->gw6.family != 0;
	c->bridges += rc > 0;
	return rc < 0 ? rc : 0;
}

static int
check_forwarding(struct check *c)
{
	int rc = 0;

	/* Before the first pot it is not ours to turn on. */
	if (c->bridges > 0 && c->any4 && os_sysctl_get(OS_FORWARD4) == 0)
		rc = say(c, BAD, "forwarding", "IPv4 packets are not forwarded: pots reach nobody outside",
		    "sysctl " OS_FORWARD4 "=1");
	if (rc == 0 && c->bridges > 0 && c->any6 && os_sysctl_get(OS_FORWARD6) == 0)
		rc = say(c, BAD, "forwarding", "IPv6 packets are not forwarded: pots reach nobody outside",
		    "sysctl " OS_FORWARD6 "=1");
	return rc;
}

static int
check_vimage(struct check *c)
{
	return os_sysctl_get("kern.features.vimage") == 1
	    ? 0
	    : say(c, BAD, "vimage", "the kernel has no VIMAGE: pots have no network of their own",
		  "use the GENERIC kernel, or -N inherit and -N alias");
}

/* The user's own rules: only he adds to them. */
static int
check_hooks(struct check *c)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RULES_MAX);
	struct err why = ERR_INIT;
	unsigned missing = 0;
	int rc = 0;

	if (pf_main_rules(&text, &why) < 0)
		return say(c, BAD, "pf", why.msg, "sysrc pf_enable=YES; service pf start");
	for (unsigned i = 0; rc == 0 && i < RULES_HOOK_COUNT; i++) {
		const struct rules_hook *h = &rules_hooks[i];
		char what[256], remedy[160];

		if (rules_hook_is(h, buf_cstr(&text)))
			continue;
		missing++;
		snprintf(what, sizeof(what), "the main ruleset does not lead to pot's: %s", h->without);
		snprintf(remedy, sizeof(remedy),
		    "put before the filter rules of /etc/pf.conf: %s; then: service pf reload", h->line);
		rc = say(c, BAD, "pf", what, remedy);
	}
	return rc == 0 && missing == 0 ? say(c, FINE, "pf", "the main ruleset leads to pot's rules", "") : rc;
}

/* "set skip on lo0": usual, and in the way of the host to itself. */
static int
check_skip(struct check *c)
{
	struct err why = ERR_INIT;
	int rc = pf_skips("lo0", &why);

	return rc <= 0 ? 0
		       : say(c, WARN, "pf", "pf skips lo0: published ports do not answer on the host itself",
			     "take lo0 out of \"set skip on\" in /etc/pf.conf; then: service pf reload");
}

static int
check_rules(struct check *c)
{
	int rc;

	if (c->bridges == 0)
		return 0;
	rc = os_rules_are(c->n, c->os, c->e);
	if (rc == 0)
		return say(c, BAD, "pf",
		    "the rules of pot were flushed by somebody: pots reach nobody outside",
		    "as root: pot doctor");
	return rc < 0 ? rc : say(c, FINE, "pf", "the rules of pot are in place", "");
}

int
net_check(struct net *n, net_finding_fn *fn, void *arg, struct err *e)
{
	struct check c = { .n = n, .fn = fn, .arg = arg, .e = e };
	int rc;

	if (n->fd < 0)
		return 0;
	rc = os_get(n, &c.os, e);
	if (rc == 0)
		rc = net_bridge_list(n, see_bridge, &c, e);
	if (rc == 0)
		rc = check_vimage(&c);
	if (rc == 0)
		rc = check_forwarding(&c);
	if (rc == 0)
		rc = check_hooks(&c);
	if (rc == 0)
		rc = check_skip(&c);
	if (rc == 0)
		rc = check_rules(&c);
	return rc;
}

const char net_repair_remedy[] =
    "find what flushes the anchors of pf (pfctl -F all), and let it spare pot-nat and pot-rdr";
