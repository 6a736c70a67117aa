/* What is open while an installation's network is, and what the part for all systems asks of it. */
#include <stdlib.h>

#include "network/freebsd/os.h"

static void
os_close(struct net_os *os)
{
	link_sys_fini(&os->links);
	pf_fini(&os->pf);
	free(os);
}

int
os_get(struct net *n, struct net_os **out, struct err *e)
{
	if (n->os == NULL) {
		struct net_os *os = malloc(sizeof(*os));

		if (os == NULL)
			return err_nomem(e);
		*os = (struct net_os){ .links = LINK_SYS_INIT, .pf = PF_INIT };
		n->os = os;
		n->os_close = os_close;
	}
	*out = n->os;
	return 0;
}

int
net_link_remove(struct net *n, const char *ifname, struct err *e)
{
	struct net_os *os = NULL;
	int rc = os_get(n, &os, e);

	return rc < 0 ? rc : link_destroy(&os->links, ifname, e);
}

/* ---- addresses of the host (alias.c asks) ----------------------------------------------- */

int
net_host_link(struct net *n, const char *ifname, struct err *e)
{
	struct net_os *os = NULL;
	int rc = os_get(n, &os, e);

	return rc < 0 ? rc : link_get(&os->links, ifname, NULL, e);
}

int
net_host_default(struct net *n, int family, char ifname[static NET_IFNAME], struct err *e)
{
	(void)n;
	return link_default(family, ifname, e);
}

int
net_host_address(struct net *n, const struct ip_addr *a, char ifname[static NET_IFNAME], struct err *e)
{
	(void)n;
	return link_addr_where(a, ifname, e);
}

int
net_host_address_add(struct net *n, const char *ifname, const struct ip_prefix *p, struct err *e)
{
	struct net_os *os = NULL;
	int rc = os_get(n, &os, e);

	return rc < 0 ? rc : link_addr_add(&os->links, ifname, p, e);
}

int
net_host_address_del(struct net *n, const char *ifname, const struct ip_prefix *p, struct err *e)
{
	struct net_os *os = NULL;
	int rc = os_get(n, &os, e);

	return rc < 0 ? rc : link_addr_del(&os->links, ifname, &p->addr, e);
}
