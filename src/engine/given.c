/*
 * What a new pot is given besides its root, network, limits and walls: who its command is, where it
 * works, its names, labels, hosts, mounts and attributes, and a network namespace of somebody else's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "engine/epot.h"

static int
add_labels(struct epot *p, const char *const *labels, struct err *e)
{
	int rc = 0;

	for (; labels != NULL && *labels != NULL && rc == 0; labels++)
		rc = potconf_label_add(&p->conf, *labels, e);
	return rc;
}

static int
add_hosts(struct epot *p, const char *const *hosts, struct err *e)
{
	int rc = 0;

	for (; hosts != NULL && *hosts != NULL && rc == 0; hosts++)
		rc = potconf_hosts_add(&p->conf, *hosts, e);
	return rc;
}

static int
add_mount(struct epot *p, const struct pot_mount *m, struct err *e)
{
	AUTO_FREE char *source = NULL;
	bool dir;
	int rc = epot_mount_source(m, &source, &dir, e);

	return rc < 0 ? rc
		      : potconf_mount_add(&p->conf,
			    &(struct potconf_mount){ source, (char *)m->target, m->read_only, m->idmap }, e);
}

static int
add_mounts(struct epot *p, const struct pot_mount *m, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_mount(p, &m[i], e);
	return rc;
}

/* "NAME=VALUE", as pot set-attribute would. */
static int
set_attrs(struct epot *p, const char *const *attrs, struct err *e)
{
	int rc = 0;

	for (; attrs != NULL && *attrs != NULL && rc == 0; attrs++) {
		const char *value = strchr(*attrs, '=');
		AUTO_FREE char *name = value == NULL ? NULL : buf_dup(*attrs, (size_t)(value - *attrs));

		if (value == NULL)
			return err_set(e, E_INVAL, "attribute '%.64s': not NAME=VALUE", *attrs);
		if (name == NULL)
			return err_nomem(e);
		rc = epot_put_attribute(p, name, value + 1, e);
	}
	return rc;
}

int
epot_given(struct epot *p, const struct pot_create_args *a, struct err *e)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ PC_USER, a->user },
		{ PC_WORKDIR, a->workdir },
		{ PC_HOSTNAME, a->hostname },
		{ PC_NETNS, a->netns },
	};
	int rc = 0;

	if (a->netns != NULL && strcmp(potconf_get(&p->conf, PC_NETWORK, "inherit"), "inherit") != 0)
		rc = err_set(
		    e, E_INVAL, "a pot that joins a network namespace has no other network (inherit)");
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++)
		if (rows[i].value != NULL)
			rc = potconf_set(&p->conf, rows[i].key, rows[i].value, e);
	if (rc == 0)
		rc = add_labels(p, a->labels, e);
	if (rc == 0)
		rc = add_hosts(p, a->hosts, e);
	if (rc == 0)
		rc = set_attrs(p, a->attrs, e);
	return rc == 0 ? add_mounts(p, a->mounts, a->nmounts, e) : rc;
}
