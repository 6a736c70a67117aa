/*
 * A pot's walls: from pot.conf to what isolation and storage are asked for at
 * a start, and changes of it. Holds what that borrows from until the start is
 * over. The kernel's part is isolation's.
 */
#include "engine/walls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/host.h"
#include "seccomp/seccomp.h"

#define USERNS_OFF "it is switched off"

static const char *
userns_of(const struct epot *p)
{
	return potconf_get(&p->conf, PC_USERNS, "auto");
}

const char *
walls_no_userns(struct epot *p)
{
	if (!iso_has_userns)
		return "this system has none";
	if (strcmp(userns_of(p), "off") == 0)
		return USERNS_OFF;
	if (eng_need_storage(p->eng, NULL) == 0 && (p->eng->stor->caps & STOR_CAP_IDMAP) == 0)
		return "its storage cannot map user ids";
	return "";
}

/* The network namespace at least. */
static int
without_userns(struct epot_walls *w, bool net, struct err *e)
{
	return net ? iso_ahead(0, 0, true, &w->ahead, &w->map.userns_fd, e) : 0;
}

static int
open_userns(struct epot *p, struct epot_walls *w, struct err *e)
{
	bool net = network_is_own(p->state.rec.network);
	bool must = strcmp(userns_of(p), "on") == 0;
	const char *why = walls_no_userns(p);
	uint32_t first;
	int rc;

	if (*why != '\0') {
		if (!must)
			return without_userns(w, net, e);
		(void)!err_set(e, E_NOTSUP, "pot %s cannot have a user namespace: %s", p->name, why);
		return err_hint(e, iso_has_userns ? "--userns auto, or another storage" : "--userns auto");
	}
	rc = ids_get(p->eng, potconf_get(&p->conf, PC_ID, p->state.rec.id), &first, e);
	if (rc < 0)
		return rc;
	rc = iso_ahead(first, IDS_PER_POT, net, &w->ahead, &w->map.userns_fd, e);
	if (rc == -E_NOTSUP && !must)
		return without_userns(w, net, e);
	if (rc < 0)
		return rc;
	w->iso.userns_fd = w->map.userns_fd;
	w->iso.id_first = w->map.first = first;
	w->iso.ids = IDS_PER_POT;
	return 0;
}

int
walls_mount_root(struct epot *p, struct epot_walls *w, struct err *e)
{
	struct stor *s = p->eng->stor;
	int rc;

	if (w->iso.ids == 0)
		return stor_mount(s, epot_fs(p), false, e);
	w->map.spent = &w->spent;
	rc = stor_mount_mapped(s, epot_fs(p), false, &w->map, e);
	if (rc != -E_NOTSUP || strcmp(userns_of(p), "on") == 0)
		return rc;
	fd_close(take_fd(w->map.userns_fd));
	/* Its network would belong to that namespace. */
	iso_ahead_free(w->ahead);
	w->ahead = NULL;
	w->iso.ids = w->iso.id_first = 0;
	return stor_mount(s, epot_fs(p), false, e);
}

int
walls_map(const struct epot_walls *w, int mount_fd, struct err *e)
{
	int rc = w->iso.ids == 0 ? 0 : iso_idmap(mount_fd, w->map.userns_fd, false, e);

	return rc == -E_NOTSUP ? 0 : rc;
}

static int
add_device(struct epot_walls *w, const char *text, struct err *e)
{
	AUTO_FREE struct walls_device *d = malloc(sizeof(*d));
	struct stat st;
	int rc = d == NULL ? err_nomem(e) : walls_device(text, d, e);

	if (rc < 0)
		return rc;
	if (w->iso.ndevices == WALLS_DEVICES_MAX)
		return err_set(e, E_LIMIT, "more than %d devices", WALLS_DEVICES_MAX);
	if (stat(d->host, &st) != 0)
		return err_sys(e, "cannot give the pot %s", d->host);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, E_INVAL, "%s is not a device", d->host);
	strv_add(&w->device_paths, d->target + 5);
	rc = strv_check(&w->device_paths, "devices", e);
	if (rc < 0)
		return rc;
	w->devices[w->iso.ndevices++] = (struct iso_device){
		.path = w->device_paths.v[w->device_paths.n - 1], .mode = st.st_mode, .rdev = st.st_rdev
	};
	return 0;
}

