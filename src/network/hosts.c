/*
 * Which pots stand in which hosts file, see hosts.h. Under one lock, which is no file
 * that a pot could open and lock itself; a pot that comes costs one line in the shared file and one in each file of a pot that
 * has its own on the same bridge.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "network/hosts.h"

#define SHARED "shared"
#define LOCK ".lock"
#define LOCK_WAIT_MS 10000
#define NAMES_MAX 256

/* ROOT/net/hosts, locked. */
struct place {
	int dir, lock;
};

static void
place_fini(struct place *p)
{
	fd_close(p->lock);
	fd_close(p->dir);
}
DEFINE_AUTO_FINI(place, struct place)
#define PLACE_INIT     \
	{              \
		-1, -1 \
	}

static int
place_open(const struct net *n, struct place *p, struct err *e)
{
	int r;

	if ((r = net_ready(n, e)) < 0 || (p->dir = r = dir_open(n->fd, "hosts", e)) < 0 ||
	    (p->lock = r = lock_file(p->dir, LOCK, true, LOCK_WAIT_MS, e)) < 0)
		return r;
	return 0;
}

/* The directory of a bridge, its shared file made if there was none. */
static int
bridge_open(const struct place *p, const char *bridge, struct err *e)
{
	AUTO(fd) int dir = -1;
	int fd, r;

	if ((dir = r = dir_make(p->dir, bridge, 0700, e)) < 0 ||
	    (fd = r = hostsfile_open(dir, SHARED, NULL, e)) < 0)
		return r;
	fd_close(fd);
	return take_fd(dir);
}

/* Calls fn with each hosts file of the bridge. */
typedef int file_fn(void *arg, int fd, struct err *);

static int
each_file(int dir, file_fn *fn, void *arg, struct err *e)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *de;
	int r = 0;

	if (d == NULL) {
		fd_close(copy);
		return err_sys(e, "hosts files");
	}
	while (r == 0 && (errno = 0, de = readdir(d)) != NULL) {
		AUTO(fd) int fd = -1;

		if (de->d_name[0] == '.')
			continue;
		if ((fd = openat(dir, de->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC)) >= 0)
			r = fn(arg, fd, e);
		else if (errno != ENOENT)
			r = err_sys(e, "hosts file");
	}
	return r < 0 ? r : errno != 0 ? err_sys(e, "hosts files") : 0;
}

/* ---- coming and going ----------------------------------------------------------- */

struct entry {
	char tag[HOSTS_TAG_MAX + 1];
	const struct net_lease *lease;
	const char *names[NAMES_MAX];
	size_t n;
};

/* The id, which has 16 digits, and so names a pot on all bridges: what is added for one must not take away another's. */
static int
add_entry(void *arg, int fd, struct err *e)
{
	const struct entry *en = arg;
	int r = 0;

	if (en->lease->a4.family != 0)
		r = hostsfile_add(fd, en->tag, &en->lease->a4, en->names, en->n, e);
	if (r == 0 && en->lease->a6.family != 0)
		r = hostsfile_add(fd, en->tag, &en->lease->a6, en->names, en->n, e);
	return r;
}

static int
remove_tag(void *arg, int fd, struct err *e)
{
	return hostsfile_remove(fd, arg, e);
}

static int
on_bridge(const struct place *p, const struct net_lease *l, struct entry *en, bool add, struct err *e)
{
	AUTO(fd) int dir = bridge_open(p, l->bridge, e);

	if (dir < 0)
		return dir;
	en->lease = l;
	return add ? each_file(dir, add_entry, en, e) : each_file(dir, remove_tag, en->tag, e);
}

static int
remove_file(const struct place *p, const char *bridge, const char *id, struct err *e)
{
	AUTO(fd) int dir = bridge_open(p, bridge, e);

	if (dir < 0)
		return dir;
	return unlinkat(dir, id, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "hosts file");
}

static int
take_away(const struct place *p, const char *id, const struct net_lease *v, size_t count, struct err *e)
{
	struct entry en = { .n = 0 };
	int r = net_pot_id_check(id, e);

	snprintf(en.tag, sizeof(en.tag), "%s", id);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = on_bridge(p, &v[i], &en, false, e);
	return r;
}

