/*
 * The parameters of a pot's jail: the table of attributes, what each comes to
 * in jail_set(2), and what every pot has. Pure; jail.c hands them to the
 * kernel.
 */
#include "isolation/freebsd/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* How an attribute's value becomes a parameter. */
enum row_kind {
	ROW_FLAG,   /* YES: the parameter is there */
	ROW_NOFLAG, /* YES: there; NO: its negation is */
	ROW_INT,
	ROW_SYS,  /* new, inherit, disable */
	ROW_MOUNT /* a mount of pot's own: params_mounts */
};

static const struct row {
	const char *attr, *param, *negation;
	enum row_kind kind;
	int min, max;
} rows[] = {
	{ "enforce_statfs", "enforce_statfs", NULL, ROW_INT, 0, 2 },
	{ "children", "children.max", NULL, ROW_INT, 0, 999999 },
	{ "securelevel", "securelevel", NULL, ROW_INT, -1, 3 },
	{ "mount", "allow.mount", NULL, ROW_FLAG, 0, 0 },
	{ "nullfs", "allow.mount.nullfs", NULL, ROW_FLAG, 0, 0 },
	{ "tmpfs", "allow.mount.tmpfs", NULL, ROW_FLAG, 0, 0 },
	{ "zfs", "allow.mount.zfs", NULL, ROW_FLAG, 0, 0 },
	{ "linprocfs", "allow.mount.linprocfs", NULL, ROW_FLAG, 0, 0 },
	{ "raw_sockets", "allow.raw_sockets", "allow.noraw_sockets", ROW_NOFLAG, 0, 0 },
	{ "mlock", "allow.mlock", "allow.nomlock", ROW_NOFLAG, 0, 0 },
	{ "chflags", "allow.chflags", "allow.nochflags", ROW_NOFLAG, 0, 0 },
	{ "socket_af", "allow.socket_af", "allow.nosocket_af", ROW_NOFLAG, 0, 0 },
	{ "set_hostname", "allow.set_hostname", "allow.noset_hostname", ROW_NOFLAG, 0, 0 },
	{ "sysvshm", "sysvshm", NULL, ROW_SYS, 0, 0 },
	{ "sysvsem", "sysvsem", NULL, ROW_SYS, 0, 0 },
	{ "sysvmsg", "sysvmsg", NULL, ROW_SYS, 0, 0 },
	{ "fdescfs", NULL, NULL, ROW_MOUNT, 0, 0 },
	{ "procfs", NULL, NULL, ROW_MOUNT, 0, 0 },
	{ "zfs_dataset", NULL, NULL, ROW_MOUNT, 0, 0 }, /* params_datasets */
	{ "devfs_ruleset", NULL, NULL, ROW_MOUNT, 0, 65535 },
};

#define DEVFS_RULESET_USUAL 4 /* devfsrules_jail: pot's own has the same devices */

#define DATASETS_MAX 16
#define DATASET_LEN 255

static struct param *
find(struct params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].name, name) == 0)
			return &p->v[i];
	return NULL;
}

const struct param *
params_find(const struct params *p, const char *name)
{
	return find((struct params *)(uintptr_t)p, name);
}

static void
add(struct params *p, const char *name, enum param_kind kind, int number, const char *text)
{
	if (p->n < PARAMS_MAX)
		p->v[p->n++] = (struct param){ name, kind, number, text };
}

static int
bad(const struct iso_attr *a, struct err *e)
{
	return err_set(e, E_INVAL, "attribute %s: \"%.64s\" is not a value of it", a->name, a->value);
}

static int
number_of(const struct iso_attr *a, const struct row *r, int *out, struct err *e)
{
	char *end;
	long n = strtol(a->value, &end, 10);

	if (end == a->value || *end != '\0' || n < r->min || n > r->max) {
		bad(a, e);
		return err_hint(e, "it is a number from %d to %d", r->min, r->max);
	}
	*out = (int)n;
	return 0;
}

