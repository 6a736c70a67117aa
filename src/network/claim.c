/*
 * Claims: small files whose name is what is claimed and whose content says
 * by whom. They appear whole (written aside, then linked) and only once
 * (link(2) refuses to replace). Beside them the index of each pot, so that all
 * of a pot's claims are found without looking at those of the others. The callers hold the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"
#include "network/net_impl.h"

#define ASIDE ".claim" /* under the lock there is one at a time */

int
net_claim_init(struct net_claim *c, const char *id, const char *pot, struct err *e)
{
	int r = net_pot_id_check(id, e);

	if (r < 0)
		return r;
	snprintf(c->id, sizeof(c->id), "%s", id);
	snprintf(c->pot, sizeof(c->pot), "%.*s", NET_NAME_MAX, pot != NULL ? pot : "");
	return 0;
}

static int
write_aside(int dirfd, const struct net_claim *c, bool durable, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(NET_CLAIM_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO(fd) int fd = -1;
	int r;

	if ((r = kv_add(&kv, "id", c->id, e)) < 0 || (r = kv_add(&kv, "pot", c->pot, e)) < 0)
		return r;
	kv_print(&kv, &b);
	if ((r = buf_check(&b, "a claim", e)) < 0)
		return r;
	/* What a killed process left here is dropped, not written into: it may be linked already. */
	if (unlinkat(dirfd, ASIDE, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s", ASIDE);
	fd = openat(dirfd, ASIDE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", ASIDE);
	if ((r = fd_write_all(fd, b.data, b.len, ASIDE, e)) < 0)
		return r;
	if (durable && fsync(fd) < 0)
		return err_sys(e, "%s", ASIDE);
	return 0;
}

int
net_claim_read(int dirfd, const char *name, struct net_claim *out, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(NET_CLAIM_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *id, *pot;
	int r;

	if ((r = file_read(dirfd, name, &b, e)) < 0 || (r = kv_parse(&kv, buf_cstr(&b), b.len, name, e)) < 0)
		return r;
	id = kv_get(&kv, "id");
	pot = kv_get(&kv, "pot");
	if (id == NULL || net_pot_id_check(id, NULL) < 0) {
		/* Not durable ones may be empty after a power failure. */
		return err_set(e, E_CORRUPT, "%s: says nobody's id", name);
	}
	return net_claim_init(out, id, pot, e);
}

/* Somebody's name is there already: whose? 1 the pot's own, 0 nobody's any more. */
static int
look_at_holder(
    int dirfd, const char *name, const struct net_claim *c, struct net_claim *holder, struct err *e)
{
	struct net_claim there;
	struct err why = ERR_INIT;
	int r = net_claim_read(dirfd, name, &there, &why);

	if (r == -E_CORRUPT || r == -E_INVAL || r == -E_NOENT) {
		if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
			return err_sys(e, "%s", name);
		return 0;
	}
	if (r < 0) {
		if (e != NULL)
			*e = why;
		return r;
	}
	if (strcmp(there.id, c->id) == 0)
		return 1;
	if (holder != NULL)
		*holder = there;
	return err_set(e, E_EXIST, "%s: taken by the pot '%s'", name, there.pot);
}

int
net_claim_make(int dirfd, const char *name, const struct net_claim *c, bool durable, struct net_claim *holder,
    struct err *e)
{
	int r;

	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (r = look_at_holder(dirfd, name, c, holder, e)) != 0)
		return r;
	if ((r = write_aside(dirfd, c, durable, e)) < 0)
		return r;
	fault_point("net.claim.aside");
	if (linkat(dirfd, ASIDE, dirfd, name, 0) < 0) {
		r = errno == EEXIST ? err_set(e, E_EXIST, "%s: taken", name) : err_sys(e, "%s", name);
		(void)unlinkat(dirfd, ASIDE, 0);
		return r;
	}
	fault_point("net.claim.linked");
	(void)unlinkat(dirfd, ASIDE, 0);
	return durable ? dir_sync(dirfd, name, e) : 0;
}

int
net_claim_drop(int dirfd, const char *name, const char *id, struct err *e)
{
	struct net_claim there;
	struct err why = ERR_INIT;
	int r = net_claim_read(dirfd, name, &there, &why);

	if (r == -E_NOENT || (r == 0 && strcmp(there.id, id) != 0))
		return 0;
	if (r < 0 && r != -E_CORRUPT && r != -E_INVAL) {
		if (e != NULL)
			*e = why;
		return r;
	}
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s", name);
	return 1;
}

/* ---- the index of a pot -------------------------------------------------------------- */

int
net_index_add(const struct net *n, const char *id, const char *line, bool durable, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(NET_CLAIM_MAX);
	AUTO(fd) int dir = -1;
	AUTO(fd) int fd = -1;
	int r;

	if ((r = net_pot_id_check(id, e)) < 0 || (dir = r = dir_make(n->fd, "pots", 0700, e)) < 0)
		return r;
	fd = openat(dir, id, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "pots/%s", id);
	/* A line before it that was torn by a full disk ends here. */
	buf_fmt(&b, "\n%s\n", line);
	if ((r = buf_check(&b, "a line of the index", e)) < 0 ||
	    (r = fd_write_all(fd, b.data, b.len, id, e)) < 0)
		return r;
	if (!durable)
		return 0;
	if (fsync(fd) < 0)
		return err_sys(e, "pots/%s", id);
	return dir_sync(dir, "pots", e);
}

int
net_index_read(const struct net *n, const char *id, struct strv *lines, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(NET_INDEX_MAX);
	struct err why = ERR_INIT;
	char name[32];
	char *line, *end;
	int r;

	if ((r = net_pot_id_check(id, e)) < 0)
		return r;
	snprintf(name, sizeof(name), "pots/%s", id);
	r = file_read(n->fd, name, &b, &why);
	if (r == -E_NOENT)
		return 0;
	if (r < 0) {
		if (e != NULL)
			*e = why;
		return r;
	}
	for (line = b.data; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (end > line)
			strv_addn(lines, line, (size_t)(end - line));
	}
	return strv_check(lines, "the index of a pot", e);
}

int
net_index_drop(const struct net *n, const char *id, struct err *e)
{
	char name[32];
	int r;

	if ((r = net_pot_id_check(id, e)) < 0)
		return r;
	snprintf(name, sizeof(name), "pots/%s", id);
	if (unlinkat(n->fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "%s", name);
	return 0;
}
