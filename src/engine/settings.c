/* Changing what is set for a pot: its pot.conf and hooks, and mounts of a running one. */
#include "engine/epot.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/text.h"

static int
begin(struct epot *p, struct eng *g, const char *name, struct err *e)
{
	int rc = epot_get(p, g, name, EPOT_WRITE, e);

	return rc == 0 ? epot_load_conf(p, e) : rc;
}

int
eng_set_command(struct eng *g, const char *name, const char *command, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	AUTO_FINI(strv) struct strv words = STRV_INIT(4096);
	int rc = begin(&p, g, name, e);

	if (rc == 0 && command != NULL)
		rc = text_split(command, &words, e);
	if (rc == 0 && command != NULL && words.n == 0)
		rc = err_set(e, E_INVAL, "the command is empty");
	if (rc == 0)
		rc = potconf_set(&p.conf, PC_CMD, command, e);
	return rc == 0 ? epot_save_conf(&p, e) : rc;
}

typedef int list_fn(struct potconf *, const char *, struct err *);

/* set-env and set-hosts: the same change on two lists. */
static int
change_list(struct eng *g, const char *name, enum pot_change how, char *const *items, const char *key,
    list_fn *add, list_fn *remove, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = begin(&p, g, name, e);

	if (rc == 0 && (how == POT_REPLACE || how == POT_CLEAR))
		rc = potconf_clear(&p.conf, key, e);
	for (; how != POT_CLEAR && items != NULL && *items != NULL && rc == 0; items++)
		rc = how == POT_REMOVE ? remove(&p.conf, *items, e) : add(&p.conf, *items, e);
	return rc == 0 ? epot_save_conf(&p, e) : rc;
}

int
eng_set_env(struct eng *g, const char *name, enum pot_change how, char *const *items, struct err *e)
{
	return change_list(g, name, how, items, PC_ENV, potconf_env_add, potconf_env_remove, e);
}

int
eng_set_hosts(struct eng *g, const char *name, enum pot_change how, char *const *items, struct err *e)
{
	return change_list(g, name, how, items, PC_HOSTS, potconf_hosts_add, potconf_hosts_remove, e);
}

int
eng_set_hook(struct eng *g, const char *name, const char *point, const char *file, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int which = hook_find(point, e), rc;

	if (which < 0)
		return which;
	rc = epot_get(&p, g, name, EPOT_WRITE, e);
	return rc == 0 ? hook_set(&p, (enum hook_point)which, file, e) : rc;
}

int
epot_put_attribute(struct epot *p, const char *attr, const char *value, struct err *e)
{
	AUTO_FREE char *normal = NULL;
	const struct attr *a = attr_find(attr, e);

	if (a == NULL)
		return e == NULL ? -E_INVAL : -e->code;
	if ((a->flags & ATTR_READONLY) != 0)
		return err_set(e, E_PERM, "the attribute %s is set by pot itself", attr);
	normal = attr_normalize(a, value, e);
	if (normal == NULL)
		return e == NULL ? -E_INVAL : -e->code;
	return potconf_set(&p->conf, a->key, normal, e);
}

int
eng_set_attribute(struct eng *g, const char *name, const char *attr, const char *value, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = begin(&p, g, name, e);

	if (rc == 0)
		rc = epot_put_attribute(&p, attr, value, e);
	return rc == 0 ? epot_save_conf(&p, e) : rc;
}

int
eng_get_attribute(struct eng *g, const char *name, const char *attr, char **value, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	const struct attr *a = attr_find(attr, e);
	const char *v;
	int rc;

	if (a == NULL)
		return e == NULL ? -E_INVAL : -e->code;
	rc = epot_get(&p, g, name, EPOT_READ, e);
	if (rc == 0)
		rc = epot_load_conf(&p, e);
	if (rc < 0)
		return rc;
	v = epot_attr(&p, a);
	*value = strdup(v);
	return *value == NULL ? err_nomem(e) : 0;
}

const char *
epot_attr(const struct epot *p, const struct attr *a)
{
	/* Not stored: it follows from what is. */
	if (strcmp(a->name, "to-be-pruned") == 0)
		return potconf_attr_bool(&p->conf, "prunable") && p->state.rec.runs > 0 ? "YES" : "NO";
	return potconf_attr(&p->conf, a->name);
}

