/*
 * libpot: bases of FreeBSD's releases. The set is fetched into ROOT/cache/freebsd, or pkg(8) installs the
 * packages of the base system into a directory of ours; either becomes a base like any other tarball
 * or directory.
 */
#include <sys/utsname.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/proc.h"
#include "image/bsdsets.h"
#include "lib/images.h"

#define CACHE "cache"
#define CACHE_BELOW "freebsd"
#define MANIFESTS "/usr/local/share/freebsd/MANIFESTS"
#define PKG_SET "FreeBSD-set-minimal-jail"
#define PKG_MAJOR 15 /* the first release that is packages */
#define SAYS_MAX (256 * 1024)

/* The machine as FreeBSD's mirrors call it. */
static int
machine_of(const char **out, struct err *e)
{
	struct utsname u;

	*out = uname(&u) == 0 ? bsd_release_machine(u.machine) : NULL;
	return *out != NULL ? 0 : err_set(e, E_NOTSUP, "FreeBSD has no releases for this machine");
}

/* "14.3", or the whole name of what is no release proper. */
static void
default_name(const struct bsd_release *r, char out[static 64])
{
	if (strcmp(strchr(r->name, '-'), "-RELEASE") == 0)
		snprintf(out, 64, "%u.%u", r->major, r->minor);
	else
		snprintf(out, 64, "%s", r->name);
}

static int
from_sets(struct pot_ctx *c, const struct pot_base_args *a, const struct bsd_release *r, const char *name,
    struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX), source = BUF_INIT(512);
	AUTO(fd) int cache = -1, below = -1, lock = -1;
	const char *mirror = a->mirror != NULL ? a->mirror : config_get(c->eng->conf, "mirror");
	struct bsdsets_args sets = { .release = r,
		.mirror = mirror,
		.manifests = MANIFESTS,
		.insecure = a->insecure,
		.events = &c->eng->events,
		.cancel = c->eng->cancel };
	struct pot_base_args base = { .name = name, .release = r->name, .max_size = a->max_size };
	char file[BSDSETS_NAME];
	int rc = machine_of(&sets.machine, e);

	if (rc < 0 || (cache = rc = dir_make(c->eng->root_fd, CACHE, 0755, e)) < 0 ||
	    (below = rc = dir_make(cache, CACHE_BELOW, 0755, e)) < 0)
		return rc;
	sets.cache = below;
	lock = rc = bsdsets_fetch(&sets, file, e);
	if (rc < 0)
		return rc;
	fault_point("release.fetched");
	buf_fmt(&path, "%s/" CACHE "/" CACHE_BELOW "/%s", c->eng->root, file);
	bsd_release_url(r, mirror, sets.machine, &source);
	if ((rc = buf_check(&path, "path", e)) < 0 || (rc = buf_check(&source, "URL", e)) < 0)
		return rc;
	base.from = path.data;
	base.source = source.data;
	return pot_base_create(c, &base, e);
}

/* ---- packages --------------------------------------------------------------------------- */

static int
install_packages(struct pot_ctx *c, const struct pot_base_args *a, const struct bsd_release *r,
    const char *machine, const char *root, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(SAYS_MAX);
	AUTO_FINI(strv) struct strv argv = STRV_INIT(512);
	struct proc_spec p = PROC_SPEC_INIT;
	char *include = NULL;
	AUTO_FREE char *copy = a->include != NULL ? strdup(a->include) : NULL;
	int rc;

	strv_add(&argv, config_get(c->eng->conf, "pkg"));
	strv_add(&argv, "--rootdir");
	strv_add(&argv, root);
	strv_add(&argv, "-o");
	strv_fmt(&argv, "ABI=FreeBSD:%u:%s", r->major, strchr(machine, '/') + 1);
	strv_add(&argv, "-o");
	strv_fmt(&argv, "VERSION_MAJOR=%u", r->major);
	strv_add(&argv, "-o");
	strv_fmt(&argv, "VERSION_MINOR=%u", r->minor);
	strv_add(&argv, "-o");
	strv_add(&argv, "IGNORE_OSVERSION=yes");
	if (a->mirror != NULL) {
		strv_add(&argv, "--repo-conf-dir");
		strv_add(&argv, a->mirror);
	}
	strv_add(&argv, "install");
	strv_add(&argv, "--yes");
	strv_add(&argv, "--repository");
	strv_add(&argv, "FreeBSD-base");
	strv_add(&argv, PKG_SET);
	for (char *s = copy; s != NULL && (include = strsep(&s, ",")) != NULL;)
		if (include[0] != '\0')
			strv_add(&argv, include);
	if ((rc = strv_check(&argv, "pkg's arguments", e)) < 0)
		return rc;
	p.argv = (const char *const *)strv_argv(&argv);
	p.out = &said;
	p.cancel = c->eng->cancel;
	rc = proc_run(&p, NULL, e);
	if (rc == -E_NOCMD) {
		err_set(e, E_NOENT, "making a base from packages: %s is not installed", argv.v[0]);
		return err_hint(e, "without --pkgbase the release's set is taken");
	}
	return rc < 0 ? err_wrap(e, "installing the packages of %s", r->name) : 0;
}