static int
is_yes(const struct iso_attr *a, bool *yes, struct err *e)
{
	*yes = strcmp(a->value, "YES") == 0;
	return *yes || strcmp(a->value, "NO") == 0 ? 0 : bad(a, e);
}

static int
sys_of(const struct iso_attr *a, int *out, struct err *e)
{
	static const char *const words[] = { "disable", "new", "inherit" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(a->value, words[i]) == 0) {
			*out = i;
			return 0;
		}
	}
	return bad(a, e);
}

static const struct iso_attr *
attr_of(const struct iso_spec *s, const char *name)
{
	for (size_t i = 0; i < s->walls.nattrs; i++)
		if (strcmp(s->walls.attrs[i].name, name) == 0)
			return &s->walls.attrs[i];
	return NULL;
}

static int
add_row(struct params *p, const struct row *r, const struct iso_attr *a, struct err *e)
{
	bool yes = false;
	int n = 0, rc = 0;

	switch (r->kind) {
	case ROW_FLAG:
	case ROW_NOFLAG:
		rc = is_yes(a, &yes, e);
		if (rc == 0 && yes)
			add(p, r->param, PARAM_FLAG, 0, NULL);
		else if (rc == 0 && r->negation != NULL)
			add(p, r->negation, PARAM_FLAG, 0, NULL);
		return rc;
	case ROW_INT:
		rc = number_of(a, r, &n, e);
		if (rc == 0 && !(strcmp(r->param, "securelevel") == 0 && n < 0)) /* -1: as the host */
			add(p, r->param, PARAM_INT, n, NULL);
		return rc;
	case ROW_SYS:
		rc = sys_of(a, &n, e);
		if (rc == 0)
			add(p, r->param, PARAM_INT, n, NULL);
		return rc;
	case ROW_MOUNT:
		return 0;
	}
	return 0;
}

/* ---- datasets of its own */

static bool
is_dataset(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-");

	return name[n] == '\0' && n > 0 && n <= DATASET_LEN && name[0] != '/' && name[0] != '-' &&
	    name[n - 1] != '/' && strstr(name, "//") == NULL;
}

int
params_datasets(const struct iso_spec *s, struct strv *out, struct err *e)
{
	const struct iso_attr *a = attr_of(s, "zfs_dataset");
	int rc = a == NULL ? 0 : text_split(a->value, out, e);

	if (rc == 0)
		rc = strv_check(out, "datasets", e);
	if (rc == 0 && out->n > DATASETS_MAX)
		rc = err_set(e, E_LIMIT, "more than %d datasets", DATASETS_MAX);
	for (size_t i = 0; i < out->n && rc == 0; i++)
		if (!is_dataset(out->v[i]))
			rc = err_set(e, E_INVAL, "\"%.64s\" is not the name of a dataset", out->v[i]);
	return rc < 0 ? err_wrap(e, "attribute zfs_dataset") : 0;
}

/* What the kernel asks of a jail that mounts datasets. */
static void
add_dataset_rights(struct params *p)
{
	struct param *statfs = find(p, "enforce_statfs");

	if (find(p, "allow.mount") == NULL)
		add(p, "allow.mount", PARAM_FLAG, 0, NULL);
	if (find(p, "allow.mount.zfs") == NULL)
		add(p, "allow.mount.zfs", PARAM_FLAG, 0, NULL);
	if (statfs == NULL)
		add(p, "enforce_statfs", PARAM_INT, 1, NULL);
	else if (statfs->number > 1)
		statfs->number = 1;
}

/* The network is made by network/; here is only whose it is. */
static void
add_network(struct params *p, const struct iso_spec *s)
{
	if (s->own_net) {
		add(p, "vnet", PARAM_INT, PARAM_SYS_NEW, NULL);
		return;
	}
	add(p, "ip4", PARAM_INT, PARAM_SYS_INHERIT, NULL);
	add(p, "ip6", PARAM_INT, PARAM_SYS_INHERIT, NULL);
}

