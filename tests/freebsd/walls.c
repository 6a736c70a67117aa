/*
 * What stands between a pot and the host on a FreeBSD kernel: each attribute
 * as the jail has it, seen from inside; devices; a network of its own; limits
 * of processes.
 */
#include "isolation/freebsd/jail.h"
#include "lab.h"

#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/jail.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <sys/uio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- inside */

static int
in_wait(const char *arg)
{
	for (;;)
		pause();
}

/* The value of a sysctl, at most 200. */
static int
in_sysctl(const char *name)
{
	int v = 0;
	size_t n = sizeof(v);

	return sysctlbyname(name, &v, &n, NULL, 0) != 0 ? 255 : v < 0 ? 250 : v;
}

static int
in_release(const char *want)
{
	char text[64] = "";
	size_t n = sizeof(text) - 1;

	return sysctlbyname("kern.osrelease", text, &n, NULL, 0) == 0 && strcmp(text, want) == 0 ? 0 : 1;
}

static int
in_shm(const char *arg)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

	return id >= 0 && shmctl(id, IPC_RMID, NULL) == 0 ? 0 : errno == ENOSYS ? 78 : 1;
}

static int
in_raw(const char *arg)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0 ? 0 : errno == EPERM ? 10 : 1;
}

static int
in_hostname(const char *arg)
{
	return sethostname("other", 5) == 0 ? 0 : 10;
}

static int
in_chflags(const char *arg)
{
	int fd = open("/tmp/flagged", O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || fchflags(fd, SF_IMMUTABLE) != 0)
		return 10;
	return fchflags(fd, 0) == 0 ? 0 : 11;
}

/* Talks with itself over 127.0.0.1. */
static int
in_loop(const char *arg)
{
	struct sockaddr_in a = {
		.sin_len = sizeof(a), .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t n = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(s, (struct sockaddr *)(void *)&a, sizeof(a)) != 0 || listen(s, 1) != 0 ||
	    getsockname(s, (struct sockaddr *)(void *)&a, &n) != 0)
		return 1;
	return connect(c, (struct sockaddr *)(void *)&a, sizeof(a)) == 0 ? 0 : 2;
}

static int
in_readable(const char *arg)
{
	return access(arg, F_OK) == 0 ? 0 : 1;
}

static int
in_nofile(const char *arg)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur == 64 && l.rlim_max == 128 ? 0 : 1;
}

/* Tries to leave: a chroot with a directory held open, and the other way, a jail of its own. */
static int
in_escape(const char *arg)
{
	int here = open("/", O_RDONLY | O_DIRECTORY);

	(void)mkdir("/tmp/cage", 0700);
	if (chroot("/tmp/cage") == 0 && fchdir(here) == 0)
		for (int i = 0; i < 32; i++)
			(void)!chdir("..");
	(void)!chroot(".");
	return access("/etc/lab-marker", F_OK) == 0 ? 0 : 1;
}

static const struct inside table[] = { { "wait", in_wait }, { "sysctl", in_sysctl },
	{ "release", in_release }, { "shm", in_shm }, { "raw", in_raw }, { "hostname", in_hostname },
	{ "chflags", in_chflags }, { "loop", in_loop }, { "readable", in_readable }, { "nofile", in_nofile },
	{ "escape", in_escape }, { NULL, NULL } };

/* ---- outside */

static void
holds(struct lab *l, const char *word, const char *arg, int want, const char *what)
{
	struct err e = ERR_INIT;
	int got = lab_exec(l, word, arg, &e);

	if (!tap_ok(got == want, "%s: %s", l->name, what))
		tap_note("%s %s: %d, wanted %d %s", word, arg != NULL ? arg : "", got, want, e.msg);
}

static bool
begin(struct lab *l, const char *argv0, const char *name)
{
	lab_init(l, argv0, name);
	lab_command(l, "wait", NULL);
	return true;
}

static void
end(struct lab *l)
{
	struct err e = ERR_INIT;

	(void)!iso_signal(&l->ref, SIGKILL, &e);
	(void)lab_wait(l);
	lab_end(l);
	lab_fini(l);
}