static int
vanish(const struct net *n, const char *id, const struct net_lease *v, size_t count, struct err *e)
{
	AUTO_FINI(place) struct place p = PLACE_INIT;
	int r = place_open(n, &p, e);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = remove_file(&p, v[i].bridge, id, e);
	return r < 0 ? r : take_away(&p, id, v, count, e);
}

int
net_hosts_add(const struct net *n, const struct net_spec *s, struct err *e)
{
	AUTO_FINI(place) struct place p = PLACE_INIT;
	struct entry en = { .n = 0 };
	int r;

	if (s->type != NET_BRIDGE)
		return 0;
	/* All away first: on the next bridge the same tag is to be added to, not removed. */
	if ((r = place_open(n, &p, e)) < 0 || (r = take_away(&p, s->id, s->leases, s->nleases, e)) < 0)
		return r;
	snprintf(en.tag, sizeof(en.tag), "%s", s->id);
	en.names[en.n++] = s->pot;
	for (size_t i = 0; s->names != NULL && s->names[i] != NULL; i++) {
		if (en.n == NAMES_MAX)
			return err_set(e, E_LIMIT, "a pot can have %d names", NAMES_MAX);
		en.names[en.n++] = s->names[i];
	}
	for (size_t i = 0; i < s->nleases; i++) {
		if ((r = on_bridge(&p, &s->leases[i], &en, true, e)) < 0)
			return r;
	}
	return 0;
}

int
net_hosts_remove(const struct net *n, const struct net_spec *s, struct err *e)
{
	return s->type == NET_BRIDGE ? vanish(n, s->id, s->leases, s->nleases, e) : 0;
}

int
net_hosts_forget(const struct net *n, const char *id, struct err *e)
{
	struct net_lease v[NET_BRIDGES_MAX];
	size_t count;
	int r = net_leases_find(n, id, v, &count, e);

	return r < 0 || count == 0 ? r : vanish(n, id, v, count, e);
}

int
net_hosts_reset(const struct net *n, const char *bridge, struct err *e)
{
	AUTO_FINI(place) struct place p = PLACE_INIT;
	AUTO(fd) int dir = -1;
	int r;

	if ((r = place_open(n, &p, e)) < 0 || (dir = r = bridge_open(&p, bridge, e)) < 0)
		return r;
	return each_file(dir, remove_tag, NULL, e);
}

/* ---- the file of one pot ------------------------------------------------------------ */

/* The name in the directories of its other bridges, and who is there now. */
static int
join_bridge(const struct place *p, const char *bridge, const char *id, int from, int own, struct err *e)
{
	AUTO(fd) int dir = -1;
	AUTO(fd) int shared = -1;
	int r;

	if ((dir = r = bridge_open(p, bridge, e)) < 0 ||
	    (shared = r = hostsfile_open(dir, SHARED, NULL, e)) < 0)
		return r;
	if (from >= 0 && ((unlinkat(dir, id, 0) < 0 && errno != ENOENT) || linkat(from, id, dir, id, 0) < 0))
		return err_sys(e, "hosts file");
	return hostsfile_copy(own, shared, e);
}

static int
own_file(const struct place *p, const struct net_spec *s, const char *own_lines, struct err *e)
{
	AUTO(fd) int from = -1;
	AUTO(fd) int fd = -1;
	int r;

	if ((from = r = bridge_open(p, s->leases[0].bridge, e)) < 0 ||
	    (fd = r = hostsfile_new(from, s->id, own_lines, e)) < 0)
		return r;
	for (size_t i = 0; i < s->nleases; i++) {
		if ((r = join_bridge(p, s->leases[i].bridge, s->id, i == 0 ? -1 : from, fd, e)) < 0)
			return r;
	}
	return take_fd(fd);
}

int
net_hosts_fd(struct net *n, const struct net_spec *s, const char *own_lines, struct err *e)
{
	AUTO_FINI(place) struct place p = PLACE_INIT;
	AUTO(fd) int dir = -1;
	int r;

	if (s->type != NET_BRIDGE || s->nleases == 0)
		return -1;
	if ((r = net_pot_id_check(s->id, e)) < 0 || (r = place_open(n, &p, e)) < 0)
		return r;
	if (s->nleases > 1 || (own_lines != NULL && own_lines[0] != '\0'))
		return own_file(&p, s, own_lines, e);
	if ((dir = r = bridge_open(&p, s->leases[0].bridge, e)) < 0)
		return r;
	return hostsfile_open(dir, SHARED, NULL, e);
}
