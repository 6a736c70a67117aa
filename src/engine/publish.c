/*
 * Published ports: set, chosen, reserved at once, written into pot.conf, and given back. A
 * running pot has the ports that it was started with, whatever is set meanwhile;
 * these stand in a record beside its other files of the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/epot.h"

#define RECORD ETC_DIR "/published"
#define RECORD_MAX (PORT_MAPS_MAX * (PORT_TEXT + 1))

int
epot_ports_new(struct port_map **v, struct err *e)
{
	*v = calloc(2 * PORT_MAPS_MAX, sizeof(**v));
	return *v == NULL ? err_nomem(e) : 0;
}

int
epot_ports_get(const struct epot *p, struct port_map *v, size_t *n, struct err *e)
{
	const char *text;
	size_t pos = 0;
	int rc = 0;

	*n = 0;
	while (rc == 0 && (text = kv_next(&p->conf.kv, PC_EXPORT, &pos)) != NULL)
		rc = port_parse(text, v, n, e);
	return rc;
}

/* ---- the record of a run ------------------------------------------------------------ */

int
epot_ports_record(struct epot *p, const struct port_map *v, size_t n, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	AUTO(fd) int fd = -1;
	int rc;

	for (size_t i = 0; i < n; i++) {
		char text[PORT_TEXT];

		port_print(&v[i], text);
		buf_fmt(&b, "%s\n", text);
	}
	rc = buf_check(&b, "the record of the ports", e);
	if (rc < 0)
		return rc;
	/* Before anything of it exists; it need not outlive the machine, as the ports do not. */
	fd = openat(p->dir_fd, RECORD, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, "cannot write the record of the ports of %s", p->name);
	return fd_write_all(fd, b.data, b.len, "the record of the ports", e);
}

int
epot_ports_recorded(const struct epot *p, struct port_map *v, size_t *n, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	struct err own = ERR_INIT;
	char *line, *next;
	int rc = file_read(p->dir_fd, RECORD, &b, &own);

	*n = 0;
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0) {
		if (e != NULL)
			*e = own;
		return err_wrap(e, "pot %s", p->name);
	}
	for (line = b.data; line != NULL && *line != '\0'; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		/* Of a torn one nothing existed yet. */
		if (port_parse(line, v, n, NULL) < 0)
			break;
	}
	return 0;
}

/* ---- setting --------------------------------------------------------------------------- */

static int
check_conflicts(const struct port_map *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			char text[PORT_TEXT];

			if (v[i].host == 0 || v[k].host == 0 || !port_conflict(&v[i], &v[k]))
				continue;
			port_print(&v[i], text);
			return err_set(e, E_INVAL, "port %s: the host's port is published twice", text);
		}
	return 0;
}

int
epot_ports_set(struct epot *p, struct port_map *v, size_t n, struct err *e)
{
	int rc = check_conflicts(v, n, e);

	if (rc == 0)
		rc = eng_need_net(p->eng, e);
	if (rc == 0)
		rc = kv_set(&p->conf.kv, PC_EXPORT, NULL, e);
	/* Those that are given first, so that none is chosen that another asks for. */
	for (int chosen = 0; chosen < 2; chosen++)
		for (size_t i = 0; i < n && rc == 0; i++) {
			if ((v[i].host == 0) == (chosen == 1))
				rc = net_port_reserve(p->eng->net, p->state.rec.id, p->name, &v[i], e);
			fault_point("ports.reserved");
		}
	for (size_t i = 0; i < n && rc == 0; i++) {
		char text[PORT_TEXT];

		port_print(&v[i], text);
		rc = kv_add(&p->conf.kv, PC_EXPORT, text, e);
	}
	return rc;
}

int
epot_ports_settle(struct epot *p, struct err *e)
{
	AUTO_FREE struct port_map *v = NULL;
	size_t n = 0, running = 0;
	int rc;

	/* What is in hand may be what could not be saved: the file counts. */
	potconf_fini(&p->conf);
	memset(&p->conf, 0, sizeof(p->conf));
	p->conf_loaded = false;
	rc = epot_load_conf(p, e);
	if (rc == 0)
		rc = eng_need_net(p->eng, e);
	if (rc == 0)
		rc = epot_ports_new(&v, e);
	if (rc == 0)
		rc = epot_ports_get(p, v, &n, e);
	if (rc == 0)
		rc = epot_ports_recorded(p, v + n, &running, e);
	return rc < 0 ? rc : net_ports_keep(p->eng->net, p->state.rec.id, v, n + running, e);
}

/* As --publish takes it, or only "PORT[/udp]" of the pot. */
static int
parse_spec(const char *text, struct port_map *v, size_t *n, struct err *e)
{
	char with_colon[PORT_TEXT];

	if (strchr(text, ':') != NULL || strlen(text) > 16)
		return port_parse(text, v, n, e);
	snprintf(with_colon, sizeof(with_colon), ":%s", text);
	return port_parse(with_colon, v, n, e);
}