static void
strict(const char *argv0)
{
	static const char *const names[] = { "enforce_statfs", "children", "raw_sockets", "mlock", "chflags",
		"socket_af", "set_hostname", "sysvshm", "mount", "securelevel" };
	static const char *const values[] = { "2", "0", "NO", "NO", "NO", "NO", "NO", "disable", "NO", "3" };
	struct err e = ERR_INIT;
	struct lab l;

	begin(&l, argv0, "strict");
	for (size_t i = 0; i < 8; i++)
		lab_attr(&l, names[i], values[i]);
	l.spec.own_net = true;
	if (!tap_fine(lab_start(&l, &e), &e, "a strict pot starts"))
		goto out;
	holds(&l, "sysctl", "security.jail.enforce_statfs", 2, "enforce_statfs 2");
	holds(&l, "sysctl", "security.jail.vnet", 1, "a network of its own");
	holds(&l, "loop", NULL, 0, "its lo is up");
	/* With a network of its own the kernel allows them whatever is said: they reach nobody else's. */
	holds(&l, "raw", NULL, 0, "raw sockets, on its own network");
	holds(&l, "shm", NULL, 78, "no System V shared memory");
	holds(&l, "hostname", NULL, 10, "its name stays");
	holds(&l, "chflags", NULL, 10, "no file flags");
	holds(&l, "sysctl", "security.jail.mount_allowed", 0, "no mounts");
	holds(&l, "readable", "/dev/null", 0, "/dev/null");
	holds(&l, "readable", "/dev/mem", 1, "no /dev/mem");
	holds(&l, "readable", "/dev/pf", 1, "no /dev/pf");
	holds(&l, "escape", NULL, 1, "a second chroot does not lead out");
out:
	end(&l);
}

static void
open_walls(const char *argv0)
{
	static const char *const names[] = { "enforce_statfs", "children", "raw_sockets", "chflags",
		"set_hostname", "mount", "tmpfs", "securelevel" };
	static const char *const values[] = { "1", "7", "YES", "YES", "YES", "YES", "YES", "1" };
	struct iso_device device = { .path = "mem", .mode = S_IFCHR | 0600 };
	struct iso_rlimit limit = { "nofile", 64, 128 };
	struct err e = ERR_INIT;
	struct lab l;

	begin(&l, argv0, "open");
	for (size_t i = 0; i < 8; i++)
		lab_attr(&l, names[i], values[i]);
	lab_attr(&l, "sysvshm", "new");
	l.spec.walls.devices = &device;
	l.spec.walls.ndevices = 1;
	l.spec.rlimits = &limit;
	l.spec.nrlimits = 1;
	if (!tap_fine(lab_start(&l, &e), &e, "an open pot starts"))
		goto out;
	holds(&l, "sysctl", "security.jail.enforce_statfs", 1, "enforce_statfs 1");
	holds(&l, "sysctl", "security.jail.children.max", 7, "children 7");
	holds(&l, "sysctl", "security.jail.vnet", 0, "the host's network");
	holds(&l, "sysctl", "kern.securelevel", 1, "securelevel 1");
	holds(&l, "raw", NULL, 0, "raw sockets");
	if (in_shm(NULL) == 0)
		holds(&l, "shm", NULL, 0, "System V shared memory");
	else
		tap_skip("this kernel has none", "open: System V shared memory");
	holds(&l, "hostname", NULL, 0, "it may take another name");
	holds(&l, "sysctl", "security.jail.mount_allowed", 1, "mounts");
	holds(&l, "readable", "/dev/mem", 0, "the device it was given");
	holds(&l, "readable", "/dev/kmem", 1, "and not another");
	e = (struct err)ERR_INIT;
out:
	end(&l);
}

