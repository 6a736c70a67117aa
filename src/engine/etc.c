/*
 * Files that are made for a pot at each start: /etc/hosts, /etc/hostname and
 * /etc/resolv.conf. They stand in pots/NAME/etc and are mounted over the
 * pot's own, whose content never changes; and the environment of processes.
 */
#include "engine/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

#define ETC_FILE_MAX (1024 * 1024)

static int
write_file(int dir, const char *name, const struct buf *b, struct err *e)
{
	AUTO_FINI(buf) struct buf old = BUF_INIT(ETC_FILE_MAX);
	AUTO(fd) int fd = -1;
	int rc = buf_check(b, name, e);

	if (rc < 0)
		return rc;
	/* Mostly nothing has changed since the last start, and then nothing is written. */
	if (file_read(dir, name, &old, NULL) == 0 && old.len == b->len &&
	    memcmp(buf_cstr(&old), buf_cstr(b), b->len) == 0)
		return 0;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, "cannot write etc/%s", name);
	return fd_write_all(fd, buf_cstr(b), b->len, name, e);
}

/* The pot keeps its own. */
static int
forget_file(int dir, const char *name, struct err *e)
{
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return err_sys(e, "cannot remove etc/%s", name);
	return 0;
}

static int
make_hosts(struct epot *p, int dir, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(ETC_FILE_MAX);
	const char *host = potconf_get(&p->conf, PC_HOSTNAME, p->name), *entry;
	size_t pos = 0;

	/* On a bridge one is kept current for all of its pots. */
	if (potconf_attr_bool(&p->conf, "no-etc-hosts") || network_is_bridged(p->state.rec.network))
		return forget_file(dir, "hosts", e);
	buf_fmt(&b, "127.0.0.1\tlocalhost %s\n::1\tlocalhost %s\n", host, host);
	while ((entry = kv_next(&p->conf.kv, PC_HOSTS, &pos)) != NULL)
		buf_fmt(&b, "%s\n", entry);
	return write_file(dir, "hosts", &b, e);
}

static int
make_hostname(struct epot *p, int dir, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(256);

	buf_fmt(&b, "%s\n", potconf_get(&p->conf, PC_HOSTNAME, p->name));
	return write_file(dir, "hostname", &b, e);
}

/* A name server of the host that listens on 127.0.0.x is not the pot's 127.0.0.x. */
static int
through_bridge(struct epot *p, struct buf *text, struct err *e)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(ETC_FILE_MAX);
	const struct net_spec *spec;
	int rc = buf_check(text, "the host's resolv.conf", e);

	if (rc == 0)
		rc = epot_net_start(p, &spec, e);
	if (rc == 0)
		rc = net_resolv(p->eng->net, spec, buf_cstr(text), &out, e);
	if (rc == 0) {
		buf_reset(text);
		buf_add(text, out.data, out.len);
	}
	return rc;
}