static bool
takes_mounts(const struct epot *p)
{
	return p->state.rec.state == POT_RUNNING || p->state.rec.state == POT_PAUSED;
}

static int
journal_mount(struct epot *p, const char *target, struct err *e)
{
	struct state_rec *r = &p->state.rec;

	if (strlen(target) >= sizeof(r->arg))
		return err_set(
		    e, E_LIMIT, "the mount point %s is longer than %zu bytes", target, sizeof(r->arg) - 1);
	snprintf(r->arg, sizeof(r->arg), "%s", target);
	r->op = OP_MOUNT;
	return state_write(&p->state, false, e);
}

static int
mount_now(struct epot *p, const struct potconf_mount *m, bool dir, struct err *e)
{
	const struct iso_ref ref = epot_ref(p);
	AUTO(fd) int fd = iso_bind(AT_FDCWD, m->source, m->ro, true, e);
	AUTO(fd) int ns = -1;
	uint32_t first, ids;
	int rc = fd < 0 ? fd : m->idmap ? iso_userns_of(&ref, &ns, &first, &ids, e) : 0;

	if (rc == 0 && ns >= 0)
		rc = iso_idmap(fd, ns, true, e);
	return rc < 0 ? rc : iso_mount_into(&ref, &(struct iso_mount){ fd, m->target, dir }, e);
}

static void
unmount_now(struct epot *p, const char *target)
{
	const struct iso_ref ref = epot_ref(p);

	(void)!iso_unmount_from(&ref, target, NULL);
}

int
epot_finish_mount(struct epot *p, struct err *e)
{
	const char *target = p->state.rec.arg;
	struct potconf_mount *m;
	size_t n;
	bool listed = false;
	int rc = epot_load_conf(p, e);

	if (rc == 0)
		rc = potconf_mounts(&p->conf, &m, &n, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		listed = listed || strcmp(m[i].target, target) == 0;
	potconf_mounts_free(m, n);
	if (!listed && takes_mounts(p) && state_alive(&p->state))
		unmount_now(p, target);
	return 0;
}

int
epot_mount_source(const struct pot_mount *m, char **source, bool *dir, struct err *e)
{
	struct stat st;

	*source = realpath(m->source, NULL);
	if (*source == NULL || stat(*source, &st) != 0)
		return err_sys(e, "cannot mount %s", m->source);
	*dir = S_ISDIR(st.st_mode);
	if (*dir || S_ISREG(st.st_mode))
		return 0;
	return err_set(e, E_INVAL, "cannot mount %s: it is neither a directory nor a regular file", *source);
}

int
eng_mount_in(struct eng *g, const char *name, const struct pot_mount *m, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct potconf_mount pm = { NULL, (char *)m->target, m->read_only, m->idmap };
	AUTO_FREE char *source = NULL;
	bool dir;
	int rc = epot_mount_source(m, &source, &dir, e);

	if (rc < 0)
		return rc;
	pm.source = source;
	rc = begin(&p, g, name, e);
	if (rc == 0)
		rc = potconf_mount_add(&p.conf, &pm, e);
	if (rc < 0)
		return rc;
	if (!takes_mounts(&p))
		return epot_save_conf(&p, e);
	rc = journal_mount(&p, m->target, e);
	if (rc == 0)
		rc = mount_now(&p, &pm, dir, e);
	fault_point("mount-in.mounted");
	if (rc == 0) {
		rc = epot_save_conf(&p, e);
		if (rc < 0)
			unmount_now(&p, m->target);
	}
	return epot_end_op(&p, rc, e);
}

int
eng_mount_out(struct eng *g, const char *name, const char *target, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	int rc = begin(&p, g, name, e);

	if (rc == 0)
		rc = potconf_mount_remove(&p.conf, target, e);
	if (rc < 0)
		return rc;
	if (!takes_mounts(&p))
		return epot_save_conf(&p, e);
	rc = journal_mount(&p, target, e);
	if (rc == 0)
		rc = epot_save_conf(&p, e);
	fault_point("mount-out.saved");
	if (rc == 0) {
		const struct iso_ref ref = epot_ref(&p);

		rc = iso_unmount_from(&ref, target, e);
	}
	return epot_end_op(&p, rc, e);
}
