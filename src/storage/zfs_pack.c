/*
 * Storage on ZFS: packages as `zfs send -R` writes them, of a dataset with one
 * child "m": the form that the shell framework's images have. zfs itself makes
 * them, so the child is there for a moment as a copy of what is packed; it
 * stands below a file system of the caller's, who removes it with everything.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/proc.h"
#include "storage/zfs.h"

/*
 * The copy: a stream of fs@tag received as HEAD/m@NAME, whole or (from) as a
 * clone of what fs is one of; zfs send -R then makes the difference of it.
 */
static int
copy_child(const char *snap, const char *from, const char *child, struct err *e)
{
	const char *const whole[] = { "zfs", "send", snap, NULL };
	const char *const part[] = { "zfs", "send", "-i", from, snap, NULL };
	const char *const *argv = from != NULL ? part : whole;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err sent = ERR_INIT;
	int p[2], rc, end;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	AUTO(fd) int out = p[0];
	AUTO(fd) int in = p[1];
	spec.argv = argv;
	spec.fd_out = in;
	if ((rc = proc_start(&spec, &pid, e)) < 0)
		return rc;
	fd_close(take_fd(in));
	const struct stor_source src = stor_source_fd(&out);
	rc = zfs_run_fed("", 0, &src, e, "receive", "-u", child, NULL);
	fd_close(take_fd(out));
	end = proc_finish(pid, argv[0], NULL, &sent);
	if (rc < 0 || end == 0)
		return rc;
	*e = sent;
	return err_wrap(e, "sending %s", snap);
}

/* The snapshot that fs was cloned from, by its present name. */
static int
origin_of(struct stor *s, struct stor_fs fs, struct buf *origin, struct err *e)
{
	char ds[ZFS_NAME_LEN];
	int rc;

	zfs_dataset(s, fs, ds);
	rc = zfs_get_one(ds, "origin", origin, e);
	if (rc == 0 && strcmp(buf_cstr(origin), "-") == 0)
		rc = err_set(e, E_INVAL, "zfs: '%s' is a clone of nothing", fs.name);
	return rc;
}

int
zfs_pack(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_packing *how, int fd, struct err *e)
{
	AUTO_FINI(buf) struct buf origin = BUF_INIT(ZFS_NAME_LEN + 1);
	char snap[ZFS_NAME_LEN], ds[ZFS_NAME_LEN], top[ZFS_NAME_LEN], child[ZFS_NAME_LEN];
	int rc = zfs_recover(s, fs, e);

	if (rc == 0 && how->layered)
		rc = origin_of(s, fs, &origin, e);
	if (rc < 0)
		return rc;
	zfs_snapshot_name(s, fs, tag, snap);
	zfs_dataset(s, how->head, ds);
	if (snprintf(top, sizeof(top), "%s@%s", ds, how->name) >= (int)sizeof(top) ||
	    snprintf(child, sizeof(child), "%s/m@%s", ds, how->name) >= (int)sizeof(child))
		return err_set(e, E_INVAL, "zfs: the name '%s' is too long to be packed", how->name);
	rc = copy_child(snap, how->layered ? buf_cstr(&origin) : NULL, child, e);
	fault_point("zfs.pack.copied");
	/* Who receives it mounts it where its own datasets are. */
	if (rc == 0)
		rc = zfs_run(NULL, e, "set", "canmount=on", ds, NULL);
	if (rc == 0)
		rc = zfs_run(NULL, e, "snapshot", top, NULL);
	fault_point("zfs.pack.snapshot");
	return rc < 0 ? rc : zfs_run_to(fd, e, "send", "-R", top, NULL);
}
