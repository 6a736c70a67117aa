/*
 * The sockets of an opened network, and what the part for all systems asks
 * of them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "network/linux/os.h"

static void
os_close(struct net_os *os)
{
	nl_sock_fini(&os->rt);
	nl_sock_fini(&os->nft);
	free(os);
}

static int
os_new(struct net *n, struct err *e)
{
	struct net_os *os = calloc(1, sizeof(*os));

	if (os == NULL)
		return err_nomem(e);
	os->rt.fd = os->nft.fd = -1;
	os->rules.node = n->node;
	n->os = os;
	n->os_close = os_close;
	return 0;
}

int
os_get(struct net *n, struct net_os **out, struct err *e)
{
	int rc = n->os == NULL ? os_new(n, e) : 0;
	struct net_os *os = n->os;

	if (rc < 0)
		return rc;
	if (os->rt.fd < 0)
		rc = nl_open(&os->rt, NETLINK_ROUTE, e);
	if (rc == 0 && os->nft.fd < 0) {
		rc = nft_open(&os->nft, e);
		if (rc == 0)
			rc = nft_bridge_family(&os->nft, e);
		if (rc < 0)
			return rc;
		os->rules.bridge_family = rc > 0;
		rc = 0;
	}
	*out = os;
	return rc;
}

int
net_link_remove(struct net *n, const char *ifname, struct err *e)
{
	AUTO_FREE struct net_elem *v = NULL;
	struct net_os *os;
	size_t nv = 0;
	int rc = os_get(n, &os, e);

	if (rc == 0)
		rc = os_bridge_elems(n, os, ifname, &v, &nv, e);
	if (rc == 0)
		rc = nft_del(&os->nft, &os->rules, v, nv, e);
	fault_point("net.link.elements");
	return rc < 0 ? rc : link_delete(&os->rt, ifname, e);
}
