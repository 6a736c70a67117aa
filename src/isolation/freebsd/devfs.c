/*
 * Which devices a pot sees: a ruleset of devfs for each pot, made by ioctl and
 * removed with it. Nothing of the host's rulesets is leaned on: those exist
 * only where the host's start-up scripts have loaded them.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <fs/devfs/devfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

/* Administrators number theirs from 1 on. */
#define RULESET_FIRST 28672
#define RULESET_LAST 65000

/* What the usual ruleset of jails shows: no disk, no memory, no network interface. */
static const char *const usual[] = { "null", "zero", "crypto", "random", "urandom", "full", "ptmx", "pts",
	"pts/*", "fd", "fd/*", "stdin", "stdout", "stderr", "log" };

static int
devfs_open(struct err *e)
{
	int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "cannot open /dev");
}

static bool
is_taken(int dev, unsigned ruleset)
{
	struct devfs_rule r = { .dr_magic = DEVFS_MAGIC, .dr_id = mkrid(ruleset, 0) };

	return ioctl(dev, DEVFSIO_RGETNEXT, &r) == 0;
}

static void
lock_name(unsigned ruleset, char out[static 24])
{
	snprintf(out, 24, "ruleset.%u", ruleset);
}

int
ruleset_take(unsigned *out, struct err *e)
{
	AUTO(fd) int dir = record_dir(e), dev = -1;
	char name[24];

	if (dir < 0 || (dev = devfs_open(e)) < 0)
		return dir < 0 ? dir : dev;
	for (unsigned n = RULESET_FIRST; n <= RULESET_LAST; n++) {
		int fd;

		lock_name(n, name);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return err_sys(e, "cannot reserve devfs ruleset %u", n);
		fd_close(fd);
		*out = n;
		if (!is_taken(dev, n))
			return 0;
		/* Somebody else's: the file stays until the next boot and spares the question. */
	}
	return err_set(e, E_LIMIT, "all devfs rulesets from %d to %d are taken", RULESET_FIRST, RULESET_LAST);
}

static int
add_rule(int dev, unsigned ruleset, unsigned number, const char *pattern, struct err *e)
{
	struct devfs_rule r = { .dr_magic = DEVFS_MAGIC,
		.dr_id = mkrid(ruleset, number),
		.dr_iacts = DRA_BACTS,
		.dr_bacts = pattern == NULL ? DRB_HIDE : DRB_UNHIDE };

	if (pattern != NULL) {
		r.dr_icond = DRC_PATHPTRN;
		if (snprintf(r.dr_pathptrn, sizeof(r.dr_pathptrn), "%s", pattern) >=
		    (int)sizeof(r.dr_pathptrn))
			return err_set(e, E_LIMIT, "device %s: its name is too long", pattern);
	}
	if (ioctl(dev, DEVFSIO_RADD, &r) == 0)
		return 0;
	return err_sys(e, "cannot make rule %u of devfs ruleset %u", number, ruleset);
}

int
ruleset_make(unsigned ruleset, char *const *devices, struct err *e)
{
	AUTO(fd) int dev = devfs_open(e);
	unsigned n = 1;
	int rc;

	if (dev < 0)
		return dev;
	rc = add_rule(dev, ruleset, n++, NULL, e);
	for (size_t i = 0; i < ARRAY_LEN(usual) && rc == 0; i++)
		rc = add_rule(dev, ruleset, n++, usual[i], e);
	for (; devices != NULL && *devices != NULL && rc == 0; devices++) {
		char dir[DEVFS_MAXPTRNLEN];
		const char *slash = *devices;

		/* A directory that is hidden hides what is in it. */
		while (rc == 0 && (slash = strchr(slash + 1, '/')) != NULL &&
		    (size_t)(slash - *devices) < sizeof(dir)) {
			snprintf(dir, sizeof(dir), "%.*s", (int)(slash - *devices), *devices);
			rc = add_rule(dev, ruleset, n++, dir, e);
		}
		if (rc == 0)
			rc = add_rule(dev, ruleset, n++, *devices, e);
	}
	return rc;
}

int
ruleset_drop(unsigned ruleset, struct err *e)
{
	AUTO(fd) int dev = devfs_open(e), dir = record_dir(e);
	struct devfs_rule r = { .dr_magic = DEVFS_MAGIC, .dr_id = mkrid(ruleset, 0) };
	char name[24];

	if (dev < 0 || dir < 0)
		return dev < 0 ? dev : dir;
	/* Each answer is the first rule behind the number asked for. */
	while (ioctl(dev, DEVFSIO_RGETNEXT, &r) == 0) {
		devfs_rid id = r.dr_id;

		if (rid2rsn(id) != ruleset || ioctl(dev, DEVFSIO_RDEL, &id) != 0)
			return err_sys(e, "cannot remove devfs ruleset %u", ruleset);
		r = (struct devfs_rule){ .dr_magic = DEVFS_MAGIC, .dr_id = mkrid(ruleset, 0) };
	}
	lock_name(ruleset, name);
	return unlinkat(dir, name, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "cannot remove %s", name);
}