/* The release that the root says it is; a process's own limits. */
static void
release(const char *argv0)
{
	static const char script[] = "#!/bin/sh\nUSERLAND_VERSION=\"13.5-RELEASE-p9\"\n";
	struct iso_rlimit limit = { "nofile", 64, 128 };
	struct err e = ERR_INIT;
	char self[300];
	struct lab l;
	int fd;

	begin(&l, argv0, "123");
	tap_ok(strcmp(l.cgroup, "jail:pot_123") == 0, "a name of digits becomes one that is no jid (%s)",
	    l.cgroup);
	(void)mkdirat(l.root_fd, "bin", 0755);
	fd = openat(l.root_fd, "bin/freebsd-version", O_WRONLY | O_CREAT, 0755);
	(void)!write(fd, script, sizeof(script) - 1);
	fd_close(fd);
	snprintf(self, sizeof(self), "/t/%s", strrchr(l.program, '/') + 1);
	l.argv[0] = self;
	l.argv[1] = strdup("inside");
	l.argv[2] = strdup("nofile");
	l.argv[3] = NULL;
	l.spec.rlimits = &limit;
	l.spec.nrlimits = 1;
	if (tap_fine(lab_start(&l, &e), &e, "a pot with a limit of open files"))
		tap_ok(lab_wait(&l) == 0, "has it");
	lab_end(&l);
	lab_command(&l, "wait", NULL);
	lab_attr(&l, "raw_sockets", "NO");
	if (tap_fine(lab_start(&l, &e), &e, "the same pot starts again")) {
		holds(&l, "release", "13.5-RELEASE-p9", 0, "osrelease is the root's");
		holds(&l, "raw", NULL, 10, "no raw sockets on the host's network");
	}
	end(&l);
}

/* ---- the table of attributes: what the jail has of each value */

/* A parameter of a jail that is a number; -2: the kernel has no such parameter. */
static int
param_of(const char *jail, const char *name)
{
	int v = 0;
	struct iovec iov[4] = { { (void *)(uintptr_t) "name", 5 },
		{ (void *)(uintptr_t)jail, strlen(jail) + 1 }, { (void *)(uintptr_t)name, strlen(name) + 1 },
		{ &v, sizeof(v) } };

	return jail_get(iov, 4, 0) >= 0 ? v : -2;
}

static void
each_attribute(const char *argv0)
{
	/* Two rounds: all closed or lowest, then all open or highest. */
	static const struct {
		const char *attr, *param, *value[2];
		int want[2];
	} rows[] = {
		{ "enforce_statfs", "enforce_statfs", { "2", "0" }, { 2, 0 } },
		{ "children", "children.max", { "0", "99" }, { 0, 99 } },
		{ "securelevel", "securelevel", { "-1", "3" }, { -1, 3 } },
		{ "mount", "allow.mount", { "NO", "YES" }, { 0, 1 } },
		{ "nullfs", "allow.mount.nullfs", { "NO", "YES" }, { 0, 1 } },
		{ "tmpfs", "allow.mount.tmpfs", { "NO", "YES" }, { 0, 1 } },
		{ "zfs", "allow.mount.zfs", { "NO", "YES" }, { 0, 1 } },
		{ "raw_sockets", "allow.raw_sockets", { "NO", "YES" }, { 0, 1 } },
		{ "mlock", "allow.mlock", { "NO", "YES" }, { 0, 1 } },
		{ "chflags", "allow.chflags", { "NO", "YES" }, { 0, 1 } },
		{ "socket_af", "allow.socket_af", { "NO", "YES" }, { 0, 1 } },
		{ "set_hostname", "allow.set_hostname", { "NO", "YES" }, { 0, 1 } },
		{ "sysvshm", "sysvshm", { "disable", "inherit" }, { JAIL_SYS_DISABLE, JAIL_SYS_INHERIT } },
		{ "sysvsem", "sysvsem", { "disable", "inherit" }, { JAIL_SYS_DISABLE, JAIL_SYS_INHERIT } },
		{ "sysvmsg", "sysvmsg", { "disable", "inherit" }, { JAIL_SYS_DISABLE, JAIL_SYS_INHERIT } },
	};
	struct err e = ERR_INIT;
	struct lab l;

	for (int round = 0; round < 2; round++) {
		begin(&l, argv0, round == 0 ? "closed" : "opened");
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			lab_attr(&l, rows[i].attr, rows[i].value[round]);
		if (tap_fine(lab_start(&l, &e), &e, "a pot with every attribute at one end"))
			for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
				int got = param_of(l.name, rows[i].param);

				if (got == -2)
					tap_skip("this kernel has no such parameter", "%s", rows[i].param);
				else
					tap_ok(got == rows[i].want[round], "%s %s: %s is %d", rows[i].attr,
					    rows[i].value[round], rows[i].param, got);
			}
		end(&l);
	}
	/* The values between. */
	for (int level = 0; level <= 2; level++) {
		char value[4];

		snprintf(value, sizeof(value), "%d", level);
		begin(&l, argv0, "between");
		lab_attr(&l, "securelevel", value);
		lab_attr(&l, "sysvshm", "new");
		lab_attr(&l, "enforce_statfs", "1");
		if (tap_fine(lab_start(&l, &e), &e, "a pot with securelevel %d", level)) {
			holds(&l, "sysctl", "kern.securelevel", level, "has it inside");
			tap_ok(param_of(l.name, "sysvshm") == JAIL_SYS_NEW, "shared memory of its own");
			tap_ok(param_of(l.name, "enforce_statfs") == 1, "enforce_statfs 1");
		}
		end(&l);
	}
}

