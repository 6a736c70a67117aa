/*
 * The system that a root brings, and how FreeBSD starts it in a jail: by the
 * start-up scripts, which end and leave their services. And what this host
 * must have, for doctor.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/linker.h>
#include <sys/mount.h>
#include <sys/sysctl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/inroot.h"

#define RC "/etc/rc"

int
iso_system_command(int root_fd, struct strv *argv, bool *direct, bool *stays, struct err *e)
{
	*direct = false;
	if (argv->n == 0) {
		AUTO(fd) int fd = inroot_open(root_fd, RC, O_PATH, 0, NULL);

		if (fd < 0) {
			fd = -1;
			return 0;
		}
		strv_add(argv, "/bin/sh");
		strv_add(argv, RC);
	}
	*stays = argv->n == 2 && strcmp(argv->v[1], RC) == 0;
	return strv_check(argv, "the command", e);
}

/* ---- doctor */

static int
probe_root(struct buf *why)
{
	buf_str(why, geteuid() == 0 ? "yes" : "not root");
	return geteuid() == 0;
}

static int
probe_sysctl(const char *name, struct buf *why)
{
	int on = 0;
	size_t n = sizeof(on);

	if (sysctlbyname(name, &on, &n, NULL, 0) == 0 && on != 0)
		return 1;
	buf_fmt(why, "%s is 0", name);
	return 0;
}

static int
probe_vimage(struct buf *why)
{
	return probe_sysctl("kern.features.vimage", why);
}

static int
probe_racct(struct buf *why)
{
	buf_fmt(why, "kern.racct.enable is %d", racct_is_on());
	return racct_is_on();
}

static int
probe_jailed(struct buf *why)
{
	int in = 0;
	size_t n = sizeof(in);

	if (sysctlbyname("security.jail.jailed", &in, &n, NULL, 0) != 0)
		in = 0;
	buf_str(why, in == 0 ? "yes" : "this is a jail itself");
	return in == 0;
}

static int
release(void)
{
	int date = 0;
	size_t n = sizeof(date);

	return sysctlbyname("kern.osreldate", &date, &n, NULL, 0) == 0 ? date : 0;
}

static int
probe_release(struct buf *why)
{
	char text[64] = "";
	size_t n = sizeof(text) - 1;

	if (sysctlbyname("kern.osrelease", text, &n, NULL, 0) != 0)
		snprintf(text, sizeof(text), "%d", release());
	buf_fmt(why, "FreeBSD %s", text);
	return release() >= 1400000;
}

static int
probe_descriptors(struct buf *why)
{
	if (release() >= 1500000)
		return 1;
	buf_str(why, "before FreeBSD 15");
	return 0;
}

static int
probe_devfs(struct buf *why)
{
	if (access("/dev/null", F_OK) == 0 && access("/dev/random", F_OK) == 0)
		return 1;
	buf_str(why, "no devfs on /dev");
	return 0;
}

/* Nothing that is not loaded is counted as missing when the kernel can load it. */
static int
probe_module(const char *name, struct buf *why)
{
	struct xvfsconf vfc;
	char path[64];

	snprintf(path, sizeof(path), "/boot/kernel/%s.ko", name);
	if (getvfsbyname(name, &vfc) == 0 || kldfind(name) >= 0 || access(path, F_OK) == 0)
		return 1;
	buf_fmt(why, "neither loaded nor at %s", path);
	return 0;
}

#define PROBE_MODULE(name)                       \
	static int probe_##name(struct buf *why) \
	{                                        \
		return probe_module(#name, why); \
	}
PROBE_MODULE(nullfs)
PROBE_MODULE(tmpfs)
PROBE_MODULE(fdescfs)
PROBE_MODULE(procfs)
PROBE_MODULE(linprocfs)
PROBE_MODULE(nlsysevent)

static int
probe_securelevel(struct buf *why)
{
	int level = -1;
	size_t n = sizeof(level);

	if (sysctlbyname("kern.securelevel", &level, &n, NULL, 0) != 0)
		level = -1;
	buf_fmt(why, "kern.securelevel is %d%s", level,
	    level < 3 ? "" : ": the kernel takes no rules of pf any more");
	return level < 3;
}

/* Those of anybody: which of them were pots' is not known any more. */
static int
probe_dying(struct buf *why)
{
	char name[JAIL_NAME_MAX];
	size_t found = 0;

	for (int jid = 0; (jid = jail_next(jid, name, sizeof(name))) > 0;)
		if (jail_is_dying(jid) && ++found <= 8)
			buf_fmt(why, "%s%s (%d)", found > 1 ? ", " : "", name, jid);
	if (found > 8)
		buf_fmt(why, " and %zu more", found - 8);
	buf_str(why, found == 0 ? "none" : ": they have ended, but keep memory of the kernel");
	return found == 0;
}

const struct iso_feature iso_features[] = {
	{ "root", "everything but looking", "run pot as root", true, probe_root },
	{ "release", "files mounted over files", "FreeBSD 14 or later", true, probe_release },
	{ "host, not a jail", "mounts and networks of pots", "run pot on the host", true, probe_jailed },
	{ "devfs", "devices in pots", "mount -t devfs devfs /dev", true, probe_devfs },
	{ "vimage", "networks of their own: bridges and none", "a kernel with options VIMAGE, as GENERIC",
	    false, probe_vimage },
	{ "securelevel", "published ports, and networks behind the host's address",
	    "kern_securelevel in rc.conf; it is lowered only by a restart", false, probe_securelevel },
	{ "nullfs", "mounts into pots, and read-only roots", "a kernel with nullfs.ko", true, probe_nullfs },
	{ "tmpfs", "file systems in memory", "a kernel with tmpfs.ko", false, probe_tmpfs },
	{ "fdescfs", "the attribute fdescfs", "a kernel with fdescfs.ko", false, probe_fdescfs },
	{ "procfs", "the attribute procfs", "a kernel with procfs.ko", false, probe_procfs },
	{ "linprocfs", "the attribute linprocfs", "a kernel with linprocfs.ko", false, probe_linprocfs },
	{ "resource accounting", "limits of memory, processes, CPU time and I/O, and exact usage",
	    "put kern.racct.enable=1 into /boot/loader.conf and restart the machine", false, probe_racct },
	{ "nlsysevent", "counting kills for want of memory",
	    "FreeBSD 15 or later with nlsysevent.ko; without it they are not counted", false,
	    probe_nlsysevent },
	{ "dying jails", NULL,
	    "something still holds them: a connection that ends, a file that was passed on (fstat), shared "
	    "memory "
	    "(posixshmcontrol ls, ipcs); jls -d lists them",
	    false, probe_dying },
	{ "jail descriptors", "pots that end with their shim, however that dies",
	    "FreeBSD 15 or later; before, the next command on the pot ends it", false, probe_descriptors },
};
const size_t iso_nfeatures = ARRAY_LEN(iso_features);
