/*
 * Host ports: reserved by claims below ports/PROTO-PORT, one for any address
 * or some for one address each, and never both. What processes of the host hold is asked of
 * the system at the moment of reserving.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "network/net_impl.h"

#define CHOSEN_FIRST 20000u
#define CHOSEN_COUNT 10000u
#define ANY "any"

struct place {
	char dir[16];        /* "tcp-8080" */
	char where[IP_TEXT]; /* "any" or an address */
	char line[96];       /* of the index */
};

static void
place_of(const struct port_map *m, struct place *p)
{
	snprintf(p->dir, sizeof(p->dir), "%s-%u", m->proto == PORT_UDP ? "udp" : "tcp", m->host);
	ip_print(&m->addr, p->where);
	if (m->addr.family == 0)
		snprintf(p->where, sizeof(p->where), ANY);
	snprintf(p->line, sizeof(p->line), "port %s/%s", p->dir, p->where);
}

static int
taken_by(const struct port_map *m, const struct net_claim *holder, struct err *e)
{
	char text[PORT_TEXT];

	port_print(m, text);
	err_set(e, E_BUSY, "port %s: the pot '%s' has the host's port", text, holder->pot);
	return err_hint(e, "publish another one, or none: a free one is chosen");
}

/* Any address collides with each one, and the other way round. */
static int
look_for_others(int fd, const struct place *p, const struct port_map *m, const char *id, struct err *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	AUTO(dir) DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct net_claim c;
	struct dirent *de;

	if (d == NULL) {
		fd_close(copy);
		return err_sys(e, "ports/%s", p->dir);
	}
	rewinddir(d);
	while ((errno = 0, de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.' || strcmp(de->d_name, p->where) == 0 ||
		    (strcmp(de->d_name, ANY) != 0 && strcmp(p->where, ANY) != 0))
			continue;
		if (net_claim_read(fd, de->d_name, &c, NULL) == 0 && strcmp(c.id, id) != 0)
			return taken_by(m, &c, e);
	}
	return errno != 0 ? err_sys(e, "ports/%s", p->dir) : 0;
}

static int
note_index(const struct net *n, const char *id, const char *line, struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(65536);
	int r = net_index_read(n, id, &lines, e);

	for (size_t i = 0; r == 0 && i < lines.n; i++) {
		if (strcmp(lines.v[i], line) == 0)
			return 0;
	}
	return r < 0 ? r : net_index_add(n, id, line, false, e);
}

/* Not durable: a port is reserved again at each start, and after a power failure nobody has one. */
static int
reserve_one(
    const struct net *n, int ports, const struct net_claim *c, const struct port_map *m, struct err *e)
{
	AUTO(fd) int dir = -1;
	struct net_claim holder = { 0 };
	struct place p;
	int r;

	place_of(m, &p);
	if ((dir = r = dir_make(ports, p.dir, 0700, e)) < 0 ||
	    (r = look_for_others(dir, &p, m, c->id, e)) < 0)
		return r;
	/* Before the probe: what is the pot's own may be served by its own rules already. */
	if (net_claim_read(dir, p.where, &holder, NULL) == 0)
		return strcmp(holder.id, c->id) == 0 ? note_index(n, c->id, p.line, e)
						     : taken_by(m, &holder, e);
	if ((r = net_port_probe(m, e)) < 0 || (r = note_index(n, c->id, p.line, e)) < 0) {
		(void)unlinkat(ports, p.dir, AT_REMOVEDIR);
		return r;
	}
	fault_point("net.port.indexed");
	r = net_claim_make(dir, p.where, c, false, &holder, e);
	return r < 0 ? r : 0;
}

/* Where a pot begins to look: the same place each time, and not where its neighbour does. */
static unsigned
first_choice(const char *id, const struct port_map *m)
{
	uint32_t h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return (h ^ m->pot * 2654435761u ^ m->proto) % CHOSEN_COUNT;
}

