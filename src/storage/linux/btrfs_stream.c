/*
 * Storage on btrfs: streams of snapshots, out by the kernel, in by
 * btrfs_apply.c.
 *
 * What is received grows in NAME/new, which becomes the read-only snaps/TAG;
 * the root is cloned from that last of all, so that a killed receive leaves a
 * directory without a root, which recovery removes. The snapshot carries the
 * id it had where it comes from: so streams that are the difference to it fit
 * here as they did there. The root does not, since it will be changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "storage/linux/btrfs.h"
#include "storage/linux/btrfs_apply.h"
#include "storage/linux/subvol.h"

/* Opens the snapshot and reads who it is. Returns its fd. */
static int
open_point(struct stor *s, struct stor_fs fs, const char *tag, struct subvol_info *info, struct err *e)
{
	AUTO(fd) int root = -1, snap = -1;
	AUTO(fd) int dir = btrfs_open_fs(s->priv, fs, &root, e);
	int rc;

	if (dir < 0)
		return dir;
	snap = btrfs_snap_open(dir, fs, tag, e);
	if (snap < 0)
		return snap;
	rc = subvol_get_info(snap, info, e);
	return rc < 0 ? rc : take_fd(snap);
}

int
btrfs_send(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from, int fd, struct err *e)
{
	struct subvol_info info, base = { 0 };
	AUTO(fd) int parent = -1;
	AUTO(fd) int snap = open_point(s, fs, tag, &info, e);

	if (snap < 0)
		return snap;
	if (from != NULL && (parent = open_point(s, from->fs, from->tag, &base, e)) < 0)
		return parent;
	return subvol_send(snap, base.id, fd, e);
}

int
btrfs_stream_id(
    struct stor *s, struct stor_fs fs, const char *tag, char id[static STOR_ID_LEN], struct err *e)
{
	struct subvol_info info;
	AUTO(fd) int snap = open_point(s, fs, tag, &info, e);

	if (snap < 0)
		return snap;
	for (size_t i = 0; i < sizeof(info.identity); i++)
		snprintf(id + 2 * i, 3, "%02x", info.identity[i]);
	return 0;
}

/* Is the stream what the caller says that it is: whole, or the difference to this snapshot? */
static int
check_head(const struct btrfs_stream_head *head, const struct subvol_info *from, struct err *e)
{
	static const uint8_t none[SUBVOL_UUID_LEN];

	if (memcmp(head->uuid, none, sizeof(none)) == 0)
		return err_set(e, E_CORRUPT, "btrfs: the stream has no id");
	if (head->has_parent != (from != NULL) ||
	    (from != NULL && memcmp(head->parent, from->identity, sizeof(head->parent)) != 0))
		return err_set(e, E_CORRUPT, "btrfs: the stream is the difference to another snapshot");
	return 0;
}

/* NAME/new with what the stream holds; *since is when its own extents begin. */
static int
fill(struct btrfs_stream *st, const struct btrfs_stream_head *head, int dir, int from, uint64_t *since,
    struct err *e)
{
	AUTO(fd) int fresh = -1;
	struct subvol_info info;
	int rc;

	if (from >= 0)
		rc = subvol_snapshot(from, dir, BTRFS_NEW_ROOT, false, e);
	else
		rc = subvol_create(dir, BTRFS_NEW_ROOT, e);
	fault_point("btrfs.receive.new");
	if (rc < 0)
		return rc;
	fresh = openat(dir, BTRFS_NEW_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fresh < 0)
		return err_sys(e, "btrfs: opening what is received");
	rc = subvol_get_info(fresh, &info, e);
	*since = from >= 0 && rc == 0 ? info.otransid : 0;
	if (rc == 0)
		rc = btrfs_stream_apply(st, fresh, from, e);
	fault_point("btrfs.receive.applied");
	return rc < 0 ? rc : subvol_set_received(fresh, head->uuid, head->transid, e);
}

/* Makes snaps/TAG and the root of NAME/new, which goes. */
static int
settle(int dir, const char *tag, uint64_t since, struct err *e)
{
	AUTO(fd) int snaps = openat(dir, "snaps", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(fd) int fresh = openat(dir, BTRFS_NEW_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(fd) int snap = -1;
	int rc;

	if (snaps < 0 || fresh < 0)
		return err_sys(e, "btrfs: opening what was received");
	rc = subvol_snapshot(fresh, snaps, tag, true, e);
	fault_point("btrfs.receive.snapshot");
	if (rc == 0)
		rc = subvol_delete(dir, BTRFS_NEW_ROOT, e);
	fault_point("btrfs.receive.deleted");
	if (rc == 0)
		rc = btrfs_set_origin(dir, since, e);
	if (rc < 0)
		return rc;
	snap = openat(snaps, tag, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (snap < 0)
		return err_sys(e, "btrfs: opening what was received");
	rc = subvol_snapshot(snap, dir, "root", false, e);
	fault_point("btrfs.receive.root");
	return rc;
}

int
btrfs_receive(struct stor *s, struct stor_fs dst, const char *tag, const struct stor_point *from,
    const struct stor_source *src, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	struct btrfs_stream_head head;
	struct btrfs_stream *st = NULL;
	struct subvol_info base;
	AUTO(fd) int parent = -1, dir = -1;
	uint64_t since = 0;
	int rc;

	if (from != NULL && (parent = open_point(s, from->fs, from->tag, &base, e)) < 0)
		return parent;
	dir = btrfs_make_dir(s, dst, e);
	if (dir < 0)
		return dir;
	fault_point("btrfs.receive.dir");
	rc = btrfs_stream_begin(&st, src, &head, e);
	if (rc == 0)
		rc = check_head(&head, from != NULL ? &base : NULL, e);
	if (rc == 0)
		rc = fill(st, &head, dir, parent, &since, e);
	btrfs_stream_free(st);
	if (rc == 0)
		rc = settle(dir, tag, since, e);
	return rc < 0 ? btrfs_discard_dir(p->kind[dst.kind], dst.name, rc) : 0;
}
