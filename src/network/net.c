/*
 * An installation's network: opening it, its lock, the record of the public bridge at
 * init and the end of all records. Private bridges are in bridge.c, addresses in
 * ipam.c, host ports in ports.c; links and rules are the systems' folders'.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/event.h"
#include "base/file.h"
#include "network/bridge.h"
#include "network/net_impl.h"

#define LOCK_WAIT_MS 10000

static int
open_dir(struct net *n, struct err *e)
{
	struct err why = ERR_INIT;
	int r = dir_open(n->root_fd, "net", &why);

	if (r < 0 && r != -E_NOENT) {
		if (e != NULL)
			*e = why;
		return r;
	}
	n->fd = r < 0 ? -1 : r;
	return 0;
}

static int
copy_text(char **to, const char *from, struct err *e)
{
	*to = strdup(from != NULL ? from : "");
	return *to != NULL ? 0 : err_nomem(e);
}

int
net_open(struct net **out, const struct net_params *p, struct err *e)
{
	struct net *n;
	int r;

	if ((r = net_node_id_check(p->id, e)) < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return err_nomem(e);
	n->fd = -1;
	n->isolate = p->isolate;
	n->events = p->events;
	memcpy(n->node, p->id, sizeof(n->node));
	n->root_fd = fcntl(p->root_fd, F_DUPFD_CLOEXEC, 3);
	if (n->root_fd < 0)
		r = err_sys(e, "%s", p->root);
	if (r < 0 || (r = copy_text(&n->cidr4, p->cidr4, e)) < 0 ||
	    (r = copy_text(&n->cidr6, p->cidr6, e)) < 0 || (r = copy_text(&n->routed6, p->routed6, e)) < 0 ||
	    (r = open_dir(n, e)) < 0) {
		net_close(n);
		return r;
	}
	*out = n;
	return 0;
}

void
net_close(struct net *n)
{
	if (n == NULL)
		return;
	if (n->os != NULL && n->os_close != NULL)
		n->os_close(n->os);
	fd_close(n->fd);
	fd_close(n->root_fd);
	free(n->cidr4);
	free(n->cidr6);
	free(n->routed6);
	free(n);
}

int
net_ready(const struct net *n, struct err *e)
{
	if (n->fd >= 0)
		return 0;
	err_set(e, E_STATE, "this installation has no network yet");
	return err_hint(e, "run pot init");
}

int
net_lock(const struct net *n, struct err *e)
{
	int r = net_ready(n, e);

	if (r == 0 && (r = lock_file(n->fd, "lock", true, LOCK_WAIT_MS, e)) < 0)
		err_wrap(e, "network");
	return r;
}

/* ---- init --------------------------------------------------------------------- */

static int
make_dirs(struct net *n, struct err *e)
{
	static const char *const below[] = { "bridges", "leases", "ports", "pots", "hosts" };
	int fd;

	if (n->fd < 0 && (n->fd = dir_make(n->root_fd, "net", 0700, e)) < 0)
		return n->fd;
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		if ((fd = dir_make(n->fd, below[i], 0700, e)) < 0)
			return fd;
		fd_close(fd);
	}
	return 0;
}

/* A record is kept as it is, unless the configuration asks for another range now. */
static bool
same_ranges(const struct net_bridge *old, const struct net_bridge *wanted, const struct net *n)
{
	return (n->cidr4[0] == '\0' || net_prefix_equal(&old->net4, &wanted->net4)) &&
	    ((n->cidr6[0] == '\0' && n->routed6[0] == '\0') || net_prefix_equal(&old->net6, &wanted->net6));
}

static int
init_locked(struct net *n, struct err *e)
{
	struct net_bridge old, wanted;
	struct net_claim who;
	struct err why = ERR_INIT;
	unsigned pots;
	int r = net_bridge_read(n, NET_PUBLIC, &old, &why);

	if (r < 0 && r != -E_NOENT) {
		if (e != NULL)
			*e = why;
		return r;
	}
	if (r == 0 && n->cidr4[0] == '\0' && n->cidr6[0] == '\0' && n->routed6[0] == '\0')
		return 0;
	why.code = r;
	if ((r = net_bridge_public(n, why.code == 0 ? &old : NULL, &wanted, e)) < 0)
		return r;
	if (why.code == 0 && same_ranges(&old, &wanted, n))
		return 0;
	if (why.code == 0 && (r = net_bridge_pots(n, NET_PUBLIC, &pots, &who, e)) < 0)
		return r;
	if (why.code == 0 && pots > 0) {
		err_set(e, E_BUSY, "the range of the public bridge: %u pots have addresses in it, '%s' first",
		    pots, who.pot);
		return err_hint(e, "destroy these pots, or take the setting back");
	}
	return net_bridge_write(n, &wanted, 0, e);
}

int
net_init(struct net *n, struct err *e)
{
	AUTO(fd) int lock = -1;
	int r;

	if ((r = make_dirs(n, e)) < 0 || (lock = r = net_lock(n, e)) < 0)
		return r;
	return init_locked(n, e);
}

int
net_records_remove(struct net *n, struct err *e)
{
	fd_close(take_fd(n->fd));
	return tree_remove(n->root_fd, "net", e);
}
