/*
 * Datasets that a pot manages itself: given to its jail at the start, taken
 * back with it, whoever dies. Needs zfs(8), zpool(8) and /sbin for the pot; the
 * pool is a file.
 */
#include "lab.h"

#include <sys/param.h>
#include <sys/mount.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"

#define POOL "potlab"

/* ---- inside */

static int
in_wait(const char *arg)
{
	for (;;)
		pause();
}

static int
run(const char *const *argv)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(16384);
	struct proc_spec s = PROC_SPEC_INIT;
	struct err e = ERR_INIT;

	s.argv = argv;
	s.out = &out;
	s.timeout_ms = 120000;
	if (proc_run(&s, NULL, &e) == 0)
		return 0;
	printf("# %s: %s\n", argv[0], e.msg);
	fflush(stdout);
	return 1;
}

#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

/* Mounts the dataset where it says, makes one below it and writes into that. */
static int
in_use(const char *dataset)
{
	char child[128];
	int fd;

	snprintf(child, sizeof(child), "%s/child", dataset);
	if (RUN("/sbin/zfs", "mount", dataset) != 0)
		return 1;
	if (RUN("/sbin/zfs", "create", child) != 0)
		return 2;
	fd = open("/data/child/file", O_WRONLY | O_CREAT, 0600);
	return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 3;
}

static int
in_sees(const char *dataset)
{
	return RUN("/sbin/zfs", "list", dataset);
}

static const struct inside table[] = { { "wait", in_wait }, { "use", in_use }, { "sees", in_sees },
	{ NULL, NULL } };

/* ---- outside */

static bool
is_mounted(const char *dataset)
{
	struct statfs *v;
	int n = getmntinfo(&v, MNT_NOWAIT);

	for (int i = 0; i < n; i++)
		if (strncmp(v[i].f_mntfromname, dataset, strlen(dataset)) == 0)
			return true;
	return false;
}

static void
begin(struct lab *l, const char *argv0, const char *name, const char *datasets)
{
	lab_init(l, argv0, name);
	lab_command(l, "wait", NULL);
	lab_mount(l, iso_bind(AT_FDCWD, "/sbin", true, false, NULL), "/sbin", true);
	lab_attr(l, "enforce_statfs", "2");
	lab_attr(l, "zfs_dataset", datasets);
}

static void
end(struct lab *l)
{
	(void)!iso_signal(&l->ref, SIGKILL, NULL);
	(void)lab_wait(l);
	lab_end(l);
	tap_ok(!is_mounted(POOL "/own"), "%s: its dataset is mounted nowhere", l->name);
	lab_fini(l);
}

static void
given(const char *argv0)
{
	struct err e = ERR_INIT;
	struct lab l;
	int rc;

	begin(&l, argv0, "unmarked", POOL "/own");
	rc = lab_start(&l, &e);
	tap_ok(rc == -E_STATE && strstr(e.hint, "jailed=on") != NULL,
	    "one that is not marked is refused (%s; %s)", e.msg, e.hint);
	lab_nothing_left(&l, "after that");
	lab_fini(&l);
	tap_ok(RUN("zfs", "set", "jailed=on", POOL "/own") == 0, "it is marked");

	e = (struct err)ERR_INIT;
	begin(&l, argv0, "absent", POOL "/own " POOL "/none");
	rc = lab_start(&l, &e);
	tap_ok(rc < 0 && strstr(e.msg, POOL "/none") != NULL, "one that is not there is named (%s)", e.msg);
	lab_nothing_left(&l, "after that");
	lab_fini(&l);

	e = (struct err)ERR_INIT;
	begin(&l, argv0, "owner", POOL "/own");
	if (tap_fine(lab_start(&l, &e), &e, "a pot is given a dataset")) {
		rc = lab_exec(&l, "use", POOL "/own", &e);
		tap_ok(rc == 0, "it mounts it, makes one below it and writes (%d)", rc);
		tap_ok(lab_exec(&l, "sees", POOL "/other", &e) != 0, "it sees no other");
		tap_ok(is_mounted(POOL "/own/child"), "the host sees its mounts");
	}
	end(&l);

	begin(&l, argv0, "shimless", POOL "/own");
	if (tap_fine(lab_start(&l, &e), &e, "another pot is given it, with what the first has written")) {
		tap_ok(lab_exec(&l, "sees", POOL "/own/child", &e) == 0, "which it sees");
		tap_ok(
		    RUN("zfs", "get", "-H", "-o", "value", "mounted", POOL "/own") == 0, "as the host does");
		tap_fine(proc_id_kill(&l.child.shim, SIGKILL, &e), &e, "its shim is killed");
		tap_fine(proc_id_wait(&l.child.init, 60000, &e), &e, "and so it ends");
	}
	end(&l);

	begin(&l, argv0, "without", "");
	if (tap_fine(lab_start(&l, &e), &e, "a pot without any"))
		tap_ok(lab_exec(&l, "sees", POOL "/own", &e) != 0, "sees none");
	end(&l);
	tap_ok(RUN("zfs", "destroy", "-r", POOL "/own") == 0, "nobody holds it: it can be destroyed");
}

int
main(int argc, char **argv)
{
	char image[] = "/tmp/pot-lab-pool-XXXXXX";
	int fd;

	inside_main(argc, argv, table);
	fd = mkstemp(image);
	if (fd < 0 || ftruncate(fd, 256 << 20) != 0 ||
	    RUN("zpool", "create", "-m", "none", POOL, image) != 0) {
		unlink(image);
		tap_skip("no ZFS here", "datasets of pots");
		return tap_done();
	}
	tap_ok(RUN("zfs", "create", "-o", "mountpoint=/data", "-o", "canmount=noauto", POOL "/own") == 0,
	    "a dataset");
	tap_ok(RUN("zfs", "create", POOL "/other") == 0, "and another");
	given(argv[0]);
	tap_ok(RUN("zpool", "destroy", POOL) == 0, "the pool can be destroyed");
	close(fd);
	unlink(image);
	return tap_done();
}
