/*
 * The resolv.conf of a pot on a bridge. A name server that listens on the host's loopback
 * alone cannot be reached from there: pf would have to change the address that such servers
 * know their clients by. It is left out with a warning that says what helps.
 */
#include "base/event.h"
#include "network/net_impl.h"
#include "network/resolvtext.h"

#define RESOLV_MAX 65536

int
net_resolv(struct net *n, const struct net_spec *s, const char *host_resolv, struct buf *out, struct err *e)
{
	struct resolv r = { .rest = BUF_INIT(RESOLV_MAX) };
	int rc;

	/* It shares the host's network, or has none. */
	if (s->type != NET_BRIDGE)
		return 0;
	if ((rc = net_ready(n, e)) < 0)
		return rc;
	resolv_parse(&r, host_resolv, false);
	if (r.n == 0)
		event_warn(&n->events,
		    "pot '%s': the host names no server in resolv.conf but itself: names outside will not "
		    "resolve "
		    "(-d custom:FILE names another; or let it listen on the bridge's address)",
		    s->pot);
	rc = resolv_print(&r, out, e);
	buf_fini(&r.rest);
	return rc;
}