static int
choose(const struct net *n, int ports, const struct net_claim *c, struct port_map *m, struct err *e)
{
	struct err why = ERR_INIT;
	unsigned first = first_choice(c->id, m);

	for (unsigned i = 0; i < CHOSEN_COUNT; i++) {
		struct port_map try = *m;
		struct place p;
		int r;

		try.host = (uint16_t)(CHOSEN_FIRST + (first + i) % CHOSEN_COUNT);
		place_of(&try, &p);
		if (faccessat(ports, p.dir, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		r = reserve_one(n, ports, c, &try, &why);
		if (r == 0)
			m->host = try.host;
		if (r != -E_BUSY) {
			if (e != NULL && r < 0)
				*e = why;
			return r;
		}
	}
	return err_set(
	    e, E_LIMIT, "no host port from %u to %u is free", CHOSEN_FIRST, CHOSEN_FIRST + CHOSEN_COUNT - 1);
}

int
net_port_reserve(struct net *n, const char *id, const char *pot, struct port_map *m, struct err *e)
{
	AUTO(fd) int lock = -1;
	AUTO(fd) int ports = -1;
	struct net_claim c;
	int r;

	if ((r = net_claim_init(&c, id, pot, e)) < 0 || (lock = r = net_lock(n, e)) < 0 ||
	    (ports = r = dir_open(n->fd, "ports", e)) < 0)
		return r;
	return m->host == 0 ? choose(n, ports, &c, m, e) : reserve_one(n, ports, &c, m, e);
}

/* "port PROTO-PORT/WHERE", of letters that lead nowhere else. */
static bool
parse_line(const char *line, struct place *p)
{
	const char *slash;

	if (strncmp(line, "port ", 5) != 0)
		return false;
	line += 5;
	slash = strchr(line, '/');
	if (slash == NULL || (size_t)(slash - line) >= sizeof(p->dir) || slash[1] == '.' ||
	    slash[1] == '\0' || strlen(slash + 1) >= sizeof(p->where) || strchr(slash + 1, '/') != NULL ||
	    (strncmp(line, "tcp-", 4) != 0 && strncmp(line, "udp-", 4) != 0))
		return false;
	memcpy(p->dir, line, (size_t)(slash - line));
	p->dir[slash - line] = '\0';
	snprintf(p->where, sizeof(p->where), "%s", slash + 1);
	return true;
}

int
net_ports_drop(const struct net *n, const char *id, const struct strv *lines, struct err *e)
{
	AUTO(fd) int ports = -1;
	int r = dir_open(n->fd, "ports", e);

	if (r < 0)
		return r;
	ports = r;
	for (size_t i = 0; i < lines->n; i++) {
		char path[sizeof(((struct place *)0)->dir) + IP_TEXT + 1];
		struct place p;

		if (!parse_line(lines->v[i], &p))
			continue;
		snprintf(path, sizeof(path), "%s/%s", p.dir, p.where);
		if ((r = net_claim_drop(ports, path, id, e)) < 0)
			return r;
		fault_point("net.port.dropped");
		/* What a killed process left aside would hold the directory. */
		snprintf(path, sizeof(path), "%s/.claim", p.dir);
		(void)unlinkat(ports, path, 0);
		(void)unlinkat(ports, p.dir, AT_REMOVEDIR);
	}
	return 0;
}

int
net_ports_keep(struct net *n, const char *id, const struct port_map *keep, size_t nkeep, struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(65536);
	AUTO(fd) int lock = -1;
	int r;

	if ((r = net_pot_id_check(id, e)) < 0 || (lock = r = net_lock(n, e)) < 0 ||
	    (r = net_index_read(n, id, &lines, e)) < 0)
		return r;
	for (size_t i = 0; i < nkeep; i++) {
		struct place p;

		place_of(&keep[i], &p);
		for (size_t k = lines.n; k-- > 0;)
			if (strcmp(lines.v[k], p.line) == 0)
				strv_remove(&lines, k);
	}
	return net_ports_drop(n, id, &lines, e);
}

int
net_ports_release(struct net *n, const char *id, struct err *e)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(65536);
	AUTO(fd) int lock = -1;
	int r;

	if ((r = net_pot_id_check(id, e)) < 0 || (lock = r = net_lock(n, e)) < 0 ||
	    (r = net_index_read(n, id, &lines, e)) < 0)
		return r;
	return net_ports_drop(n, id, &lines, e);
}