/* A ruleset of the administrator's: taken as it is, and there afterwards. */
static void
own_ruleset(const char *argv0)
{
	char mem[] = "mem", *devices[] = { mem, NULL };
	struct err e = ERR_INIT;
	struct lab l;

	tap_fine(ruleset_make(77, devices, &e), &e, "an administrator's ruleset");
	for (int i = 0; i < 2; i++) {
		begin(&l, argv0, "ruled");
		lab_attr(&l, "devfs_ruleset", "77");
		if (tap_fine(lab_start(&l, &e), &e, "a pot with it")) {
			holds(&l, "readable", "/dev/mem", 0, "the device that it shows");
			holds(&l, "readable", "/dev/kmem", 1, "and not another");
		}
		end(&l);
	}
	tap_fine(ruleset_drop(77, &e), &e, "it is still there for the administrator to remove");
}

static void
linux_proc(const char *argv0)
{
	struct err e = ERR_INIT;
	struct lab l;
	int rc;

	begin(&l, argv0, "linproc");
	lab_attr(&l, "linprocfs", "YES");
	rc = lab_start(&l, &e);
	if (rc < 0)
		tap_ok(strstr(e.hint, "kldload linprocfs") != NULL, "without linprocfs in the kernel: %s; %s",
		    e.msg, e.hint);
	else
		holds(&l, "readable", "/compat/linux/proc/cpuinfo", 0, "linprocfs is mounted");
	end(&l);
}

/* What is no value is named with its range, and nothing is left. */
static void
out_of_range(const char *argv0)
{
	static const char *const rows[][3] = { { "enforce_statfs", "3", "0 to 2" },
		{ "children", "1000000", "0 to 999999" }, { "securelevel", "4", "-1 to 3" },
		{ "devfs_ruleset", "65536", "0 to 65535" }, { "sysvsem", "old", "" },
		{ "mlock", "maybe", "" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = ERR_INIT;
		struct lab l;
		int rc;

		begin(&l, argv0, "ranges");
		lab_attr(&l, rows[i][0], rows[i][1]);
		rc = lab_start(&l, &e);
		tap_ok(
		    rc == -E_INVAL && strstr(e.msg, rows[i][0]) != NULL && strstr(e.hint, rows[i][2]) != NULL,
		    "%s %s is refused (%s; %s)", rows[i][0], rows[i][1], e.msg, e.hint);
		lab_nothing_left(&l, rows[i][0]);
		lab_fini(&l);
	}
}

/* What the kernel refuses leaves nothing. */
static void
refused(const char *argv0)
{
	struct err e = ERR_INIT;
	struct lab a, b;
	int rc;

	begin(&a, argv0, "twice");
	if (tap_fine(lab_start(&a, &e), &e, "a pot")) {
		begin(&b, argv0, "refused");
		lab_attr(&b, "devfs_ruleset", "5");
		lab_attr(&b, "children", "8");
		lab_attr(&b, "securelevel", "0");
		snprintf(b.cgroup, sizeof(b.cgroup), "jail:%s", "a.b");
		rc = lab_start(&b, &e);
		tap_ok(rc < 0, "a jail below one that is not there is refused (%s)", e.msg);
		lab_nothing_left(&b, "after a refused jail");
		lab_fini(&b);
	}
	end(&a);
}

int
main(int argc, char **argv)
{
	inside_main(argc, argv, table);
	strict(argv[0]);
	open_walls(argv[0]);
	release(argv[0]);
	each_attribute(argv[0]);
	own_ruleset(argv[0]);
	linux_proc(argv[0]);
	out_of_range(argv[0]);
	refused(argv[0]);
	return tap_done();
}
