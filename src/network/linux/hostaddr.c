/* The host's own interfaces and addresses, by rtnetlink, for what alias.c does with them. */
#include <net/if.h>

#include "network/linux/os.h"

static int
index_of(struct net *n, const char *ifname, struct net_os **os, int *index, struct err *e)
{
	struct link_info l = { .index = 0 };
	int rc = os_get(n, os, e);

	if (rc == 0)
		rc = link_get(&(*os)->rt, ifname, &l, e);
	*index = l.index;
	return rc;
}

static int
name_of(int index, char ifname[static NET_IFNAME], struct err *e)
{
	return if_indextoname((unsigned)index, ifname) != NULL ? 0 : err_sys(e, "the interface %d", index);
}

int
net_host_link(struct net *n, const char *ifname, struct err *e)
{
	struct net_os *os;
	int index, rc = index_of(n, ifname, &os, &index, e);

	return rc < 0 ? rc : index != 0;
}

int
net_host_default(struct net *n, int family, char ifname[static NET_IFNAME], struct err *e)
{
	struct net_os *os;
	int index, rc = os_get(n, &os, e);

	if (rc == 0)
		rc = link_default(&os->rt, family, &index, e);
	return rc < 0 ? rc : name_of(index, ifname, e);
}

int
net_host_address(struct net *n, const struct ip_addr *a, char ifname[static NET_IFNAME], struct err *e)
{
	struct net_os *os;
	int index, rc = os_get(n, &os, e);

	if (rc == 0)
		rc = link_addr_find(&os->rt, a, &index, e);
	if (rc < 0 || index == 0)
		return rc;
	rc = name_of(index, ifname, e);
	return rc < 0 ? rc : 1;
}

int
net_host_address_add(struct net *n, const char *ifname, const struct ip_prefix *p, struct err *e)
{
	struct net_os *os;
	int index, rc = index_of(n, ifname, &os, &index, e);

	if (rc == 0 && index == 0)
		rc = err_set(e, E_NOENT, "there is no interface '%s' on this host", ifname);
	return rc < 0 ? rc : link_addr_add(&os->rt, index, p, e);
}

int
net_host_address_del(struct net *n, const char *ifname, const struct ip_prefix *p, struct err *e)
{
	struct err why = ERR_INIT;
	struct net_os *os;
	int index, rc = index_of(n, ifname, &os, &index, e);

	if (rc < 0 || index == 0)
		return rc;
	rc = link_addr_del(&os->rt, index, p, &why);
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}
