/*
 * Giving back all that a pot has, and all of pots that are no more.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/event.h"
#include "base/fault.h"
#include "base/file.h"
#include "network/hosts.h"
#include "network/net_impl.h"

static int
release_locked(const struct net *n, const char *id, struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(65536);
	int r;

	if ((r = net_index_read(n, id, &lines, e)) < 0 || (r = net_hosts_forget(n, id, e)) < 0 ||
	    (r = net_ports_drop(n, id, &lines, e)) < 0 || (r = net_leases_drop(n, id, &lines, e)) < 0)
		return r;
	fault_point("net.release.dropped");
	return net_index_drop(n, id, e);
}

int
net_release(struct net *n, const char *id, struct err *e)
{
	AUTO(fd) int lock = -1;
	int r = net_pot_id_check(id, e);

	if (r < 0)
		return r;
	if (n->fd < 0) /* never had a network */
		return 0;
	if ((lock = r = net_lock(n, e)) < 0)
		return r;
	return release_locked(n, id, e);
}

/* ---- repair --------------------------------------------------------------------- */

/* Names in a directory that do not begin with a dot. */
static int
names_in(int dirfd, const char *name, struct strv *out, struct err *e)
{
	int fd = dir_open(dirfd, name, e);
	AUTO(dir) DIR *d = NULL;
	struct dirent *de;

	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (d == NULL) {
		fd_close(fd);
		return err_sys(e, "%s", name);
	}
	while ((errno = 0, de = readdir(d)) != NULL) {
		if (de->d_name[0] != '.')
			strv_add(out, de->d_name);
	}
	return errno != 0 ? err_sys(e, "%s", name) : strv_check(out, name, e);
}

struct sweep {
	const struct net *net;
	int (*exists)(void *arg, const char *id);
	void *arg;
};

/* Claims of which no index knows (a power failure took it): looked at one by one. */
static int
sweep_claims(const struct sweep *s, const char *area, struct err *e)
{
	AUTO_FINI(strv) struct strv dirs = STRV_INIT(1 << 20);
	AUTO(fd) int top = dir_open(s->net->fd, area, e);
	int r = top;

	if (r < 0 || (r = names_in(s->net->fd, area, &dirs, e)) < 0)
		return r;
	for (size_t i = 0; i < dirs.n; i++) {
		AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 22);
		AUTO(fd) int dir = dir_open(top, dirs.v[i], e);

		if (dir < 0 || (r = names_in(top, dirs.v[i], &names, e)) < 0)
			return dir < 0 ? dir : r;
		for (size_t k = 0; k < names.n; k++) {
			struct net_claim c;

			r = net_claim_read(dir, names.v[k], &c, NULL);
			if (r == -E_CORRUPT || r == -E_INVAL || (r == 0 && !s->exists(s->arg, c.id)))
				(void)unlinkat(dir, names.v[k], 0);
		}
		if (strcmp(area, "ports") == 0) {
			(void)unlinkat(dir, ".claim", 0);
			(void)unlinkat(top, dirs.v[i], AT_REMOVEDIR);
		}
	}
	return 0;
}

int
net_reclaim(struct net *n, int (*exists)(void *arg, const char *id), void *arg, struct err *e)
{
	AUTO_FINI(strv) struct strv ids = STRV_INIT(1 << 20);
	AUTO(fd) int lock = -1;
	struct sweep s = { n, exists, arg };
	int r;

	if (n->fd < 0)
		return 0;
	if ((lock = r = net_lock(n, e)) < 0 || (r = names_in(n->fd, "pots", &ids, e)) < 0)
		return r;
	for (size_t i = 0; i < ids.n; i++) {
		if (net_pot_id_check(ids.v[i], NULL) < 0 || exists(arg, ids.v[i]))
			continue;
		if ((r = release_locked(n, ids.v[i], e)) < 0)
			return r;
		event_info(&n->events, "network: gave back what the vanished pot %s had", ids.v[i]);
	}
	if ((r = sweep_claims(&s, "leases", e)) < 0)
		return r;
	return sweep_claims(&s, "ports", e);
}