int
params_make(const struct iso_spec *s, const char *name, const char *path, const char *osrelease,
    struct params *p, struct err *e)
{
	const struct iso_attr *datasets = attr_of(s, "zfs_dataset");
	int rc = 0;

	p->n = 0;
	add(p, "name", PARAM_TEXT, 0, name);
	add(p, "path", PARAM_TEXT, 0, path);
	add(p, "host.hostname", PARAM_TEXT, 0, s->hostname);
	if (*osrelease != '\0')
		add(p, "osrelease", PARAM_TEXT, 0, osrelease);
	/* Until its first process is in it; pot-shim ends it with the pot. */
	add(p, "persist", PARAM_FLAG, 0, NULL);
	add_network(p, s);
	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++) {
		const struct iso_attr *a = attr_of(s, rows[i].attr);

		if (a != NULL)
			rc = add_row(p, &rows[i], a, e);
	}
	if (datasets != NULL && datasets->value[strspn(datasets->value, " \t")] != '\0')
		add_dataset_rights(p);
	return rc;
}

int
params_mounts(const struct iso_spec *s, struct param_mounts *m, struct err *e)
{
	const struct iso_attr *fdescfs = attr_of(s, "fdescfs"), *procfs = attr_of(s, "procfs"),
			      *lin = attr_of(s, "linprocfs"), *rules = attr_of(s, "devfs_ruleset");
	int n = DEVFS_RULESET_USUAL, rc = 0;

	*m = (struct param_mounts){ .ruleset = 0 };
	if (fdescfs != NULL)
		rc = is_yes(fdescfs, &m->fdescfs, e);
	if (rc == 0 && procfs != NULL)
		rc = is_yes(procfs, &m->procfs, e);
	if (rc == 0 && lin != NULL)
		rc = is_yes(lin, &m->linprocfs, e);
	if (rc == 0 && rules != NULL)
		rc = number_of(rules, &rows[ARRAY_LEN(rows) - 1], &n, e);
	if (rc == 0 && n != DEVFS_RULESET_USUAL)
		m->ruleset = (unsigned)n;
	return rc;
}

bool
params_osrelease(const char *script, char out[static PARAM_OSRELEASE_MAX])
{
	static const char key[] = "USERLAND_VERSION=\"";
	const char *at = script;
	size_t n;

	/* At the beginning of a line. */
	while ((at = strstr(at, key)) != NULL && at != script && at[-1] != '\n')
		at++;
	if (at == NULL)
		return false;
	at += sizeof(key) - 1;
	n = strcspn(at, "\"\n");
	if (n == 0 || at[n] != '"' || n >= PARAM_OSRELEASE_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)at[i] <= ' ' || (unsigned char)at[i] > '~')
			return false;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

int
jail_name(const char *prefix, const char *pot, char out[static JAIL_NAME_MAX], struct err *e)
{
	bool usual = strcmp(prefix, "pot") == 0 && pot[strspn(pot, "0123456789")] != '\0';
	int n = usual ? snprintf(out, JAIL_NAME_MAX, "%s", pot)
		      : snprintf(out, JAIL_NAME_MAX, "%s_%s", prefix, pot);

	if (n >= JAIL_NAME_MAX)
		return err_set(e, E_LIMIT, "the name of the jail of pot \"%s\" is too long", pot);
	/* A dot would be a jail in a jail; rctl(8) separates with colons and blanks. */
	for (char *c = out; *c != '\0'; c++)
		if (strchr(".: ,=/", *c) != NULL)
			*c = '_';
	return 0;
}

const char *
jail_of(const char *cgroup)
{
	return cgroup != NULL && strncmp(cgroup, "jail:", 5) == 0 && cgroup[5] != '\0' ? cgroup + 5 : NULL;
}
