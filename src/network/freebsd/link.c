/*
 * Interfaces of the host by ioctl(2): made, named, labelled, put on bridges, moved into
 * jails, destroyed. Addresses and routes are address.c's.
 *
 * A cloned interface gets its number from the name that it is to have, and that name
 * after it exists. Who is killed between leaves an interface under its
 * first name, which the next attempt finds under the same number and removes:
 * numbers from UNIT_FIRST on are ours, and makers hold the network's lock.
 */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/linker.h>
#include <sys/module.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_bridgevar.h>
#include <netinet/in.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "network/freebsd/link_impl.h"

#define UNIT_FIRST 16384u
#define UNIT_COUNT 16383u
#define UNIT_TRIES 64u
#define GROUP_MAX 65536u /* interfaces of one group */

void
link_sys_fini(struct link_sys *l)
{
	fd_close(l->inet);
	fd_close(l->inet6);
	*l = (struct link_sys)LINK_SYS_INIT;
}

int
link_socket(struct link_sys *l, int family, struct err *e)
{
	int *fd = family == 6 ? &l->inet6 : &l->inet;

	if (*fd >= 0)
		return *fd;
	*fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*fd >= 0)
		return *fd;
	if (family == 6 && errno == EAFNOSUPPORT) {
		err_set(e, E_NOTSUP, "the kernel has no IPv6");
		return err_hint(e, "use the stack ipv4");
	}
	return err_sys(e, "cannot make a socket");
}

/* An ioctl on the IPv4 socket. 0, or -1 with errno; *e is filled when there is no socket. */
static int
ask(struct link_sys *l, unsigned long request, void *arg, struct err *e)
{
	int fd = link_socket(l, 4, e);

	return fd < 0 ? fd : ioctl(fd, request, arg);
}

static void
set_name(char to[static IFNAMSIZ], const char *name)
{
	snprintf(to, IFNAMSIZ, "%s", name);
}

/* ---- looking -------------------------------------------------------------------- */

int
link_get(struct link_sys *l, const char *name, bool *up, struct err *e)
{
	struct ifreq r = { 0 };

	set_name(r.ifr_name, name);
	if (ask(l, SIOCGIFFLAGS, &r, e) != 0)
		return errno == ENXIO ? 0 : err_sys(e, "interface %s", name);
	if (up != NULL)
		*up = ((unsigned)(uint16_t)r.ifr_flags & IFF_UP) != 0;
	return 1;
}

unsigned
link_index(const char *name)
{
	return if_nametoindex(name);
}

int
link_group_each(struct link_sys *l, const char *group, link_name_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE struct ifg_req *members = NULL;
	struct ifgroupreq r = { 0 };
	size_t n;
	int rc = 0;

	set_name(r.ifgr_name, group);
	if (ask(l, SIOCGIFGMEMB, &r, e) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "the interfaces of the group %s", group);
	if (r.ifgr_len == 0)
		return 0;
	/* A few more, for those that appear meanwhile. */
	n = r.ifgr_len / sizeof(*members) + 16;
	if (n > GROUP_MAX)
		return err_set(e, E_LIMIT, "the group %s has more than %u interfaces", group, GROUP_MAX);
	members = calloc(n, sizeof(*members));
	if (members == NULL)
		return err_nomem(e);
	r.ifgr_len = (unsigned)(n * sizeof(*members));
	r.ifgr_groups = members;
	if (ask(l, SIOCGIFGMEMB, &r, e) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "the interfaces of the group %s", group);
	n = r.ifgr_len / sizeof(*members);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		char name[NET_IFNAME];

		snprintf(name, sizeof(name), "%.*s", NET_IFNAME - 1, members[i].ifgrq_member);
		if (name[0] != '\0')
			rc = fn(arg, name, e);
	}
	return rc;
}

int
link_jail_of(int32_t pid, int *jid, struct err *e)
{
	int mib[] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct kinfo_proc p;
	size_t len = sizeof(p);

	if (sysctl(mib, ARRAY_LEN(mib), &p, &len, NULL, 0) != 0 || len < sizeof(p))
		return errno == ESRCH || len < sizeof(p)
		    ? err_set(e, E_STATE, "the pot's process %d has ended", (int)pid)
		    : err_sys(e, "the jail of process %d", (int)pid);
	if (p.ki_jid == 0)
		return err_set(e, E_STATE, "the process %d is in no jail", (int)pid);
	*jid = p.ki_jid;
	return 0;
}

/* ---- making ----------------------------------------------------------------------- */

/* Any number that follows from the name: FNV-1a. */
static unsigned
unit_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ h >> 15) % UNIT_COUNT;
}

int
link_destroy(struct link_sys *l, const char *name, struct err *e)
{
	struct ifreq r = { 0 };

	set_name(r.ifr_name, name);
	if (ask(l, SIOCIFDESTROY, &r, e) != 0 && errno != ENXIO && errno != ENOENT)
		return err_sys(e, "cannot destroy the interface %s", name);
	return 0;
}