static int
add_devices(struct epot *p, struct epot_walls *w, struct err *e)
{
	const char *text;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && (text = kv_next(&p->conf.kv, PC_DEVICE, &pos)) != NULL)
		rc = add_device(w, text, e);
	w->iso.devices = w->devices;
	return rc;
}

static int
add_sysctls(struct epot *p, struct epot_walls *w, struct err *e)
{
	struct walls_sysctl s;
	const char *text;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && (text = kv_next(&p->conf.kv, PC_SYSCTL, &pos)) != NULL) {
		rc = walls_sysctl(text, &s, e);
		if (rc == 0 && s.net && !network_is_own(p->state.rec.network)) {
			(void)!err_set(
			    e, E_INVAL, "kernel parameter '%s': the pot has the host's network", text);
			rc = err_hint(e, "give it one of its own (-N), or take the parameter away");
		}
		if (rc == 0) {
			strv_add(&w->sysctls, s.path);
			strv_add(&w->sysctls, s.value);
		}
	}
	if (rc == 0)
		rc = strv_check(&w->sysctls, "kernel parameters", e);
	w->iso.sysctls = w->sysctls.n > 0 ? strv_argv(&w->sysctls) : NULL;
	return rc;
}

/* Those that are parameters of a jail, with the value each has, default or not. */
static int
add_attrs(struct epot *p, struct epot_walls *w, struct err *e)
{
	for (size_t i = 0; i < attr_count; i++) {
		const struct attr *a = &attr_table[i];

		if ((a->flags & (ATTR_FREEBSD | ATTR_LINUX)) != ATTR_FREEBSD)
			continue;
		if (w->iso.nattrs == WALLS_ATTRS_MAX)
			return err_set(e, E_LIMIT, "more than %d attributes of jails", WALLS_ATTRS_MAX);
		w->attrs[w->iso.nattrs++] = (struct iso_attr){ a->name, epot_attr(p, a) };
	}
	w->iso.attrs = w->attrs;
	return 0;
}

int
walls_filter(struct epot *p, struct buf *own, const void **prog, size_t *len, bool *is_own, struct err *e)
{
	const char *kind = potconf_get(&p->conf, PC_SECCOMP, "default");
	AUTO(fd) int fd = -1;
	uint64_t caps;
	int rc = walls_caps(&p->conf, &caps, e);

	*prog = NULL;
	*len = 0;
	*is_own = false;
	if (rc < 0 || strcmp(kind, "unconfined") == 0 ||
	    (walls_is(&p->conf, PC_PRIVILEGED) && strcmp(kind, "default") == 0))
		return rc;
	if (strcmp(kind, "default") == 0 && seccomp_default_fits(caps))
		return seccomp_default(prog, len, e);
	fd = openat(p->dir_fd, WALLS_PROGRAM, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "cannot read the system call filter of %s", p->name);
	rc = fd_read_all(fd, own, e);
	if (rc == 0)
		rc = seccomp_check(own->data, own->len, e);
	if (rc < 0)
		return err_wrap(e, "the system call filter of %s", p->name);
	*prog = own->data;
	*len = own->len;
	*is_own = strcmp(kind, "custom") == 0;
	return 0;
}

