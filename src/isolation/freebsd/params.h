/*
 * Inside of isolation/freebsd: what a pot is for the jail system calls. Pure:
 * no header of FreeBSD, so that it is tested anywhere.
 */
#ifndef ISOLATION_FREEBSD_PARAMS_H
#define ISOLATION_FREEBSD_PARAMS_H

#include "isolation/isolation.h"

/* The kernel's JAIL_SYS_… of <sys/jail.h>. */
enum { PARAM_SYS_DISABLE = 0, PARAM_SYS_NEW = 1, PARAM_SYS_INHERIT = 2 };

enum param_kind {
	PARAM_INT,  /* also the jailsys ones: vnet, sysvshm … */
	PARAM_TEXT, /* with its NUL */
	PARAM_FLAG  /* its presence is all: persist, allow.mount, allow.noraw_sockets */
};

struct param {
	const char *name; /* static, or of the spec */
	enum param_kind kind;
	int number;
	const char *text; /* borrowed */
};

#define PARAMS_MAX 48
struct params {
	struct param v[PARAMS_MAX];
	size_t n;
};

const struct param *params_find(const struct params *, const char *name);

/* What the devfs, procfs … of a pot's attributes come to: mounts that pot makes, not the jail. */
struct param_mounts {
	bool fdescfs, procfs, linprocfs;
	unsigned ruleset; /* a ruleset of the administrator's; 0: pot makes one */
};

/*
 * All parameters of a pot's jail but errmsg. name, path, osrelease ("": the host's) must outlive them.
 * E_INVAL naming the attribute whose value is none.
 */
int params_make(const struct iso_spec *, const char *name, const char *path, const char *osrelease,
    struct params *, struct err *) MUST_CHECK;
int params_mounts(const struct iso_spec *, struct param_mounts *, struct err *) MUST_CHECK;

/* Appends the names of the datasets that the pot is given. With one, params_make lets it mount them. */
int params_datasets(const struct iso_spec *, struct strv *, struct err *) MUST_CHECK;

/* "14.3-RELEASE-p2" out of the text of a root's /bin/freebsd-version; false when it is not told. */
#define PARAM_OSRELEASE_MAX 32
bool params_osrelease(const char *script, char out[static PARAM_OSRELEASE_MAX]);

/*
 * The name of a pot's jail: the pot's own in the usual installation (classic: `jexec web`), else with the installation's
 * prefix before it. Never only digits, which would be a jid.
 */
#define JAIL_NAME_MAX 128
int jail_name(const char *prefix, const char *pot, char out[static JAIL_NAME_MAX], struct err *) MUST_CHECK;
/* The text that isolation.h calls cgroup: "jail:NAME". NULL when it is none. */
const char *jail_of(const char *cgroup);

#endif