static int
rename_link(struct link_sys *l, const char *from, const char *to, struct err *e)
{
	struct ifreq r = { 0 };
	char name[IFNAMSIZ];

	set_name(name, to);
	set_name(r.ifr_name, from);
	r.ifr_data = name;
	if (ask(l, SIOCSIFNAME, &r, e) == 0)
		return 0;
	return errno == EEXIST ? err_set(e, E_EXIST, "there is an interface %s already", to)
			       : err_sys(e, "cannot name the interface %s", to);
}

/* The module that makes them, where it is not in the kernel. */
static int
create(struct link_sys *l, const char *kind, struct ifreq *r, struct err *e)
{
	struct ifreq again = *r;
	char module[24];

	if (ask(l, SIOCIFCREATE2, r, e) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	snprintf(module, sizeof(module), "if_%s", kind);
	if (kldload(module) < 0 && errno != EEXIST)
		return -1;
	*r = again;
	return ask(l, SIOCIFCREATE2, r, e);
}

/*
 * A clone of the kind with the number that follows from name; `suffix` is what the kernel puts
 * behind its name. first: what it is called then.
 */
static int
clone_link(struct link_sys *l, const char *kind, const char *suffix, const char *name,
    char first[static IFNAMSIZ], struct err *e)
{
	for (unsigned i = 0; i < UNIT_TRIES; i++) {
		struct ifreq r = { 0 };
		char left[IFNAMSIZ];
		int rc;

		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s%u", kind,
		    UNIT_FIRST + (unit_of(name) + i) % UNIT_COUNT);
		snprintf(left, sizeof(left), "%.13s%s", r.ifr_name, suffix);
		rc = create(l, kind, &r, e);
		if (rc != 0 && errno == EEXIST && link_get(l, left, NULL, NULL) == 1) {
			/* Under its first name: of a command that was killed. */
			rc = link_destroy(l, left, e);
			if (rc < 0)
				return rc;
			snprintf(r.ifr_name, sizeof(r.ifr_name), "%.*s", (int)(strlen(left) - strlen(suffix)),
			    left);
			rc = create(l, kind, &r, e);
		}
		if (rc == 0) {
			set_name(first, r.ifr_name);
			return 0;
		}
		/* Another interface of ours has the number, under a name of its own. */
		if (errno != EEXIST)
			break;
	}
	if (errno == EINVAL || errno == ENOENT) {
		err_set(e, E_NOTSUP, "the kernel makes no interfaces of the kind %s", kind);
		return err_hint(e, "kldload if_%s", kind);
	}
	return err_sys(e, "cannot make an interface of the kind %s", kind);
}

int
link_bridge_make(struct link_sys *l, const char *name, struct err *e)
{
	char first[IFNAMSIZ];
	int rc;

	if ((rc = link_get(l, name, NULL, e)) != 0)
		return rc < 0 ? rc : err_set(e, E_EXIST, "there is an interface %s already", name);
	rc = clone_link(l, "bridge", "", name, first, e);
	fault_point("net.bridge.cloned");
	if (rc == 0 && (rc = rename_link(l, first, name, e)) < 0 && link_destroy(l, first, NULL) < 0)
		err_wrap(e, "%s stays behind", first);
	return rc;
}

int
link_epair_make(struct link_sys *l, const char *name, char inner[static NET_IFNAME], struct err *e)
{
	char first[IFNAMSIZ];
	int rc;

	if ((rc = link_get(l, name, NULL, e)) != 0)
		return rc < 0 ? rc : err_set(e, E_EXIST, "there is an interface %s already", name);
	rc = clone_link(l, "epair", "a", name, first, e);
	fault_point("net.epair.cloned");
	if (rc < 0)
		return rc;
	snprintf(inner, NET_IFNAME, "%s", first);
	inner[strlen(inner) - 1] = 'b';
	if ((rc = rename_link(l, first, name, e)) < 0 && link_destroy(l, first, NULL) < 0)
		err_wrap(e, "%s stays behind", first);
	return rc;
}

/* ---- settings ------------------------------------------------------------------------ */

int
link_label(struct link_sys *l, const char *name, const char *group, const char *text, struct err *e)
{
	struct ifgroupreq g = { 0 };
	struct ifreq r = { 0 };

	set_name(r.ifr_name, name);
	r.ifr_buffer.length = strlen(text) + 1;
	r.ifr_buffer.buffer = (void *)(uintptr_t)text; /* only read */
	if (ask(l, SIOCSIFDESCR, &r, e) != 0)
		return err_sys(e, "cannot describe the interface %s", name);
	set_name(g.ifgr_name, name);
	set_name(g.ifgr_group, group);
	if (ask(l, SIOCAIFGROUP, &g, e) != 0 && errno != EEXIST)
		return err_sys(e, "cannot put the interface %s into the group %s", name, group);
	return 0;
}