int
walls_open(struct epot *p, struct epot_walls *w, struct err *e)
{
	const struct potconf *c = &p->conf;
	bool privileged = walls_is(c, PC_PRIVILEGED);
	int rc = walls_caps(c, &w->iso.caps, e);

	w->iso.new_privs = privileged || !potconf_attr_bool(c, "no_new_privs");
	w->iso.unmasked = privileged;
	w->iso.read_only = walls_is(c, PC_READONLY);
	w->iso.shm_size = strtoull(potconf_get(c, PC_SHM_SIZE, "0"), NULL, 10);
	if (rc == 0)
		rc = add_devices(p, w, e);
	if (rc == 0)
		rc = add_sysctls(p, w, e);
	if (rc == 0)
		rc = add_attrs(p, w, e);
	if (rc == 0)
		rc =
		    walls_filter(p, &w->filter, &w->iso.seccomp, &w->iso.seccomp_len, &w->iso.seccomp_own, e);
	return rc < 0 ? rc : open_userns(p, w, e);
}

void
walls_close(struct epot_walls *w)
{
	fd_close(take_fd(w->map.userns_fd));
	fd_close(take_fd(w->spent));
	iso_ahead_free(w->ahead);
	w->ahead = NULL;
	strv_fini(&w->device_paths);
	strv_fini(&w->sysctls);
	buf_fini(&w->filter);
}

/* ---- changes */

/* A profile of the user's: kept beside pot.conf, for when the capabilities change. */
static int
take_profile(struct epot *p, const char *file, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SECCOMP_PROFILE_MAX);
	AUTO(fd) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0)
		return err_sys(e, "cannot read the profile %s", file);
	rc = fd_read_all(fd, &text, e);
	if (rc < 0)
		return err_wrap(e, "the profile %s", file);
	return file_write_atomic(p->dir_fd, WALLS_PROFILE, 0600, text.data, text.len, e);
}

static int
change_seccomp(struct epot *p, const char *value, struct err *e)
{
	int rc = 0;

	if (strcmp(value, "default") == 0 || strcmp(value, "unconfined") == 0)
		return walls_set(&p->conf, "seccomp", value, e);
	rc = take_profile(p, value, e);
	return rc < 0 ? rc : walls_set(&p->conf, "seccomp", "custom", e);
}

int
walls_compile(struct epot *p, struct err *e)
{
	const char *kind = potconf_get(&p->conf, PC_SECCOMP, "default");
	bool custom = strcmp(kind, "custom") == 0;
	char program[PATH_MAX];
	struct seccomp_job job = { .program = program,
		.profile_fd = -1,
		.what = custom ? "the system call profile" : "the default profile",
		.dirfd = p->dir_fd,
		.name = WALLS_PROGRAM };
	AUTO(fd) int profile = -1;
	int rc = walls_caps(&p->conf, &job.caps, e);

	if (rc < 0)
		return rc;
	if (strcmp(kind, "unconfined") == 0 || (!custom && seccomp_default_fits(job.caps)))
		return 0;
	if (custom) {
		job.profile_fd = profile =
		    openat(p->dir_fd, WALLS_PROFILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (profile < 0)
			return err_sys(e, "cannot read the system call profile of %s", p->name);
	}
	rc = host_find_program("pot-seccomp", host_libexec(), program, sizeof(program), e);
	return rc < 0 ? rc : seccomp_compile(&job, e);
}

int
walls_change(struct epot *p, const char *const *settings, struct err *e)
{
	bool any = false;
	int rc = 0;

	for (; settings != NULL && *settings != NULL && rc == 0; settings++) {
		size_t n = strcspn(*settings, "=");
		char name[32];

		if ((*settings)[n] == '\0' || n >= sizeof(name))
			return err_set(e, E_INVAL, "'%.64s' is not of the form NAME=VALUE", *settings);
		snprintf(name, sizeof(name), "%.*s", (int)n, *settings);
		rc = strcmp(name, "seccomp") == 0 ? change_seccomp(p, *settings + n + 1, e)
						  : walls_set(&p->conf, name, *settings + n + 1, e);
		any = true;
	}
	return rc < 0 || !any ? rc : walls_compile(p, e);
}
