/*
 * Addresses of pots on the host's own interfaces. That one is ours is not to be
 * seen on it, so it is claimed in ROOT/net/alias before it is added: what no pot
 * claims is never removed, and what is there unclaimed is somebody else's.
 *
 *   ROOT/net/alias/ADDRESS-LEN@INTERFACE   a claim (net_impl.h)
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "network/net_impl.h"

#define DIR_NAME "alias"
#define NAME_SIZE (IP_TEXT + NET_IFNAME + 8)

static void
name_of(const struct ip_prefix *p, const char *ifname, char out[static NAME_SIZE])
{
	char addr[IP_TEXT];

	ip_print(&p->addr, addr);
	snprintf(out, NAME_SIZE, "%s-%u@%s", addr, p->len, ifname);
}

/* The reverse; false for a file that is not of ours. */
static bool
parse_name(const char *name, struct ip_prefix *p, char ifname[static NET_IFNAME])
{
	char addr[IP_TEXT];
	unsigned len;

	/* An interface's name may hold what it likes but '/' and blanks. */
	if (sscanf(name, "%47[0-9a-fA-F.:]-%u@%15s", addr, &len, ifname) != 3 || len > 128)
		return false;
	p->len = (uint8_t)len;
	return ip_parse(addr, &p->addr, NULL) == 0 && p->len <= (p->addr.family == 4 ? 32 : 128);
}

/* Which interface is meant. */
static int
choose(struct net *n, const struct net_alias *a, char ifname[static NET_IFNAME], struct err *e)
{
	int rc;

	if (a->ifname[0] == '\0') {
		rc = net_host_default(n, a->addr.addr.family, ifname, e);
		return rc < 0 ? err_hint(e, "name the interface: -i nic|ADDRESS") : 0;
	}
	snprintf(ifname, NET_IFNAME, "%s", a->ifname);
	rc = net_host_link(n, ifname, e);
	if (rc == 0) {
		err_set(e, E_NOENT, "there is no interface '%s' on this host", ifname);
		return err_hint(e, "see: ifconfig or ip link");
	}
	return rc < 0 ? rc : 0;
}

static int
alias_up(struct net *n, int dir, const struct net_claim *c, const struct net_alias *a, struct err *e)
{
	char ifname[NET_IFNAME], there[NET_IFNAME], name[NAME_SIZE], text[IP_TEXT];
	int at, made, rc = choose(n, a, ifname, e);

	ip_print(&a->addr.addr, text);
	if (rc < 0 || (at = rc = net_host_address(n, &a->addr.addr, there, e)) < 0)
		return rc;
	name_of(&a->addr, ifname, name);
	if (at != 0) {
		/* There already: ours when claimed, from before a crash. */
		struct net_claim holder;
		struct err why = ERR_INIT;

		rc = net_claim_read(dir, name, &holder, &why);
		if (rc == 0 && strcmp(holder.id, c->id) != 0)
			return err_set(e, E_EXIST, "the pot '%s' has the address %s", holder.pot, text);
		if (rc < 0 || strcmp(there, ifname) != 0) {
			err_set(e, E_EXIST, "the host has the address %s itself", text);
			return err_hint(e, "give the pot another address, or remove it from the interface");
		}
		return 0;
	}
	made = net_claim_make(dir, name, c, false, NULL, e);
	if (made < 0)
		return made;
	fault_point("net.alias.claimed");
	rc = net_host_address_add(n, ifname, &a->addr, e);
	fault_point("net.alias.added");
	return rc < 0 ? err_wrap(e, "interface %s", ifname) : 0;
}

int
net_alias_up(struct net *n, const struct net_spec *s, struct err *e)
{
	AUTO(fd) int lock = net_lock(n, e);
	AUTO(fd) int dir = -1;
	struct net_claim claim;
	int rc;

	if (lock < 0)
		return lock;
	if ((rc = net_claim_init(&claim, s->id, s->pot, e)) < 0 ||
	    (dir = rc = dir_make(n->fd, DIR_NAME, 0700, e)) < 0)
		return rc;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < s->naliases; i++)
		rc = alias_up(n, dir, &claim, &s->aliases[i], e);
	return rc;
}

/* One claimed by this pot: the address first, so that a claim is never missing for one that is there. */
static int
alias_down(struct net *n, const char *name, struct err *e)
{
	char ifname[NET_IFNAME];
	struct ip_prefix p;
	int rc;

	if (!parse_name(name, &p, ifname))
		return 0;
	rc = net_host_address_del(n, ifname, &p, e);
	fault_point("net.alias.removed");
	return rc;
}

int
net_alias_down(struct net *n, const char *id, struct err *e)
{
	AUTO(fd) int lock = net_lock(n, e);
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;
	struct err why = ERR_INIT;
	int dir, rc = 0;

	if (lock < 0)
		return lock;
	dir = dir_open(n->fd, DIR_NAME, &why);
	if (dir == -E_NOENT)
		return 0;
	d = dir < 0 ? NULL : fdopendir(dir);
	if (d == NULL)
		return dir < 0 ? err_set(e, why.code, "%s", why.msg) : err_sys(e, "net/" DIR_NAME);
	while (rc >= 0 && (de = readdir(d)) != NULL) {
		struct net_claim c;

		if (de->d_name[0] == '.' || net_claim_read(dirfd(d), de->d_name, &c, NULL) < 0 ||
		    strcmp(c.id, id) != 0)
			continue;
		rc = alias_down(n, de->d_name, e);
		if (rc == 0)
			rc = net_claim_drop(dirfd(d), de->d_name, id, e);
	}
	return rc < 0 ? rc : 0;
}