int
link_set_mac(struct link_sys *l, const char *name, const uint8_t mac[static NET_MAC], struct err *e)
{
	struct ifreq r = { 0 };

	set_name(r.ifr_name, name);
	r.ifr_addr.sa_len = NET_MAC;
	r.ifr_addr.sa_family = AF_LINK;
	memcpy(r.ifr_addr.sa_data, mac, NET_MAC);
	return ask(l, SIOCSIFLLADDR, &r, e) == 0 ? 0 : err_sys(e, "the MAC address of %s", name);
}

int
link_up(struct link_sys *l, const char *name, struct err *e)
{
	struct ifreq r = { 0 };
	unsigned flags;

	set_name(r.ifr_name, name);
	if (ask(l, SIOCGIFFLAGS, &r, e) != 0)
		return err_sys(e, "interface %s", name);
	flags = ((unsigned)(uint16_t)r.ifr_flags | (unsigned)(uint16_t)r.ifr_flagshigh << 16) | IFF_UP;
	r.ifr_flags = (short)(flags & 0xffff);
	r.ifr_flagshigh = (short)(flags >> 16);
	return ask(l, SIOCSIFFLAGS, &r, e) == 0 ? 0 : err_sys(e, "cannot bring up the interface %s", name);
}

int
link_rename(struct link_sys *l, const char *from, const char *to, struct err *e)
{
	return rename_link(l, from, to, e);
}

int
link_move(struct link_sys *l, const char *name, int jid, struct err *e)
{
	struct ifreq r = { 0 };

	set_name(r.ifr_name, name);
	r.ifr_jid = jid;
	return ask(l, SIOCSIFVNET, &r, e) == 0 ? 0 : err_sys(e, "cannot move %s into the jail %d", name, jid);
}

/* ---- bridges ---------------------------------------------------------------------------- */

static int
ask_bridge(struct link_sys *l, const char *bridge, unsigned long request, unsigned long cmd, struct ifbreq *b,
    struct err *e)
{
	struct ifdrv d = { .ifd_cmd = cmd, .ifd_len = sizeof(*b), .ifd_data = b };

	set_name(d.ifd_name, bridge);
	return ask(l, request, &d, e);
}

int
link_member_is(struct link_sys *l, const char *bridge, const char *member, struct err *e)
{
	struct ifbreq b = { 0 };

	set_name(b.ifbr_ifsname, member);
	if (ask_bridge(l, bridge, SIOCGDRVSPEC, BRDGGIFFLGS, &b, e) == 0)
		return 1;
	return errno == ENOENT || errno == ENXIO ? 0 : err_sys(e, "the members of %s", bridge);
}

/* One address, for good; with it the member's table is full, and frames from any other are dropped. */
static int
hold_to(struct link_sys *l, const char *bridge, const char *member, const uint8_t mac[static NET_MAC],
    struct err *e)
{
	struct ifbareq a = { .ifba_flags = IFBAF_STATIC };
	struct ifdrv d = { .ifd_cmd = BRDGSADDR, .ifd_len = sizeof(a), .ifd_data = &a };
	struct ifbreq b = { .ifbr_addrmax = 1 };

	set_name(a.ifba_ifsname, member);
	set_name(b.ifbr_ifsname, member);
	set_name(d.ifd_name, bridge);
	memcpy(a.ifba_dst, mac, NET_MAC);
	return ask(l, SIOCSDRVSPEC, &d, e) == 0 &&
		ask_bridge(l, bridge, SIOCSDRVSPEC, BRDGSIFAMAX, &b, e) == 0
	    ? 0
	    : err_sys(e, "cannot hold %s to its address on the bridge %s", member, bridge);
}

int
link_member_add(struct link_sys *l, const char *bridge, const char *member, const uint8_t mac[static NET_MAC],
    bool isolated, struct err *e)
{
	struct ifbreq b = { 0 };
	int rc;

	set_name(b.ifbr_ifsname, member);
	/* EEXIST: it is on this bridge already. */
	if (ask_bridge(l, bridge, SIOCSDRVSPEC, BRDGADD, &b, e) != 0 && errno != EEXIST)
		return err_sys(e, "cannot put %s on the bridge %s", member, bridge);
	if ((rc = hold_to(l, bridge, member, mac, e)) < 0)
		return rc;
	if (!isolated)
		return 0;
	b.ifbr_ifsflags = IFBIF_LEARNING | IFBIF_DISCOVER | IFBIF_PRIVATE;
	return ask_bridge(l, bridge, SIOCSDRVSPEC, BRDGSIFFLGS, &b, e) == 0
	    ? 0
	    : err_sys(e, "cannot isolate %s on the bridge %s", member, bridge);
}