/* Which of the pot's ports is meant: one as listed, or all of a port of the pot. */
static int
remove_spec(const char *text, struct port_map *v, size_t *n, struct err *e)
{
	struct port_map gone[PORT_MAPS_MAX];
	size_t ngone = 0, left = 0;
	int rc = parse_spec(text, gone, &ngone, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < *n; i++) {
		bool meant = false;

		for (size_t k = 0; k < ngone && !meant; k++)
			meant = v[i].proto == gone[k].proto && v[i].pot == gone[k].pot &&
			    (gone[k].host == 0 || gone[k].host == v[i].host) &&
			    (gone[k].addr.family == 0 || ip_equal(&gone[k].addr, &v[i].addr));
		if (!meant)
			v[left++] = v[i];
	}
	if (left == *n) {
		err_set(e, E_NOENT, "the port %.80s is not published", text);
		return err_hint(e, "pot info shows the ports");
	}
	*n = left;
	return 0;
}

static int
change(enum pot_change how, char *const *specs, struct port_map *v, size_t *n, struct err *e)
{
	int rc = 0;

	if (how == POT_REPLACE || how == POT_CLEAR)
		*n = 0;
	for (; how != POT_CLEAR && specs != NULL && *specs != NULL && rc == 0; specs++)
		rc = how == POT_REMOVE ? remove_spec(*specs, v, n, e) : parse_spec(*specs, v, n, e);
	return rc;
}

/* A port that the pot publishes already, on a host port that was not given, stays where it is. */
static void
keep_chosen(struct port_map *v, size_t n, const struct port_map *old, size_t nold)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < nold && v[i].host == 0; k++)
			if (v[i].proto == old[k].proto && v[i].pot == old[k].pot &&
			    ip_equal(&v[i].addr, &old[k].addr))
				v[i].host = old[k].host;
}

static int
journal(struct epot *p, enum state_op op, struct err *e)
{
	p->state.rec.op = op;
	return state_write(&p->state, false, e);
}

int
eng_set_ports(struct eng *g, const char *name, enum pot_change how, char *const *specs, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FREE struct port_map *v = NULL;
	AUTO_FREE struct port_map *old = NULL;
	struct err own = ERR_INIT;
	size_t n = 0, nold = 0;
	int rc = epot_get(&p, g, name, EPOT_WRITE, e);

	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc == 0 && how != POT_CLEAR && !network_is_bridged(potconf_get(&p.conf, PC_NETWORK, "inherit"))) {
		err_set(e, E_INVAL, "pot %s is on no bridge: its ports are not published", name);
		return err_hint(e, "a pot with the network type inherit or alias has the host's ports");
	}
	if (rc == 0)
		rc = epot_ports_new(&v, e);
	if (rc == 0)
		rc = epot_ports_new(&old, e);
	if (rc == 0)
		rc = epot_ports_get(&p, v, &n, e);
	if (rc < 0)
		return rc;
	memcpy(old, v, n * sizeof(*v));
	nold = n;
	rc = change(how, specs, v, &n, e);
	if (rc < 0)
		return rc;
	keep_chosen(v, n, old, nold);
	rc = journal(&p, OP_PORTS, e);
	fault_point("ports.journalled");
	if (rc == 0)
		rc = epot_ports_set(&p, v, n, e);
	if (rc == 0)
		rc = epot_save_conf(&p, e);
	fault_point("ports.saved");
	if (epot_ports_settle(&p, rc < 0 ? &own : e) < 0)
		return rc < 0 ? rc : -E_SYS; /* the journal has the next command try again */
	epot_net_texts(&p);
	return journal(&p, OP_NONE, rc < 0 ? &own : e) < 0 && rc == 0 ? -E_SYS : rc;
}

/* ---- for lists ------------------------------------------------------------------------ */

void
epot_net_texts(struct epot *p)
{
	struct state_rec *r = &p->state.rec;
	AUTO_FINI(buf) struct buf b = BUF_INIT(sizeof(r->ip) - 1);
	static const char more[] = ", …";
	const char *text;
	size_t pos = 0, len = 0;

	while ((text = kv_next(&p->conf.kv, PC_IP, &pos)) != NULL) {
		struct ip_prefix addr;
		char where[64], ip[IP_TEXT];

		if (network_address(text, where, &addr, NULL) < 0)
			continue;
		ip_print(&addr.addr, ip);
		if (b.len + strlen(ip) + 1 < sizeof(r->ip) - 1)
			buf_fmt(&b, "%s%s", b.len > 0 ? " " : "", ip);
	}
	snprintf(r->ip, sizeof(r->ip), "%s", buf_cstr(&b));
	r->ports[0] = '\0';
	for (pos = 0; (text = kv_next(&p->conf.kv, PC_EXPORT, &pos)) != NULL;) {
		size_t add = strlen(text) + (len > 0 ? 2 : 0);

		if (len + add + sizeof(more) > sizeof(r->ports)) {
			memcpy(r->ports + len, more, sizeof(more));
			return;
		}
		len += (size_t)snprintf(
		    r->ports + len, sizeof(r->ports) - len, "%s%s", len > 0 ? ", " : "", text);
	}
}
