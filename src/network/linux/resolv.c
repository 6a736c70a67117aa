/*
 * The resolv.conf of a pot on a bridge. A name server that only the host itself
 * reaches is replaced: systemd-resolved's stub by the servers behind it where it tells
 * them, any other on 127.0.0.x by the bridge's address, from which the rules lead to
 * it (elems.c). ::1 cannot be led to: Linux has no route_localnet for IPv6.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/file.h"
#include "network/linux/os.h"
#include "network/resolvtext.h"

#define RESOLV_MAX 65536
#define RESOLVED "/run/systemd/resolve/resolv.conf"

/* Servers behind the stub. */
static void
look_behind(struct resolv *r)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RESOLV_MAX);

	if (file_read(AT_FDCWD, RESOLVED, &b, NULL) == 0)
		resolv_parse(r, buf_cstr(&b), true);
}

/* From now on the rules lead from the bridges to this resolver. */
static int
lead_to(struct net *n, const struct ip_addr *resolver, struct err *e)
{
	AUTO(fd) int lock = -1;
	AUTO_FREE struct net_elem *v = NULL;
	struct ip_addr before = os_resolver(n);
	struct net_os *os;
	char text[IP_TEXT];
	size_t nv = 0;
	int rc;

	if (ip_equal(&before, resolver))
		return 0;
	if ((lock = net_lock(n, e)) < 0 || (rc = os_get(n, &os, e)) < 0)
		return lock < 0 ? lock : rc;
	ip_print(resolver, text);
	rc = file_write_atomic(n->fd, OS_RESOLVER, 0600, text, strlen(text), e);
	/* Before the first pot there are no rules yet: they will be made with it. */
	if (rc == 0)
		rc = nft_table_ok(&os->nft, &os->rules, e);
	if (rc > 0)
		rc = os_bridge_elems(n, os, NULL, &v, &nv, e);
	return rc < 0 ? rc : nft_add(&os->nft, &os->rules, v, nv, e);
}

/* The bridge's address in place of the local server, for pots that have IPv4 there. */
static int
through_gateway(struct net *n, const struct net_spec *s, struct resolv *r, struct err *e)
{
	for (size_t i = 0; i < s->nleases; i++) {
		struct net_bridge br;
		int rc;

		if (s->leases[i].a4.family == 0)
			continue;
		rc = net_bridge_read(n, s->leases[i].bridge, &br, e);
		if (rc == 0)
			rc = lead_to(n, &r->local, e);
		if (rc == 0)
			r->servers[r->n++] = br.gw4;
		return rc;
	}
	return 0;
}

static int
resolve(struct net *n, const struct net_spec *s, struct resolv *r, struct buf *out, struct err *e)
{
	int rc = 0;

	if (r->n == 0 && r->stub)
		look_behind(r);
	if (r->n == 0 && r->local.family != 0)
		rc = through_gateway(n, s, r, e);
	if (rc == 0 && r->n == 0)
		event_warn(&n->events,
		    "pot '%s': the host's name server listens on the host only%s: names outside will not "
		    "resolve (-d custom:FILE names another)",
		    s->pot, r->local6 ? " (::1)" : "");
	return rc < 0 ? rc : resolv_print(r, out, e);
}

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
	rc = resolve(n, s, &r, out, e);
	buf_fini(&r.rest);
	return rc;
}
