/*
 * Storage on ZFS: packages as `zfs send -R` writes them, of a dataset with one
 * child "m": the form that the shell framework's images have. zfs itself makes
 * them, so the child is there for a moment as a copy of what is packed; it
 * stands below a file system of the caller's, who removes it with everything.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/proc.h"
#include "storage/zfs.h"

/* The copy: a stream of fs@tag, whole, received as HEAD/m@NAME. */
static int
copy_child(const char *snap, const char *child, struct err *e)
{
	const char *const argv[] = { "zfs", "send", snap, NULL };
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

int
zfs_pack(struct stor *s, struct stor_fs fs, const char *tag, struct stor_fs head, const char *name, int fd,
    struct err *e)
{
	char snap[ZFS_NAME_LEN], ds[ZFS_NAME_LEN], top[ZFS_NAME_LEN], child[ZFS_NAME_LEN];
	int rc = zfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	zfs_snapshot_name(s, fs, tag, snap);
	zfs_dataset(s, head, ds);
	if (snprintf(top, sizeof(top), "%s@%s", ds, name) >= (int)sizeof(top) ||
	    snprintf(child, sizeof(child), "%s/m@%s", ds, name) >= (int)sizeof(child))
		return err_set(e, E_INVAL, "zfs: the name '%s' is too long to be packed", name);
	rc = copy_child(snap, child, e);
	fault_point("zfs.pack.copied");
	/* Who receives it mounts it where its own datasets are. */
	if (rc == 0)
		rc = zfs_run(NULL, e, "set", "canmount=on", ds, NULL);
	if (rc == 0)
		rc = zfs_run(NULL, e, "snapshot", top, NULL);
	fault_point("zfs.pack.snapshot");
	return rc < 0 ? rc : zfs_run_to(fd, e, "send", "-R", top, NULL);
}