static int
make_resolv(struct epot *p, int dir, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(ETC_FILE_MAX);
	const char *dns = potconf_get(&p->conf, PC_DNS, "inherit");
	AUTO(fd) int fd = -1;
	int rc;

	if (strcmp(dns, "off") == 0)
		return forget_file(dir, "resolv.conf", e);
	if (strcmp(dns, "pot") == 0) {
		/* Without a server the C library would ask 127.0.0.1, for long. */
		buf_str(&b, "# Only names of pots (/etc/hosts).\noptions timeout:1 attempts:1\n");
		return write_file(dir, "resolv.conf", &b, e);
	}
	if (strcmp(dns, "custom") == 0) {
		fd = openat(p->dir_fd, "resolv.conf", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return err_sys(e, "cannot read the resolv.conf given with -d custom");
	} else {
		fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return err_sys(e, "cannot read the host's /etc/resolv.conf");
	}
	rc = fd < 0 ? 0 : fd_read_all(fd, &b, e);
	if (rc == 0 && strcmp(dns, "inherit") == 0 && network_is_bridged(p->state.rec.network))
		rc = through_bridge(p, &b, e);
	return rc < 0 ? err_wrap(e, "resolv.conf") : write_file(dir, "resolv.conf", &b, e);
}

int
etc_make(struct epot *p, struct err *e)
{
	AUTO(fd) int dir = dir_make(p->dir_fd, ETC_DIR, 0755, e);
	int rc;

	if (dir < 0)
		return dir;
	rc = make_hosts(p, dir, e);
	if (rc == 0)
		rc = make_hostname(p, dir, e);
	if (rc == 0)
		rc = make_resolv(p, dir, e);
	return rc;
}

/* The hosts file of its bridges, which is the pot's too; E_NOENT: it has none. */
static int
bridge_hosts(struct epot *p, struct err *e)
{
	AUTO_FINI(buf) struct buf own = BUF_INIT(ETC_FILE_MAX);
	AUTO(fd) int fd = -1;
	const struct net_spec *spec;
	const char *entry;
	size_t pos = 0;
	int rc = epot_net_start(p, &spec, e);

	while ((entry = kv_next(&p->conf.kv, PC_HOSTS, &pos)) != NULL)
		buf_fmt(&own, "%s\n", entry);
	if (rc == 0)
		rc = buf_check(&own, "hosts", e);
	if (rc < 0)
		return rc;
	fd = rc = net_hosts_fd(p->eng->net, spec, buf_cstr(&own), e);
	/* Read-only: it is the other pots' as well. */
	return rc < 0 ? rc : iso_bind(fd, "", true, false, e);
}

int
etc_mounts(struct epot *p, const struct epot_walls *w, struct etc_files *f, struct err *e)
{
	static const struct {
		const char *name, *target;
	} files[ETC_FILES] = {
		{ "hosts", "/etc/hosts" },
		{ "hostname", "/etc/hostname" },
		{ "resolv.conf", "/etc/resolv.conf" },
	};
	AUTO(fd) int dir = dir_open(p->dir_fd, ETC_DIR, e);

	f->n = 0;
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int fd;

		if (faccessat(dir, files[i].name, F_OK, 0) != 0)
			continue;
		fd = iso_bind(dir, files[i].name, false, false, e);
		if (fd < 0)
			return fd;
		f->m[f->n++] = (struct iso_mount){ fd, files[i].target, false };
		if (walls_map(w, fd, e) < 0)
			return -E_SYS;
	}
	if (network_is_bridged(p->state.rec.network) && !potconf_attr_bool(&p->conf, "no-etc-hosts")) {
		int fd = bridge_hosts(p, e);

		if (fd < 0)
			return fd;
		f->m[f->n++] = (struct iso_mount){ fd, "/etc/hosts", false };
		if (walls_map(w, fd, e) < 0)
			return -E_SYS;
	}
	return 0;
}

void
etc_files_fini(struct etc_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		fd_close(f->m[i].fd);
	f->n = 0;
}

/* The last assignment of a name counts, in the place of the first. */
static void
env_put(struct strv *env, const char *assignment)
{
	size_t name = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < env->n; i++) {
		char *copy;

		if (strncmp(env->v[i], assignment, name) != 0)
			continue;
		copy = strdup(assignment);
		if (copy == NULL) {
			env->failed = true;
			return;
		}
		free(env->v[i]);
		env->v[i] = copy;
		return;
	}
	strv_add(env, assignment);
}

int
epot_environment(struct epot *p, const char *home, char *const *extra, struct strv *env, struct err *e)
{
	const char *entry;
	size_t pos = 0;
	int rc = 0;

	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_fmt(env, "HOME=%s", home);
	strv_fmt(env, "HOSTNAME=%s", potconf_get(&p->conf, PC_HOSTNAME, p->name));
	strv_add(env, "container=pot");
	strv_fmt(env, "_POT_NAME=%s", p->name);
	while ((entry = kv_next(&p->conf.kv, PC_ENV, &pos)) != NULL)
		env_put(env, entry);
	for (; extra != NULL && *extra != NULL && rc == 0; extra++) {
		rc = potconf_env_check(*extra, e);
		if (rc == 0)
			env_put(env, *extra);
	}
	return rc < 0 ? rc : strv_check(env, "the environment", e);
}