static int
from_packages(struct pot_ctx *c, const struct pot_base_args *a, const struct bsd_release *r, const char *name,
    struct err *e)
{
	AUTO_FINI(buf) struct buf root = BUF_INIT(PATH_MAX), last = BUF_INIT(256), source = BUF_INIT(256);
	AUTO(fd) int tmp = -1, dir = -1, below = -1;
	struct pot_base_args base = { .name = name, .release = r->name, .max_size = a->max_size };
	struct err why = ERR_INIT;
	const char *machine;
	int rc = machine_of(&machine, e);

	if (rc < 0)
		return rc;
	if (r->major < PKG_MAJOR)
		return err_set(
		    e, E_INVAL, "FreeBSD %s is no set of packages: they begin with %d.0", r->name, PKG_MAJOR);
	buf_fmt(&last, "pkgbase.%s", name);
	/* Below a directory of ours alone: what is setuid in there is not for the host's users. */
	buf_fmt(&root, "%s/tmp/%s/root", c->eng->root, buf_cstr(&last));
	buf_fmt(&source, "packages of FreeBSD %s", r->name);
	if ((rc = buf_check(&root, "path", e)) < 0 || (rc = buf_check(&last, "name", e)) < 0)
		return rc;
	if ((tmp = rc = dir_make(c->eng->root_fd, "tmp", 0711, e)) < 0 ||
	    (rc = tree_remove(tmp, last.data, e)) < 0 || (dir = rc = dir_make(tmp, last.data, 0700, e)) < 0 ||
	    (below = rc = dir_make(dir, "root", 0755, e)) < 0)
		return rc;
	rc = install_packages(c, a, r, machine, root.data, e);
	fault_point("release.installed");
	base.from = root.data;
	base.source = buf_cstr(&source);
	if (rc == 0)
		rc = pot_base_create(c, &base, e);
	if (tree_remove(tmp, last.data, &why) < 0)
		event_warn(&c->eng->events, "%s", why.msg);
	return rc;
}

int
pot_base_release(struct pot_ctx *c, const struct pot_base_args *a, struct err *e)
{
	struct bsd_release r;
	char name[64];
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	if (rc == 0)
		rc = bsd_release_parse(a->release, &r, e);
	if (rc < 0)
		return rc;
	if (a->from != NULL)
		return err_set(e, E_USAGE, "either a release of FreeBSD or something to make the base from");
	if (a->include != NULL && !a->pkgbase)
		return err_set(e, E_USAGE, "packages to include are for --pkgbase");
	default_name(&r, name);
	/* Told before anything is fetched; the making of the base looks again. */
	rc = eng_base_exists(c->eng, a->name != NULL ? a->name : name, e);
	if (rc > 0) {
		err_set(e, E_EXIST, "base %s exists already", a->name != NULL ? a->name : name);
		return err_hint(e, "give another name with -b");
	}
	if (rc < 0)
		return rc;
	return (a->pkgbase ? from_packages : from_sets)(c, a, &r, a->name != NULL ? a->name : name, e);
}
